"""The parts that the benchmarks share. No time is asserted."""

import json
import sys
from pathlib import Path

import pytest
from spacy.tokens import Doc
from spacy.vocab import Vocab

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module", autouse=True)
def on_path():
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture
def harness(on_path):
    import harness

    return harness


def test_measures_in_turn(harness):
    calls = []
    systems = {name: lambda name=name: calls.append(name) for name in ("a", "b")}
    seconds = harness.measure(systems, 3)
    assert calls == ["a", "b"] * 3
    assert {name: len(times) for name, times in seconds.items()} == {"a": 3, "b": 3}
    assert harness.fastest(systems) in systems


def test_rows(harness):
    seconds = {"the limit": [1.0, 10.0, 2.0], "ours": [2.0, 10.0, 3.0]}
    limit, ours = harness.to_rows(seconds, 600, "the limit")
    assert (limit["words_per_second"], limit["of_the_limit"]) == (300, 1.0)
    assert (ours["words_per_second"], ours["of_the_limit"]) == (200, 0.67)
    assert (ours["median_s"], ours["min_s"], ours["max_s"]) == (3.0, 2.0, 10.0)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_exponent(harness, exponent):
    sizes = [10, 100, 1000, 10_000]
    values = [3.0 * size**exponent for size in sizes]
    assert harness.fit_exponent(sizes, values) == pytest.approx(exponent)


def test_report(harness, tmp_path, capsys):
    rows = [
        {"system": "a", "words_per_second": 12345, "ratio": 1.0},
        {"system": "b", "words_per_second": 99, "ratio": None},
    ]
    harness.report("name", "A title", rows, notes=["A note."], folder=tmp_path)
    text = (tmp_path / "name.md").read_text(encoding="utf-8")
    lines = text.split("\n")
    assert lines[:5] == [
        "# A title",
        "",
        "| system | words per second | ratio |",
        "| --- | ---: | ---: |",
        "| a | 12,345 | 1.0 |",
    ]
    assert lines[5] == "| b | 99 |  |"
    assert "A note." in text and "threads" in text
    assert capsys.readouterr().out == text
    data = json.loads((tmp_path / "name.json").read_text(encoding="utf-8"))
    assert data["rows"] == rows
    assert data["machine"]["threads"] >= 1
    assert (tmp_path / "name.png").read_bytes().startswith(b"\x89PNG")


def test_texts(on_path):
    from systems import count_words, make_texts, read_tagged, read_words, split_sentences

    texts = make_texts(3, 10)
    assert texts == make_texts(3, 10) != make_texts(3, 10, seed=1)
    assert len(texts) == 3
    assert count_words(texts) > 100
    assert len(split_sentences(texts)) >= 20
    assert all(len(words) == len(tags) for words, tags in read_tagged())
    assert not {".", "!", "?"} & set(read_words().tolist())


def test_each_program_says_what_it_asks():
    programs = ("long_documents", "short_texts", "huge_document", "growth", "training")
    for name in (*programs, "startup", "processes", "memory"):
        text = (BENCHMARKS / f"{name}.py").read_text(encoding="utf-8")
        assert f"python benchmarks/{name}.py" in text
        assert f"benchmarks/{name}.py" in (BENCHMARKS.parent / "Makefile").read_text("utf-8")


@pytest.mark.parametrize(("context", "least", "most"), [(64, 0.9, 1.0), (0, 0.2, 0.7)])
def test_type_from_the_previous_sentence(on_path, context, least, most):
    """Known with context, guessed half the time without."""
    from previous_sentence import train_and_score

    assert least <= train_and_score(context, n_steps=60) <= most


def test_a_process_that_dies(on_path):
    """It is told, and not waited for."""
    from memory import run

    with pytest.raises(RuntimeError, match=r"process of exit ended with code 1, and no result"):
        run(sys.exit)


def test_no_such_cell(on_path, tmp_path):
    from together import read_counts

    (tmp_path / "results.jsonl").touch()
    with pytest.raises(
        SystemExit, match=r"no results of the cell 'nope'. Cells \(--cell\): softmax, "
    ):
        read_counts(BENCHMARKS / "wnut17.yml", tmp_path, "nope")


def test_name_of_a_corpus(harness):
    assert harness.name_corpus(Path("corpus/wnut17/test.spacy")) == "wnut17/test.spacy"


def test_documents_are_joined(on_path):
    from lengths import get_ents, join

    vocab = Vocab()
    docs = [Doc(vocab, words=["a", "Oslo", "b"], ents=["O", "B-LOC", "O"]) for _ in range(5)]
    joined = join(docs, 6)
    assert [len(doc) for doc in joined] == [6, 6, 3]
    assert get_ents(joined[0]) == {(1, 2, "LOC"), (4, 5, "LOC")}
