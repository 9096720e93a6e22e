"""The parts that the benchmarks share. No time is asserted."""

import json
import sys
from pathlib import Path

import numpy
import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab
from thinc.api import Config

from spacy_bert_ner.commands.calibrate import fit
from spacy_bert_ner.commands.scored_entities import Sample

from .util import TAGS, WORDS

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


def test_type_from_the_previous_sentence(on_path):
    """Known with context, where it would be guessed half the time without."""
    from previous_sentence import train_and_score

    assert train_and_score(64, n_steps=60) >= 0.9


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


class TestCalibration:
    @pytest.fixture
    def calibration(self, on_path):
        import calibration

        return calibration

    def test_calibrated_scores(self, calibration):
        random = numpy.random.default_rng(0)
        scores = random.random(3000)
        right = (random.random(3000) < scores).astype(int)
        by_chance = calibration.get_error_by_chance(scores)
        assert 0 < calibration.get_error(scores, right) < 2 * by_chance < 0.06
        means, shares, counts = calibration.get_bins(scores, right)
        assert counts.tolist() == [200] * 15
        assert (means * counts).sum() == pytest.approx(scores.sum())
        assert (shares * counts).sum() == pytest.approx(right.sum())

    @pytest.mark.parametrize(("n_right", "error"), [(90, 0.0), (50, 0.4), (100, 0.1), (0, 0.9)])
    def test_equal_scores(self, calibration, n_right, error):
        right = numpy.arange(100) < n_right
        found = calibration.get_error(numpy.full(100, 0.9), right.astype(int))
        assert found == pytest.approx(error)

    def test_entities_of_a_corpus(self, calibration, trained_path, tmp_path):
        """Right, wrong, and in a document without annotation, which is left out."""
        vocab = Vocab()
        docs = [Doc(vocab, words=WORDS, ents=ents) for ents in (TAGS, ["O"] * len(TAGS))]
        docs.append(Doc(vocab, words=WORDS))
        DocBin(docs=docs).to_disk(tmp_path / "gold.spacy")
        (found,) = calibration.read(trained_path, tmp_path / "gold.spacy")
        n_ents = len(docs[0].ents)
        assert found.exact == found.edges == [True] * n_ents + [False] * n_ents
        assert found.documents == [0] * n_ents + [1] * n_ents
        assert all(0.5 < score <= 1.0 for score in found.scores["exact"])

    def test_halves(self, calibration):
        """Each entity is in one half, with its document."""
        sample = make_sample(40)
        for dev, test in calibration.halve(sample):
            assert len(dev.exact) + len(test.exact) == len(sample.exact)
            assert not set(dev.documents) & set(test.documents)
            before, after, right = calibration.apply(fit(dev)[0], test, "exact")
            assert right.tolist() == test.exact
            assert abs(after.mean() - right.mean()) < 0.15 < before.mean() - right.mean()


def make_sample(n_docs):
    """Documents with ten entities each, a part of which is right, rather if the score is high."""
    random, sample = numpy.random.default_rng(0), Sample(n_docs=n_docs, n_ents=10 * n_docs)
    scores = random.beta(9, 1, 10 * n_docs)
    sample.documents = numpy.repeat(numpy.arange(n_docs), 10).tolist()
    sample.labels = ["PER", "LOC"] * (5 * n_docs)
    sample.scores = {name: scores.tolist() for name in sample.scores}
    sample.exact = (random.random(10 * n_docs) < scores**6).tolist()
    sample.edges = [True, *sample.exact[1:]]
    logs = numpy.log(scores)
    sample.candidate_documents, sample.candidate_scores = sample.documents, scores.tolist()
    sample.candidate_right = sample.exact
    right = numpy.array(sample.exact)
    for i in range(n_docs):
        rows = numpy.arange(10 * i, 10 * i + 10)
        if right[rows].any():
            sample.gold[i] = logs[rows][right[rows]]
    return sample


class TestGuarantees:
    def test_splits(self, on_path, monkeypatch):
        import guarantees

        monkeypatch.setattr(guarantees, "N_SPLITS", 30)  # in both directions
        sample = guarantees.to_arrays(make_sample(200))
        found, n_refused = guarantees.try_splits([sample], guarantees.try_recall, 0.9)
        row = guarantees.to_row("recall", 0.9, found, n_refused)
        assert (row["target"], row["splits"], row["refused"]) == ("recall 0.9", 60, 0)
        assert 0.89 < row["reached"] < 0.95
        assert row["lowest"] < row["reached"]
        assert row["fell_short"] == sum(one["reached"] < 0.9 for one in found)
        found, n_refused = guarantees.try_splits([sample], guarantees.try_precision, 0.999)
        assert (found, n_refused) == ([], 60)
        row = guarantees.to_row("precision", 0.999, found, n_refused)
        assert (row["reached"], row["fell_short"], row["refused"]) == (None, 0, 60)


PAGE = """# Page

## Two blocks

```ini
[components]

[components.people]
factory = "bert_ner"
```

Text.

```ini
[initialize]

[initialize.components]

[initialize.components.people]
labels = ["PER"]
```

## None

```python
print()
```

## Another

```ini
[training]
frozen_components = ["transformer"]
```
"""


class TestRecipes:
    @pytest.fixture
    def recipes(self, on_path, monkeypatch):
        monkeypatch.chdir(BENCHMARKS.parent)
        import recipe_configs

        return recipe_configs

    @pytest.fixture
    def settings(self, recipes):
        return recipes.read_settings(recipes.PAGE)

    def test_blocks_of_a_page(self, recipes, tmp_path):
        (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
        assert recipes.read_settings(tmp_path / "page.md") == {
            "Two blocks": {
                "components": {"people": {"factory": "bert_ner"}},
                "initialize": {"components": {"people": {"labels": ["PER"]}}},
            },
            "Another": {"training": {"frozen_components": ["transformer"]}},
        }

    def test_components_are_replaced(self, recipes):
        """Else a source would be next to a factory, which comes first in spaCy."""
        config = Config({"components": {"a": {"factory": "x"}, "b": {}}, "training": {"seed": 1}})
        settings = {"components": {"a": {"source": "y"}}, "training": {"dropout": 0.1}}
        merged = recipes.merge(config, settings)
        assert merged["components"] == {"a": {"source": "y"}, "b": {}}
        assert merged["training"] == {"seed": 1, "dropout": 0.1}
        assert config["components"]["a"] == {"factory": "x"}

    def test_every_section_with_settings_is_trained(self, recipes, settings):
        used = {recipe.section for recipe in recipes.RECIPES.values()} - {None}
        assert used == set(settings)

    def test_every_config_is_trained(self, recipes):
        whole = [name for name, recipe in recipes.RECIPES.items() if recipe.is_as_shipped()]
        assert set(whole) == {path.stem for path in Path("configs").glob("*.cfg")}

    def test_settings_of_the_page_are_trained(self, recipes, settings):
        several = recipes.get_config("several", settings)
        assert several["nlp"]["pipeline"] == list(several["components"])
        assert several["components"]["people"]["spans_key"] == "people"
        assert several["initialize"]["components"]["places"]["labels"] == ["LOC"]
        second = recipes.get_config("second encoder", settings)
        listener = second["components"]["bert_ner"]["model"]["tok2vec"]
        assert listener["upstream"] == "ner_transformer" in second["components"]
        half = recipes.get_config("tagger of half the weight", settings)
        assert half["components"]["tagger"]["model"]["tok2vec"]["grad_factor"] == 0.5
        later = recipes.get_config("more labels, later", settings)
        assert later["components"]["bert_ner"] == {
            "source": "training/recipes/fewer-labels/model-last"
        }

    def test_sources_and_parts_come_first(self, recipes):
        names = list(recipes.RECIPES)
        for name, recipe in recipes.RECIPES.items():
            for other in {recipe.source, *recipe.alone.values()} - {None, ""}:
                assert names.index(other) < names.index(name)

    def test_rows(self, on_path):
        from recipes import to_rows

        scores = {"tagger": {"tag_acc": 0.5}, "multitask": {"ents_f": 0.25, "tag_acc": None}}
        assert to_rows(scores) == [
            {"system": "tagger: tags", "score": 50.0, "of": None, "alone": None},
            {"system": "multitask: F1", "score": 25.0, "of": "bert_ner", "alone": None},
            {"system": "multitask: tags", "score": 0.0, "of": "tagger", "alone": 50.0},
        ]


class TestAudit:
    @pytest.fixture
    def audit(self, on_path):
        import audit

        return audit

    def test_corrupts_as_many_of_each_kind(self, audit):
        words, tags = [*WORDS, "Then", "Ole"], [*TAGS, "O", "O"]
        vocab = spacy.blank("en").vocab
        before = [Doc(vocab, words=words, ents=tags) for _ in range(20)]
        docs = [doc.copy() for doc in before]
        changes = audit.corrupt(docs, 0.2, 0)
        kinds = [change[0] for change in changes]
        assert {kind: kinds.count(kind) for kind in audit.KINDS} == dict.fromkeys(audit.KINDS, 4)
        ents, gold = (
            {(i, e.start, e.end, e.label_) for i, doc in enumerate(group) for e in doc.ents}
            for group in (docs, before)
        )
        assert len(gold - ents) == len(ents - gold) == 12
        for kind, *place in changes:
            assert (tuple(place) in gold) == (kind == "missing") != (tuple(place) in ents)
        again = [doc.copy() for doc in before]
        assert audit.corrupt(again, 0.2, 0) == changes != audit.corrupt(before, 0.2, 1)

    def test_what_is_found(self, audit):
        changes = [("missing", 0, 3, 5, "PER"), ("wrong edges", 0, 7, 8, "LOC")]
        items = [(0, False, 4, 5, "LOC"), (0, True, 7, 8, "LOC"), (1, True, 7, 8, "LOC")]
        assert audit.count_found(items, changes) == {"missing": 1, "wrong edges": 1}
        # Found at another place, and not with the edges that are annotated.
        items = [(1, False, 4, 5, "LOC"), (0, True, 6, 8, "LOC"), (0, True, 3, 5, "PER")]
        assert audit.count_found(items, changes).total() == 0

    def test_tokens_become_items(self, audit):
        entity = (0, True, 1, 3, "PER")
        owners = {(0, 1): entity, (0, 2): entity}
        tokens = [(0, 2), (0, 5), (0, 6), (0, 1), (0, 9)]
        assert audit.merge(tokens, owners) == [
            *(entity, (0, False, 5, 6, ""), (0, False, 9, 10, "")),
        ]
