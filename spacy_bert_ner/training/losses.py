"""Losses that a config can name."""

import math
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Protocol, Sequence, Tuple, runtime_checkable

import numpy
from thinc.api import Ops
from thinc.types import Floats1d, Floats2d

from ..errors import UserError
from ..model.heads import AnyModel, check_loss
from ..model.transfer import split_like
from ..tagging.gold import MISSING, Gold, Incorrect, join
from ..tagging.schemes import TagSet
from ..types import Ints1d

OUTSIDE = "O"
TINY = float(numpy.finfo("float32").tiny)
# The least value of 1 - p for a wrong entity: float32 probabilities are no more exact.
FLOOR = 1e-7


@runtime_checkable
class Loss(Protocol):
    """A loss for the tags of tokens."""

    def check(self, labels: Sequence[str], model: AnyModel) -> None:
        """Check that this loss fits a component.

        labels (Sequence[str]): Labels of the component.
        model (AnyModel): Its model.
        RAISES (ValueError): If the settings don't fit the labels, or the loss doesn't fit the
            model.
        """

    def __call__(
        self, model: AnyModel, scores: List[Floats2d], gold: List[Gold], tag_set: TagSet
    ) -> Tuple[float, List[Floats2d]]:
        """Calculate the loss of a batch.

        model (AnyModel): The model that gave the scores.
        scores (List[Floats2d]): The outputs of its head, see `model.heads.Head`, (n_tokens,
            n_tags).
        gold (List[Gold]): The annotation of the documents.
        tag_set (TagSet): The tags.
        RETURNS (Tuple[float, List[Floats2d]]): The loss, and the gradient for the model, float32,
            (n_tokens, n_tags).
        """


@dataclass(frozen=True)
class CrossEntropy:
    """Mean cross-entropy of the tokens that have a gold tag, weighted by label. A span that is
    known to be no entity, predicted with probability p, adds -log(1 - p) (unlikelihood, Welleck et
    al. 2020). With a confidence penalty, the mean entropy of the same tokens, with the same
    weights, is subtracted.

    Attributes
    ----------
    label_weights (Dict[str, float]): Weights of labels, and of "O"; 1 for those not named.
    label_smoothing (float): Share of the gold tag's probability that is spread over all tags
        (Szegedy et al. 2016), 0 to 1.
    confidence_penalty (float): Weight of the entropy that is subtracted (Pereyra et al. 2017), 0 or
        more.
    """

    label_weights: Dict[str, float] = field(default_factory=dict)
    label_smoothing: float = 0.0
    confidence_penalty: float = 0.0

    def check(self, labels: Sequence[str], model: AnyModel) -> None:
        """Check that this loss fits a component.

        labels (Sequence[str]): Labels of the component.
        model (AnyModel): Its model.
        RAISES (ValueError): For the weight of a label that the component doesn't have, and for a
            model that doesn't give probabilities.
        """
        check_loss(
            model,
            "spacy-bert-ner.CrossEntropy.v1",
            "probabilities",
            "spacy-bert-ner.LinearSoftmax.v1",
        )
        unknown = sorted(set(self.label_weights) - {OUTSIDE, *labels})
        if unknown:
            raise UserError(
                f"Can't weight the labels {unknown}, which the component doesn't have. It has "
                f"{sorted(labels)}, and O for tokens outside of entities: correct label_weights."
            )

    def __call__(
        self, model: AnyModel, scores: List[Floats2d], gold: List[Gold], tag_set: TagSet
    ) -> Tuple[float, List[Floats2d]]:
        """Calculate the loss of a batch.

        model (AnyModel): The model that gave the scores.
        scores (List[Floats2d]): Tag probabilities, (n_tokens, n_tags).
        gold (List[Gold]): The annotation of the documents.
        tag_set (TagSet): The tags.
        RETURNS (Tuple[float, List[Floats2d]]): The loss, and its gradient with respect to
            the inputs of the softmax: zero for tokens without a gold tag.
        """
        ops = model.ops
        weights = self._get_tag_weights(tag_set)
        tags, incorrect = join(gold)
        known = tags != MISSING
        total = max(float(weights[tags[known]].sum(dtype="float64")) + len(incorrect), TINY)
        probs: Any = ops.flatten(scores)
        gradient = ops.xp.zeros_like(probs)
        rows = ops.xp.asarray(numpy.nonzero(known)[0])
        loss, gradient[rows] = self._cross_entropy(ops.xp, probs[rows], tags[known], weights)
        if incorrect:
            loss += _add_unlikelihood(ops, probs, incorrect, tag_set, gradient)
        return loss / total, split_like(gradient / total, scores)

    def _cross_entropy(
        self, xp: Any, probs: Any, gold_tags: Ints1d, weights: Floats1d
    ) -> Tuple[float, Any]:
        """RETURNS (Tuple[float, ndarray]): The sum over tokens, and its gradient, (n_tokens,
        n_tags)."""
        tags = xp.asarray(gold_tags)
        targets = xp.full(probs.shape, self.label_smoothing / len(weights), "float32")
        targets[xp.arange(len(tags)), tags] += 1.0 - self.label_smoothing
        row_weights = xp.asarray(weights)[tags][:, None]
        gradient = row_weights * (probs - targets)
        log_probs = xp.log(xp.maximum(probs, TINY))
        loss = -(row_weights * targets * log_probs).sum()
        if self.confidence_penalty:
            row_weights = self.confidence_penalty * row_weights
            entropies = -(probs * log_probs).sum(axis=1, keepdims=True)
            loss -= (row_weights * entropies).sum()
            gradient += row_weights * probs * (log_probs + entropies)
        return float(loss), gradient

    def _get_tag_weights(self, tag_set: TagSet) -> Floats1d:
        labels = [OUTSIDE, *tag_set.labels]
        weights = [self.label_weights.get(label, 1.0) for label in labels]
        by_tag: Floats1d = numpy.array(weights, dtype="float32")[tag_set.label_ids + 1]
        return by_tag


def make_cross_entropy(
    label_weights: Optional[Dict[str, float]] = None,
    label_smoothing: float = 0.0,
    confidence_penalty: float = 0.0,
) -> CrossEntropy:
    """Construct `spacy-bert-ner.CrossEntropy.v1`: the mean cross-entropy of the tokens that have a
    gold tag, for models with a softmax. A span that is known to be no entity
    (`incorrect_spans_key`), predicted with probability p, adds -log(1 - p) (unlikelihood, Welleck
    et al. 2020).

    label_weights (Optional[Dict[str, float]]): Weights of labels, and of "O" for tokens outside of
        entities, 0 or more; 1 for those not named. null weights all by 1.
    label_smoothing (float): Share of the gold tag's probability that is spread over all tags
        (Szegedy et al. 2016), 0 or more and below 1.
    confidence_penalty (float): Weight of the mean entropy, which is subtracted (Pereyra et al.
        2017), 0 or more. It makes a model less overconfident.
    RETURNS (CrossEntropy): The loss.
    RAISES (ValueError): For settings out of their range.
    """
    label_weights = dict(label_weights or {})
    wrong = {label: weight for label, weight in label_weights.items() if not weight >= 0.0}
    if wrong:
        raise UserError(
            f"Can't weight labels by {wrong}: set label_weights to numbers of 0 or more."
        )
    if not 0.0 <= label_smoothing < 1.0:
        raise UserError(
            f"Can't smooth labels by {label_smoothing}: set label_smoothing to 0 for none, or to a "
            "share below 1, such as 0.1."
        )
    if not (confidence_penalty >= 0.0 and math.isfinite(confidence_penalty)):
        raise UserError(
            f"Can't use confidence_penalty = {confidence_penalty}: set it to 0 for none, or to a "
            "number above it, such as 1."
        )
    return CrossEntropy(label_weights, label_smoothing, confidence_penalty)


def rehearsal_loss(
    ops: Ops, targets: List[Floats2d], probs: List[Floats2d]
) -> Tuple[float, List[Floats2d]]:
    """Calculate the mean squared distance, per token, between probabilities and those of the
    original model. The gradient is that of the cross-entropy between them, as in the rehearsal of
    spaCy's tagger. Tags that the original model doesn't have are ignored.

    ops (Ops): Ops of the model.
    targets, probs (List[Floats2d]): Tag probabilities, float32, (n_tokens, n_tags).
    RETURNS (Tuple[float, List[Floats2d]]): The loss, and the gradient with respect to the inputs
        of the softmax.
    """
    n_known = targets[0].shape[1]
    P: Any = ops.flatten(probs)
    gradient = P * 0.0
    known = P[:, :n_known] / (P[:, :n_known].sum(axis=1, keepdims=True) + TINY)
    difference = known - ops.flatten(targets)
    gradient[:, :n_known] = difference / float(len(P))
    loss = float((difference**2).sum()) / len(P)
    return loss, split_like(gradient, probs)


def _add_unlikelihood(
    ops: Ops, probs: Any, spans: List[Incorrect], tag_set: TagSet, gradient: Any
) -> float:
    """Add the gradient of -log(1 - p) of each entity, where p is the probability that the tags
    encode exactly this entity: the tags of its tokens, and after them no tag that would make it
    longer. Entities are few, and are calculated on the CPU.

    RETURNS (float): The sum of -log(1 - p).
    """
    followers = [span.follower for span in spans if span.follower is not None]
    rows = numpy.unique(numpy.concatenate([*(span.rows for span in spans), followers]).astype(int))
    some = ops.xp.asarray(rows)
    P = ops.to_numpy(probs[some]).astype("float64")
    d_P = numpy.zeros_like(P)
    loss = 0.0
    for span in spans:
        places = numpy.searchsorted(rows, span.rows)
        longer = tag_set.continues[span.tags[-1]]
        p_tags = float(P[places, span.tags].prod())
        p_longer = 0.0
        if span.follower is not None:
            follower = numpy.searchsorted(rows, span.follower)
            p_longer = float(P[follower, longer].sum())
        rest = max(1.0 - p_tags * (1.0 - p_longer), FLOOR)
        odds = p_tags * (1.0 - p_longer) / rest
        d_P[places] -= odds * P[places]
        d_P[places, span.tags] += odds
        if span.follower is not None:
            d_P[follower] -= (p_tags / rest) * P[follower] * (longer - p_longer)
        loss -= math.log(rest)
    gradient[some] += ops.xp.asarray(d_P.astype("float32"))
    return loss
