"""Calibrated pipelines: what they find, what they write, and that they can be saved and loaded."""

import numpy
import pytest
import spacy
import srsly
from spacy.tokens import Doc, DocBin, Span
from thinc.api import fix_random_seed

import spacy_bert_ner
from spacy_bert_ner.commands.annotate import predict
from spacy_bert_ner.commands.calibrate import calibrate
from spacy_bert_ner.commands.scored_entities import Sample
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.tagging.calibration import CALIBRATION, Calibration, Curve
from spacy_bert_ner.tagging.candidates import MOST_PER_TOKEN

from ..util import CRF, TEXT, WORDS, get_ents, make_example, make_nlp, plain, run_cli

# Labels that a page, a config or a dict could stumble over.
HOSTILE = {"PER": '<b>"a" & b</b>', "LOC": "exact"}


def make_texts(nlp, n_docs, seed=0):
    """The words of the text that the pipelines know, in any order."""
    rng = numpy.random.default_rng(seed)
    return [Doc(nlp.vocab, words=rng.permutation(WORDS).tolist()) for _ in range(n_docs)]


def make_dev(nlp, path, n_docs=60, seed=0):
    """Documents in which a part of what a pipeline finds is right, rather if its score is high;
    the rest has another label, other edges, or is no entity."""
    rng = numpy.random.default_rng(seed)
    gold = []
    for doc in predict(nlp, make_texts(nlp, n_docs, seed)):
        copy, spans = Doc(nlp.vocab, words=[token.text for token in doc]), []
        labels = sorted({ent.label_ for ent in doc.ents} | {"PER"})
        for ent in doc.ents:
            kind = 0 if rng.random() < 0.3 + 0.4 * ent._.score**4 else rng.integers(1, 4)
            label = ent.label_ if kind != 1 else labels[labels.index(ent.label_) - 1]
            end = ent.start + 1 if kind == 2 else ent.end
            if kind < 3:
                spans.append(Span(copy, ent.start, end, label=label))
        copy.set_ents(spans)
        gold.append(copy)
    DocBin(docs=gold).to_disk(path)
    return path


@pytest.fixture(scope="module")
def crf_pipeline(tiny_encoder, tmp_path_factory):
    """A CRF that has learned one text, with labels that look like something else."""
    fix_random_seed(0)
    nlp = make_nlp({"name": tiny_encoder, "window": 0}, component=CRF)
    nlp.add_pipe("doc_cleaner", config={"attrs": {"_.trf_data": None}})
    example = make_example(nlp)
    ents = [Span(example.y, e.start, e.end, label=HOSTILE[e.label_]) for e in example.y.ents]
    example.y.set_ents(ents)
    sgd = nlp.initialize(lambda: [example])
    sgd.learn_rate = 1e-2
    for _ in range(80):
        nlp.update([example], sgd=sgd, drop=0.0)
    path = tmp_path_factory.mktemp("crf") / "pipeline"
    nlp.to_disk(path)
    return path


@pytest.fixture(scope="module", params=["softmax", "crf"])
def pipeline(request, tiny_pipeline, crf_pipeline):
    return {"softmax": tiny_pipeline, "crf": crf_pipeline}[request.param]


@pytest.fixture(scope="module")
def dev(pipeline, tmp_path_factory):
    return make_dev(spacy.load(pipeline), tmp_path_factory.mktemp("dev") / "dev.spacy")


@pytest.fixture(scope="module")
def calibrated(pipeline, dev, tmp_path_factory):
    path = tmp_path_factory.mktemp("calibrated") / "pipeline"
    calibrate(str(pipeline), dev, path, target_recall=0.8)
    return path


def get_scores(doc):
    return [(ent._.score, ent._.edges_score, ent._.type_score) for ent in doc.ents]


def test_same_entities_with_other_scores(pipeline, dev, calibrated):
    before, after = spacy.load(pipeline), spacy.load(calibrated)
    gold = list(DocBin().from_disk(dev).get_docs(before.vocab))
    found = {"before": [], "after": []}
    right = []
    for reference, one, other in zip(
        gold, before.pipe(make_texts(before, 60)), after.pipe(make_texts(after, 60))
    ):
        assert get_ents(one) == get_ents(other)
        found["before"] += get_scores(one)
        found["after"] += get_scores(other)
        places = {(ent.start, ent.end, ent.label_) for ent in reference.ents}
        right += [(ent.start, ent.end, ent.label_) in places for ent in other.ents]
    scores = {key: numpy.array(values) for key, values in found.items()}
    assert ((scores["after"] >= 0) & (scores["after"] <= 1)).all()
    mean = numpy.mean(right)
    assert abs(scores["after"][:, 0].mean() - mean) < 0.01
    assert abs(scores["before"][:, 0].mean() - mean) > 0.05


def test_report(pipeline, dev, tmp_path):
    report = calibrate(str(pipeline), dev, tmp_path / "out")
    assert [row.name for row in report.rows] == ["exact", "edges", "type"]
    exact, edges, kind = report.rows
    assert report.n_docs == 60
    assert exact.n_entities == edges.n_entities > kind.n_entities
    assert round(exact.right * exact.n_entities) == round(kind.right * kind.n_entities)
    assert round(edges.right * edges.n_entities) == kind.n_entities
    for row in report.rows:
        assert row.is_calibrated
        assert abs(row.after - row.right) < 0.02 < abs(row.before - row.right)
    assert (report.threshold, report.log_lowest) == (None, None)
    doc = spacy.load(tmp_path / "out")(TEXT)
    assert list(doc.spans) == ["bert_ner"]


def test_saved_and_loaded(calibrated, tmp_path):
    nlp = spacy.load(calibrated)
    expected = get_scores(nlp(TEXT))
    nlp.to_disk(tmp_path / "again")
    for name in ("cfg", "model"):
        path = tmp_path / "again" / "bert_ner" / name
        assert path.read_bytes() == (calibrated / "bert_ner" / name).read_bytes()
    assert get_scores(spacy.load(tmp_path / "again")(TEXT)) == expected
    other = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
    assert get_scores(other(TEXT)) == expected
    sourced = spacy.blank("en")
    for name in nlp.pipe_names:
        sourced.add_pipe(name, source=nlp)
    assert get_scores(sourced(TEXT)) == expected


def test_removed(pipeline, calibrated):
    """`cfg` without it has the scores of the tags, and so has a pipeline without it that is loaded
    into the component."""
    before, nlp = spacy.load(pipeline), spacy.load(calibrated)
    expected = get_scores(before(TEXT))
    assert CALIBRATION not in before.get_pipe("bert_ner").cfg
    assert get_scores(nlp(TEXT)) != expected
    data = before.get_pipe("bert_ner").to_bytes(exclude=["vocab"])
    nlp.get_pipe("bert_ner").from_bytes(data)
    assert get_scores(nlp(TEXT)) == expected
    nlp = spacy.load(calibrated)
    del nlp.get_pipe("bert_ner").cfg[CALIBRATION]
    assert get_scores(nlp(TEXT)) == expected


def test_candidates(dev, calibrated):
    """They have the share of gold entities, and the entities among them."""
    nlp = spacy.load(calibrated)
    kept = []
    for reference in DocBin().from_disk(dev).get_docs(nlp.vocab):
        (doc,) = predict(nlp, [reference])
        group = doc.spans["bert_ner_candidates"]
        places = [(span.start, span.end, span.label_) for span in group]
        assert len(places) == len(set(places)) <= MOST_PER_TOKEN * len(doc)
        assert places == sorted(places, key=lambda place: place[:2])
        assert len(group.attrs["scores"]) == len(group)
        if reference.ents:
            gold = {(ent.start, ent.end, ent.label_) for ent in reference.ents}
            kept.append(len(gold & {*places}) / len(gold))
    assert numpy.mean(kept) >= 0.8


def test_as_commands_use_it(pipeline, dev, calibrated, tmp_path):
    """`annotate` writes calibrated scores."""
    texts = tmp_path / "text.txt"
    texts.write_text(TEXT, encoding="utf-8")
    result = run_cli("annotate", calibrated, texts, tmp_path / "out.jsonl")
    assert result.exit_code == 0, result.output
    (record,) = srsly.read_jsonl(tmp_path / "out.jsonl")
    expected = [ent._.score for ent in spacy.load(calibrated)(TEXT).ents]
    assert [span["score"] for span in record["spans"]] == pytest.approx(expected, abs=1e-4)


def test_precision(tiny_pipeline, tmp_path):
    nlp = spacy.load(tiny_pipeline)
    dev = make_dev(nlp, tmp_path / "dev.spacy", n_docs=150)
    report = calibrate(str(tiny_pipeline), dev, tmp_path / "out", target_precision=0.5)
    after = spacy.load(tmp_path / "out")
    ner = after.get_pipe("bert_ner")
    assert ner.cfg["threshold"] == report.threshold > 0
    assert ner.calibration.curves["exact"].shifts == {}
    assert ner.calibration.curves["edges"].shifts != {}
    assert "performance" not in after.meta or not after.meta["performance"]
    right = n_found = 0
    for reference in DocBin().from_disk(dev).get_docs(nlp.vocab):
        (doc,) = predict(after, [reference])
        n_found += len(doc.ents)
        places = {(ent.start, ent.end, ent.label_) for ent in reference.ents}
        right += sum((ent.start, ent.end, ent.label_) in places for ent in doc.ents)
    assert right / n_found > 0.5
    # The limit is one of scores that another calibration changes.
    with pytest.raises(UserError, match="'bert_ner' has threshold = 0.* set it to 0"):
        calibrate(str(tmp_path / "out"), dev, tmp_path / "again")
    calibrate(str(tmp_path / "out"), dev, tmp_path / "again", target_precision=0.5)
    cfg = spacy.load(tmp_path / "again").get_pipe("bert_ner").cfg
    assert {**cfg} == {**ner.cfg}


def test_calibrated_twice_is_as_once(tiny_pipeline, tmp_path):
    dev = make_dev(spacy.load(tiny_pipeline), tmp_path / "dev.spacy")
    spacy_bert_ner.calibrate(str(tiny_pipeline), dev, tmp_path / "one", target_recall=0.5)
    spacy_bert_ner.calibrate(str(tmp_path / "one"), dev, tmp_path / "two")
    one, two = (spacy.load(tmp_path / name).get_pipe("bert_ner") for name in ("one", "two"))
    assert two.calibration == Calibration(one.calibration.curves)


def test_several_components(tiny_pipeline, tmp_path):
    """One that writes to the same group, after another one: only its own entities count."""
    nlp = spacy.load(tiny_pipeline)
    source = spacy.load(tiny_pipeline)
    source.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    nlp.add_pipe("bert_ner", name="second", source=source, before="doc_cleaner")
    nlp.get_pipe("second").cfg["overwrite_ents"] = True
    dev = make_dev(nlp, tmp_path / "dev.spacy")
    nlp.to_disk(tmp_path / "both")
    with pytest.raises(UserError, match="several .*'bert_ner', 'second'.*: name one"):
        calibrate(str(tmp_path / "both"), dev, tmp_path / "out")
    report = calibrate(str(tmp_path / "both"), dev, tmp_path / "out", component="second")
    after = spacy.load(tmp_path / "out")
    assert CALIBRATION not in after.get_pipe("bert_ner").cfg
    assert after.get_pipe("second").calibration.curves
    docs = list(predict(nlp, make_texts(nlp, 60)))
    assert report.rows[0].n_entities == sum(len(doc.ents) for doc in docs)
    nlp.disable_pipe("second")
    nlp.to_disk(tmp_path / "less")
    with pytest.raises(UserError, match="'second' is disabled"):
        calibrate(str(tmp_path / "less"), dev, tmp_path / "no", component="second")


def test_training_removes_it(calibrated, caplog, monkeypatch):
    monkeypatch.setattr("spacy.util.logger.propagate", True)
    nlp = spacy.load(calibrated)
    ner = nlp.get_pipe("bert_ner")
    example = make_example(nlp)
    example.y.set_ents([])
    nlp.update([example], sgd=nlp.resume_training())
    assert CALIBRATION not in ner.cfg
    assert "was calibrated and is now trained" in caplog.text
    assert "bert_ner_candidates" not in nlp(TEXT).spans


def test_missing_annotation():
    """Spans on tokens without annotation are neither right nor wrong."""
    nlp = make_nlp()
    gold = Doc(nlp.vocab, words=["a", "b", "c"], ents=["B-X", "O", "O"])
    gold.set_ents(list(gold.ents), missing=[gold[2:3]], default="unmodified")
    doc = Doc(nlp.vocab, words=["a", "b", "c"])
    spans = [Span(doc, i, i + 1, label="X") for i in range(3)]
    scores = numpy.array([0.5, 0.25, 0.75], dtype="float32")
    attrs = dict.fromkeys(("scores", "edges_scores", "type_scores"), scores)
    doc.spans["bert_ner calibrate"] = spans
    doc.spans["bert_ner calibrate"].attrs.update(attrs)
    sample = Sample()
    sample.add(gold, doc)
    assert sample.scores["exact"] == [0.5, 0.25]
    assert sample.exact == [True, False]
    assert sample.get_rows("type").tolist() == [0]


def test_new_labels_have_the_curve_of_all(calibrated):
    ner = spacy.load(calibrated).get_pipe("bert_ner")
    ner.add_label("NEW")
    curve = ner.calibration.curves["exact"]
    half = numpy.array([0.5], dtype="float32")
    new = curve.apply(half, numpy.array([len(ner.labels) - 1]), ner.labels)
    assert new == Curve(curve.slope, curve.intercept).apply(half, numpy.array([0]), ["X"])


def test_damaged_calibrations_are_refused(calibrated, tmp_path):
    nlp = spacy.load(calibrated)
    nlp.get_pipe("bert_ner").cfg[CALIBRATION]["exact"]["slope"] = -1.0
    nlp.to_disk(tmp_path / "damaged")
    with pytest.raises(UserError, match=r"Can't read .*cfg \(UserError: .* is no calibration"):
        spacy.load(tmp_path / "damaged")


class TestRefused:
    """In one line, before anything is written."""

    @pytest.fixture(autouse=True)
    def files(self, tiny_pipeline, tmp_path):
        self.pipeline, self.out = tiny_pipeline, tmp_path / "out"
        self.nlp = spacy.load(tiny_pipeline)
        self.dev = make_dev(self.nlp, tmp_path / "dev.spacy", n_docs=18)

    def run(self, *options):
        result = run_cli("calibrate", self.pipeline, self.dev, self.out, *options)
        assert result.exit_code == 1, result.output
        assert not self.out.exists()
        (line,) = result.stderr.strip().splitlines()
        return line

    def test_few_entities(self):
        make_dev(self.nlp, self.dev, n_docs=2)
        assert "wrong entities, since at least 20 of each are needed" in self.run()

    def test_few_documents(self):
        line = self.run("--target-recall", "0.95")
        assert "needs at least 19 documents with entities, but there are 18" in line

    def test_precision_out_of_reach(self):
        assert "can't be guaranteed" in self.run("--target-precision", "0.95")

    def test_wrong_target(self):
        assert "--target-recall is 1.0: set it between 0 and 1" in self.run("--target-recall", "1")

    def test_no_entities(self):
        DocBin(docs=[Doc(self.nlp.vocab, words=["a"], ents=["O"])]).to_disk(self.dev)
        assert "has no gold entities" in self.run()
        DocBin(docs=[Doc(self.nlp.vocab, words=["a"])]).to_disk(self.dev)
        assert "has no gold entities" in self.run()

    def test_no_file(self):
        self.dev.unlink()
        assert "There is no file" in self.run()


def test_command(tiny_pipeline, tmp_path):
    dev = make_dev(spacy.load(tiny_pipeline), tmp_path / "dev.spacy")
    options = ("--target-recall", "0.8", "--target-precision", "0.4")
    result = run_cli("calibrate", tiny_pipeline, dev, tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    assert "Score Entities Right Mean After Error After" in plain(result)
    assert "a recall of 0.8 or more" in plain(result)
    assert "a precision of 0.4 or more" in plain(result)
    assert "calibrated on 60 documents with" in plain(result)
    assert run_cli("calibrate", tiny_pipeline, dev, tmp_path / "out").exit_code == 1
    assert run_cli("calibrate", tiny_pipeline, dev, tmp_path / "out", "--force").exit_code == 0
