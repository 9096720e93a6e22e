import re
from html.parser import HTMLParser

import numpy
import pytest
import spacy
from spacy.tokens import Doc, Span

from spacy_bert_ner.formats import FormatError, read_docs, write_docs
from spacy_bert_ner.formats.files import RECORD_KEY
from spacy_bert_ner.tagging.entity_scores import make_span_group

from .util import NLP, make_doc

# What would end an attribute, an element or a comment, if it weren't escaped.
HOSTILE = [
    "<script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</mark></div></article></main></body></html>",
    "<img/src=x/onerror=alert(1)>",
    '"onmouseover="alert(1)',
    "'onmouseover='alert(1)",
    "--><!--",
    "<![CDATA[x]]>",
    "&lt;b&gt;&#60;&amp",
    "{{7*7}}{%block%}{#x#}",
    "0;background:url(http://example.org)",
    "<a/href=javascript:alert(1)>",
    "\u202e\u2066\x1b[31m<",
]
VOID = ("meta", "br")


class Page(HTMLParser):
    """Its elements, whether they nest, and the texts and marks of its documents."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.attributes, self.others = [], [], [], []
        self.texts, self.marks = [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs
        if tag in VOID:
            return
        self.open.append((tag, dict(attrs).get("class", "").split(" ")[0]))
        if self.open[-1] == ("div", "text"):
            self.texts.append("")
        elif tag == "mark":
            self.marks.append({"entity": "", "label": "", "score": ""})

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        _, part = self.open[-1] if self.open else ("", "")
        if part in ("entity", "label", "score"):
            self.marks[-1][part] += data
        if part in ("entity", "text"):
            self.texts[-1] += data

    def handle_decl(self, decl):
        self.others.append(decl)

    handle_comment = unknown_decl = handle_pi = handle_decl


def write(tmp_path, docs):
    path = tmp_path / "a.html"
    write_docs(path, docs)
    return path.read_text(encoding="utf-8")


def label(doc, labels):
    """Make each word an entity."""
    doc.ents = [Span(doc, i, i + 1, label=name) for i, name in enumerate(labels)]
    return doc


def test_page(tmp_path):
    docs = [
        make_doc(["Anna", "Berg", "x"], ["B-PER", "I-PER", "O"]),
        make_doc(["\U0001f600"], ["O"]),
    ]
    html = write(tmp_path, docs)
    assert html.startswith("<!DOCTYPE html>")
    (mark,) = re.findall("<mark.*?</mark>", html, flags=re.DOTALL)
    assert re.sub("<.*?>", " ", mark).split() == ["Anna", "Berg", "PER"]
    page = Page(html)
    assert page.texts == ["Anna Berg x ", "\U0001f600 "]
    assert page.marks == [{"entity": "Anna Berg", "label": "PER", "score": ""}]
    assert ("id", "doc-1") in page.attributes and ("id", "doc-2") in page.attributes


def test_head(tmp_path):
    """A server that states no encoding, and a phone, show it right."""
    html = write(tmp_path, [make_doc(["å"], ["B-X"])])
    head = html[:1024]
    assert '<meta charset="utf-8">' in head.encode("utf-8")[:1024].decode("utf-8")
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in head
    assert "@media screen and (prefers-color-scheme: dark)" in html and "@media print" in html


def test_loads_nothing(tmp_path):
    page = Page(html := write(tmp_path, [make_doc(["a"], ["B-X"])]))
    assert not {"script", "link", "img", "iframe"} & set(page.elements)
    names = {name for name, _ in page.attributes}
    assert "src" not in names
    assert all(value.startswith("#") for name, value in page.attributes if name == "href")
    assert "url(" not in html and "@import" not in html


def test_scores(tmp_path):
    doc = make_doc(["Anna", "Oslo", "Bo"], ["B-PER", "B-LOC", "B-PER"])
    scores = numpy.array([0.987, 0.5], dtype="float32")
    doc.spans["bert_ner"] = make_span_group(doc, "bert_ner", list(doc.ents)[:2], scores, [])
    marks = Page(write(tmp_path, [doc])).marks
    assert [mark["score"] for mark in marks] == ["0.99", "0.50", ""]
    assert [mark["label"].strip("\xa0") for mark in marks] == ["PER", "LOC", "PER"]


@pytest.mark.parametrize("docs", [[], [Doc(NLP.vocab)], [Doc(NLP.vocab, words=["a"])]])
def test_documents_without_entities(tmp_path, docs):
    html = write(tmp_path, docs)
    assert "<mark" not in html
    assert len(Page(html).texts) == len(docs)


@pytest.mark.parametrize("number", [7, "a<b"])
def test_ids_of_records(tmp_path, number):
    doc = Doc(NLP.vocab, words=["a"], user_data={RECORD_KEY: {"id": number}})
    assert f">{number}</span>".replace("a<b", "a&lt;b") in write(tmp_path, [doc])


def test_text_is_no_markup(tmp_path):
    """Whatever a text, a label and an id are, the elements are those of harmless ones."""
    pairs = [(text, name) for text in HOSTILE for name in HOSTILE]
    harmless = [label(Doc(NLP.vocab, words=["a", "b"]), ["X", "Y"]) for _ in pairs]
    hostile = [label(Doc(NLP.vocab, words=[text, name]), [name, text]) for text, name in pairs]
    for docs in (harmless, hostile):
        for doc in docs:
            doc.user_data[RECORD_KEY] = {"id": doc[0].text}
    page, other = Page(write(tmp_path, hostile)), Page(write(tmp_path, harmless))
    assert page.elements == other.elements
    assert page.others == other.others == ["DOCTYPE html"]
    assert {name for name, _ in page.attributes} == {name for name, _ in other.attributes}
    assert page.texts == [doc.text for doc in hostile]
    found = [(mark["entity"], mark["label"]) for mark in page.marks]
    assert found == [(ent.text, ent.label_) for doc in hostile for ent in doc.ents]
    hues = [value for name, value in page.attributes if name == "style"]
    assert len(hues) == 2 * len(pairs)
    assert all(re.fullmatch(r"--hue: \d{1,3}", hue) for hue in hues)


@pytest.mark.parametrize(
    "lang,page,text", [("ar", "rtl", "rtl"), ("en", "ltr", "ltr"), ("xx", "ltr", "auto")]
)
def test_writing_direction(tmp_path, lang, page, text):
    """Where the language doesn't tell, the letters of each text do."""
    doc = Doc(spacy.blank(lang).vocab, words=["a"], ents=["B-X"])
    html = write(tmp_path, [doc])
    assert f'<html lang="{lang.replace("xx", "")}" dir="{page}">' in html
    assert f'<div class="text" dir="{text}">' in html


def test_is_only_written(tmp_path):
    write(tmp_path, [])
    with pytest.raises(
        FormatError, match="'html' can only be written. Formats to read: spacy, jsonl"
    ):
        list(read_docs(tmp_path / "a.html", NLP))
