"""The loss of a student that learns from soft labels of teachers and from gold annotation."""

from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple, cast

import numpy
from spacy.util import registry
from thinc.types import Floats2d

from ..characters import add_before
from ..errors import UserError
from ..model.heads import AnyModel, get_head
from ..model.transfer import split_like, to_device, to_host
from ..tagging.crf import differentiate_marginals, get_marginals, like_lengths, make_chain
from ..tagging.decode import constrained_tags
from ..tagging.gold import MISSING, Gold
from ..tagging.schemes import TagSet
from ..types import Floats2d as HostFloats2d
from .crf_loss import CRFLikelihood, get_gradients
from .losses import TINY, Loss

NAME = "spacy-bert-ner.Distillation.v1"
DISTANCES = ("mse", "kl")


@dataclass(frozen=True)
class Distillation:
    """The distance of a student's tag probabilities from those of its teachers, plus another loss
    on gold annotation and on the tags that the teachers agree on. Each sum over a batch is divided
    by the number of its tokens that have gold annotation or soft labels, so that a token counts the
    same in every batch. The probabilities of a CRF are its marginals.

    Attributes
    ----------
    loss (Optional[Loss]): The other loss; None for the default one of the head: `CrossEntropy`, or
        `CRFLikelihood` of a CRF.
    distance (str): "mse" for the mean squared error over tags (Wu et al. 2020), or "kl" for the
        Kullback-Leibler divergence from the teachers (Hinton et al. 2015).
    temperature (float): For "kl": probabilities are raised to 1/t, and the divergence times t².
    soft_weight (float): Weight of the distance.
    hard_weight (float): Weight of the other loss on the teachers' best valid tags.
    min_agreement (float): Share of the teachers that have to agree on these tags, 0 to 1.
    gold_weight (float): Weight of the other loss on gold annotation.
    confidence_penalty (float): Weight of the student's entropy on tokens with soft labels, which is
        subtracted (Pereyra et al. 2017).
    """

    loss: Optional[Loss] = None
    distance: str = "mse"
    temperature: float = 1.0
    soft_weight: float = 1.0
    hard_weight: float = 0.0
    min_agreement: float = 1.0
    gold_weight: float = 1.0
    confidence_penalty: float = 0.0

    def check(self, labels: Sequence[str], model: AnyModel) -> None:
        """Check that this loss fits a component.

        labels (Sequence[str]): Labels of the component.
        model (AnyModel): Its model.
        RAISES (ValueError): If the other loss doesn't fit, or can't be weighted.
        """
        loss = self._get_loss(model)
        loss.check(labels, model)
        if get_head(model).begin_transitions is not None and not isinstance(loss, CRFLikelihood):
            raise UserError(
                f"{NAME} can't use the loss {type(loss).__name__} for {get_head(model).name}, only "
                "CRFLikelihood: set its loss to null."
            )

    def __call__(
        self, model: AnyModel, scores: List[Floats2d], gold: List[Gold], tag_set: TagSet
    ) -> Tuple[float, List[Floats2d]]:
        """Calculate the loss of a batch. The gradient of transitions is passed to the head here.

        model (AnyModel): The model that gave the scores.
        scores (List[Floats2d]): The outputs of its head, (n_tokens, n_tags).
        gold (List[Gold]): The annotation of the documents.
        tag_set (TagSet): The tags.
        RETURNS (Tuple[float, List[Floats2d]]): The loss, and the gradient for the model, float32,
            (n_tokens, n_tags).
        """
        total = max(sum(map(_count_known, gold)), 1)
        parts = [(self.gold_weight, [_get_annotated(doc) for doc in gold])]
        if self.hard_weight:
            parts.append((self.hard_weight, [self._get_agreed(doc, tag_set) for doc in gold]))
        # Convert means over the tokens of a part to shares of the mean over all tokens.
        parts = [(weight * sum(map(_count_tags, part)) / total, part) for weight, part in parts]
        parts = [(weight, part) for weight, part in parts if weight]
        if get_head(model).begin_transitions is not None:
            return self._learn_chains(model, scores, gold, tag_set, total, parts)
        loss, gradients = self._learn_probs(model, scores, gold, total)
        for weight, part in parts:
            part_loss, d_part = self._get_loss(model)(model, scores, part, tag_set)
            loss += weight * part_loss
            for gradient, other in zip(gradients, d_part):
                gradient += weight * other
        return loss, gradients

    def _get_loss(self, model: AnyModel) -> Loss:
        return registry.get("losses", get_head(model).loss)() if self.loss is None else self.loss

    def _get_agreed(self, gold: Gold, tag_set: TagSet) -> Gold:
        """RETURNS (Gold): The best valid tags of the teachers, on tokens where they are also the
        most probable tags and enough teachers agree. All other tags are missing."""
        tags = numpy.full(len(gold.tags), MISSING, dtype="int64")
        soft = gold.soft
        if soft is not None and len(soft.rows):
            log_probs = numpy.log(numpy.maximum(soft.probs, TINY))
            best = constrained_tags(log_probs, numpy.arange(len(soft.rows)) == 0, tag_set)
            agreed = (best == soft.probs.argmax(axis=1)) & (soft.agreement >= self.min_agreement)
            tags[soft.rows[agreed]] = best[agreed]
        return gold._replace(tags=tags, incorrect=[])

    def _learn_probs(
        self, model: AnyModel, scores: List[Floats2d], gold: List[Gold], total: int
    ) -> Tuple[float, List[Any]]:
        """Compare the probabilities of a softmax. The gradient is with respect to its inputs."""
        xp, X = model.ops.xp, cast(Any, model.ops.flatten(scores))
        gradient, loss = xp.zeros_like(X), 0.0
        firsts = add_before([len(X) for X in scores]).tolist()
        taught = [(doc.soft, first) for doc, first in zip(gold, firsts) if doc.soft is not None]
        if taught:
            rows = xp.asarray(numpy.concatenate([soft.rows + first for soft, first in taught]))
            P = xp.asarray(numpy.concatenate([soft.probs for soft, _ in taught]))
            Q = X[rows].astype("float64")
            # A tag whose probability is 0 in float32 can still become more probable.
            is_softmax = get_head(model).output == "probabilities"
            Q = xp.maximum(Q, TINY) if is_softmax else xp.exp(_normalize(xp, Q))
            part, dQ = self._compare(xp, Q, P.astype("float64"))
            loss = part / total
            gradient[rows] = Q * (dQ - (Q * dQ).sum(axis=1, keepdims=True)) / total
        return loss, split_like(gradient, scores)

    def _learn_chains(
        self,
        model: AnyModel,
        scores: List[Floats2d],
        gold: List[Gold],
        tag_set: TagSet,
        total: int,
        parts: List[Tuple[float, List[Gold]]],
    ) -> Tuple[float, List[Any]]:
        """The whole loss of a CRF, on the CPU."""
        ops: Any = model.ops
        transitions, backprop = get_head(model).begin_transitions(  # type: ignore[misc]
            model.get_ref("output_layer")
        )
        arrays, matrix = to_host(ops, scores), ops.to_numpy(transitions)
        loss, gradients, d_transitions = self._learn_marginals(arrays, matrix, gold, tag_set, total)
        for weight, part in parts:
            part_loss, d_part, d_matrix = get_gradients(arrays, matrix, part, tag_set)
            loss += weight * part_loss
            for gradient, other in zip(gradients, d_part):
                gradient += weight * other
            if d_matrix is not None:
                d_transitions += weight * d_matrix
        backprop(ops.asarray2f(d_transitions.astype("float32")))
        return loss, to_device(ops, gradients)

    def _learn_marginals(
        self,
        scores: List[HostFloats2d],
        transitions: HostFloats2d,
        gold: List[Gold],
        tag_set: TagSet,
        total: int,
    ) -> Tuple[float, List[HostFloats2d], HostFloats2d]:
        """Compare the marginals of a CRF."""
        loss = 0.0
        gradients = [numpy.zeros(X.shape, dtype="float32") for X in scores]
        d_transitions = numpy.zeros(transitions.shape)
        taught = numpy.array([i for i, doc in enumerate(gold) if doc.soft and len(doc.soft.rows)])
        for chosen in like_lengths(numpy.array([len(gold[i].rows) for i in taught])):
            docs = taught[chosen].tolist()
            rows = [gold[i].rows for i in docs]
            chain = make_chain([scores[i][row] for i, row in zip(docs, rows)], transitions, tag_set)
            _, marginals, _ = get_marginals(chain)
            directions = numpy.zeros(marginals.shape)
            for k, i in enumerate(docs):
                rows_taught, P, *_ = gold[i].soft
                places = numpy.searchsorted(rows[k], rows_taught)
                part, dQ = self._compare(numpy, marginals[k, places], P.astype("float64"))
                loss += part / total
                directions[k, places] = dQ / total
            d_scores, d_pairs = differentiate_marginals(chain, directions)
            d_transitions += d_pairs
            for i, row, d_doc in zip(docs, rows, d_scores):
                gradients[i][row] = d_doc[: len(row)]
        return loss, gradients, d_transitions

    def _compare(self, xp: Any, Q: Any, P: Any) -> Tuple[float, Any]:
        """Calculate the distance from the teachers' probabilities, and the confidence penalty.

        Q, P (ndarray): Probabilities of the student and of the teachers, float64, (n_rows, n_tags).
        RETURNS (Tuple[float, ndarray]): A sum over rows, and its gradient by Q.
        """
        log_Q = xp.log(xp.maximum(Q, TINY))
        if self.distance == "mse":
            distance = ((Q - P) ** 2).mean(axis=1).sum()
            dQ = 2.0 * (Q - P) / Q.shape[1]
        else:
            t = self.temperature
            log_P = _normalize(xp, xp.log(xp.maximum(P, TINY)) / t)
            log_soft_Q = _normalize(xp, log_Q / t)
            distance = t * t * (xp.exp(log_P) * (log_P - log_soft_Q)).sum()
            dQ = t * (xp.exp(log_soft_Q) - xp.exp(log_P)) / xp.maximum(Q, TINY)
        sureness = self.confidence_penalty * (Q * log_Q).sum()
        d_sureness = self.confidence_penalty * (log_Q + 1.0)
        return float(self.soft_weight * distance + sureness), self.soft_weight * dQ + d_sureness


def make_distillation(
    loss: Optional[Loss] = None,
    distance: str = "mse",
    temperature: float = 1.0,
    soft_weight: float = 1.0,
    hard_weight: float = 0.0,
    min_agreement: float = 1.0,
    gold_weight: float = 1.0,
    confidence_penalty: float = 0.0,
) -> Distillation:
    """Construct `spacy-bert-ner.Distillation.v1`: the loss of a student that learns from the soft
    labels that `spacy bert-ner label` writes, and from gold annotation.

    loss (Optional[Loss]): The loss on gold tags, and on the tags that the teachers agree on; null
        for `CrossEntropy.v1`, or, if the model has a CRF, `CRFLikelihood.v1`.
    distance (str): Distance of the student's tag probabilities from those of the teachers: "mse",
        the mean squared error over tags (Wu et al. 2020), or "kl", the Kullback-Leibler divergence
        (Hinton et al. 2015).
    temperature (float): Temperature of "kl", above 0. Above 1, less probable tags count more.
    soft_weight (float): Weight of the distance, 0 or more.
    hard_weight (float): Weight of the loss on the tags that the teachers agree on, 0 or more.
    min_agreement (float): Share of the teachers, by weight, that have to agree on a tag, 0 to 1.
    gold_weight (float): Weight of the loss on gold annotation, 0 or more.
    confidence_penalty (float): Weight of the student's mean entropy, which is subtracted (Pereyra
        et al. 2017), 0 or more. It makes a student less overconfident.
    RETURNS (Distillation): The loss.
    RAISES (ValueError): For settings out of their range, and if both `soft_weight` and
        `hard_weight` are 0.
    """
    if distance not in DISTANCES:
        raise UserError(f'{NAME} has no distance {distance!r}: set it to "mse" or "kl".')
    if not (temperature > 0.0 and numpy.isfinite(temperature)):
        raise UserError(
            f"{NAME} can't use temperature = {temperature}: set it to a number above 0, such as 2."
        )
    if distance == "mse" and temperature != 1.0:
        raise UserError(
            f'{NAME} uses temperature = {temperature} only with distance = "kl": set temperature '
            'to 1, or distance to "kl".'
        )
    if not 0.0 <= min_agreement <= 1.0:
        raise UserError(
            f"{NAME} can't use min_agreement = {min_agreement}: set it to a share of the teachers "
            "from 0 to 1."
        )
    weights = {
        "soft_weight": soft_weight,
        "hard_weight": hard_weight,
        "gold_weight": gold_weight,
        "confidence_penalty": confidence_penalty,
    }
    for name, weight in weights.items():
        if not (weight >= 0.0 and numpy.isfinite(weight)):
            raise UserError(f"{NAME} can't use {name} = {weight}: set it to a number of 0 or more.")
    if not soft_weight and not hard_weight:
        raise UserError(
            f"{NAME} learns nothing from teachers with soft_weight = 0 and hard_weight = 0: set "
            "one of them above 0."
        )
    return Distillation(loss, distance, temperature, min_agreement=min_agreement, **weights)


def _normalize(xp: Any, X: Any) -> Any:
    """RETURNS (ndarray): The logarithms of softmax(X), by row."""
    X = X - X.max(axis=1, keepdims=True)
    return X - xp.log(xp.exp(X).sum(axis=1, keepdims=True))


def _count_tags(gold: Gold) -> int:
    return int((gold.tags != MISSING).sum()) + len(gold.incorrect)


def _count_known(gold: Gold) -> int:
    """RETURNS (int): The number of tokens with gold annotation or soft labels, and of wrong
    entities."""
    annotated = _get_annotated(gold)
    known = annotated.tags != MISSING
    if gold.soft is not None:
        known[gold.soft.rows] = True
    return int(known.sum()) + len(annotated.incorrect)


def _get_annotated(gold: Gold) -> Gold:
    """RETURNS (Gold): Gold annotation alone, without the entities that teachers predicted."""
    if gold.soft is None or gold.soft.has_gold:
        return gold
    return gold._replace(tags=numpy.full_like(gold.tags, MISSING), incorrect=[])
