"""Totals are those of nervaluate, seqeval and spaCy; pages show what they are given, escaped."""

import json
from functools import partial

import numpy
import pytest
import spacy
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

from spacy_bert_ner.commands.entity_counts import (
    SCHEMAS,
    Entity,
    count_entities,
    draw_f1,
    get_ends,
    to_score,
)
from spacy_bert_ner.commands.entity_errors import (
    MAX_LABELS,
    choose_worst,
    count_confusion,
    count_edges,
    count_kinds,
    pair_entities,
)
from spacy_bert_ner.commands.entity_groups import score_entity_lengths, score_sentence_lengths
from spacy_bert_ner.commands.evaluate import ask, evaluate_file, read_gold
from spacy_bert_ner.commands.evaluate_page import MAX_ROWS, render_page
from spacy_bert_ner.commands.evaluate_table import format_evaluation
from spacy_bert_ner.commands.evaluation import Answer, GoldData, evaluate
from spacy_bert_ner.commands.pipelines import explain_no_ents
from spacy_bert_ner.commands.score_curves import get_reliability, get_thresholds
from spacy_bert_ner.commands.summary import get_interval
from spacy_bert_ner.pipeline.scorer import bert_ner_score
from spacy_bert_ner.training.callbacks import make_set_max_length

from ..util import TAGS, WORDS, Elements, plain, run_cli

run = partial(run_cli, "evaluate")
VOCAB = spacy.blank("en").vocab
LABELS = ("PER", "LOC", "ORG", "<MISC>")
N_DOCS, N_TOKENS = 40, 30
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}</style>\u202e'


def draw_entities(rng, n_tokens=N_TOKENS):
    """Entities without overlaps, some of them adjacent."""
    ends = numpy.sort(rng.choice(numpy.arange(1, n_tokens), size=12, replace=False))
    spans = [(start, end) for start, end in zip(ends, ends[1:]) if rng.random() < 0.6]
    return [Entity(int(i), int(j), str(rng.choice(LABELS))) for i, j in spans]


def change(entities, rng):
    """What a pipeline could make of them: some are lost, cut, widened, or get other labels."""
    found = []
    for entity in entities:
        start, end, label, _ = entity
        if rng.random() < 0.15:
            continue
        if rng.random() < 0.3:
            label = str(rng.choice(LABELS))
        if rng.random() < 0.3:
            start, end = start + int(rng.integers(-2, 3)), end + int(rng.integers(-2, 3))
        start = max(start, found[-1].end if found else 0)
        if start < min(end, N_TOKENS):
            found.append(Entity(start, min(end, N_TOKENS), label, round(rng.random(), 6)))
    return found


def make_data(seed):
    rng = numpy.random.default_rng(seed)
    gold = [draw_entities(rng) for _ in range(N_DOCS)]
    return gold, [change(entities, rng) for entities in gold]


def make_doc(entities, n_tokens=N_TOKENS, word="w"):
    doc = Doc(VOCAB, words=[word] * n_tokens, sent_starts=[i % 10 == 0 for i in range(n_tokens)])
    doc.set_ents([Span(doc, start, end, label=label) for start, end, label, _ in entities])
    return doc


def make_result(*answers, gold, **settings):
    data = read_gold([make_doc(entities, **settings) for entities in gold])
    sentences = [numpy.arange(len(doc)) // 10 for doc in data.docs]
    names = ("first", "second")
    result = evaluate(data, [Answer(n, a, sentences) for n, a in zip(names, answers)])
    return {"gold": "gold.spacy", "train": None, **result}


@pytest.mark.parametrize("seed", range(5))
def test_totals_are_those_of_nervaluate(seed):
    nervaluate = pytest.importorskip("nervaluate")  # needs Python 3.11
    gold, predicted = make_data(seed)
    # Its ends are those of the last token.
    dicts = [
        [[{"label": e.label, "start": e.start, "end": e.end - 1} for e in doc] for doc in docs]
        for docs in (gold, predicted)
    ]
    expected = nervaluate.Evaluator(*dicts, tags=list(LABELS), loader="dict").evaluate()
    counts = count_entities(gold, predicted)
    for schema in SCHEMAS:
        assert_same(counts[None, schema], expected["overall"][schema])
    for label in LABELS:
        for schema in ("strict", "partial"):
            assert_same(counts[label, schema], expected["entities"][label][schema])


def assert_same(counts, expected):
    score = to_score(counts.numbers.sum(axis=0))
    assert (score["gold"], score["predicted"]) == (expected.possible, expected.actual)
    assert score["correct"] == expected.correct + 0.5 * expected.partial
    for name in ("precision", "recall", "f1"):
        assert score[name] == pytest.approx(100 * getattr(expected, name))


@pytest.mark.parametrize("seed", range(3))
def test_strict_scores_are_those_of_seqeval_and_spacy(seed):
    gold, predicted = make_data(seed)
    docs = [[make_doc(entities) for entities in part] for part in (gold, predicted)]
    tags = [
        [[f"{t.ent_iob_}-{t.ent_type_}".rstrip("-") for t in doc] for doc in part] for part in docs
    ]
    expected = classification_report(*tags, scheme=IOB2, mode="strict", output_dict=True)
    scored = bert_ner_score([Example(doc, ref) for ref, doc in zip(*docs)])
    counts = count_entities(gold, predicted)
    total = to_score(counts[None, "strict"].numbers.sum(axis=0))
    assert total["f1"] == pytest.approx(100 * expected["micro avg"]["f1-score"])
    assert total["f1"] == pytest.approx(100 * scored["ents_f"])
    for label in LABELS:
        score = to_score(counts[label, "strict"].numbers.sum(axis=0))
        assert score["gold"] == expected[label]["support"]
        for ours, theirs, its in (
            ("precision", "precision", "p"),
            ("recall", "recall", "r"),
            ("f1", "f1-score", "f"),
        ):
            assert score[ours] == pytest.approx(100 * expected[label][theirs])
            assert score[ours] == pytest.approx(100 * scored["ents_per_type"][label][its])


def test_intervals_are_those_of_compare():
    """Its bootstrap draws seeds as well, so the same documents aren't drawn."""
    gold, first = make_data(0)
    _, second = make_data(1)
    counts = [count_entities(gold, answer) for answer in (first, second)]
    draws = [draw_f1(own, N_DOCS) for own in counts]
    row = (None, "strict")
    dense = numpy.zeros((2, 1, N_DOCS, 3))
    for own, table in zip(counts, dense[:, 0]):
        table[own[row].docs] = own[row].numbers
    difference, low, high = get_interval(*dense)
    result = make_result(first, second, gold=gold)["differences"]["totals"]["strict"]
    assert result["difference"] == pytest.approx(difference)
    assert result["interval"] == pytest.approx([low, high], abs=1.0)
    assert high - low > 5.0
    assert result["interval"] == pytest.approx(get_ends(draws[1][row] - draws[0][row]))
    assert draws[0][row].mean() == pytest.approx(
        to_score(counts[0][row].numbers.sum(axis=0))["f1"], abs=1
    )


def test_a_pipeline_does_not_differ_from_itself():
    gold, predicted = make_data(0)
    result = make_result(predicted, predicted, gold=gold)
    differences = [result["differences"]["totals"], *result["differences"]["by_label"].values()]
    for by_schema in differences:
        for change in by_schema.values():
            assert change == {"difference": 0.0, "interval": [0.0, 0.0]}
    assert [errors["n"] for errors in result["errors"]] == [0, 0]
    assert "There are none." in render_page(result)


def test_few_documents_have_no_interval():
    gold, predicted = make_data(0)
    result = make_result(predicted[:9], gold=gold[:9])
    assert result["pipelines"][0]["totals"]["strict"]["interval"] is None
    assert "too few" in format_evaluation(result) and "too few" in render_page(result)


GOLD = [[Entity(0, 2, "A"), Entity(3, 4, "B"), Entity(5, 8, "A"), Entity(10, 12, "B")], []]
FOUND = [
    [
        Entity(0, 2, "B", 0.9),  # its label
        Entity(3, 5, "B", 0.8),  # ends too late
        Entity(5, 6, "B", 0.7),  # the next one has the label
        Entity(6, 8, "A", 0.6),
        Entity(13, 14, "A", 0.5),
    ],
    [Entity(1, 2, "C", 0.95)],
]


def test_errors():
    pairs = list(pair_entities(GOLD, FOUND))
    assert [(pair.doc, pair.kind) for pair in pairs] == [
        (0, "wrong label"),
        (0, "wrong edges"),
        (0, "wrong edges"),
        (0, "spurious"),
        (0, "missed"),
        (0, "spurious"),
        (1, "spurious"),
    ]
    assert count_kinds(pairs) == {
        "wrong label": 1,
        "wrong edges": 2,
        "wrong label and edges": 0,
        "spurious": 3,
        "missed": 1,
    }
    assert count_confusion(pairs) == {
        "labels": ["A", "B", "C"],
        "counts": [[1, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]],
    }
    docs = [make_doc(entities) for entities in GOLD]
    rows = count_edges(docs, pairs)
    assert [(row["kind"], row["n"]) for row in rows] == [
        ("starts too late", 1),
        ("ends too late", 1),
    ]
    assert rows[1]["examples"][0]["predicted"] == {"text": "w w", "label": "B", "score": 0.8}
    wrong, missed = choose_worst(pairs, n=4)
    assert [pair.predicted.score for pair in wrong] == [0.95, 0.9, 0.8]
    assert [pair.gold for pair in missed] == [Entity(10, 12, "B")]


@pytest.mark.parametrize("seed", range(3))
def test_all_entities_are_in_tables(seed):
    gold, predicted = make_data(seed)
    pairs = list(pair_entities(gold, predicted))
    n_gold, n_predicted = sum(map(len, gold)), sum(map(len, predicted))
    assert sum(pair.gold is not None for pair in pairs) == n_gold
    assert sum(pair.predicted is not None for pair in pairs) == n_predicted
    table = numpy.array(count_confusion(pairs)["counts"])
    assert (table[:-1].sum(), table[:, :-1].sum()) == (n_gold, n_predicted)
    sentences = [numpy.arange(N_TOKENS) // 10] * N_DOCS
    strict = count_entities(gold, predicted)[None, "strict"].numbers.sum(axis=0)
    for rows in (
        score_entity_lengths(gold, predicted),
        score_sentence_lengths(sentences, gold, predicted),
    ):
        sums = [sum(row[key] for row in rows) for key in ("correct", "predicted", "gold")]
        assert sums == strict.tolist()


def test_reliability_is_that_of_sklearn():
    rng = numpy.random.default_rng(0)
    scores = rng.random(1500).round(2)  # some are the same
    right = rng.random(1500) < scores**2
    found = get_reliability(scores, right)
    shares, means = calibration_curve(right, scores, n_bins=15, strategy="quantile")
    assert [one["score"] for one in found["bins"]] == pytest.approx(means)
    assert [one["right"] for one in found["bins"]] == pytest.approx(shares)
    counts = numpy.array([one["n"] for one in found["bins"]])
    assert counts.sum() == 1500
    assert found["ece"] == pytest.approx((counts * numpy.abs(shares - means)).sum() / 1500)
    assert len(get_reliability(scores[:4], right[:4])["bins"]) == 4


def test_thresholds_are_those_of_sklearn():
    rng = numpy.random.default_rng(0)
    scores = rng.random(150).round(2)  # some are the same
    right = rng.random(150) < scores
    precision, recall, thresholds = precision_recall_curve(right, scores)
    n_gold = 2 * int(right.sum())
    found = get_thresholds(scores, right, n_gold)
    points = found["points"][::-1]
    assert [point["threshold"] for point in points] == pytest.approx(thresholds)
    assert [point["precision"] for point in points] == pytest.approx(100 * precision[:-1])
    assert [point["recall"] for point in points] == pytest.approx(50 * recall[:-1])
    assert found["best_f1"]["f1"] == max(point["f1"] for point in points)
    precise = [point for point in points if point["precision"] >= 90]
    assert found["precision_90"] == precise[0]
    assert get_thresholds(scores, right & False, n_gold)["precision_95"] is None
    # Entities without scores are kept: 10 of 12 are right.
    kept = get_thresholds(scores, right, n_gold, (10, 12))["points"][-1]
    assert kept["precision"] == pytest.approx(100 * (right.sum() + 10) / 162)


@pytest.fixture
def gold_path(tmp_path):
    """Ten documents with gold entities that the trained pipeline knows, one of another label, one
    document that is partly annotated, and one that isn't."""
    tags = [tag.replace("PER", "HUMAN") for tag in TAGS]
    docs = [Doc(VOCAB, words=WORDS, ents=TAGS) for _ in range(9)]
    docs.append(Doc(VOCAB, words=WORDS, ents=tags))
    docs.append(Doc(VOCAB, words=WORDS, ents=["", "", *TAGS[2:]]))
    docs.append(Doc(VOCAB, words=WORDS))
    DocBin(docs=docs).to_disk(tmp_path / "gold.spacy")
    return tmp_path / "gold.spacy"


def test_command(trained_path, gold_path, tmp_path):
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    train = Doc(VOCAB, words=["Anna", "Berg", "Oslo"], ents=["B-PER", "I-PER", "B-ORG"])
    DocBin(docs=[train]).to_disk(tmp_path / "train.spacy")
    words = ("--report", page, "--json", data, "--train", tmp_path / "train.spacy")
    result = run(trained_path, gold_path, *words)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[2].split()[:5] == ["all", "43", "95.3", "95.3", "95.3"]  # 41 of 43
    assert "1 document without entity annotation left out." in result.stderr
    found = json.loads(data.read_text(encoding="utf-8"))
    (pipeline,) = found["pipelines"]
    assert pipeline["totals"]["strict"]["correct"] == 41
    assert pipeline["by_label"]["HUMAN"]["strict"]["recall"] == 0.0
    assert pipeline["kinds"]["wrong label"] == 2
    assert [row["gold"] for row in pipeline["seen"]] == [9, 12, 22]
    assert len(found["errors"][0]["wrong"]) == 2
    text = page.read_text(encoding="utf-8")
    assert render_page(found) == text
    for number in ("95.3", "41 of 43 predicted", "HUMAN"):
        assert number in text


def test_command_of_two(trained_path, gold_path, tmp_path):
    nlp = spacy.load(trained_path)
    nlp.add_pipe("merge_entities")
    nlp.to_disk(tmp_path / "merged")
    result = run(trained_path, gold_path, tmp_path / "merged")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[2].split()[1:5] == ["43", "95.3", "95.3", "+0.0"]


def test_scores_are_of_gold_tokens(trained_path, gold_path):
    nlp = spacy.load(trained_path)
    gold = read_gold(DocBin().from_disk(gold_path).get_docs(nlp.vocab))
    expected = ask(nlp, "plain", gold)
    nlp.add_pipe("merge_entities")
    assert ask(nlp, "merged", gold).entities == expected.entities
    assert all(0 < entity.score < 1 for doc in expected.entities for entity in doc)
    # On tokens with missing annotation, a prediction is neither right nor wrong.
    assert [len(doc) for doc in expected.entities] == [4] * 10 + [3]


def test_wrong_input(trained_path, gold_path, tmp_path):
    DocBin(docs=[Doc(VOCAB, words=WORDS)]).to_disk(tmp_path / "empty.spacy")
    page = tmp_path / "report.html"
    for words, message in (
        ((tmp_path / "empty.spacy",), "has no gold entities. Name a file with annotated entities."),
        ((tmp_path / "none.spacy",), "There is no file"),
        ((gold_path, "--report", page, "--json", page), "Can't write both outputs to"),
        ((gold_path, "--report", gold_path), "that is the input"),
        ((gold_path, "--train", tmp_path / "none.spacy"), "There is no file"),
        ((gold_path, tmp_path / "none"), "none"),
    ):
        result = run(trained_path, *words)
        assert result.exit_code == 1 and message in plain(result), result.output
    assert not page.exists()
    spacy.blank("en").to_disk(tmp_path / "blank")
    result = run(tmp_path / "blank", gold_path)
    assert result.exit_code == 1 and "sets no entities" in plain(result)


def test_no_component_sets_entities():
    """Nor does the `doc_cleaner` of this package, which takes the place of spaCy's."""
    nlp = spacy.blank("en")
    cleaner = nlp.add_pipe("doc_cleaner")
    make_set_max_length(10)(nlp)
    assert type(cleaner).__module__.startswith("spacy_bert_ner.")
    assert "sets no entities" in (explain_no_ents(nlp, "cleaned") or "")


def test_hostile_labels_and_texts():
    gold, predicted = make_data(0)
    gold = [[entity._replace(label=HOSTILE + entity.label) for entity in doc] for doc in gold]
    predicted = [[e._replace(label=HOSTILE.upper() + e.label) for e in doc] for doc in predicted]
    result = make_result(predicted, predicted, gold=gold, word=HOSTILE)
    result["gold"] = result["train"] = result["pipelines"][0]["name"] = HOSTILE
    for row in result["pipelines"][0]["worst_documents"]:
        row["id"] = HOSTILE
    page = render_page(result)
    elements = Elements(page).found
    gold, predicted = make_data(0)
    harmless = render_page(make_result(predicted, predicted, gold=gold))
    assert {tag for tag, _ in elements} == {tag for tag, _ in Elements(harmless).found}
    names = {name for _, attrs in elements for name in attrs}
    assert not [name for name in names if name.startswith("on") or name in ("src", "srcset")]
    links = {attrs["href"] for _, attrs in elements if "href" in attrs}
    assert all(link.startswith("#") for link in links)
    assert "{{ 7*7 }}" in page
    for style in (attrs["style"] for _, attrs in elements if "style" in attrs):
        assert "<" not in style and "url" not in style
    assert "url(" not in page and "@import" not in page and "<script" not in page.lower()
    assert "\u202e" not in format_evaluation(result)


def test_a_page_without_errors():
    """It says so, in place of an empty table."""
    gold, _ = make_data(0)
    gold = [[entity._replace(score=0.9) for entity in doc] for doc in gold]
    page = render_page(make_result(gold, gold=gold))
    assert page.count("<p>There are none.</p>") == 3
    assert "<th>No.</th>" not in page
    assert "100 % of the entities are right" in page


def test_a_page_is_below_5_mb():
    """With ten thousand labels, and words of a million characters."""
    gold = [[Entity(0, 1, f"LABEL{i}-" + "x" * 500)] for i in range(10_000)]
    docs = [make_doc(own, n_tokens=1) for own in gold]
    docs[0] = make_doc(gold[0], n_tokens=1, word="y" * 1_000_000)
    predicted = [[own[0]._replace(label="x", score=0.5)] for own in gold]
    result = evaluate(GoldData(docs, gold, 0), [Answer("first", predicted, None)])
    page = render_page({**result, "gold": "a", "train": None})
    assert len(page.encode("utf-8")) < 5_000_000
    assert len(result["labels"]) == 10_001
    assert f"And {10_001 - MAX_ROWS:,} other labels" in page
    assert len(result["pipelines"][0]["confusion"]["labels"]) == MAX_LABELS + 1


def test_tables_have_80_columns():
    gold, predicted = make_data(0)
    gold = [[entity._replace(label="Ä" * 30) for entity in doc] for doc in gold]
    for answers in ([predicted], [predicted, gold], [[[]] * N_DOCS, gold]):
        text = format_evaluation(make_result(*answers, gold=gold))
        assert max(map(len, text.splitlines())) <= 80
        assert "Ä" * 19 + "…" in text


def test_pages_of_pipelines_without_scores_and_sentences():
    gold, predicted = make_data(0)
    predicted = [[entity._replace(score=None) for entity in doc] for doc in predicted]
    data = read_gold([make_doc(entities) for entities in gold])
    result = evaluate(data, [Answer("first", predicted, None)])
    assert result["pipelines"][0]["scores"] is None
    assert result["pipelines"][0]["sentence_length"] == []
    assert "The entities have no scores" in render_page({**result, "gold": "a", "train": None})


def test_file_is_evaluated_in_python(trained_path, gold_path):
    result, report = evaluate_file(str(trained_path), gold_path)
    assert (result["documents"], result["documents_left_out"], report.n_docs) == (11, 1, 12)
    assert result["pipelines"][0]["totals"]["strict"]["f1"] == pytest.approx(100 * 41 / 43)
