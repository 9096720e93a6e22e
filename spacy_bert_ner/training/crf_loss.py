"""The loss of a CRF."""

import math
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

import numpy
from thinc.types import Floats2d

from ..model.heads import AnyModel, check_loss, get_head
from ..model.transfer import to_device, to_host
from ..tagging.crf import Chain, get_marginals, like_lengths, make_chain
from ..tagging.gold import MISSING, Gold, Incorrect
from ..tagging.schemes import TagSet
from ..types import Bools2d, Floats3d, Ints1d
from ..types import Floats2d as HostFloats2d
from .losses import FLOOR


@dataclass(frozen=True)
class CRFLikelihood:
    """The loss `spacy-bert-ner.CRFLikelihood.v1`, for models with a linear-chain CRF, such as
    `spacy-bert-ner.LinearCRF.v1`: the negative log-likelihood of the gold tags among all valid tag
    sequences (Lafferty et al. 2001). Where gold tags are missing, it sums over all possible tags
    (Tsuboi et al. 2008). A span that is known to be no entity (`incorrect_spans_key`), predicted
    with probability p, adds -log(1 - p). The sum is divided by the number of known tags and of such
    spans."""

    def check(self, labels: Sequence[str], model: AnyModel) -> None:
        """Check that this loss fits a component.

        labels (Sequence[str]): Labels of the component.
        model (AnyModel): Its model.
        RAISES (ValueError): For a model that doesn't give emissions.
        """
        check_loss(
            model, "spacy-bert-ner.CRFLikelihood.v1", "emissions", "spacy-bert-ner.LinearCRF.v1"
        )

    def __call__(
        self, model: AnyModel, scores: List[Floats2d], gold: List[Gold], tag_set: TagSet
    ) -> Tuple[float, List[Floats2d]]:
        """Calculate the loss. The gradient of the transitions is passed to the head here, since the
        gradients that are returned are only those of the tags' log-scores.

        model (AnyModel): A model whose head gives emissions.
        scores (List[Floats2d]): Log-scores of tags, (n_tokens, n_tags).
        gold (List[Gold]): The annotation of the documents.
        tag_set (TagSet): The tags.
        RETURNS (Tuple[float, List[Floats2d]]): The loss, and its gradient with respect to the
            log-scores of the tags, float32, (n_tokens, n_tags).
        """
        begin_transitions = get_head(model).begin_transitions
        assert begin_transitions is not None  # see `check`
        transitions, backprop = begin_transitions(model.get_ref("output_layer"))
        ops: Any = model.ops
        loss, gradients, d_transitions = get_gradients(
            to_host(ops, scores), ops.to_numpy(transitions), gold, tag_set
        )
        if d_transitions is not None:
            backprop(ops.asarray2f(d_transitions))
        return loss, to_device(ops, gradients)


def get_gradients(
    scores: List[HostFloats2d], transitions: HostFloats2d, gold: List[Gold], tag_set: TagSet
) -> Tuple[float, List[HostFloats2d], Optional[HostFloats2d]]:
    """The loss of `CRFLikelihood`, and its gradients, on the CPU.

    scores (List[HostFloats2d]): Log-scores of tags, (n_tokens, n_tags).
    transitions (HostFloats2d): Log-scores of a tag (row) before another, (n_tags, n_tags).
    gold (List[Gold]): The annotation of the documents.
    tag_set (TagSet): The tags.
    RETURNS (Tuple[float, List[HostFloats2d], Optional[HostFloats2d]]): The loss, and its gradients
        by scores and transitions, float32, of the same shapes. The last one is None if no tag is
        known.
    """
    gradients = [numpy.zeros(X.shape, dtype="float32") for X in scores]
    n_known = sum(int((doc.tags != MISSING).sum()) + len(doc.incorrect) for doc in gold)
    if not n_known:
        return 0.0, gradients, None
    loss = 0.0
    d_transitions = numpy.zeros(transitions.shape)
    docs = numpy.array([i for i, doc in enumerate(gold) if len(doc.rows)])
    for chosen in like_lengths(numpy.array([len(gold[i].rows) for i in docs])):
        rows = [(i, gold[i].rows) for i in docs[chosen].tolist()]
        chain = make_chain([scores[i][row] for i, row in rows], transitions, tag_set)
        part, d_scores, d_part = _likelihood(chain, [gold[i] for i, _ in rows], tag_set)
        loss += part
        d_transitions += d_part
        for (i, row), d_doc in zip(rows, d_scores / n_known):
            gradients[i][row] = d_doc[: len(row)]
    return loss / n_known, gradients, (d_transitions / n_known).astype("float32")


def _likelihood(
    chain: Chain, gold: List[Gold], tag_set: TagSet
) -> Tuple[float, Floats3d, HostFloats2d]:
    """The sum of the losses, and its gradients by scores and transitions."""
    possible = numpy.ones(chain.scores.shape, dtype=bool)
    for row, doc in zip(possible, gold):
        tags = doc.tags[doc.rows]
        (known,) = numpy.nonzero(tags != MISSING)
        row[known] = False
        row[known, tags[known]] = True
    totals, d_scores, d_transitions = get_marginals(chain)
    right = chain._replace(scores=numpy.where(possible, chain.scores, -numpy.inf))
    right_totals, right_tags, right_pairs = get_marginals(right)
    loss = float((totals - right_totals).sum())
    d_scores -= right_tags
    d_transitions -= right_pairs
    for i, doc in enumerate(gold):
        one = Chain(chain.scores[i : i + 1], chain.lengths[i : i + 1], chain.transitions)
        for span in doc.incorrect:
            wrong_loss, d_tags, d_pairs = _unlikelihood(one, doc, span, tag_set)
            loss += wrong_loss
            d_scores[i : i + 1] += d_tags
            d_transitions += d_pairs
    return loss, d_scores, d_transitions


def _unlikelihood(
    chain: Chain, gold: Gold, span: Incorrect, tag_set: TagSet
) -> Tuple[float, Floats3d, HostFloats2d]:
    """-log(1 - p), where p is the probability that the tags encode exactly this entity, and its
    gradients."""
    spelled = numpy.array(chain.scores)
    places = numpy.searchsorted(gold.rows, span.rows)
    spelled[0, places] = numpy.where(
        _one_hot(span.tags, len(tag_set)), spelled[0, places], -numpy.inf
    )
    if span.follower is not None:
        longer = tag_set.continues[span.tags[-1]]
        spelled[0, places[-1] + 1, longer] = -numpy.inf
    totals, tags, pairs = get_marginals(chain)
    wrong_totals, wrong_tags, wrong_pairs = get_marginals(chain._replace(scores=spelled))
    p = float(numpy.exp(wrong_totals - totals)[0])
    rest = max(1.0 - p, FLOOR)
    odds = p / rest
    return -math.log(rest), odds * (wrong_tags - tags), odds * (wrong_pairs - pairs)


def _one_hot(tags: Ints1d, n_tags: int) -> Bools2d:
    hot: Bools2d = tags[:, None] == numpy.arange(n_tags)
    return hot
