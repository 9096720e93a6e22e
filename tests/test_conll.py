from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_bert_ner.cli import app
from spacy_bert_ner.conll import read_conll

SAMPLE = Path(__file__).parent.parent / "assets" / "sample"

CONLL_2003 = """
-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC
call NN I-NP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER

-DOCSTART- -X- -X- O

BRUSSELS NNP B-NP B-LOC
"""

WNUT = "@x\tO\nEmpire\tB-location\nState\tI-location\n\t \nESB\tB-location\n\t \n\t \nok\tO\n"

UNER = """
# newdoc id = a1
# sent_id = a1-1
# text = Anna # 4 Oslo
1\tAnna\tB-PER\t-\tx
2\t#\tO\t-\tx
3\t4\tO\t-\tx
4\tOslo\tB-LOC\t-\tx

# sent_id = a1-2
# text = # 4
1\t#\tO\t-\tx
2\t4\tB-MISC\t-\tx

# newdoc id = a2
# sent_id = a2-1
# text = Bo
1\tBo\tB-PER\t-\tx
"""


def read(tmp_path, text):
    path = tmp_path / "corpus.iob2"
    path.write_text(text, encoding="utf-8")
    return list(read_conll(path, Vocab()))


def ents_of(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


def words_of(doc):
    return [token.text for token in doc]


def sents_of(doc):
    return [len(sent) for sent in doc.sents]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_conll_2003(tmp_path, newline):
    path = tmp_path / "eng.train"
    path.write_bytes(CONLL_2003.lstrip().replace("\n", newline).encode("utf-8"))
    first, second = read_conll(path, Vocab())
    assert words_of(first) == ["EU", "rejects", "German", "call", "Peter", "Blackburn"]
    assert sents_of(first) == [4, 2]
    assert ents_of(first) == [("EU", "ORG"), ("German", "MISC"), ("Peter Blackburn", "PER")]
    assert ents_of(second) == [("BRUSSELS", "LOC")]
    assert first.has_annotation("SENT_START")


def test_wnut(tmp_path):
    """Sentences are documents; lines between them hold a tab and a space."""
    docs = read(tmp_path, WNUT)
    assert [words_of(doc) for doc in docs] == [["@x", "Empire", "State"], ["ESB"], ["ok"]]
    assert [ents_of(doc) for doc in docs] == [
        [("Empire State", "location")],
        [("ESB", "location")],
        [],
    ]
    assert not docs[0].has_annotation("SENT_START")
    assert docs[2].has_annotation("ENT_IOB")


def test_universal_ner(tmp_path):
    first, second = read(tmp_path, UNER.lstrip())
    assert words_of(first) == ["Anna", "#", "4", "Oslo", "#", "4"]
    assert sents_of(first) == [4, 2]
    assert ents_of(first) == [("Anna", "PER"), ("Oslo", "LOC"), ("4", "MISC")]
    assert ents_of(second) == [("Bo", "PER")]


def test_universal_ner_without_documents(tmp_path):
    """Comments, but no `# newdoc`: every sentence is a document."""
    lines = [line for line in UNER.lstrip().split("\n") if not line.startswith("# newdoc")]
    docs = read(tmp_path, "\n".join(lines))
    assert [len(doc) for doc in docs] == [4, 2, 1]
    assert not docs[0].has_annotation("SENT_START")


@pytest.mark.parametrize("separator", ["\t", " "])
def test_words_that_look_like_comments_or_numbers(tmp_path, separator):
    rows = [("#", "O"), ("4", "B-MISC"), ("1", "I-MISC"), ("#", "B-MISC"), ("#newdoc", "O")]
    text = "\n".join(separator.join(row) for row in rows)
    (doc,) = read(tmp_path, text + "\n")
    assert words_of(doc) == ["#", "4", "1", "#", "#newdoc"]
    assert ents_of(doc) == [("4 1", "MISC"), ("#", "MISC")]


@pytest.mark.parametrize(
    "tags,expected",
    [
        # IOB1: B only between entities of one label
        ("I-X I-X O I-Y", [("X", 0, 2), ("Y", 3, 4)]),
        ("I-X B-X I-X", [("X", 0, 1), ("X", 1, 3)]),
        ("I-X I-Y", [("X", 0, 1), ("Y", 1, 2)]),
        # IOB2
        ("B-X I-X B-X O B-Y", [("X", 0, 2), ("X", 2, 3), ("Y", 4, 5)]),
        ("B-X I-Y", [("X", 0, 1), ("Y", 1, 2)]),
        # BILUO
        ("U-X U-X B-X L-X O B-Y I-Y L-Y", [("X", 0, 1), ("X", 1, 2), ("X", 2, 4), ("Y", 5, 8)]),
        # IOBES
        ("S-X S-X B-X E-X O B-Y I-Y E-Y", [("X", 0, 1), ("X", 1, 2), ("X", 2, 4), ("Y", 5, 8)]),
        ("B-X E-X I-X", [("X", 0, 2), ("X", 2, 3)]),
        # Missing tags
        ("B-X - I-X", [("X", 0, 1), ("X", 2, 3)]),
        ("- - O", []),
        # Labels with hyphens, and named like tags
        ("B-geo-loc I-geo-loc B-loc", [("geo-loc", 0, 2), ("loc", 2, 3)]),
        ("B-O I-O O B-O-x", [("O", 0, 2), ("O-x", 3, 4)]),
        ("B-- I--", [("-", 0, 2)]),
    ],
)
def test_schemes(tmp_path, tags, expected):
    tags = tags.split()
    (doc,) = read(tmp_path, "".join(f"w{i}\t{tag}\n" for i, tag in enumerate(tags)))
    assert [(ent.label_, ent.start, ent.end) for ent in doc.ents] == expected
    assert [token.ent_iob == 0 for token in doc] == [tag == "-" for tag in tags]


@pytest.mark.parametrize("tag", ["I-X", "B-X", "L-X"])
def test_entities_end_with_the_sentence(tmp_path, tag):
    (doc,) = read(tmp_path, f"-DOCSTART- O\n\na B-X\n\nb {tag}\n")
    assert [(ent.start, ent.end) for ent in doc.ents] == [(0, 1), (1, 2)]


@pytest.mark.parametrize(
    "text,expected",
    [
        ("", []),
        ("\n\n \t \n", []),
        ("-DOCSTART- O\n\n-DOCSTART- O\n", []),
        ("a O", [["a"]]),
        ("\n\na O\n\n\n\nb O\n\n", [["a"], ["b"]]),
        ("-DOCSTART- O\na O\n\n\nb O", [["a", "b"]]),
        ("a O\n-DOCSTART- O\nb O\n", [["a"], ["b"]]),
        ("a b\tO\n", [["a b"]]),
        ("\U0001f600\tO\n", [["\U0001f600"]]),
    ],
)
def test_layouts(tmp_path, text, expected):
    assert [words_of(doc) for doc in read(tmp_path, text)] == expected


def test_byte_order_mark(tmp_path):
    """Editors on Windows write one; it is no part of the first word, or of `-DOCSTART-`."""
    assert [words_of(doc) for doc in read(tmp_path, "\ufeffa O\n")] == [["a"]]
    (doc,) = read(tmp_path, "\ufeff-DOCSTART- O\n\na O\n\nb O\n")
    assert words_of(doc) == ["a", "b"]


@pytest.mark.parametrize(
    "text,number,line",
    [
        ("a O\nb\n", 2, "'b'"),
        ("a O\n\nb\tPER\n", 3, "PER"),
        ("a B-\n", 1, "'a B-'"),
        ("a X-PER\n", 1, "X-PER"),
        ("a o\n", 1, "'a o'"),
        ("a O-PER\n", 1, "O-PER"),
        ("a\t\n", 1, "'a'"),
        ("\tO\n", 1, "'O'"),
        (" \tO\n", 1, "'O'"),
        ("-DOCSTART- O\n\na O\nb c\n", 4, "'b c'"),
        ("# sent_id = x\n1\tAnna\tB-PER\n2\tx\n", 3, "x"),
    ],
)
def test_bad_line(tmp_path, text, number, line):
    with pytest.raises(ValueError, match=rf"Can't read line {number} of .*corpus.iob2.*{line}"):
        read(tmp_path, text)


def convert(*args):
    return CliRunner().invoke(app, ["convert", *map(str, args)])


def plain(result):
    """A message as words, without the box that typer draws around it."""
    return " ".join(result.output.replace("│", " ").split())


def test_convert(tmp_path):
    source, target = tmp_path / "a.conll", tmp_path / "made" / "a.spacy"
    source.write_text(CONLL_2003.lstrip(), encoding="utf-8")
    result = convert(source, target, "--lang", "en")
    assert result.exit_code == 0, result.output
    assert "2 documents, 7 tokens, 4 entities" in plain(result)
    docs = list(DocBin().from_disk(target).get_docs(spacy.blank("en").vocab))
    assert [ents_of(doc) for doc in docs] == [ents_of(doc) for doc in read_conll(source, Vocab())]
    assert sents_of(docs[0]) == [4, 2]


def test_convert_keeps_missing_tags(tmp_path):
    source, target = tmp_path / "a.conll", tmp_path / "a.spacy"
    source.write_text("a B-X\nb -\nc O\n", encoding="utf-8")
    assert convert(source, target).exit_code == 0
    (doc,) = DocBin().from_disk(target).get_docs(Vocab())
    assert [token.ent_iob_ for token in doc] == ["B", "", "O"]


@pytest.mark.parametrize("name", ["a.json", "a", "a.spacy.gz"])
def test_convert_wrong_suffix(tmp_path, name):
    source, target = tmp_path / "a.conll", tmp_path / name
    source.write_text("a O\n", encoding="utf-8")
    result = convert(source, target)
    assert result.exit_code == 2
    assert "ends in .spacy" in plain(result)
    assert not target.exists()


def test_convert_bad_file(tmp_path):
    source, target = tmp_path / "a.conll", tmp_path / "made" / "a.spacy"
    source.write_text("a O\nb\n", encoding="utf-8")
    result = convert(source, target)
    assert result.exit_code == 2
    assert "Can't read line 2 of" in plain(result)
    assert not target.parent.exists()


def test_convert_no_file(tmp_path):
    result = convert(tmp_path / "none.conll", tmp_path / "a.spacy")
    assert result.exit_code == 2
    assert "does not exist" in plain(result)


def test_convert_no_text(tmp_path):
    """Something else than UTF-8 is an error with a message, too."""
    source, target = tmp_path / "a.conll", tmp_path / "a.spacy"
    source.write_bytes("Ålesund O\n".encode("latin-1"))
    result = convert(source, target)
    assert result.exit_code == 2
    assert "utf-8" in plain(result)
    assert not target.exists()


@pytest.mark.parametrize(
    "name,n_docs,n_sents,n_tokens,n_ents",
    [("train", 23, 261, 5431, 473), ("dev", 7, 72, 1548, 142), ("test", 7, 77, 1573, 128)],
)
def test_sample_corpus(tmp_path, name, n_docs, n_sents, n_tokens, n_ents):
    """The counts in its README, and the same tokens and tags after the round trip."""
    source, target = SAMPLE / f"{name}.iob2", tmp_path / f"{name}.spacy"
    result = convert(source, target, "--lang", "en")
    assert f"{n_docs} documents, {n_tokens} tokens, {n_ents} entities" in plain(result)
    docs = list(DocBin().from_disk(target).get_docs(Vocab()))
    assert len(docs) == n_docs
    assert sum(len(doc) for doc in docs) == n_tokens
    assert sum(len(doc.ents) for doc in docs) == n_ents
    assert sum(len(list(doc.sents)) for doc in docs) == n_sents
    assert {ent.label_ for doc in docs for ent in doc.ents} == {"PER", "ORG", "LOC", "MISC"}
    written = [
        f"{token.text}\t{token.ent_iob_}" + (f"-{token.ent_type_}" if token.ent_type_ else "")
        for doc in docs
        for token in doc
    ]
    lines = source.read_text(encoding="utf-8").split("\n")
    assert written == [line for line in lines if line and not line.startswith("-DOCSTART-")]
