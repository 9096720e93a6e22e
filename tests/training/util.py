"""What the tests of losses share."""

from itertools import product

import numpy
import pytest
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Model

from spacy_bert_ner.model.layers.linear_crf import linear_crf
from spacy_bert_ner.tagging.gold import get_gold
from spacy_bert_ner.tagging.schemes import TagSet

VOCAB = Vocab()
LABELS = ["PER", "LOC"]
HEAD = Model("head", forward=None)  # for its ops


def make_gold(words, ents=None, incorrect=(), missing=(), scheme="BIO"):
    reference = Doc(VOCAB, words=words)
    if ents is not None:
        spans = [Span(reference, *ent) for ent in ents]
        unknown = [reference[i : i + 1] for i in missing]
        reference.set_ents(spans, missing=unknown, default="outside")
    reference.spans["incorrect_spans"] = [Span(reference, *span) for span in incorrect]
    tag_set = TagSet(scheme, LABELS)
    example = Example(Doc(VOCAB, words=words), reference)
    return get_gold(example, tag_set, "incorrect_spans"), tag_set


def softmax(X):
    exp = numpy.exp(X - X.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


def random_logits(n_tokens, tag_set, seed=0):
    return numpy.random.default_rng(seed).normal(size=(n_tokens, len(tag_set)))


def make_layer(n_tags, factor=1.0, seed=0):
    """The output layer of a CRF, as a model of its own."""
    layer = linear_crf(
        n_tags, 2, init_W=lambda ops, shape: ops.alloc2f(*shape), learn_rate_factor=factor
    )
    layer.initialize()
    layer.set_param("T", numpy.random.default_rng(seed).normal(size=(n_tags, n_tags)))
    layer.set_ref("output_layer", layer)
    return layer


def score_all(scores, transitions, tag_set):
    """RETURNS (Dict): The log-score of each valid tag sequence."""
    found = {}
    for tags in product(range(len(tag_set)), repeat=len(scores)):
        pairs = list(zip(tags, tags[1:]))
        ends = tag_set.first[tags[0]] and tag_set.last[tags[-1]]
        if ends and all(tag_set.allowed[pair] for pair in pairs):
            score = sum(scores[i, tag] for i, tag in enumerate(tags))
            found[tags] = score + sum(transitions[pair] for pair in pairs)
    return found


def check_gradient(loss, golds, tag_set, lengths):
    """Against differences of the loss, in double precision, one input after the other."""
    logits = [random_logits(n, tag_set, seed=i) for i, n in enumerate(lengths)]
    _, gradients = loss(HEAD, [softmax(X) for X in logits], golds, tag_set)
    epsilon = 1e-5
    for X, gradient in zip(logits, gradients):
        for place in numpy.ndindex(X.shape):
            value = X[place]
            ends = []
            for step in (epsilon, -epsilon):
                X[place] = value + step
                ends.append(loss(HEAD, [softmax(X) for X in logits], golds, tag_set)[0])
            X[place] = value
            numeric = (ends[0] - ends[1]) / (2 * epsilon)
            assert gradient[place] == pytest.approx(numeric, abs=2e-6), place
