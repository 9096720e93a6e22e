"""How much sources count for a target, and `label` with that."""

import json

import numpy
import pytest
import spacy
import torch
from spacy.tokens import Doc

from spacy_bert_ner.commands.weigh_sources import (
    LEAST_SENTS,
    SourceWeight,
    Weighing,
    format_weights,
    get_shares,
    read_weights,
    weigh_sources,
)
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import FormatError, write_docs
from spacy_bert_ner.model.encoder.language_identifier import (
    IdentifierSettings,
    LanguageIdentifier,
    fit_identifier,
)

from ..toy import POSITIONS
from ..util import plain, run_cli

# Languages by their letters. The target's are mostly those of the second.
LEARNED = IdentifierSettings(epochs=50)
LETTERS = {"one": "abc", "two": "xyz", "three": "0123", "target": "xyzxyza"}


def make_sents(letters, n, seed=0):
    rng = numpy.random.default_rng(seed)
    return [
        ["".join(rng.choice(list(letters), rng.integers(2, 5))) for _ in range(rng.integers(2, 6))]
        for _ in range(n)
    ]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """By name, files of 60 sentences: .spacy with several a document, others with one a line."""
    folder = tmp_path_factory.mktemp("languages")
    vocab = spacy.blank("xx").vocab
    paths = {}
    for name, letters in LETTERS.items():
        sents = make_sents(letters, 60, seed=len(name))
        if name == "two":
            docs = []
            for i in range(0, 60, 3):
                group = sents[i : i + 3]
                starts = [j == 0 for sent in group for j in range(len(sent))]
                words = [word for sent in group for word in sent]
                docs.append(Doc(vocab, words=words, sent_starts=starts))
            paths[name] = folder / "two.spacy"
            write_docs(paths[name], docs)
        else:
            paths[name] = folder / f"{name}.jsonl"
            lines = [json.dumps({"text": " ".join(sent)}) for sent in sents]
            paths[name].write_text("\n".join(lines), encoding="utf-8")
    return paths


def test_the_target_is_like_one_source(files, tiny_encoder, tmp_path):
    out = tmp_path / "weights.json"
    sources = [files["one"], files["two"], files["three"]]
    settings = {"settings": LEARNED}
    weighing = weigh_sources(tiny_encoder, files["target"], sources, output_path=out, **settings)
    assert [entry.source for entry in weighing.weights] == [str(path) for path in sources]
    weights = [entry.weight for entry in weighing.weights]
    assert sum(weights) == pytest.approx(1.0)
    assert weights[1] > 1.3 * max(weights[0], weights[2])
    assert min(weights) > 0.0
    assert weighing.accuracy > 0.9
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written == [{"source": str(path), "weight": w} for path, w in zip(sources, weights)]
    # The same again; in another order, the same for each.
    torch.manual_seed(7)
    assert weigh_sources(tiny_encoder, files["target"], sources, **settings) == weighing
    turned = weigh_sources(tiny_encoder, files["target"], sources[::-1], **settings)
    assert [entry.weight for entry in turned.weights][::-1] == pytest.approx(weights, abs=0.1)


def test_settings_count(files, tiny_encoder):
    sources = [files["one"], files["two"]]

    def weigh(**settings):
        return weigh_sources(
            tiny_encoder, files["target"], sources, **{"settings": LEARNED, **settings}
        )

    first = weigh()
    for settings in (
        {"settings": LEARNED._replace(rank=8)},
        {"settings": LEARNED._replace(gamma=10.0)},
        {"settings": LEARNED._replace(epochs=2)},
        {"settings": LEARNED._replace(seed=1)},
        {"max_sents": 20},
    ):
        assert weigh(**settings).weights != first.weights, settings
    flat, sharp = weigh(tau=0.0), weigh(tau=100.0)
    assert [entry.weight for entry in flat.weights] == [0.5, 0.5]
    assert sharp.weights[1].weight > first.weights[1].weight
    assert (flat.tau, sharp.tau) == (0.0, 100.0)


def test_sentences_are_read_where_there_are_boundaries(files, tiny_encoder, monkeypatch):
    """And documents where there are none, both up to a limit."""
    read = []

    def keep(features, settings, follow):
        read.extend(map(len, features))
        return fit_identifier(features, settings, follow)

    monkeypatch.setattr("spacy_bert_ner.commands.weigh_sources.fit_identifier", keep)
    weigh_sources(tiny_encoder, files["target"], [files["one"], files["two"]])
    weigh_sources(tiny_encoder, files["target"], [files["one"], files["two"]], max_sents=25)
    assert read == [60, 60, 25, 25]


def test_long_documents(files, tiny_encoder, tmp_path):
    """Longer than the encoder can read, and white space alone, which is left out."""
    path = tmp_path / "long.jsonl"
    texts = [*[" ".join(["xyz zyx"] * POSITIONS)] * LEAST_SENTS, "  ", "\n"]
    lines = [json.dumps({"text": text}) for text in texts]
    path.write_text("\n".join(lines), encoding="utf-8")
    weighing = weigh_sources(tiny_encoder, path, [files["one"], files["two"]], settings=LEARNED)
    assert weighing.weights[1].weight > 0.6


def test_folders_of_texts(files, tiny_encoder, tmp_path):
    """Each file is one document."""
    for i, sent in enumerate(make_sents(LETTERS["target"], LEAST_SENTS)):
        (tmp_path / f"{i}.txt").write_text(" ".join(sent), encoding="utf-8")
    sources = [files["one"], files["two"]]
    weighing = weigh_sources(tiny_encoder, tmp_path, sources, settings=LEARNED)
    assert weighing.weights[1].weight > 0.5


def test_shares():
    scores = numpy.array([[2.0, 0.0, 1.0], [0.0, 4.0, 1.0]], dtype="float32")
    shares, tau = get_shares(scores)
    assert tau == pytest.approx(1.0 / scores.var())
    expected = numpy.exp(tau * scores) / numpy.exp(tau * scores).sum(axis=1, keepdims=True)
    numpy.testing.assert_allclose(shares, expected.mean(axis=0), rtol=1e-5)
    numpy.testing.assert_allclose(get_shares(numpy.ones((3, 4)))[0], [0.25] * 4)
    # None is 0, which would be no weight of a teacher.
    numpy.testing.assert_allclose(get_shares(1e5 * scores, 1.0)[0], [0.5, 0.5, 1e-6], rtol=1e-5)


def test_scores_and_penalty():
    """As in the paper, with the penalty over languages in place of that over the width."""
    torch.manual_seed(0)
    model = LanguageIdentifier(torch.randn(3, 8), rank=4)
    X = torch.randn(5, 8)
    for param in model.parameters():
        param.requires_grad = False
    M = model.languages
    f, m = X @ model.U.weight.T + model.U.bias, M @ model.V.weight.T + model.V.bias
    expected = [[float(f[i] @ m[j]) for j in range(3)] for i in range(5)]
    numpy.testing.assert_allclose(model(X).numpy(), expected, atol=1e-5)
    published = float((M.T @ M - torch.eye(8)).square().sum())
    assert float(model.get_penalty()) == pytest.approx(published - (8 - 3), rel=1e-5)


def test_vectors_that_all_point_one_way():
    """What they have in common, and a dimension that never changes, are taken out."""
    rng = numpy.random.default_rng(0)
    groups = [rng.normal(shift, 0.01, (100, 16)) + 5.0 for shift in (0.0, 0.01)]
    for group in groups:
        group[:, 3] = 7.0
    get_scores = fit_identifier(groups, LEARNED)
    for i, group in enumerate(groups):
        assert (get_scores(group).argmax(axis=1) == i).mean() > 0.9


def test_refused(files, tiny_encoder, tmp_path):
    def refuse(match, target=files["target"], sources=(files["one"], files["two"]), **settings):
        with pytest.raises(UserError, match=match) as error:
            weigh_sources("not-loaded", target, sources, **settings)
        assert "\n" not in str(error.value)

    refuse("fewer than two sources", sources=[files["one"]])
    refuse("There is no file", target=tmp_path / "nothing.txt")
    refuse("Can't guess the format of", target=tiny_encoder_file(tmp_path))
    refuse("that is the input", output_path=files["one"])
    short = tmp_path / "short.txt"
    short.write_text("One text.\nOf many lines.\n" * 20, encoding="utf-8")
    refuse("short.txt: it has 1 sentence .* --from lines", sources=[files["one"], short])


def tiny_encoder_file(folder):
    path = folder / "file.unknown"
    path.write_text("text", encoding="utf-8")
    return path


def test_command(files, tiny_encoder, tmp_path):
    out = tmp_path / "weights.json"
    sources = [files["one"], files["two"]]
    result = run_cli("weigh-sources", tiny_encoder, files["target"], *sources, "--output", out)
    assert result.exit_code == 0, result.output
    weights = [entry["weight"] for entry in json.loads(out.read_text(encoding="utf-8"))]
    for path, weight in zip(sources, weights):
        assert f"{path} {weight:.3f}" in plain(result)
    assert "of the source sentences; tau is" in plain(result)
    assert "can hardly distinguish the sources" in plain(result)
    words = [tiny_encoder, files["target"], *sources, "--epochs", 50]
    assert "hardly" not in run_cli("weigh-sources", *words).output
    result = run_cli("weigh-sources", tiny_encoder, files["target"], sources[0])
    assert result.exit_code == 1
    assert plain(result).startswith("Error: Can't weigh fewer")
    lines = []
    for name in LETTERS:
        lines.append(tmp_path / f"{name}.txt")
        text = "\n".join(" ".join(sent) for sent in make_sents(LETTERS[name], 12))
        lines[-1].write_text(text, encoding="utf-8")
    words = ["--from", "lines", "--epochs", 1, "--rank", 2, "--gamma", 0, "--seed", 3]
    result = run_cli("weigh-sources", tiny_encoder, *lines, "--tau", 0, *words)
    assert result.exit_code == 0, result.output
    assert plain(result).count("0.333") == 3


def test_table():
    weights = [SourceWeight("a", 0.25), SourceWeight("longer.jsonl", 0.75)]
    lines = format_weights(Weighing(weights, 0.95, 0.1234)).splitlines()
    assert lines[:3] == ["source        weight", "a              0.250", "longer.jsonl   0.750"]
    assert lines[3:] == [
        "The classifier found the source of 95.0% of the source sentences; tau is 0.123."
    ]


def test_read_weights(tmp_path):
    path = tmp_path / "weights.json"
    entries = [{"source": "a.txt", "weight": 0.7}, {"source": "b.txt", "weight": 1}]
    path.write_text(json.dumps(entries), encoding="utf-8")
    assert read_weights(path, ["x", "y"]) == [("a.txt", 0.7), ("b.txt", 1.0)]
    with pytest.raises(UserError, match="for 3 teachers: its sources are a.txt, b.txt. Name one"):
        read_weights(path, ["x", "y", "z"])
    for text in (
        '[{"source": "a"}]',
        '[{"weight": 1}]',
        '[{"source": "a", "weight": "1"}]',
        '[{"source": "a", "weight": true}]',
        '[{"source": "a", "weight": 1%s}]' % ("0" * 400),
        "[0.5, 0.5]",
        '{"a": 0.5}',
        '[{"source": "a", "weight": 1}',
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(FormatError, match="weights.json"):
            read_weights(path, ["x"])
    with pytest.raises(UserError, match="There is no file"):
        read_weights(tmp_path / "none.json", ["x"])


@pytest.mark.parametrize(
    "settings, tau", [({"gamma": float("nan")}, None), ({}, float("inf")), ({}, 1e308)]
)
def test_weights_are_numbers(files, tiny_encoder, tmp_path, settings, tau):
    out = tmp_path / "weights.json"
    sources = [files["one"], files["two"]]
    settings = IdentifierSettings(epochs=1, **settings)
    with pytest.raises(UserError, match="--gamma .* and --tau .*: the numbers become too large"):
        weigh_sources(
            tiny_encoder, files["target"], sources, settings=settings, tau=tau, output_path=out
        )
    assert not out.exists()


def test_large_seed():
    features = [numpy.eye(4, dtype="float32"), -numpy.eye(4, dtype="float32")]
    get_scores = fit_identifier(features, IdentifierSettings(epochs=1, seed=10**30))
    assert numpy.isfinite(get_scores(features[0])).all()


def test_label_takes_the_file(tiny_pipeline, tmp_path):
    source, out, path = (tmp_path / name for name in ("in.txt", "out.spacy", "weights.json"))
    source.write_text("Anna lives in Oslo.\n", encoding="utf-8")
    words = ["label", tiny_pipeline, tiny_pipeline, source, out, "--from", "lines", "--restart"]
    entries = [{"source": "en.txt", "weight": 0.25}, {"source": "sv.txt", "weight": 0.75}]
    path.write_text(json.dumps(entries), encoding="utf-8")
    result = run_cli(*words, "--weights", path)
    assert result.exit_code == 0, result.output
    assert f"Weight of {tiny_pipeline}: 0.250 (of en.txt in {path})." in plain(result)
    assert f"Weight of {tiny_pipeline}: 0.750 (of sv.txt in {path})." in plain(result)
    assert out.exists()
    path.write_text(json.dumps(entries[:1]), encoding="utf-8")
    result = run_cli(*words, "--weights", path)
    assert result.exit_code == 1
    assert "Can't use the weights in" in plain(result)
    entries[0]["weight"] = 0.0
    path.write_text(json.dumps(entries), encoding="utf-8")
    result = run_cli(*words, "--weights", path)
    assert result.exit_code == 1
    assert "give numbers above 0" in plain(result)
