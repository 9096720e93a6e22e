"""Trainings on growing parts of a corpus, and what twice the data would give."""

import json
import os
import re
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import numpy
import pytest
import spacy
from spacy.tokens import Doc, DocBin

import spacy_bert_ner
from spacy_bert_ner.commands import learning_curve as module
from spacy_bert_ner.commands import train_process
from spacy_bert_ner.commands.curve_fit import Curves, conclude, draw_scores, fit_curves
from spacy_bert_ner.commands.curve_page import make_ticks, render_page
from spacy_bert_ner.commands.curve_result import Training, format_result, make_result
from spacy_bert_ner.commands.learning_curve import learning_curve
from spacy_bert_ner.commands.summary import get_f1
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats.output import open_locked

from ..util import CONFIGS, TAGS, WORDS, plain, run_cli, run_command

(CONFIG,) = [path for path in CONFIGS if path.stem == "bert_ner"]
SHARES = numpy.array([0.1, 0.2, 0.4, 0.7, 1.0])
SPEED = {
    "components.transformer.model.window": 0,
    "training.max_steps": 2,
    "training.optimizer.learn_rate.warmup_steps": 1,
}
N_GOLD = 4


def make_counts(scores, n_docs=200, seed=0):
    """Counts of documents whose F1 in total is about that of each training. The same entities are
    difficult for all.

    scores (ndarray): F1, (n_parts, n_seeds).
    RETURNS (ndarray): (n_parts, n_seeds, n_docs, 3).
    """
    places = numpy.random.default_rng(seed).random((n_docs, N_GOLD))
    right = (places < scores[..., None, None] / 100.0).sum(axis=-1)
    return numpy.stack([right, numpy.full_like(right, N_GOLD), numpy.full_like(right, N_GOLD)], -1)


def get_curve(floor, scale, exponent):
    return Curves(*(numpy.array([value]) for value in (floor, scale, exponent)))


@pytest.mark.parametrize("floor, scale, exponent", [(10, 30, 0.4), (0, 20, 0.2), (40, 5, 1.0)])
def test_finds_a_power_law(floor, scale, exponent):
    """Its parameters as far as the grid of exponents allows, and where it leads."""
    truth = get_curve(floor, scale, exponent)
    fitted = fit_curves(SHARES, numpy.repeat(truth.get_scores(SHARES), 3, axis=0))
    ahead = numpy.array([1.0, 2.0, 4.0])
    expected = 100.0 - floor - scale * ahead**-exponent
    numpy.testing.assert_allclose(truth.get_scores(ahead)[0], expected)
    for scores in fitted.get_scores(ahead):
        numpy.testing.assert_allclose(scores, expected, atol=0.1)
    assert abs(fitted.exponent[0] / exponent - 1.0) < 0.06


def test_fit_is_the_best():
    """No other parameters within the limits are closer to noisy scores, as scipy finds them."""
    optimize = pytest.importorskip("scipy.optimize")
    rng = numpy.random.default_rng(0)
    scores = get_curve(10, 30, 0.4).get_scores(SHARES)[0] + rng.normal(scale=2.0, size=(6, 5))
    fitted = fit_curves(SHARES, scores)
    ours = ((fitted.get_scores(SHARES) - scores) ** 2).sum(axis=1)
    for i, row in enumerate(scores):
        best, _ = optimize.curve_fit(
            lambda x, floor, scale, exponent: 100.0 - floor - scale * x**-exponent,
            SHARES,
            row,
            p0=(10.0, 30.0, 0.4),
            bounds=([0.0, 0.0, 0.05], [100.0, 100.0, 2.0]),
        )
        theirs = ((get_curve(*best).get_scores(SHARES)[0] - row) ** 2).sum()
        assert ours[i] <= theirs + 0.1
    assert fitted.floor.min() >= 0.0 and fitted.scale.min() >= 0.0


def test_falling_scores_give_no_growth():
    fitted = fit_curves(SHARES, numpy.array([[60.0, 59.0, 58.0, 57.0, 56.0]]))
    numpy.testing.assert_allclose(fitted.get_scores(SHARES), 58.0, atol=1e-9)


def test_interval_covers_the_truth():
    """Of trainings whose noise is known: in at least 34 of 40 simulations; 38 are expected."""
    truth, rng = get_curve(15, 25, 0.4), numpy.random.default_rng(0)
    now, expected = truth.get_scores(numpy.array([1.0, 2.0]))[0]
    n_covered, widths = [0, 0], []
    for seed in range(40):
        scores = truth.get_scores(SHARES)[0][:, None] + rng.normal(size=(5, 3))
        conclusion = conclude(SHARES, make_counts(scores, n_docs=400, seed=seed))
        assert conclusion.kind == "grows"
        _, twice, gain = conclusion.get_estimates().values()
        n_covered[0] += twice.low <= expected <= twice.high
        n_covered[1] += gain.low <= expected - now <= gain.high
        assert twice.low < twice.value < twice.high
        widths.append(twice.high - twice.low)
    assert min(n_covered) >= 34
    assert numpy.mean(widths) < 8.0


def test_noise_of_seeds_and_of_documents():
    """Without differences between the seeds, that of a mean over documents is left."""
    even = make_counts(numpy.full((5, 1), 60.0), n_docs=400).repeat(3, axis=1)
    drawn = draw_scores(even)
    share = get_f1(even[0].sum(axis=1))[0] / 100.0
    error = 100.0 * numpy.sqrt(share * (1.0 - share) / (400 * N_GOLD))
    numpy.testing.assert_allclose(drawn.std(axis=0), error, rtol=0.15)
    apart = even.copy()
    apart[:, 0, :40, 0], apart[:, 1, :40, 0] = 0, N_GOLD
    assert (draw_scores(apart).std(axis=0) > 1.5 * error).all()


def test_flat_curve():
    """More data doesn't help, and no number is made up."""
    rng = numpy.random.default_rng(1)
    conclusion = conclude(SHARES, make_counts(70.0 + rng.normal(scale=0.5, size=(5, 3))))
    assert conclusion.kind == "flat"
    assert conclusion.twice is conclusion.curve is None
    assert conclusion.text.startswith("F1 doesn't grow measurably: from 10% of the data to all")
    assert "More of the same data is unlikely to help." in conclusion.text


def test_noisy_scores():
    """Whether they grow isn't known; or that they do, but not how far."""
    rng = numpy.random.default_rng(0)
    conclusion = conclude(SHARES, make_counts(50.0 + rng.normal(scale=12.0, size=(5, 3))))
    assert (conclusion.kind, conclusion.twice) == ("noisy", None)
    assert "the scores are too noisy" in conclusion.text
    rising = get_curve(0, 30, 0.4).get_scores(SHARES)[0][:, None]
    conclusion = conclude(SHARES, make_counts(rising + rng.normal(scale=6.0, size=(5, 3))))
    assert (conclusion.kind, conclusion.twice) == ("noisy", None)
    assert "only known to be between" in conclusion.text


@pytest.mark.parametrize(
    "n_parts, n_seeds, n_docs, message",
    [
        (3, 3, 50, "3 parts are too few, use at least 4"),
        (5, 1, 50, "1 seed is too few, use at least 2"),
        (5, 3, 9, "9 development documents are too few, use at least 10"),
    ],
)
def test_too_little_data(n_parts, n_seeds, n_docs, message):
    scores = numpy.linspace(40.0, 80.0, n_parts)[:, None].repeat(n_seeds, axis=1)
    conclusion = conclude(SHARES[-n_parts:], make_counts(scores, n_docs))
    assert (conclusion.kind, conclusion.twice) == ("too little data", None)
    assert conclusion.text == f"No conclusion: {message}."


@pytest.mark.parametrize("low, high", [(0.0, 2001.0), (41.2, 78.9), (60.0, 60.0), (0.0, 1.0)])
def test_ticks(low, high):
    ticks = make_ticks(low, high)
    assert ticks[0] <= low <= high <= ticks[-1]
    assert 2 <= len(ticks) <= 6
    assert all(tick == int(tick) for tick in ticks)
    assert ticks[0] >= low - (ticks[1] - ticks[0])


def make_trainings(scores):
    """One for each part and seed."""
    counts = make_counts(scores, n_docs=500)
    return [
        Training(f"{i}-{j}", part, j + 1, round(100 * part), 900, 80, counts[i, j].tolist(), 9.0)
        for i, part in enumerate(SHARES)
        for j in range(scores.shape[1])
    ]


@pytest.fixture
def result():
    rng = numpy.random.default_rng(0)
    scores = get_curve(15, 25, 0.4).get_scores(SHARES)[0][:, None] + rng.normal(size=(5, 3))
    names = {"corpus": "<b>train</b>.spacy", "dev": "dev\u202e.spacy", "data": "key"}
    overrides = {"vars.encoder": "<script>alert(1)</script>"}
    return {**names, "overrides": overrides, **make_result(make_trainings(scores))}


def test_page(result):
    page = render_page(result)
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page
    # A setting can't turn around the value after it.
    assert "<bdi>vars.encoder</bdi> = <bdi>&lt;script" in page
    assert "&lt;b&gt;train&lt;/b&gt;.spacy" in page
    assert result["conclusion"]["text"] in page
    assert page.count('<circle class="run"') == 15
    assert 'class="band"' in page and 'class="a ahead"' in page
    for places in re.findall(r'points="([^"]+)"', page):
        pairs = numpy.array([place.split(",") for place in places.split()], dtype=float)
        assert (pairs[:, 0] >= 44.0).all() and (pairs[:, 0] <= 344.0).all()
        assert (pairs[:, 1] >= 10.0).all() and (pairs[:, 1] <= 260.0).all()
    assert not re.search(r'(src|href)="(?!#)', page)
    flat = make_result(make_trainings(numpy.full((5, 3), 60.0)))
    page = render_page({**result, **flat})
    assert 'class="band"' not in page and "There is no curve" in page


def test_table(result):
    lines = format_result(result).splitlines()
    assert lines[-1].split()[:2] == ["200%", "200"] and "expected" in lines[-1]
    twice = result["conclusion"]["twice"]
    assert f"{twice['low']:.1f} to {twice['high']:.1f}" in lines[-1]
    assert re.search(r"\b100 +80 ", format_result(result))


@pytest.fixture
def in_process(monkeypatch):
    """Trainings in this process."""
    monkeypatch.setattr(train_process, "subprocess", SimpleNamespace(run=run_command))


@pytest.fixture
def data(tmp_path):
    """Paths of a corpus of 20 documents, and of others to score on."""
    vocab = spacy.blank("en").vocab
    for name, n in (("train", 20), ("dev", 12)):
        docs = [Doc(vocab, words=WORDS[i % 3 :], ents=TAGS[i % 3 :]) for i in (0, 2) * (n // 2)]
        DocBin(docs=docs).to_disk(tmp_path / f"{name}.spacy")
    return tmp_path / "train.spacy", tmp_path / "dev.spacy"


@pytest.fixture
def settings(tiny_encoder):
    overrides = {"vars.encoder": tiny_encoder, **SPEED}
    return {"config_path": CONFIG, "overrides": overrides, "parts": (0.5, 1.0), "n_seeds": 2}


def test_trains_once_and_goes_on(data, tmp_path, settings, copied, monkeypatch):
    """Killed in its third training, and run again: the finished ones aren't repeated, also if there
    are more seeds and parts."""
    out, told = tmp_path / "out", []
    train = module.call

    def kill(command, name):
        if len(copied) == 2:
            raise KeyboardInterrupt
        train(command, name)

    monkeypatch.setattr(module, "call", kill)
    with pytest.raises(KeyboardInterrupt):
        learning_curve(*data, out, **settings)
    assert os.listdir(out) == ["results.jsonl"]
    with (out / "results.jsonl").open("ab") as file:
        file.write(b'{"key": "half a li')
    monkeypatch.setattr(module, "call", train)
    result = learning_curve(*data, out, **settings, notify=told.append)
    assert [line for line in told if line.startswith("Training")][0].startswith(
        "Training on 50% of the data with seed 2: training 1 of 2, about "
    )
    assert sum(line.startswith("Training") for line in told) == 2
    assert [part["documents"] for part in result["parts"]] == [10, 20]
    assert result["conclusion"]["text"] == "No conclusion: 2 parts are too few, use at least 4."
    written = json.loads((out / "learning_curve.json").read_text())
    assert [part["f1"] for part in written["parts"]] == pytest.approx(
        [part["f1"] for part in result["parts"]]
    )
    assert "No conclusion: 2 parts" in (out / "learning_curve.html").read_text(encoding="utf-8")
    told.clear()
    more = {**settings, "parts": (0.25, 0.5, 1.0)}
    again = learning_curve(*data, out, **more, notify=told.append)
    assert sum(line.startswith("Training") for line in told) == 2
    assert again["parts"][1:] == result["parts"]


def test_parts_grow(data, tmp_path, settings, monkeypatch):
    """Each part has the documents of the smaller ones, seeds have others."""
    seen = {}

    def keep(study, planned, what):
        seen[planned.seed, planned.part] = set(planned.rows.tolist())
        counts = [[1, 2, 3]] * 12
        return Training(planned.key, planned.part, planned.seed, 1, 1, 1, counts, 1.0)

    monkeypatch.setattr(module, "_train", keep)
    learning_curve(*data, tmp_path / "out", **{**settings, "parts": (0.2, 0.6, 1.0)})
    for seed in (1, 2):
        assert seen[seed, 0.2] < seen[seed, 0.6] < seen[seed, 1.0] == set(range(20))
        assert len(seen[seed, 0.2]) == 4
    assert seen[1, 0.2] != seen[2, 0.2]


def test_refuses(data, tmp_path, settings):
    train, dev = data
    empty = DocBin(docs=[Doc(spacy.blank("en").vocab, words=["a"], ents=["O"])] * 20)
    empty.to_disk(tmp_path / "empty.spacy")
    out = tmp_path / "out"
    for message, corpus, changed in (
        ("--parts has 1.5: each part must be above 0 and at most 1", train, {"parts": (0.5, 1.5)}),
        ("--parts must include 1", train, {"parts": (0.1, 0.5)}),
        ("--seeds is 0", train, {"n_seeds": 0}),
        ("The parts 0.51 and 0.52 both have 10 documents", train, {"parts": (0.51, 0.52, 1)}),
        ("has no entities to learn", tmp_path / "empty.spacy", {}),
        ("There is no file", tmp_path / "none.spacy", {}),
    ):
        with pytest.raises(UserError, match=re.escape(message)):
            learning_curve(corpus, dev, out, **{**settings, **changed})
        assert not out.exists()
    os.mkfifo(tmp_path / "pipe.spacy")
    for paths in ((train, tmp_path / "pipe.spacy"), (tmp_path / "pipe.spacy", dev)):
        with pytest.raises(UserError, match="it is read several times. Name a file"):
            learning_curve(*paths, out, **settings)
    (tmp_path / "dev").touch()
    with pytest.raises(ValueError, match="Can't guess the format"):
        learning_curve(train, tmp_path / "dev", out, **settings)
    assert not out.exists()


def test_never_replaces_its_input(data, tmp_path, settings):
    """Also with `force`, and under the names that it writes."""
    train, dev = data
    lines = [json.dumps({"text": "in Oslo", "spans": []})] * 20
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for paths in ((out / "results.jsonl", dev), (train, out / "results.jsonl")):
        with pytest.raises(ValueError, match="that is the input"):
            learning_curve(*paths, out, **settings, force=True)
    assert (out / "results.jsonl").read_text(encoding="utf-8").splitlines() == lines


def test_two_at_once(data, tmp_path, settings):
    """The second one changes nothing, also with `force`: not the config of the first one."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "config.cfg").write_text("of the first one", encoding="utf-8")
    overrides = settings["overrides"]
    refused = pytest.raises(ValueError, match="another process is writing it")
    with open_locked(out / "results.jsonl"), refused:
        learning_curve(*data, out, overrides=overrides, parts=(0.5, 1.0), force=True)
    assert (out / "config.cfg").read_text(encoding="utf-8") == "of the first one"


def test_progress_of_a_training(monkeypatch):
    """On a terminal, it writes to standard error itself; elsewhere, what it writes is kept."""
    program = "import sys; print('out'); print('progress', file=sys.stderr); sys.exit(1)"
    seen = []

    def run(command, **settings):
        seen.append(settings["stderr"])
        return subprocess.run(command, **{**settings, "stderr": subprocess.PIPE})

    monkeypatch.setattr(train_process, "subprocess", SimpleNamespace(run=run))
    for is_terminal, expected in ((True, None), (False, subprocess.PIPE)):
        isatty = partial(bool, is_terminal)
        monkeypatch.setattr(sys.stderr, "isatty", isatty, raising=False)
        with pytest.raises(UserError, match="Training failed. Finished training") as error:
            train_process.call([sys.executable, "-c", program], "Training")
        assert str(error.value).endswith("out\nprogress\n")
        assert seen.pop() == expected


def test_what_was_there_stays(data, tmp_path, settings, monkeypatch):
    """Another folder, and the curve of other data, are only replaced with `force`."""

    def make(study, planned, what):
        counts = [[1, 2, 3]] * 12
        return Training(planned.key, planned.part, planned.seed, 1, 1, 1, counts, 1.0)

    monkeypatch.setattr(module, "_train", make)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.cfg").write_text("mine")
    with pytest.raises(UserError, match="the folder has other files"):
        learning_curve(*data, tmp_path / "mine", **settings)
    assert (tmp_path / "mine" / "config.cfg").read_text() == "mine"
    out = tmp_path / "out"
    learning_curve(*data, out, **settings)
    before = (out / "learning_curve.html").read_bytes()
    other = {**settings, "overrides": {**settings["overrides"], "training.max_steps": 3}}
    with pytest.raises(UserError, match="it has the learning curve of other data or settings"):
        learning_curve(*data, out, **other)
    assert (out / "learning_curve.html").read_bytes() == before
    learning_curve(*data, out, **other, force=True)
    assert (out / "learning_curve.html").read_bytes() != before


def test_default_config(data, tmp_path, monkeypatch):
    """That of `init-config`, with as many steps as the corpus needs."""
    seen = []
    monkeypatch.setattr(module, "call", lambda command, name: seen.append(command))
    with pytest.raises(OSError):  # nothing was trained
        learning_curve(*data, tmp_path / "out")
    config = (tmp_path / "out" / "config.cfg").read_text()
    assert "max_steps" in config and str(tmp_path / "out" / "config.cfg") in seen[0]


def test_failed_training(data, tmp_path, settings, monkeypatch):
    """Its output is shown, and what was finished before is kept."""
    failed = SimpleNamespace(returncode=1, stdout="out ", stderr="err")
    monkeypatch.setattr(
        train_process, "subprocess", SimpleNamespace(run=lambda *args, **settings: failed)
    )
    with pytest.raises(UserError, match="Training on 50% of the data with seed 1 failed. Finished"):
        learning_curve(*data, tmp_path / "out", **settings)
    assert (tmp_path / "out" / "results.jsonl").exists()
    with (tmp_path / "out" / "results.jsonl").open("w") as file:
        file.write('{"key": 1}\n')
    with pytest.raises(UserError, match="Line 1 of .* isn't a result"):
        learning_curve(*data, tmp_path / "out", **settings)


def test_command(data, tmp_path, settings, in_process):
    out = tmp_path / "out"
    overrides = [
        word for name, value in settings["overrides"].items() for word in (f"--{name}", value)
    ]
    words = (*data, out, "--config", CONFIG, "--parts", "0.5,1", "--seeds", "1", *overrides)
    result = run_cli("learning-curve", *words)
    assert result.exit_code == 0, result.output
    assert "No conclusion: 2 parts are too few" in plain(result)
    assert [word for word in plain(result.stdout).split() if word.endswith("%")] == ["50%", "100%"]
    wrong = run_cli("learning-curve", *data, out, "--parts", "a,b")
    assert wrong.exit_code == 2 and "--parts must be numbers" in plain(wrong)
    assert spacy_bert_ner.learning_curve is learning_curve
