"""Read by a parser of CommonMark, what is written is shown as it is."""

from html import unescape

import pytest
from markdown_it import MarkdownIt

from spacy_bert_ner.pages.markdown import code, escape, link

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = [
    "A|Q",
    "`",
    "a``b`",
    "`<script>alert(1)</script>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[a](javascript:alert(1))",
    "![a](x)",
    "[a]: x",
    "<javascript:alert(1)>",
    "**b** _i_ __u__ ~~s~~",
    "# head",
    "- item",
    "+ item",
    "1. item",
    "2) item",
    "=====",
    "---",
    "> quote",
    "&lt;&#60;&amp;",
    "\\`\\|",
    "a | b\n| --- | --- |",
    "a\n\n# head",
    "snake_case_name",
    "\x1b[31mred\x00\u202e",
]


def shown(text):
    """What of a text is seen."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def read(html, element):
    """The only thing in an element."""
    assert html.startswith(f"<{element}>") and html.rstrip().endswith(f"</{element}>")
    inside = html.rstrip()[len(element) + 2 : -len(element) - 3]
    assert "<" not in inside
    return unescape(inside)


@pytest.mark.parametrize("text", HOSTILE)
def test_escape(text):
    assert read(MARKDOWN.render(escape(text)), "p") == shown(text)
    assert read(MARKDOWN.render(f"# {escape(text)}"), "h1") == shown(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_code(text):
    html = MARKDOWN.renderInline(f"{code(text)}")
    assert read(html, "code").strip() == shown(text)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("fill", [escape, lambda text: code(text, in_table=True)])
def test_table(text, fill):
    """A cell is one cell."""
    html = MARKDOWN.render(f"| a | b |\n| --- | --- |\n| {fill(text)} | c |\n")
    cell = html.split("<td>")[1].split("</td>")[0].replace("<code>", "").replace("</code>", "")
    assert unescape(cell).strip() == shown(text) and html.count("<td>") == 2
    assert "<" not in cell and html.count("<table>") == 1


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "JaVaScript:alert(1)", "\x01java\nscript:alert(1)", "data:text/html,x"],
)
def test_links_that_run_something(url):
    html = MARKDOWN.renderInline(link("a", url))
    assert html.startswith("a <code>") and "href" not in html


@pytest.mark.parametrize(
    "text,url,expected",
    [
        ("a", "https://example.org", '<a href="https://example.org">a</a>'),
        ("a]b", "https://x.org/(c) d>e", '<a href="https://x.org/%28c%29%20d%3Ee">a]b</a>'),
        ("", "https://x.org", '<a href="https://x.org">https://x.org</a>'),
        ("a", "http://[x", "a <code>http://[x</code>"),
        ("a", "mailto:a@x.org", '<a href="mailto:a@x.org">a</a>'),
    ],
)
def test_links(text, url, expected):
    assert MARKDOWN.renderInline(link(text, url)) == expected


def test_plain_texts_stay():
    assert escape("en_demo, by Ann (2024): 50 % & more") == "en_demo, by Ann (2024): 50 % & more"
    assert code("PER") == "`PER`"
