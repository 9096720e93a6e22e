"""What to label next: uncertain texts, which differ from each other and from labeled ones."""

import gc
import json
import os

import numpy
import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span, SpanGroup

import spacy_bert_ner
from spacy_bert_ner.commands import checks, pool, uncertainty
from spacy_bert_ner.commands import select as module
from spacy_bert_ner.commands.diversity import choose_diverse
from spacy_bert_ner.commands.select import N_COMPARED, select
from spacy_bert_ner.commands.uncertainty import KEY, MEASURED, get_expected_errors
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import read_docs
from spacy_bert_ner.formats.output import get_journal, get_part
from spacy_bert_ner.tagging.calibration import CALIBRATION, Calibration, Curve
from spacy_bert_ner.tagging.entity_scores import CANDIDATES

from ..formats.util import NLP, ents_of
from ..util import WORDS, plain, run_cli
from .util import train

N_TEXTS = 40
HOSTILE = [
    '<script>alert(1)</script> Anna Berg & "co" lives in Oslo',
    "\u202eAnna\u202c Berg met \u2066Karl\u2069",
    "Anna\x00Berg \x1b[31mOslo\x1b[0m",
    "👩‍👩‍👧 Karl \ufe0f New\u00a0York",
    "Anna\tBerg,Oslo;'=cmd|' /C calc'!A0",
    "x",
    "Karl " * 500,
]


def make_texts(n=N_TEXTS, seed=0):
    """Texts of known and unknown words, no two of which are alike."""
    rng = numpy.random.default_rng(seed)
    return [
        " ".join([*rng.permutation(WORDS)[: rng.integers(4, 12)], f"{rng.integers(1e9)}"])
        for _ in range(n)
    ]


def write_lines(path, texts):
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pipeline(tiny_encoder, tmp_path_factory):
    return train(tmp_path_factory.mktemp("unsure") / "pipeline", tiny_encoder, n_steps=12)


@pytest.fixture
def texts(tmp_path):
    return write_lines(tmp_path / "pool.txt", make_texts())


def run(pipeline, pool_path, out, **settings):
    """RETURNS (Tuple[List[str], SelectReport]): The selected texts, and what is told of them."""
    report = select(pipeline, pool_path, out, **{"source": "lines", "n": 5, **settings})
    return [doc.text for doc in read_docs(out, NLP, settings.get("target"))], report


def read_records(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def count_docs():
    return sum(type(thing) is Doc for thing in gc.get_objects())


def get_grams(text):
    text = f" {' '.join(text.lower().split())} "
    return {text[i : i + 5] for i in range(max(len(text) - 4, 1))}


def is_contained(text, other):
    return len(get_grams(text) & get_grams(other)) >= 0.8 * len(get_grams(text))


def make_scored(spans, candidates):
    """A document with entities and candidates, (start, end, label, score) each."""
    doc = Doc(NLP.vocab, words=WORDS)
    for key, rows in ((KEY, spans), (KEY + CANDIDATES, candidates)):
        attrs = {"scores": numpy.array([row[3] for row in rows], dtype="float32")}
        made = [Span(doc, start, end, label=label) for start, end, label, _ in rows]
        doc.spans[key] = SpanGroup(doc, name=key, spans=made, attrs=attrs)
    return doc


def test_expected_errors():
    """Of what was found, what is missing from certainty; of the other candidates, the score."""
    found = [(0, 2, "PER", 0.9), (4, 5, "LOC", 0.25)]
    others = [(0, 2, "PER", 0.8), (0, 2, "ORG", 0.1), (0, 1, "PER", 0.05), (8, 9, "PER", 0.3)]
    errors = get_expected_errors(make_scored(found, others))
    expected = numpy.zeros(len(WORDS))
    expected[[0, 4, 8]] = [0.1 + 0.1 + 0.05, 0.75, 0.3]
    numpy.testing.assert_allclose(errors, expected, atol=1e-6)
    assert not get_expected_errors(make_scored([], [])).any()


def test_selects_uncertain_texts(pipeline, texts, tmp_path):
    """As measured one text at a time: the whole pool, in this order."""
    nlp = spacy.load(pipeline)
    ner = nlp.get_pipe("bert_ner")
    with uncertainty.listing_candidates(ner):
        docs = [nlp(text) for text in make_texts()]
        rates = numpy.array([get_expected_errors(doc).sum() / len(doc) for doc in docs])
    assert ner.cfg["spans_key"] == "bert_ner"
    assert len(set(rates.round(4))) > N_TEXTS / 2
    found, report = run(pipeline, texts, tmp_path / "all.jsonl", n=N_TEXTS)
    order = [make_texts().index(text) for text in found]
    assert sorted(order) == list(range(N_TEXTS))
    assert (numpy.diff(rates[order]) <= 1e-4).all()
    some, report = run(pipeline, texts, tmp_path / "some.jsonl")
    assert report.errors_in_selected > 1.2 * report.errors_in_pool
    assert report.errors_in_pool == pytest.approx(100 * rates.mean(), rel=1e-3)
    worst = {make_texts()[i] for i in numpy.argsort(-rates)[:15]}
    assert len(some) == 5 and set(some) <= worst


def test_calibrated_scores_count(pipeline, texts, tmp_path):
    """Of a pipeline that is too sure of itself, which its calibration says."""
    nlp = spacy.load(pipeline)
    calibration = Calibration({"exact": Curve(slope=1.0, intercept=-2.0)})
    nlp.get_pipe("bert_ner").cfg[CALIBRATION] = calibration.to_json()
    nlp.to_disk(tmp_path / "calibrated")
    _, before = run(pipeline, texts, tmp_path / "before.jsonl")
    _, after = run(str(tmp_path / "calibrated"), texts, tmp_path / "after.jsonl")
    assert after.errors_in_pool > before.errors_in_pool + 1.0


def test_no_near_duplicates(pipeline, tmp_path):
    """However many there are, of texts that would all be chosen."""
    different = make_texts(8)
    copies = [different[i % 3].upper() if i % 2 else f"  {different[i % 3]} !" for i in range(90)]
    path = write_lines(tmp_path / "pool.txt", [*copies, *different])
    found, report = run(pipeline, path, tmp_path / "out.jsonl", n=6)
    assert len(found) == 6
    assert report.n_repeated >= 80
    pairs = [(a, b) for i, a in enumerate(found) for b in found[:i]]
    assert not any(is_contained(a, b) for a, b in pairs)
    assert "near-duplicates were left out: 0 of labeled texts" in report.describe()


def test_no_near_duplicates_of_labeled_texts(pipeline, texts, tmp_path):
    free, _ = run(pipeline, texts, tmp_path / "free.jsonl")
    labeled = [f"Yes. {text.upper()} And so on." for text in free]
    DocBin(docs=[NLP.make_doc(text) for text in labeled]).to_disk(tmp_path / "labeled.spacy")
    settings = {"labeled_path": tmp_path / "labeled.spacy"}
    found, report = run(pipeline, texts, tmp_path / "out.jsonl", **settings)
    assert not set(found) & set(free)
    assert (len(found), report.n_labeled) == (5, 5)


@pytest.mark.parametrize("lines", [[], ["", " "]])
def test_nothing_to_select(pipeline, tmp_path, lines):
    source, told = write_lines(tmp_path / "pool.txt", lines), []
    with pytest.raises(UserError, match="pool.txt: it has no texts"):
        run(pipeline, source, tmp_path / "out.jsonl", notify=told.append)
    assert os.listdir(tmp_path) == ["pool.txt"] and not told


def test_labeled_file_without_documents(pipeline, texts, tmp_path):
    (tmp_path / "labeled.jsonl").touch()
    expected, _ = run(pipeline, texts, tmp_path / "one.jsonl")
    found, _ = run(pipeline, texts, tmp_path / "two.jsonl", labeled_path=tmp_path / "labeled.jsonl")
    assert found == expected


def test_diversity():
    """One of each cluster, the first one, although others weigh more."""
    rng = numpy.random.default_rng(0)
    centers = numpy.repeat(numpy.eye(3), [20, 10, 5], axis=0)
    vectors = centers + rng.normal(scale=0.01, size=centers.shape)
    weights = numpy.linspace(1.0, 0.1, 35)
    assert choose_diverse(vectors, weights, 3, seed=0).tolist() == [0, 20, 30]
    assert choose_diverse(vectors, weights, 40, seed=0).tolist() == list(range(35))
    assert choose_diverse(numpy.ones((9, 2)), weights[:9], 4, seed=0).tolist() == [0, 1, 2, 3]


def test_same_texts_each_time(pipeline, texts, tmp_path):
    outs = [tmp_path / f"{i}.jsonl" for i in range(3)]
    for out, batch_size in zip(outs, (None, None, 3)):
        run(pipeline, texts, out, batch_size=batch_size)
    assert outs[0].read_bytes() == outs[1].read_bytes()
    first, third = ([doc.text for doc in read_docs(out, NLP)] for out in (outs[0], outs[2]))
    assert first == third


def test_ties_in_the_order_of_the_file(tiny_pipeline, tmp_path, monkeypatch):
    monkeypatch.setattr(uncertainty, "get_expected_errors", lambda doc: numpy.zeros(len(doc)))
    path = write_lines(tmp_path / "pool.txt", make_texts())
    found, _ = run(str(tiny_pipeline), path, tmp_path / "out.jsonl", n=N_TEXTS)
    assert found == make_texts()


@pytest.mark.parametrize("name", ["out.jsonl", "out.json", "out.spacy", "doccano.jsonl"])
def test_formats(pipeline, texts, tmp_path, name):
    """With the entities that the pipeline finds, and their scores where the format has any."""
    target = "doccano" if name == "doccano.jsonl" else None
    run(pipeline, texts, tmp_path / name, target=target)
    nlp = spacy.load(pipeline)
    if name == "out.json":  # in which they are predictions, to be accepted
        for record in json.loads((tmp_path / name).read_bytes()):
            values = [one["value"] for one in record["predictions"][0]["result"]]
            found = [(value["text"], *value["labels"]) for value in values]
            assert found == ents_of(nlp(record["data"]["text"]))
        return
    docs = list(read_docs(tmp_path / name, NLP, target))
    assert [ents_of(doc) for doc in docs] == [ents_of(nlp(doc.text)) for doc in docs]
    assert any(doc.ents for doc in docs)
    if name == "out.jsonl":
        records = read_records(tmp_path / name)
        scores = [span["score"] for record in records for span in record["spans"]]
        assert 0.0 < min(scores) < max(scores) <= 1.0


def test_sentences(pipeline, tmp_path):
    """Each by itself, with the id of its document."""
    sentences = [f"{text} ." for text in make_texts()]
    data = [{"text": " ".join(sentences[i : i + 4]), "id": i} for i in range(0, N_TEXTS, 4)]
    path = write_lines(tmp_path / "pool.jsonl", map(json.dumps, data))
    out = tmp_path / "out.jsonl"
    found, report = run(pipeline, path, out, source=None, sentences=True, n=8)
    assert report.n_texts >= N_TEXTS > report.pool.n_docs == N_TEXTS / 4
    for record in read_records(out):
        whole = data[record["id"] // 4]["text"]
        assert record["text"] in whole and len(record["text"]) < len(whole) / 2


def test_sentences_need_boundaries(tiny_pipeline, texts, tmp_path):
    with pytest.raises(UserError, match="Add a sentencizer to the pipeline, or leave out"):
        run(str(tiny_pipeline), texts, tmp_path / "out.jsonl", sentences=True)
    assert os.listdir(tmp_path) == ["pool.txt"]


def test_hostile_texts(pipeline, tmp_path):
    records = [{"text": text, "meta": {"<b>": text}, "id": text} for text in HOSTILE]
    blank = [{"text": text} for text in ("", " ", "\n \t", "\u200b")]
    path = write_lines(tmp_path / "pool.jsonl", map(json.dumps, [*blank, *records, *records]))
    out = tmp_path / "out.jsonl"
    found, report = run(pipeline, path, out, source=None, n=50)
    assert {text.strip() for text in found} - {"\u200b"} == {text.strip() for text in HOSTILE}
    assert report.pool.n_docs == len(blank) + 2 * len(HOSTILE) > report.n_texts
    assert "50 texts were asked for, but the pool has no others except" in report.describe()
    records = [record for record in read_records(out) if "id" in record]
    assert len(records) == len(HOSTILE), [record["text"] for record in records]
    assert all(record["id"] == record["meta"]["<b>"] == record["text"] for record in records)


def test_only_a_few_documents_are_in_memory(pipeline, tmp_path, monkeypatch):
    """Two batches while the pool is measured; then those that are compared, as bytes."""
    path = write_lines(tmp_path / "pool.txt", make_texts(200))
    alive, sizes = [], []
    measure, cut, read = pool.measure, pool._cut, pool.Pool.read

    def count(function, *args, **settings):
        alive.append(count_docs())
        return function(*args, **settings)

    def read_some(self, nlp, rows, **settings):
        sizes.append(len(rows))
        return read(self, nlp, rows, **settings)

    gc.collect()
    gc.freeze()  # leaves out what exists: listing all objects takes long
    monkeypatch.setattr(pool, "measure", lambda *args, **kw: count(measure, *args, **kw))
    monkeypatch.setattr(pool, "_cut", lambda *args, **kw: count(cut, *args, **kw))
    monkeypatch.setattr(pool.Pool, "read", read_some)
    monkeypatch.setattr(pool, "BATCH", 8)
    try:
        run(pipeline, path, tmp_path / "out.jsonl", batch_size=8, n=3)
    finally:
        gc.unfreeze()
    assert len(alive) > 50
    assert 0 < max(alive) <= 4 * 8
    assert sizes == [3 * N_COMPARED]


def test_goes_on(pipeline, texts, tmp_path, monkeypatch):
    """After it was stopped while measuring, and again while writing: the same texts as in one go,
    and nothing is measured twice."""
    expected, whole = run(pipeline, texts, tmp_path / "whole.jsonl", batch_size=4)
    out, told, numbers = tmp_path / "out.jsonl", [], []
    measure = pool.measure

    def stop(docs, first, **settings):
        numbers.append(first)
        if first == 20 and numbers.count(20) == 1:
            raise KeyboardInterrupt
        return measure(docs, first, **settings)

    def fail(*args, **settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "measure", stop)
    settings = {"batch_size": 4, "notify": told.append}
    with pytest.raises(KeyboardInterrupt):
        run(pipeline, texts, out, **settings)
    assert get_part(out).stat().st_size == 20 * MEASURED.itemsize
    monkeypatch.setattr(module, "write_docs", fail)
    with pytest.raises(KeyboardInterrupt):
        run(pipeline, texts, out, **settings)
    assert not out.exists()
    monkeypatch.undo()
    found, report = run(pipeline, texts, out, **settings)
    assert numbers == [0, 4, 8, 12, 16, 20, 20, 24, 28, 32, 36]
    assert (found, report.describe()) == (expected, whole.describe())
    assert not get_part(out).exists() and not get_journal(out).exists()
    assert [line for line in told if line.startswith("Resuming")] == [
        f"Resuming after record {n} (partial output: {get_part(out)})." for n in (20, 40)
    ]


def test_what_was_there_stays(pipeline, texts, tmp_path):
    out = write_lines(tmp_path / "out.jsonl", ["mine"])
    with pytest.raises(UserError, match="it already exists. Choose another output, or replace it"):
        run(pipeline, texts, out)
    assert out.read_text() == "mine\n"
    assert len(run(pipeline, texts, out, force=True)[0]) == 5


def test_refuses(pipeline, texts, tmp_path, monkeypatch):
    nlp = spacy.load(pipeline)
    nlp.remove_pipe("bert_ner")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "LOC", "pattern": "Oslo"}])
    nlp.to_disk(tmp_path / "ruler")
    os.mkfifo(tmp_path / "pipe")
    labeled = tmp_path / "labeled.jsonl"
    write_lines(labeled, [json.dumps({"text": text}) for text in make_texts()])
    out = tmp_path / "out.jsonl"
    for message, name, source, settings in (
        ("Can't select 0 texts: --n must be at least 1", pipeline, texts, {"n": 0}),
        ("must have one bert_ner, .* but it has none", str(tmp_path / "ruler"), texts, {}),
        ("it is read several times. Name a file or folder", pipeline, tmp_path / "pipe", {}),
        (
            "it is read several times. Name a file",
            pipeline,
            texts,
            {"labeled_path": tmp_path / "pipe"},
        ),
        ("There is no file", pipeline, tmp_path / "none.txt", {}),
        ("of 40 texts, none differs", pipeline, texts, {"labeled_path": labeled}),
        ("has no columns", pipeline, texts, {"column": "text"}),
    ):
        with pytest.raises(UserError, match=message):
            run(name, source, out, **settings)
        assert not out.exists() and not get_part(out).exists()
    with pytest.raises(UserError, match="it isn't a regular file"):
        run(pipeline, texts, tmp_path / "pipe", target="jsonl")
    with pytest.raises(UserError, match="that is the input"):
        run(pipeline, texts, texts, target="jsonl", force=True)
    monkeypatch.setitem(__import__("sys").modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(UserError, match="python -m pip install scikit-learn"):
        run(pipeline, texts, out)
    assert checks.needing_sklearn


def test_command(pipeline, texts, tmp_path):
    out = tmp_path / "out.json"
    words = (pipeline, texts, out, "--from", "lines", "--n", "3", "--seed", "1")
    result = run_cli("select", *words)
    assert result.exit_code == 0, result.output
    assert f"{out}: 3 documents" in plain(result)
    assert "Selected 3 of 40 texts: " in plain(result)
    again = run_cli("select", *words)
    assert again.exit_code == 1 and "already exists" in plain(again)
    assert spacy_bert_ner.select is select
