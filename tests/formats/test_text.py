import pytest
from spacy.tokens import Doc

from spacy_bert_ner.formats import FormatError, Report, read_docs, write_docs

from .util import NLP, found, make_doc

TEXT = "\ufeffAnna.\r\n\r\n  Bo\t\u2028b \n"


def test_a_file_is_a_document(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.encode("utf-8"))
    (doc,) = read_docs(path, NLP)
    assert doc.text == TEXT[1:]
    assert not doc.has_annotation("ENT_IOB")
    write_docs(tmp_path / "b.txt", [doc])
    assert (tmp_path / "b.txt").read_bytes() == TEXT[1:].encode("utf-8")


def test_a_line_is_a_document(tmp_path):
    """Of line breaks, only those that end lines of files count."""
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.encode("utf-8"))
    docs = list(read_docs(path, NLP, "lines"))
    assert [doc.text for doc in docs] == ["Anna.", "  Bo\t\u2028b "]
    write_docs(tmp_path / "b", docs, "lines")
    assert (tmp_path / "b").read_text(encoding="utf-8") == "Anna.\n  Bo\t\u2028b \n"


def test_a_folder_is_documents(tmp_path):
    """Of its .txt files alone, in the order of their paths; an empty one is none."""
    texts = {"b.txt": "Bo.", "a/z.TXT": "Anna.", "c.md": "No.", "d.txt": ""}
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert [doc.text for doc in read_docs(tmp_path, NLP)] == ["Anna.", "Bo."]
    (tmp_path / "b.txt").write_bytes(b"Bo\xff")
    with pytest.raises(FormatError, match="b.txt"):
        list(read_docs(tmp_path, NLP))
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="There is no .txt file in .*empty"):
        list(read_docs(tmp_path / "empty", NLP))


@pytest.mark.parametrize("name", ["text", "lines"])
def test_nothing(tmp_path, name):
    path = tmp_path / "a.txt"
    path.write_text("", encoding="utf-8")
    assert list(read_docs(path, NLP, name)) == []
    write_docs(tmp_path / "b", [], name)
    assert (tmp_path / "b").read_bytes() == b""


def test_more_than_one_document(tmp_path):
    docs = [make_doc(["a"], ["O"])] * 2
    with pytest.raises(FormatError, match="'text' is one document.*Use --to lines"):
        write_docs(tmp_path / "a.txt", docs)
    assert list(tmp_path.iterdir()) == []


def test_what_lines_cannot_have(tmp_path):
    report = Report()
    docs = [Doc(NLP.vocab), *(NLP.make_doc(text) for text in ("a\r\nb\rc\n", " ", "d"))]
    write_docs(tmp_path / "a", docs, "lines", report)
    assert (tmp_path / "a").read_text(encoding="utf-8") == "a b c \nd\n"
    assert found(report) == {
        "documents have no text, and are left out": 2,
        "documents have line breaks, which are written as spaces": 1,
    }


@pytest.mark.parametrize("name", ["text", "lines"])
def test_entities_are_counted(tmp_path, name):
    report = Report()
    write_docs(tmp_path / "a", [make_doc(["a", "b"], ["B-X", "B-Y"])], name, report)
    assert (
        report.message()
        == "2 entities are left out: plain text can't store entities: 'a' (X), 'b' (Y)"
    )


@pytest.mark.parametrize("name", ["text", "lines"])
def test_too_long(tmp_path, monkeypatch, name):
    monkeypatch.setattr(NLP, "max_length", 3)
    (tmp_path / "a.txt").write_text("abcd", encoding="utf-8")
    with pytest.raises(
        FormatError, match=r"line 1 of .*a.txt: its text has 4 characters, more than .* = 3. Split"
    ):
        list(read_docs(tmp_path / "a.txt", NLP, name))
