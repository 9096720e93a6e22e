from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin
from spacy.vocab import Vocab
from typer.testing import CliRunner

from spacy_bert_ner.cli import app
from spacy_bert_ner.convert import convert as convert_file
from spacy_bert_ner.formats import FORMATS, read_docs

from .formats.test_conll import CONLL_2003, ents_of, sents_of

SAMPLE = Path(__file__).parent.parent / "assets" / "sample"


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
