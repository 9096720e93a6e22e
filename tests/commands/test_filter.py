"""What is kept of soft labels, and what the rest teaches: nothing."""

import sys

import numpy
import pytest
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bert_ner.commands.filter import filter_labels
from spacy_bert_ner.commands.label import label
from spacy_bert_ner.commands.selection import Units, get_low_posteriors
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import FormatError, read_docs, write_docs
from spacy_bert_ner.tagging.schemes import TagSet
from spacy_bert_ner.tagging.soft_labels import SoftLabels, get_soft_labels, set_soft_labels
from spacy_bert_ner.training.distillation import make_distillation
from spacy_bert_ner.training.losses import CrossEntropy

from ..formats.util import NLP, ents_of, sents_of, tags_of, words_of
from ..util import make_nlp, plain, run_cli
from .util import train

TAG_SET = TagSet("BIO", ("LOC", "PER"))
TAGS = list(TAG_SET.tags)


def make_soft_doc(sents, *, marked=True, has_gold=False):
    """A document of sentences, each a list of (word, tag, confidence[, agreement]); a confidence of
    None is a token that no teacher reads."""
    tokens = [token for sent in sents for token in sent]
    starts = [i == 0 for sent in sents for i in range(len(sent))] if marked else None
    doc = Doc(NLP.vocab, words=[token[0] for token in tokens], sent_starts=starts)
    probs = numpy.zeros((len(tokens), len(TAGS)), dtype="float32")
    for row, (_, tag, confidence, *_) in zip(probs, tokens):
        if confidence is not None:
            row[:] = (1.0 - confidence) / (len(TAGS) - 1)
            row[TAGS.index(tag)] = confidence
    agreement = numpy.array([token[3] if len(token) > 3 else 1.0 for token in tokens], "float32")
    doc.set_ents(list(Doc(NLP.vocab, words=words_of(doc), ents=[t[1] for t in tokens]).ents))
    set_soft_labels(doc, SoftLabels("BIO", ("LOC", "PER"), "token", probs, agreement, has_gold))
    return doc


def make_docs():
    """Five sentences in two documents, and a document without any, from sure to unsure. Teachers
    disagree in the second and the last."""
    return [
        make_soft_doc(
            [
                [("Anna", "B-PER", 0.99), ("Berg", "I-PER", 0.97), ("sings", "O", 0.98)],
                [("Oslo", "B-LOC", 0.9), ("rains", "O", 0.9, 0.5)],
                [("It", "O", 0.8), ("rains", "O", 0.8)],
            ]
        ),
        make_soft_doc([[("Karl", "B-PER", 0.7), (" ", "O", None)], [("Rome", "B-LOC", 0.65)]]),
        make_soft_doc([[("Bonn", "B-LOC", 0.5), ("sings", "O", 0.5, 0.0)]], marked=False),
    ]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "soft.spacy"
    write_docs(path, make_docs())
    return path


def run(source, **settings):
    """RETURNS (Tuple[List[Doc], FilterReport]): What was written, and counted."""
    out = source.with_name("kept.spacy")
    report = filter_labels(source, out, **settings)
    return list(read_docs(out, NLP)), report


def kept_words(docs):
    """The words that have soft labels."""
    kept = [get_soft_labels(doc).probs.any(axis=1) for doc in docs]
    return [
        [str(token) for token, keep in zip(doc, keeps) if keep] for doc, keeps in zip(docs, kept)
    ]


def test_agreed(source):
    docs, report = run(source, agreed=True)
    assert kept_words(docs) == [["Anna", "Berg", "sings", "It", "rains"], ["Karl", "Rome"]]
    # The text stays, with its sentences, and what is not kept is missing.
    original = make_docs()
    assert [words_of(doc) for doc in docs] == [words_of(doc) for doc in original[:2]]
    assert sents_of(docs[0]) == [3, 2, 2]
    assert tags_of(docs[0]) == ["B-PER", "I-PER", "O", "-", "-", "O", "O"]
    assert tags_of(docs[1]) == ["B-PER", "O", "B-LOC"]
    # Of what is kept, nothing has changed.
    soft, before = (get_soft_labels(doc) for doc in (docs[0], original[0]))
    kept = soft.probs.any(axis=1)
    numpy.testing.assert_allclose(soft.probs[kept], before.probs[kept], atol=1e-3)
    numpy.testing.assert_array_equal(soft.agreement[kept], before.agreement[kept])
    assert not soft.agreement[~kept].any()
    assert soft._replace(probs=None, agreement=None) == before._replace(probs=None, agreement=None)
    assert (report.n_units, report.n_kept_units) == (6, 4)
    assert (report.n_labeled, report.n_kept_labeled) == (11, 7)
    assert report.kept_ents == {"PER": 2, "LOC": 1}
    assert (report.n_docs, report.n_tokens, report.n_ents) == (2, 10, 3)


@pytest.mark.parametrize(
    "settings,expected",
    [
        ({"top": 0.5}, [["Anna", "Berg", "sings", "Oslo", "rains", "It", "rains"]]),
        ({"top": 1 / 6}, [["Anna", "Berg", "sings"]]),
        ({"top": 0.01}, [["Anna", "Berg", "sings"]]),
        ({"top": 0.5, "agreed": True}, [["Anna", "Berg", "sings", "It", "rains"]]),
        ({"min_entities": 1, "top": 0.6}, [["Anna", "Berg", "sings", "Oslo", "rains"], ["Karl"]]),
        ({"min_entities": 1, "agreed": True}, [["Anna", "Berg", "sings"], ["Karl", "Rome"]]),
        (
            {"top": 1.0},
            [
                ["Anna", "Berg", "sings", "Oslo", "rains", "It", "rains"],
                ["Karl", "Rome"],
                ["Bonn", "sings"],
            ],
        ),
    ],
)
def test_selections(source, settings, expected):
    """They combine: the top of those in which teachers agree."""
    docs, _ = run(source, **settings)
    assert kept_words(docs) == expected


def test_confidence_is_a_mean_over_tokens(tmp_path):
    """Long sentences don't lose by their length, and tokens that nobody reads don't count."""
    long = [("a", "O", 0.9)] * 6 + [(" ", "O", None)]
    source = tmp_path / "soft.spacy"
    write_docs(source, [make_soft_doc([[("b", "O", 0.85)], long])])
    assert kept_words(run(source, top=0.5)[0]) == [["a"] * 6]
    units = Units()
    (doc,) = read_docs(source, NLP)
    units.add(doc, get_soft_labels(doc))
    assert units.confidences == pytest.approx([0.85, 0.9], abs=1e-3)
    assert units.losses == pytest.approx(-numpy.log([0.85, 0.9]), abs=1e-3)


def test_loss_is_that_of_valid_tags():
    """The best tag of a token may be one that can't follow the one before; sentences end tags."""
    sents = [[("Anna", "B-PER", 0.9)], [("Berg", "I-PER", 0.6)]]
    doc = make_soft_doc(sents)
    units = Units()
    units.add(doc, get_soft_labels(doc))
    assert units.losses == pytest.approx([-numpy.log(0.9), -numpy.log(0.1)], abs=1e-3)
    assert units.confidences == pytest.approx([0.9, 0.6], abs=1e-3)
    whole, units = make_soft_doc(sents, marked=False), Units()
    units.add(whole, get_soft_labels(whole))
    assert units.losses == pytest.approx([-numpy.log([0.9, 0.6]).mean()], abs=1e-3)


def test_mixture(tmp_path):
    """Two kinds of sentences are told from each other, however few are bad."""
    rng = numpy.random.default_rng(0)
    sure, unsure = rng.uniform(0.97, 1.0, size=60), rng.uniform(0.4, 0.6, size=12)
    confidences = rng.permutation(numpy.concatenate([sure, unsure]))
    source = tmp_path / "soft.spacy"
    docs = [make_soft_doc([[(f"w{i}", "O", c)]]) for i, c in enumerate(confidences)]
    write_docs(source, docs)
    docs, report = run(source, mixture=0.5)
    expected = [[f"w{i}"] for i, c in enumerate(confidences) if c > 0.9]
    assert kept_words(docs) == expected
    assert (report.n_units, report.n_kept_units) == (72, 60)
    stricter, _ = run(source, mixture=0.9999)
    assert 0 < len(stricter) <= len(docs)


def test_posterior_falls_with_the_loss():
    """Also where the component with the higher mean is the wider one, and far out."""
    rng = numpy.random.default_rng(0)
    losses = numpy.concatenate([rng.exponential(0.02, 300), rng.exponential(0.5, 60), [0.0, 4.0]])
    found = get_low_posteriors(losses)[losses.argsort()]
    assert (numpy.diff(found) <= 1e-12).all()
    assert found[0] > 0.9 and found[-1] < 0.1


def test_same_losses_are_no_mixture(tmp_path):
    source = tmp_path / "soft.spacy"
    write_docs(source, [make_soft_doc([[("a", "O", 0.9)], [("b", "O", 0.9)]])])
    with pytest.raises(UserError, match="losses of 2 sentences: all are equal.*use --top"):
        run(source, mixture=0.5)


def test_without_scikit_learn(source, monkeypatch):
    """Told before anything is read; nothing else needs it."""
    monkeypatch.setitem(sys.modules, "sklearn.mixture", None)
    with pytest.raises(UserError, match="python -m pip install scikit-learn") as error:
        run(source.with_name("nothing.spacy"), mixture=0.5)
    assert "\n" not in str(error.value)
    assert len(run(source, top=0.5)[0]) == 1


def test_entities_over_bounds_are_missing(tmp_path):
    """What teachers found over a sentence bound isn't kept in half, nor as outside."""
    doc = make_soft_doc([[("New", "B-LOC", 0.9)], [("York", "I-LOC", 0.5), ("x", "O", 0.5)]])
    assert ents_of(doc) == [("New York", "LOC")]
    source = tmp_path / "soft.spacy"
    write_docs(source, [doc])
    (found,), report = run(source, top=0.5)
    assert kept_words([found]) == [["New"]]
    assert tags_of(found) == ["-", "-", "-"]
    assert report.kept_ents == {}
    assert report.describe_kept().endswith("Entities: none.")


def test_what_was_missing_stays_missing(tmp_path):
    doc = make_soft_doc([[("a", "O", 0.9), ("b", "O", 0.9)], [("c", "O", 0.5)]])
    doc.set_ents([], missing=[doc[1:2]], default="unmodified")
    source = tmp_path / "soft.spacy"
    write_docs(source, [doc])
    (found,), _ = run(source, top=0.5)
    assert tags_of(found) == ["O", "-", "-"]


@pytest.mark.parametrize("has_gold", [False, True])
def test_the_rest_teaches_nothing(tmp_path, has_gold):
    """By soft labels, hard labels and gold annotation, or by entities alone."""
    sents = [
        [("Anna", "B-PER", 0.9), ("sings", "O", 0.9)],
        [("Oslo", "B-LOC", 0.6), ("x", "O", 0.6)],
    ]
    source = tmp_path / "soft.spacy"
    write_docs(source, [make_soft_doc(sents, has_gold=has_gold)])
    ((doc,), _) = run(source, top=0.5)
    for loss in (make_distillation(hard_weight=1.0, confidence_penalty=0.1), CrossEntropy()):
        nlp = make_nlp()
        ner = nlp.get_pipe("bert_ner")
        for name in ("LOC", "PER"):
            ner.add_label(name)
        ner.loss = loss
        probs = numpy.full((4, 5), 0.2, dtype="float32")
        example = Example(Doc(nlp.vocab, words=words_of(doc)), doc)
        _, (gradient,) = ner.get_loss([example], [probs])
        assert abs(gradient[:2]).min() > 0.0
        assert not gradient[2:].any()
        # Next to the document as it was, the kept tokens teach what they did.
        whole = Example(
            Doc(nlp.vocab, words=words_of(doc)), make_soft_doc(sents, has_gold=has_gold)
        )
        _, (other,) = ner.get_loss([whole], [probs])
        assert abs(other[2:]).min() > 0.0
        numpy.testing.assert_allclose(gradient[:2], 2.0 * other[:2], atol=1e-3)


def test_refused(source, tmp_path):
    out = tmp_path / "out.spacy"
    for settings, message in [
        ({}, "set --agreed, --min-entities, --top or --mixture"),
        ({"top": 0.5, "mixture": 0.5}, "both --top and --mixture"),
        ({"top": 0.0}, "--top is 0.0: set it above 0 and up to 1"),
        ({"top": 1.1}, "--top is 1.1"),
        ({"mixture": 1.0}, "--mixture is 1.0: set it from 0 to below 1"),
        ({"min_entities": 3}, "soft.spacy: none of 6 sentences is kept. Set less"),
    ]:
        with pytest.raises(UserError, match=message) as error:
            filter_labels(source, out, **settings)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="only spaCy's format can store"):
        filter_labels(source, tmp_path / "out.jsonl", agreed=True)
    with pytest.raises(FormatError, match="that is the input"):
        filter_labels(source, source, agreed=True)
    assert not out.exists()
    plain_docs = tmp_path / "plain.spacy"
    write_docs(plain_docs, [make_docs()[0], Doc(NLP.vocab, words=["a"])])
    with pytest.raises(UserError, match="plain.spacy: record 2 has no soft labels"):
        filter_labels(plain_docs, out, agreed=True)
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    with pytest.raises(UserError, match="a.jsonl: only spaCy's format has soft labels"):
        filter_labels(tmp_path / "a.jsonl", out, agreed=True)
    with pytest.raises(UserError, match="There is no file"):
        filter_labels(tmp_path / "none.spacy", out, agreed=True)
    write_docs(tmp_path / "empty.spacy", [])
    with pytest.raises(UserError, match="none of 0 sentences is kept"):
        filter_labels(tmp_path / "empty.spacy", out, agreed=True)
    assert not out.exists()


def test_after_label(tiny_encoder, tmp_path):
    """What two teachers agree on, from text to what a student reads."""
    names = [
        train(tmp_path / str(seed), tiny_encoder, seed=seed, component={"scheme": "BILUO"})
        for seed in (0, 1)
    ]
    texts = ["Anna Berg lives in Oslo. She met Karl.", "It rained in New York."]
    (tmp_path / "in.txt").write_text("\n".join(texts), encoding="utf-8")
    source = tmp_path / "soft.spacy"
    label(names, tmp_path / "in.txt", source, source="lines")
    docs = list(read_docs(source, NLP))
    agreed = [
        (get_soft_labels(doc).agreement[sent.start : sent.end] >= 1.0).all()
        for doc in docs
        for sent in doc.sents
    ]
    assert len(agreed) == 3
    assert 0 < sum(agreed) < 3
    result = run_cli("filter", source, tmp_path / "kept.spacy", "--agreed")
    assert result.exit_code == 0, result.output
    assert f"Kept {sum(agreed)} of 3 sentences" in plain(result)


def test_command(source, tmp_path):
    out = tmp_path / "out.spacy"
    result = run_cli("filter", source, out, "--agreed", "--top", "0.75")
    assert result.exit_code == 0, result.output
    assert plain(result) == (
        f"{out}: 2 documents, 10 tokens, 2 entities Kept 3 of 6 sentences and 6 of 11 tokens with "
        "soft labels. Entities: 2 PER."
    )
    result = run_cli("filter", source, out, "--min-entities", "9")
    assert result.exit_code == 1
    assert plain(result).startswith("Error: Can't filter")
    assert run_cli("filter", source, out, "--top", "2").exit_code == 2
