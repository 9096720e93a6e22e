import json
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_bert_ner.commands.marked_texts import MarkedTexts, mark, match, split_marked
from spacy_bert_ner.commands.translate import translate
from spacy_bert_ner.commands.word_by_word import WordByWord, copy_case
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import read_docs
from spacy_bert_ner.formats.lexicons import read_lexicon

from ..formats.util import NLP, sents_of, tags_of
from ..util import get_ents, plain, run_cli

CONLL = """
-DOCSTART- O

The B-ORG
BANK I-ORG
of I-ORG
Green I-ORG
met O
Ann B-PER
Green I-PER
, O
42 -
banks O
. O

I O
green O
Green O
I O
! O
"""
LEXICON = "the den\nthe det\nbank bank\ngreen grøn\ni jeg\nbanks banker\nbanks bredder\nann ane\n"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "en.conll").write_text(CONLL.lstrip(), encoding="utf-8")
    (tmp_path / "en-da.txt").write_text(LEXICON, encoding="utf-8")
    return tmp_path


def run(*args):
    return run_cli("translate", *args)


def words_of(doc):
    return [token.text for token in doc]


def test_word_by_word(files):
    result = run(files / "en.conll", files / "da.conll", "--lexicon", files / "en-da.txt")
    assert result.exit_code == 0, result.output
    (before,) = read_docs(files / "en.conll", NLP)
    (after,) = read_docs(files / "da.conll", NLP)
    text = "Den BANK of Grøn met Ann Green , 42 banker . Jeg grøn Grøn jeg !"
    assert words_of(after) == text.split()
    assert tags_of(after) == tags_of(before)
    assert sents_of(after) == sents_of(before) == [11, 5]
    assert "1 document, 16 tokens, 2 entities" in plain(result)
    assert (
        "16 tokens: 8 translated (50.0 %), 2 not in the lexicon (12.5 %), 2 in entities of "
        "PER or PERSON kept, 4 without letters kept." in plain(result)
    )


def test_labels_to_keep(files):
    lexicon = files / "en-da.txt"
    options = [files / "en.conll", files / "da.conll", "--lexicon", lexicon, "--keep"]
    for labels, words in (("", "Den BANK of Grøn met Ane Grøn"), ("org, per", "The BANK of Green")):
        assert run(*options, labels).exit_code == 0
        (doc,) = read_docs(files / "da.conll", NLP)
        assert " ".join(words_of(doc)).startswith(words)


def test_a_choice_at_random_is_seeded(files):
    (files / "many.jsonl").write_text(json.dumps({"text": ("banks " * 40).strip()}))
    lexicon = files / "en-da.txt"

    def choose(*options):
        target = files / "da.jsonl"
        result = run(files / "many.jsonl", target, "--lexicon", lexicon, *options)
        assert result.exit_code == 0, result.output
        return json.loads(target.read_text(encoding="utf-8"))["text"]

    assert set(choose().split()) == {"banker"}
    first = choose("--choice", "random", "--seed", "1")
    assert set(first.split()) == {"banker", "bredder"}
    assert choose("--choice", "random", "--seed", "1") == first
    assert choose("--choice", "random", "--seed", "2") != first


@pytest.mark.parametrize(
    "source,target,is_first,expected",
    [
        ("bank", "bank", True, "bank"),
        ("bank", "Bank", False, "Bank"),  # a German noun
        ("Monday", "mandag", False, "Mandag"),
        ("BANK", "straße", False, "STRASSE"),
        ("I", "jeg", False, "jeg"),
        ("I", "jeg", True, "Jeg"),
        ("McDonald", "å", False, "Å"),
        ("IKEA", "x", False, "X"),
        ("'em", "dem", True, "dem"),
        ("銀行", "bank", True, "bank"),
    ],
)
def test_case_is_carried_over(source, target, is_first, expected):
    assert copy_case(source, target, is_first=is_first) == expected


def test_all_of_a_document_that_has_labels_is_kept(files):
    """White space, groups of spans, records, missing annotation, and documents without any."""
    doc = Doc(NLP.vocab, words=["the", "bank", "-", "green"], spaces=[True, False, False, False])
    doc.ents = [doc.char_span(4, 8, "ORG")]
    doc.spans["bert_ner_incorrect"] = [doc.char_span(0, 8, "LOC")]
    doc.user_data["spacy_bert_ner.record"] = {"id": 7, "meta": {"a": 1}}
    blank = Doc(NLP.vocab, words=["green", "bank"])
    empty = Doc(NLP.vocab)
    translator = WordByWord(read_lexicon([files / "en-da.txt"]))
    after, after_blank, after_empty = translator.translate([doc, blank, empty])
    assert after.text == "den bank-grøn"
    assert get_ents(after) == [("bank", "ORG")]
    (span,) = after.spans["bert_ner_incorrect"]
    assert (span.text, span.label_) == ("den bank", "LOC")
    assert after.user_data["spacy_bert_ner.record"] == {"id": 7, "meta": {"a": 1}}
    assert not after_blank.has_annotation("ENT_IOB")
    assert not after_blank.has_annotation("SENT_START")
    assert after_blank.has_unknown_spaces
    assert len(after_empty) == 0


def test_translations_are_not_translated_again(files):
    (files / "cycle.tsv").write_text("green\tbank\nbank\tgreen\na\ta\n")
    translator = WordByWord(read_lexicon([files / "cycle.tsv"]))
    (doc,) = translator.translate([Doc(NLP.vocab, words=["green", "bank", "a"])])
    assert words_of(doc) == ["bank", "green", "a"]


def test_a_lexicon_of_other_languages_is_refused(files):
    """As it may be in the wrong direction. There is no output."""
    options = [files / "en.conll", files / "da.spacy", "--backwards", files / "en-da.txt"]
    result = run(*options, "--min-coverage", 20)
    assert result.exit_code == 1
    assert "translates 6.2 % of 16 tokens, but at least 20 % are needed" in plain(result)
    assert not (files / "da.spacy").exists()
    assert run(*options, "--min-coverage", 0).exit_code == 0


@pytest.mark.parametrize("target", ["a.spacy", "a.jsonl", "a.json", "a.iob2", "a.biluo", "a.html"])
def test_any_format_to_any_other(files, target):
    texts = [{"text": "the Bank", "spans": [{"start": 4, "end": 8, "label": "ORG"}]}] * 3
    lines = "\n".join(map(json.dumps, texts))
    (files / "en.jsonl").write_text(lines, encoding="utf-8")
    lexicon = files / "en-da.txt"
    result = run(files / "en.jsonl", files / target, "--lexicon", lexicon, "--lang", "en")
    assert result.exit_code == 0, result.output
    assert "3 documents, 6 tokens, 3 entities" in plain(result)
    if not target.endswith("html"):
        docs = list(read_docs(files / target, NLP))
        assert [get_ents(doc) for doc in docs] == [[("Bank", "ORG")]] * 3


def test_documents_are_translated_one_at_a_time(files):
    translator = WordByWord(read_lexicon([files / "en-da.txt"]))

    def read():
        yield Doc(NLP.vocab, words=["bank"])
        raise UserError("the second was asked for")

    docs = translator.translate(read())
    assert words_of(next(docs)) == ["bank"]
    with pytest.raises(UserError, match="the second"):
        next(docs)


@pytest.mark.parametrize(
    "options,code,message",
    [
        ([], 2, "Give either lexicons"),
        (["--lexicon", "en-da.txt", "--function", "f"], 2, "Give either lexicons"),
        (["--lexicon", "no.txt"], 1, "There is no file no.txt"),
        (["--function", "none.v1", "--code", "no.py"], 1, "There is no file no.py"),
        (["--function", "none.v1"], 1, "No function 'none.v1' is registered: add"),
        (["--lexicon", "en-da.txt", "--lang", "zz"], 1, "with the code 'zz'"),
        (["--lexicon", "en-da.txt", "--to", "csv"], 1, "'csv' can only be read"),
        (["--lexicon", "en-da.txt", "--min-coverage", "101"], 2, "less than or equal to 100"),
    ],
)
def test_wrong_options(files, monkeypatch, options, code, message):
    monkeypatch.chdir(files)
    result = run("en.conll", "da.conll", *options)
    assert result.exit_code == code
    assert message in plain(result)
    assert not Path("da.conll").exists()


def test_the_input_is_not_overwritten(files):
    result = run(files / "en.conll", files / "en.conll", "--lexicon", files / "en-da.txt")
    assert result.exit_code == 1
    assert "that is the input" in plain(result)


# With a function.

FUNCTION = '''
import spacy

@spacy.registry.misc("to_capitals.v1")
def translate(texts):
    """Other words, in the reverse order of halves, as some languages have."""
    return [" og ".join(reversed(text.upper().split(" AND "))) for text in texts]
'''


def make_doc(text, *ents, sents=False):
    nlp = spacy.blank("en")
    if sents:
        nlp.add_pipe("sentencizer")
    doc = nlp(text)
    spans = []
    for words, label in ents:
        start = text.index(words)
        spans.append(doc.char_span(start, start + len(words), label))
    doc.set_ents(spans, default="outside")
    return doc


def test_a_function_of_the_registry(tmp_path):
    """In a new process: the name is registered by the file."""
    (tmp_path / "code.py").write_text(FUNCTION, encoding="utf-8")
    doc = make_doc("Ann Berg and Oslo met. It rained.", ("Ann Berg", "PER"), ("Oslo", "LOC"))
    DocBin(docs=[doc]).to_disk(tmp_path / "en.spacy")
    command = [sys.executable, "-m", "spacy", "bert-ner", "translate", "en.spacy", "da.jsonl"]
    command += ["--function", "to_capitals.v1", "--code", "code.py", "--to-lang", "da"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "1 sentence: 1 translated, 0 lost" in result.stderr
    assert "2 entities: 2 found again (0 not translated), 0 lost" in result.stderr
    (doc,) = read_docs(tmp_path / "da.jsonl", NLP)
    assert doc.text == "OSLO MET. IT RAINED. og ANN BERG"
    assert get_ents(doc) == [("OSLO", "LOC"), ("ANN BERG", "PER")]


def test_sentences_and_names_to_keep():
    translator = MarkedTexts(lambda texts: [text.upper() for text in texts], "da", keep=["per"])
    doc = make_doc("Ann met Bo. It rained on Oslo.", ("Ann", "PER"), ("Oslo", "LOC"), sents=True)
    doc.user_data["spacy_bert_ner.record"] = {"id": 1}
    (after,) = translator.translate([doc])
    assert after.text == "Ann MET BO. IT RAINED ON OSLO."
    assert [sent.text for sent in after.sents] == ["Ann MET BO.", "IT RAINED ON OSLO."]
    assert get_ents(after) == [("Ann", "PER"), ("OSLO", "LOC")]
    assert after.user_data["spacy_bert_ner.record"] == {"id": 1}
    assert translator.counts.n_kept_ents == 1


def test_sentences_whose_marks_are_lost_are_left_out():
    def translate_texts(texts):
        return [text.replace("[", "") if "Bo" in text else text for text in texts]

    translator = MarkedTexts(translate_texts)
    doc = make_doc("Ann met. Bo left. All slept.", ("Ann", "PER"), ("Bo", "PER"), sents=True)
    lost = make_doc("Bo left.", ("Bo", "PER"))
    (after,) = translator.translate([doc, lost])
    assert after.text == "Ann met. All slept."
    assert get_ents(after) == [("Ann", "PER")]
    assert translator.counts.n_lost_texts == translator.counts.n_lost_ents == 2
    assert "4 sentences: 2 translated, 2 lost with their entities; 3 entities: 1 found again" in (
        translator.summary()
    )


def test_sentences_that_are_not_labeled_as_a_whole_are_left_out():
    doc = make_doc("Ann met. Bo left.", ("Ann", "PER"), sents=True)
    doc.set_ents([], missing=[doc[3:4]], default="unmodified")
    translator = MarkedTexts(lambda texts: texts)
    (after,) = translator.translate([doc])
    assert after.text == "Ann met."
    raw = spacy.blank("en")("Bo left.")
    (after,) = translator.translate([raw])
    assert after.text == "Bo left."
    assert not after.has_annotation("ENT_IOB")


@pytest.mark.parametrize(
    "function,match",
    [
        (
            lambda texts: texts[:-1],
            "returns 0 translations for 1 text: it must return one",
        ),
        (lambda texts: [None for _ in texts], "returns a NoneType as a translation"),
        (lambda texts: ["" for _ in texts], "None of 1 sentence could be translated"),
        (lambda texts: ["no marks" for _ in texts], "None of 1 sentence could be translated"),
        (lambda texts: ["[] is empty" for _ in texts], "None of 1 sentence could be translated"),
        (lambda texts: ["[a] [b]" for _ in texts], "None of 1 sentence could be translated"),
    ],
)
def test_functions_that_do_not_translate(function, match):
    with pytest.raises(UserError, match=match):
        list(MarkedTexts(function).translate([make_doc("Ann met.", ("Ann", "PER"))]))


def test_a_mistake_in_a_function_is_not_hidden():
    def broken(texts):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(MarkedTexts(broken).translate([make_doc("Ann met.")]))


def test_entities_in_one_token_are_counted_as_lost():
    translator = MarkedTexts(lambda texts: [text.replace("] [", "][") for text in texts])
    (doc,) = translator.translate([make_doc("Ann Berg met.", ("Ann", "PER"), ("Berg", "PER"))])
    assert doc.text == "AnnBerg met."
    assert (len(doc.ents), translator.counts.n_lost_ents) == (1, 1)


@pytest.mark.parametrize(
    "text,marked",
    [
        ("Ann met Bo", "[Ann] met [Bo]"),
        ("Ann [sic] met Bo", "{Ann} [sic] met {Bo}"),
        ("Ann [{<⟦ met Bo", None),
    ],
)
def test_marks_are_others_than_those_of_the_text(text, marked):
    item = mark(make_doc(text, ("Ann", "PER"), ("Bo", "PER"))[:])
    assert (item and item.text) == marked


@pytest.mark.parametrize(
    "text,parts",
    [
        ("a [b] c", ["a ", "b", " c"]),
        ("[a][b]", ["", "a", "", "b", ""]),
        ("a", ["a"]),
        ("a [b", None),
        ("a ]b[", None),
        ("[a [b]]", None),
    ],
)
def test_marks_come_in_pairs(text, parts):
    assert split_marked(text, "[]") == parts


def test_names_are_matched_to_what_is_similar():
    assert match(["Ny Oslo", "Anne"], [" Annes ", "Nye Oslo"]) == [1, 0]
    assert match(["x", "y"], ["a", "b"]) == [0, 1]


def test_translate_as_a_function(files):
    translator = WordByWord(read_lexicon([files / "en-da.txt"]))
    report = translate(files / "en.conll", files / "da.spacy", translator)
    assert report.n_docs == 1
    assert translator.counts.n_translated == 8
