import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial

import numpy
import pytest
import spacy
from spacy.errors import Errors
from spacy.language import Language
from spacy.tokens import DocBin, Span
from thinc.compat import has_gpu

from spacy_bert_ner.commands import annotate as module
from spacy_bert_ner.commands.annotate import annotate, predict
from spacy_bert_ner.commands.entity_rows import EntityRow, format_table
from spacy_bert_ner.formats import FORMATS, docbin, read_docs, write_docs
from spacy_bert_ner.formats.spans import get_scores

from ..formats.util import NLP, ents_of, make_doc, sents_of, words_of
from ..util import plain, run_cli

run = partial(run_cli, "annotate")
WRITTEN = [name for name, entry in FORMATS.items() if entry.writer and name != "text"]
TEXT = "Anna Berg lives in Oslo . She met Karl in New York ."


@Language.component("test_parser")
def parse(doc):
    doc.from_array(["HEAD", "DEP"], numpy.array([[0, 1], [2**64 - 1, 1]], dtype="uint64"))
    return doc


@Language.component("test_entities")
def set_entities(doc):
    doc.ents = [Span(doc, 0, 1, label="X")] * (doc[0].text == "Anna")
    return doc


@Language.component("test_failure")
def fail(doc):
    raise ValueError(Errors.E030)


@pytest.fixture(scope="module")
def ruler_path(tmp_path_factory):
    """A pipeline that knows two words, and gives no scores."""
    nlp = spacy.blank("xx")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "LOC", "pattern": "Oslo"}, {"label": "PER", "pattern": "Bo"}])
    path = tmp_path_factory.mktemp("pipeline") / "ruler"
    nlp.to_disk(path)
    return path


@pytest.fixture
def text_path(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_entities_and_scores(trained_path, text_path):
    rows, report = annotate(str(trained_path), text_path)
    assert ("Oslo", "LOC", 19) in [(row.text, row.label, row.start_char) for row in rows]
    assert all(row.score is not None and 0 < row.score <= 1 for row in rows)
    assert (report.n_docs, report.n_tokens, report.n_ents) == (1, 13, len(rows))
    result = run(trained_path, text_path)
    assert result.exit_code == 0
    for row in rows:
        assert f"{row.score:.3f}" in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize("name", ["spacy", "jsonl", "label-studio"])
def test_scores_are_written(trained_path, text_path, tmp_path, name):
    expected = [(row.text, row.score) for row in annotate(str(trained_path), text_path)[0]]
    target = tmp_path / "made" / "out"
    result = run(trained_path, text_path, target, "--to", name)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert result.stderr == f"{target}: 1 document, 13 tokens, {len(expected)} entities\n"
    if name == "spacy":
        (doc,) = read_docs(target, NLP, name)
        scores = get_scores(doc)
        assert [(e.text, scores[e.start, e.end, e.label]) for e in doc.ents] == expected
        assert sents_of(doc) == [6, 7]
    elif name == "jsonl":
        spans = json.loads(target.read_text(encoding="utf-8"))["spans"]
        assert [(TEXT[s["start"] : s["end"]], s["score"]) for s in spans] == expected
    else:
        ((prediction,),) = (t["predictions"] for t in json.loads(target.read_text("utf-8")))
        found = [(part["value"]["text"], part["score"]) for part in prediction["result"]]
        assert found == expected


@pytest.mark.parametrize("name", ["conll", "biluo", "doccano"])
def test_entities_are_written(trained_path, text_path, tmp_path, name):
    expected = [(row.text, row.label) for row in annotate(str(trained_path), text_path)[0]]
    assert run(trained_path, text_path, tmp_path / "out", "--to", name).exit_code == 0
    (doc,) = read_docs(tmp_path / "out", NLP, name)
    assert ents_of(doc) == expected


def test_html(trained_path, text_path, tmp_path):
    assert run(trained_path, text_path, tmp_path / "a.html").exit_code == 0
    html = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert html.count("<mark") == len(annotate(str(trained_path), text_path)[0])


@pytest.fixture(scope="module")
def merging_path(trained_path, tmp_path_factory):
    """A pipeline that makes one token of each entity, after they are found."""
    nlp = spacy.load(trained_path)
    nlp.add_pipe("merge_entities")
    path = tmp_path_factory.mktemp("pipeline") / "merging"
    nlp.to_disk(path)
    return path


@pytest.fixture(scope="module")
def expected_rows(trained_path, merging_path, tmp_path_factory):
    """The entities of TEXT, which tokens that are merged afterwards don't change."""
    path = tmp_path_factory.mktemp("texts") / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    expected = annotate(str(trained_path), path)[0]
    assert any(" " in row.text for row in expected[:-1])  # others come after it
    assert annotate(str(merging_path), path)[0] == expected
    return expected


@pytest.mark.parametrize("name", WRITTEN)
def test_merged_tokens(expected_rows, merging_path, text_path, tmp_path, name):
    expected = expected_rows
    target = tmp_path / "out"
    result = run(merging_path, text_path, target, "--to", name)
    assert result.exit_code == 0, result.output
    if name == "spacy":
        (doc,) = read_docs(target, NLP, name)
        assert [len(ent) for ent in doc.ents] == [1] * len(expected)
        scores = get_scores(doc)
        found = [(e.text, scores[e.start, e.end, e.label]) for e in doc.ents]
    elif name == "jsonl":
        spans = json.loads(target.read_text(encoding="utf-8"))["spans"]
        found = [(TEXT[s["start"] : s["end"]], s["score"]) for s in spans]
    elif name == "label-studio":
        ((prediction,),) = (t["predictions"] for t in json.loads(target.read_text("utf-8")))
        found = [(part["value"]["text"], part["score"]) for part in prediction["result"]]
    else:
        return
    assert found == [(row.text, row.score) for row in expected]


def test_sentences_of_the_input_stay_on_merged_tokens(merging_path, tmp_path):
    """A token that was merged across a start has none inside."""
    source, target = tmp_path / "a.spacy", tmp_path / "b.spacy"
    words = TEXT.split()
    starts = [i in (0, 1, 2, 9) for i in range(len(words))]  # between Anna and Berg
    write_docs(source, [make_doc(words, ["O"] * 13, sent_starts=starts)])
    assert run(merging_path, source, target).exit_code == 0
    (doc,) = read_docs(target, NLP)
    assert [sent.text for sent in doc.sents] == [
        "Anna Berg",
        "lives in Oslo . She met Karl",
        "in New York .",
    ]


def test_words_ids_and_documents_of_the_input_stay(ruler_path, tmp_path):
    source, target = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    tokens = [{"text": "Oslo-", "ws": False}, {"text": "Oslo", "ws": False}]
    spans = [{"start": 0, "end": 5, "label": "OLD"}]
    first = {"text": "Oslo-Oslo", "id": 7, "meta": {"page": 3}, "tokens": tokens, "spans": spans}
    records = [first, {"text": ""}, {"text": "none"}, {"text": "Bo\tBo"}]
    source.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    assert run(ruler_path, source, target).exit_code == 0
    written = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [record["text"] for record in written] == [record["text"] for record in records]
    assert written[0]["id"] == 7 and written[0]["meta"] == {"page": 3}
    assert [token["text"] for token in written[0]["tokens"]] == ["Oslo-", "Oslo"]
    assert [len(record["spans"]) for record in written] == [1, 0, 0, 2]


def test_sentences_of_the_input_stay(trained_path, ruler_path, tmp_path):
    """Whether the pipeline sets some or not; without any in the input, they are the pipeline's."""
    source, target = tmp_path / "a.spacy", tmp_path / "b.iob2"
    words = TEXT.split()
    starts = [i in (0, 2, 9) for i in range(len(words))]
    docs = [make_doc(words, ["O"] * 13, sent_starts=starts), make_doc(words, ["O"] * 13)]
    write_docs(source, docs)
    for path, last in ((trained_path, [6, 7]), (ruler_path, [13])):
        assert run(path, source, target).exit_code == 0
        first, second = read_docs(target, NLP)
        assert (sents_of(first), sents_of(second)) == ([2, 7, 4], last)


def test_sentences_of_a_parser_stay():
    nlp = spacy.blank("xx")
    doc = make_doc(["a", "b"], ["O", "O"], sent_starts=[True, True])
    nlp.add_pipe("test_parser")
    (found,) = predict(nlp, [doc])
    assert sents_of(found) == [2]


def test_tables_of_texts(ruler_path, tmp_path):
    source, target = tmp_path / "a.csv", tmp_path / "b.jsonl"
    source.write_text('n,body\n1,"in\nOslo"\n2,"Bo" x\n3,Bo\n', encoding="utf-8")
    result = run(ruler_path, source, target)
    assert result.exit_code == 1 and "first line: 'n', 'body'. Name the one" in plain(result)
    result = run(ruler_path, source, target, "--column", "body")
    assert result.exit_code == 1 and "Can't read the record at line 4 of" in plain(result)
    assert list(tmp_path.iterdir()) == [source]
    result = run(ruler_path, source, target, "--column", "body", "--on-error", "skip")
    assert result.exit_code == 0
    assert "2 documents, 4 tokens, 2 entities, 1 broken record left out" in result.stderr
    assert "the record at line 4 of" in result.stderr
    written = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
    assert [(record["text"], record["meta"]) for record in written] == [
        ("in\nOslo", {"n": "1"}),
        ("Bo", {"n": "3"}),
    ]


def test_wrong_choice(ruler_path, text_path):
    result = run(ruler_path, text_path, "--on-error", "ignore")
    assert result.exit_code == 2 and "'ignore' is not one of 'stop', 'skip'" in plain(result)


def test_keep_ents(ruler_path, tmp_path):
    source = tmp_path / "a.jsonl"
    record = {"text": "Oslo Bo", "spans": [{"start": 0, "end": 4, "label": "PER"}]}
    source.write_text(json.dumps(record), encoding="utf-8")
    assert [row.label for row in annotate(str(ruler_path), source)[0]] == ["LOC", "PER"]
    kept = annotate(str(ruler_path), source, keep_ents=True)[0]
    assert [row.label for row in kept] == ["PER", "PER"]
    assert "PER" in run(ruler_path, source, "--keep-ents").stdout
    assert "LOC" not in run(ruler_path, source, "--keep-ents").stdout


def test_tables(ruler_path, tmp_path):
    """The number of a document is shown where there are more."""
    source = tmp_path / "a.txt"
    source.write_text("Bo in\n Oslo\nnone\nBo", encoding="utf-8")
    result = run(ruler_path, source, "--from", "lines")
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == ["Doc", "At", "Entity", "Label", "Score"]
    assert lines[2:] == [
        ["1", "0", "Bo", "PER", "-"],
        ["2", "1", "Oslo", "LOC", "-"],
        ["4", "0", "Bo", "PER", "-"],
    ]
    result = run(ruler_path, source)
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == ["At", "Entity", "Label", "Score"]
    assert len(lines) == 5


def test_table_of_entities_with_line_breaks():
    table = format_table([EntityRow(1, 3, "New\n York", "LOC", 0.98765)])
    assert re.search(r"3 +New York +LOC +0\.988", table)


def test_nothing(ruler_path, tmp_path):
    source = tmp_path / "a.txt"
    source.write_text("", encoding="utf-8")
    assert annotate(str(ruler_path), source)[0] == []
    assert run(ruler_path, source, tmp_path / "a.jsonl").exit_code == 0
    assert (tmp_path / "a.jsonl").read_bytes() == b""


def test_what_does_not_fit_is_shown(ruler_path, tmp_path):
    source = tmp_path / "a.jsonl"
    record = {"text": "Oslo", "spans": [{"start": 0, "end": 3, "label": "X"}]}
    source.write_text(json.dumps(record), encoding="utf-8")
    result = run(ruler_path, source)
    assert "1 span doesn't align" in result.stderr
    assert "Oslo" in result.stdout


@pytest.mark.parametrize("target", WRITTEN)
@pytest.mark.parametrize("source", ["spacy", "jsonl", "conll"])
def test_batches(ruler_path, tmp_path, source, target):
    """What is written doesn't depend on their size: a batch's strings are gone with it, so nothing
    may be read of its documents by then."""
    docs = [make_doc([f"w{i}", "Oslo", f"v{i}"], ["B-X", "O", f"B-L{i}"]) for i in range(9)]
    write_docs(tmp_path / "in", docs, source)
    written = []
    for size in (1, 2, 9, 100):
        annotate(
            str(ruler_path),
            tmp_path / "in",
            tmp_path / "out",
            source=source,
            target=target,
            batch_size=size,
            keep_ents=True,
        )
        written.append((tmp_path / "out").read_bytes())
    assert written[1:] == written[:1] * 3
    if target not in ("text", "lines", "html"):
        read = list(read_docs(tmp_path / "out", NLP, target))
        assert [words_of(doc) for doc in read] == [words_of(doc) for doc in docs]
        assert [[label for _, label in ents_of(doc)] for doc in read] == [
            ["X", "LOC", f"L{i}"] for i in range(9)
        ]


def test_batches_of_an_encoder(trained_path, tmp_path):
    texts = [TEXT, "", "It rained .", "Karl met Anna Berg in New York ."]
    (tmp_path / "in.jsonl").write_text(
        "\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8"
    )
    rows = {
        size: annotate(str(trained_path), tmp_path / "in.jsonl", batch_size=size)[0]
        for size in (1, 2, 64)
    }
    assert {row.doc for row in rows[64]} >= {1, 4}
    for found in rows.values():
        assert [row[:4] for row in found] == [row[:4] for row in rows[64]]
        scores = [row.score for row in rows[64]]
        assert [row.score for row in found] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("suffix", [".jsonl", ".spacy"])
def test_vocabulary_does_not_grow(ruler_path, tmp_path, monkeypatch, suffix):
    """But for the first document, and what a DocBin has with it."""
    nlp = spacy.load(ruler_path)
    monkeypatch.setattr(module, "load_pipeline", lambda name: nlp)
    (tmp_path / "in").write_text("\n".join(f"new{i} Oslo" for i in range(50)), encoding="utf-8")
    before = len(nlp.vocab.strings)
    annotate("ruler", tmp_path / "in", tmp_path / f"out{suffix}", source="lines", batch_size=7)
    assert len(nlp.vocab.strings) <= before + 3
    assert len(list(read_docs(tmp_path / f"out{suffix}", NLP))) == 50


def test_predict_outlives_batches(ruler_path):
    """From Python, documents may be kept."""
    nlp = spacy.load(ruler_path)
    texts = (nlp.make_doc(f"new{i} Oslo") for i in range(5))
    docs = list(predict(nlp, texts, batch_size=2))
    assert [doc.text for doc in docs] == [f"new{i} Oslo" for i in range(5)]
    assert all(ents_of(doc) == [("Oslo", "LOC")] for doc in docs)


def test_encoder_output_is_left_out(trained, text_path):
    (doc,) = predict(trained, read_docs(text_path, trained))
    assert doc._.trf_data is None
    assert not any("trf_data" in key for key in doc.user_data)
    DocBin(docs=[doc], store_user_data=True).to_bytes()


def test_progress_opens_a_file_once(ruler_path, tmp_path, monkeypatch):
    """Also one that is unpacked as a whole before its documents are known."""
    write_docs(tmp_path / "a.spacy", [NLP("a b")] * 3)
    opened = []
    load = docbin._load
    monkeypatch.setattr(docbin, "_load", lambda path: opened.append(path) or load(path))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    rows, report = annotate(str(ruler_path), tmp_path / "a.spacy")
    assert (rows, report.n_docs, len(opened)) == ([], 3, 1)


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("suffix", [".jsonl", ".spacy"])
def test_progress_bar(ruler_path, tmp_path, monkeypatch, capsys, is_terminal, suffix):
    """The share of the input that is done, and the time left; on terminals only."""
    source = tmp_path / f"a{suffix}"
    write_docs(source, [make_doc(["Oslo", f"w{i}"], ["O", "O"]) for i in range(2000)])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)
    annotate(str(ruler_path), source, tmp_path / "b.jsonl", batch_size=200)
    captured = capsys.readouterr()
    assert captured.out == ""
    if not is_terminal:
        assert captured.err == ""
        return
    bars = captured.err.split("\r")
    assert re.fullmatch(r"100% \|█+\| 2000 documents, [\d,]+ words/s, 00:00 left *\n", bars[-1])
    assert re.match(r"  0% \| +\| 0 documents, 0 words/s, \? left", bars[1])
    shares = [int(bar[:3]) for bar in bars if "%" in bar]
    assert shares == sorted(shares)


def test_progress_bar_of_a_pipe(ruler_path, tmp_path, monkeypatch, capsys):
    """It has no size."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    thread = threading.Thread(target=path.write_text, args=("Oslo\n" * 9,))
    thread.start()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    annotate(str(ruler_path), path, source="lines")
    thread.join()
    assert re.search(r"\r9 documents, [\d,]+ words/s, 00:00\s", capsys.readouterr().err)


@pytest.mark.parametrize("name", ["spacy", "jsonl", "doccano", "label-studio", "conll", "lines"])
@pytest.mark.parametrize("content", [b"\xe5\xff\xfe", b'{"text": "Oslo"}\n{"text": "a'])
def test_wrong_input(ruler_path, tmp_path, name, content):
    """Also if it is right in the beginning: there is no output of it."""
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(content if name != "lines" else b"Oslo\n\xff")
    result = run(ruler_path, source, target, "--from", name, "--to", "jsonl")
    assert result.exit_code == 1
    assert re.search("Can't read (line [12] of |the record at line 1 of )?/", plain(result))
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize(
    "args,match",
    [
        (["out"], "Can't guess the format of"),
        (["out.xls"], "Name it with --to"),
        (["out", "--to", "xls"], "There is no format 'xls'"),
        (["out.spacy", "--from", "xls"], "There is no format 'xls'"),
        (["out.csv"], "'csv' can only be read. Formats to write (--to): spacy, jsonl"),
        (
            ["out.spacy", "--column", "a"],
            "the format 'text' has no columns, only csv, tsv, parquet have",
        ),
        (["--restart"], "--restart needs an output file. Add OUTPUT_PATH"),
        (["--from", "html"], "'html' can only be written"),
        (["text.txt/out.jsonl"], "text.txt is a file, not a folder"),
        (["--to", "jsonl"], "--to jsonl needs an output file. Add OUTPUT_PATH"),
    ],
)
def test_wrong_formats(text_path, args, match):
    """They are reported before the pipeline is loaded."""
    args = [text_path.parent / arg if "out" in arg and arg[0] != "-" else arg for arg in args]
    result = run("no-pipeline", text_path, *args)
    assert result.exit_code in (1, 2)
    assert match in plain(result)
    assert list(text_path.parent.iterdir()) == [text_path]


def test_wrong_paths(ruler_path, text_path, tmp_path):
    """The use is right, so they are told in one line, and the end is 1."""
    result = run(ruler_path, tmp_path / "none.txt")
    expected = f"Error: There is no file {tmp_path / 'none.txt'}. Check its name and folder.\n"
    assert (result.exit_code, result.output) == (1, expected)
    (tmp_path / "empty").mkdir()
    result = run(ruler_path, tmp_path / "empty")
    expected = f"Error: There is no .txt file in {tmp_path / 'empty'}. Name a file, or a folder of"
    assert (result.exit_code, plain(result)) == (1, f"{expected} texts.")
    result = run(ruler_path, text_path, tmp_path, "--to", "spacy")
    expected = f"Error: Can't write {tmp_path}: it is a folder. Name a file.\n"
    assert (result.exit_code, result.output) == (1, expected)
    result = run(ruler_path, text_path, text_path / "a.jsonl")
    assert result.exit_code == 1 and "text.txt" in plain(result)


@pytest.mark.parametrize(
    "name,message",
    [
        ("nothing", "There is no pipeline '{0}': no folder {0}, and no installed package with"),
        ("", "The folder '{0}' isn't a pipeline: it has no config.cfg. Name a folder"),
        ("text.txt", "'{0}' isn't a pipeline, but a file. Name the folder of a pipeline."),
    ],
)
def test_no_pipeline(text_path, tmp_path, name, message):
    """One line says what was looked for, and where."""
    result = run(tmp_path / name, text_path, tmp_path / "a.jsonl")
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert message.format(tmp_path / name) in plain(result)
    assert list(tmp_path.iterdir()) == [text_path]


def test_no_pipeline_at_a_relative_path(text_path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("mine/model-best", text_path)
    assert f"no folder {tmp_path / 'mine' / 'model-best'}, and" in plain(result)


def test_removed_shortcut(text_path):
    """spaCy's message names the package that a user of spaCy 2 means."""
    assert "en_core_web_sm" in plain(run("en", text_path))


def test_output_of_a_training(ruler_path, text_path, tmp_path):
    """The folder above the pipelines: those are named, in one line."""
    for name in ("model-last", "model-best"):
        shutil.copytree(ruler_path, tmp_path / "mine" / name)
    result = run(tmp_path / "mine", text_path, tmp_path / "a.jsonl")
    assert result.exit_code == 1
    assert plain(result) == (
        f"Error: The folder '{tmp_path / 'mine'}' isn't a pipeline. Use one inside it: "
        f"'{tmp_path / 'mine' / 'model-best'}' or '{tmp_path / 'mine' / 'model-last'}'."
    )


def make_without_ents(name, folder):
    """A pipeline that sets no entities, on disk."""
    nlp = spacy.blank("en")
    if name == "span_ruler":
        nlp.add_pipe("span_ruler").add_patterns([{"label": "LOC", "pattern": "Oslo"}])
    elif name == "sentencizer":
        nlp.add_pipe("sentencizer")
        nlp.add_pipe("merge_entities")
    nlp.to_disk(folder)
    return folder


@pytest.mark.parametrize(
    "name,match",
    [
        ("empty", r"(its components: none). Use a pipeline with bert_ner, ner"),
        ("sentencizer", r"(its components: sentencizer, merge_entities). Use a pipeline"),
        ("span_ruler", "'span_ruler' has annotate_ents = false, and only writes doc.spans"),
    ],
)
def test_pipeline_that_sets_no_entities(text_path, tmp_path, name, match):
    pipeline = make_without_ents(name, tmp_path / "pipeline")
    result = run(pipeline, text_path, tmp_path / "a.jsonl")
    assert result.exit_code == 1
    assert f"{pipeline}' sets no entities" in plain(result) and match in plain(result)
    assert not list(tmp_path.glob("a.*"))
    # Those of the input are in the output then.
    assert run(pipeline, text_path, tmp_path / "a.jsonl", "--keep-ents").exit_code == 0
    result = run_cli("profile", str(pipeline), str(text_path))
    assert result.exit_code == 0
    assert result.stderr.startswith("Warning: The pipeline") and match in result.stderr


def test_bert_ner_that_sets_no_entities(tiny, text_path, tmp_path):
    """Its config says so, and can be changed."""
    tiny.get_pipe("bert_ner").cfg["annotate_ents"] = False
    tiny.to_disk(tmp_path / "pipeline")
    result = run(tmp_path / "pipeline", text_path)
    assert result.exit_code == 1
    assert "'bert_ner' has annotate_ents = false" in plain(result)


def test_components_of_others(text_path, tmp_path):
    """What they set isn't known before: that there were no entities is told in the end."""
    nlp = spacy.blank("en")
    nlp.add_pipe("test_entities")
    nlp.to_disk(tmp_path / "pipeline")
    result = run(tmp_path / "pipeline", text_path)
    assert result.exit_code == 0 and "Anna" in result.stdout and result.stderr == ""
    text_path.write_text("nobody", encoding="utf-8")
    result = run(tmp_path / "pipeline", text_path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "No entities were found in 1 document.\n"


@pytest.mark.parametrize("command", ["annotate", "profile"])
@pytest.mark.parametrize(
    "spoil,match",
    [
        (lambda path: (path / "entity_ruler" / "cfg").write_text("{"), "Can't load the pipeline"),
        (lambda path: (path / "tokenizer").write_bytes(b""), "Unpack failed"),
        (
            lambda path: (path / "tokenizer").write_bytes(b"{"),
            "TypeError: .* may be damaged",
        ),
        (
            lambda path: (path / "config.cfg").write_text(
                (path / "config.cfg").read_text().replace("overwrite_ents", "own_ents")
            ),
            r"own_ents unexpected argument: 'own_ents'\. If",
        ),
        (
            lambda path: (path / "config.cfg").write_text(
                (path / "config.cfg").read_text().replace('"entity_ruler"\n', '"no_factory"\n')
            ),
            "E002",
        ),
    ],
)
def test_broken_pipeline(ruler_path, text_path, tmp_path, command, spoil, match):
    path = shutil.copytree(ruler_path, tmp_path / "pipeline")
    spoil(path)
    result = run_cli(command, str(path), str(text_path))
    assert result.exit_code == 1
    assert re.search(match, plain(result))
    assert result.output.count("\n") == 1


@pytest.mark.parametrize("command", ["annotate", "profile"])
def test_pipeline_that_can_not_predict(tmp_path, text_path, command):
    """What spaCy says of it is shown."""
    nlp = spacy.blank("en")
    nlp.add_pipe("test_failure")
    nlp.to_disk(tmp_path / "pipeline")
    result = run_cli(command, str(tmp_path / "pipeline"), str(text_path))
    assert result.exit_code == 1
    assert "pipeline' can't predict: [E030] Sentence boundaries unset" in plain(result)


def test_standard_output_is_no_file(ruler_path, text_path, tmp_path):
    """What it is redirected to can't be replaced, or gone on with."""
    command = [sys.executable, "-m", "spacy", "bert-ner", "annotate", ruler_path, text_path]
    path = tmp_path / "out"
    with path.open("wb") as file:
        file.write(b"before\n")
        file.flush()
        subprocess.run([*command, "/dev/stdout", "--to", "lines"], stdout=file, check=True)
    assert path.read_text(encoding="utf-8") == f"before\n{TEXT}\n"
    assert sorted(tmp_path.iterdir()) == [path, text_path]


@pytest.mark.parametrize("options", [[], ["/dev/stdout", "--to", "lines"]])
def test_reader_that_is_gone(ruler_path, tmp_path, options):
    """As after `| head -1`: nothing is told, and the command ends."""
    source = tmp_path / "in"
    source.write_text("Oslo and Bo\n" * 20, encoding="utf-8")
    args = ["annotate", ruler_path, source, "--from", "lines", *options]
    command = [sys.executable, "-m", "spacy", "bert-ner", *map(str, args)]
    read, write = os.pipe()
    process = subprocess.Popen(command, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    os.close(read)
    assert process.communicate()[1] == b""
    assert process.returncode == 1


@pytest.mark.skipif(has_gpu, reason="there is a GPU")
def test_no_gpu(ruler_path, text_path):
    result = run(ruler_path, text_path, "--use-gpu", "0")
    assert result.exit_code == 1
    assert "Can't use GPU 0" in plain(result) and "Leave out --use-gpu" in plain(result)
