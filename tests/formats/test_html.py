import re

import pytest
import spacy
from spacy.tokens import Doc, Span

from spacy_bert_ner.formats import FormatError, read_docs, write_docs

from .util import NLP, make_doc


def write(tmp_path, docs):
    path = tmp_path / "a.html"
    write_docs(path, docs)
    return path.read_text(encoding="utf-8")


def test_page(tmp_path):
    docs = [
        make_doc(["Anna", "Berg", "x"], ["B-PER", "I-PER", "O"]),
        make_doc(["\U0001f600"], ["O"]),
    ]
    html = write(tmp_path, docs)
    assert html.startswith("<!DOCTYPE html>")
    (mark,) = re.findall("<mark.*?</mark>", html, flags=re.DOTALL)
    assert re.sub("<.*?>", " ", mark).split() == ["Anna", "Berg", "PER"]
    assert "\U0001f600" in html


@pytest.mark.parametrize("docs", [[], [Doc(NLP.vocab)], [Doc(NLP.vocab, words=["a"])]])
def test_documents_without_entities(tmp_path, docs):
    assert "<mark" not in write(tmp_path, docs)


def test_text_is_no_markup(tmp_path):
    doc = make_doc(["<b>", "a&b", "{c}"], ["B-X", "O", "B-Y"])
    doc.ents = [Span(doc, 0, 1, label="<i>{X}"), doc.ents[1]]
    html = write(tmp_path, [doc])
    assert "<b>" not in html and "&lt;b&gt;" in html and "a&amp;b" in html and "{c}" in html
    assert "<i>" not in html and "&lt;i&gt;{X}" in html


def test_writing_direction(tmp_path):
    doc = Doc(spacy.blank("ar").vocab, words=["a"], ents=["B-X"])
    assert "direction: rtl" in write(tmp_path, [doc])


def test_is_only_written(tmp_path):
    write(tmp_path, [])
    with pytest.raises(FormatError, match="'html' is only written. Formats to read: spacy, jsonl"):
        list(read_docs(tmp_path / "a.html", NLP))
