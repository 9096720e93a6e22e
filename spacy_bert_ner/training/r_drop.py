"""R-Drop (Liang et al. 2021): each document is read twice with different dropout, and the loss
makes the two predictions agree. The batcher makes the copies, and the loss compares their
predictions."""

import warnings
from dataclasses import dataclass
from itertools import chain
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

import numpy
from spacy.training import Example
from thinc.types import Floats2d

from ..characters import add_before
from ..errors import UserError
from ..model.heads import AnyModel, check_loss
from ..model.transfer import split_like
from ..tagging.gold import MISSING, Gold
from ..tagging.schemes import TagSet
from .losses import TINY, CrossEntropy, Loss

Batcher = Callable[[Iterable[Example]], Iterable[List[Example]]]


def make_batch_twice(batcher: Batcher) -> Batcher:
    """Construct `spacy-bert-ner.batch_twice.v1`: a batcher that puts each example into its batch
    twice, as the loss `spacy-bert-ner.RDrop.v1` needs it.

    batcher (Batcher): Another batcher, which makes the batches.
    RETURNS (Batcher): Makes the same batches, with the two copies of an example next to each other.
    """

    def batch(examples: Iterable[Example]) -> Iterator[List[Example]]:
        for chunk in batcher(examples):
            # Next to each other, so that accumulate_gradient, which divides a batch, separates few
            # of them.
            pairs = ((eg, Example(eg.predicted.copy(), eg.reference)) for eg in chunk)
            yield list(chain.from_iterable(pairs))

    return batch


@dataclass(frozen=True)
class RDrop:
    """Another loss, plus the divergence between the two predictions for documents that are in a
    batch twice. For documents that are in it once, it is the other loss alone.

    Attributes
    ----------
    loss (Loss): The other loss, for models that give probabilities.
    weight (float): Weight of the symmetric Kullback-Leibler divergence, a mean over tokens.
    """

    loss: Loss
    weight: float

    def check(self, labels: Sequence[str], model: AnyModel) -> None:
        """Check that this loss fits a component.

        labels (Sequence[str]): Labels of the component.
        model (AnyModel): Its model.
        RAISES (ValueError): If the other loss doesn't fit, and for a model that doesn't give
            probabilities.
        """
        check_loss(
            model, "spacy-bert-ner.RDrop.v1", "probabilities", "spacy-bert-ner.LinearSoftmax.v1"
        )
        self.loss.check(labels, model)

    def __call__(
        self, model: AnyModel, scores: List[Floats2d], gold: List[Gold], tag_set: TagSet
    ) -> Tuple[float, List[Floats2d]]:
        """Calculate the loss of a batch.

        model (AnyModel): The model that gave the scores.
        scores (List[Floats2d]): Tag probabilities, (n_tokens, n_tags).
        gold (List[Gold]): The annotation of the documents.
        tag_set (TagSet): The tags.
        RETURNS (Tuple[float, List[Floats2d]]): The loss, and its gradient with respect to
            the inputs of the softmax.
        """
        loss, gradients = self.loss(model, scores, gold, tag_set)
        pairs = find_pairs(gold)
        if not pairs:
            warnings.warn(
                "spacy-bert-ner.RDrop.v1 has nothing to compare: no document is in this batch "
                'twice. Set [training.batcher] @batchers = "spacy-bert-ner.batch_twice.v1".',
                stacklevel=2,
            )
            return loss, gradients
        ops, firsts = model.ops, add_before([len(P) for P in scores])
        known = [numpy.nonzero(gold[i].tags != MISSING)[0] for i, _ in pairs]
        one, other = (
            ops.xp.asarray(numpy.concatenate([rows + first for rows, first in zip(known, starts)]))
            for starts in firsts[numpy.array(pairs)].T
        )
        factor = self.weight / max(len(one), 1)
        probs: Any = ops.flatten(scores)
        gradient: Any = ops.flatten(gradients)
        divergence, dP, dQ = _diverge(ops.xp, probs[one], probs[other])
        gradient[one] += factor * dP
        gradient[other] += factor * dQ
        return loss + factor * float(divergence.sum()), split_like(gradient, scores)


def make_rdrop(loss: Optional[Loss] = None, weight: float = 1.0) -> RDrop:
    """Construct `spacy-bert-ner.RDrop.v1` (Liang et al. 2021): another loss, plus the divergence
    between two predictions for the same document, which was read twice with different dropout. Use
    it with the batcher `spacy-bert-ner.batch_twice.v1`, for models with a softmax.

    loss (Optional[Loss]): The other loss; null for `spacy-bert-ner.CrossEntropy.v1` with its
        defaults.
    weight (float): Weight of the divergence (symmetric Kullback-Leibler, a mean over tokens), above
        0.
    RETURNS (RDrop): The loss.
    RAISES (ValueError): For a weight that isn't above 0.
    """
    if not weight > 0.0:
        raise UserError(
            f"Can't weight the divergence of R-Drop by {weight}: set weight to a number above 0, "
            "such as 1."
        )
    return RDrop(CrossEntropy() if loss is None else loss, weight)


def find_pairs(gold: List[Gold]) -> List[Tuple[int, int]]:
    """Find the documents that were read twice.

    gold (List[Gold]): What is known of the documents of a batch.
    RETURNS (List[Tuple[int, int]]): The indices of the two copies of each document.
    """
    pairs = []
    waiting: Dict[int, int] = {}
    for i, doc in enumerate(gold):
        key = id(doc.reference)
        if key in waiting:
            pairs.append((waiting.pop(key), i))
        else:
            waiting[key] = i
    return pairs


def _diverge(xp: Any, P: Any, Q: Any) -> Tuple[Any, Any, Any]:
    """The mean of KL(P, Q) and KL(Q, P) of each row, and its gradients with respect to the inputs
    of both softmaxes."""
    ratio = xp.log(xp.maximum(P, TINY)) - xp.log(xp.maximum(Q, TINY))
    forth, back = (P * ratio).sum(axis=1), -(Q * ratio).sum(axis=1)
    dP = 0.5 * (P * (ratio - forth[:, None]) + P - Q)
    dQ = 0.5 * (Q * (-ratio - back[:, None]) + Q - P)
    return 0.5 * (forth + back), dP, dQ
