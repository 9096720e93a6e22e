"""A tenth of what the programs here do when they are run in full."""

import random
import warnings

import pytest

from . import hostile_texts, mutated_files, samples


@pytest.mark.parametrize("share", range(3))
def test_mutated_files(tmp_path, share):
    with warnings.catch_warnings():
        # spaCy's, of files that are damaged.
        warnings.simplefilter("ignore")
        counts, faults = mutated_files.run(200 * share, 200 * (share + 1), 2, tmp_path)
    assert not faults
    assert sum(counts.values()) == 200
    assert any(name.endswith(" read") for name in counts)
    assert any(name.endswith(" refused") for name in counts)


def test_faults_are_found(tmp_path, monkeypatch):
    """A bug of a reader, and a message that doesn't say which file."""
    for error in (KeyError("x"), ValueError("broken"), ValueError("two\nlines")):

        def fail(*args, error=error):
            raise error

        monkeypatch.setattr(mutated_files, "read_by_convert", fail)
        _, faults = mutated_files.run(0, 3, 1, tmp_path)
        assert sorted(faults) == [0, 1, 2]


def test_each_kind_of_file_is_good(tmp_path):
    """Before it is mutated."""
    for sample in samples.make_samples():
        path = tmp_path / sample.name
        path.write_bytes(sample.data)
        assert mutated_files.read_by_convert(path, sample, False) == "read"
        if path.suffix != ".txt":  # refused: it has no entities
            assert mutated_files.read_as_corpus(path, sample, False) == "read"


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    return hostile_texts.make_pipelines(tmp_path_factory.mktemp("pipelines"))


def test_hostile_texts(pipelines):
    rng = random.Random(2)
    counts, faults = hostile_texts.run(pipelines, [hostile_texts.make_text(rng) for _ in range(60)])
    assert not faults
    assert all(counts[name] > 60 for name in hostile_texts.FAMILIES)


def test_broken_promises_are_found(pipelines):
    (nlp, *_) = pipelines.values()
    doc, other = nlp.pipe(["Anna lives in Oslo"] * 2)
    assert hostile_texts.check(doc.text, [doc, other], ["LOC", "PER"]) == []
    assert hostile_texts.check("Anna", [doc], ["LOC", "PER"])
    assert hostile_texts.check(doc.text, [doc], [])
    doc.spans["bert_ner"].attrs["scores"][0] = 1.5
    assert any(
        "scores are" in fault for fault in hostile_texts.check(doc.text, [doc], ["LOC", "PER"])
    )
    other.set_ents([], default="missing")
    faults = hostile_texts.check(other.text, [other, doc, doc], ["LOC", "PER"])
    assert "tokens are not annotated" in faults
    assert any("another batch size gives" in fault for fault in faults)
