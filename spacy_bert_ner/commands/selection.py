"""Select the sentences of a file with soft labels that are worth learning from."""

from array import array
from typing import Any, NamedTuple, Optional

import numpy
from spacy.tokens import Doc

from ..errors import UserError
from ..findings import number
from ..tagging.decode import constrained_tags
from ..tagging.soft_labels import SoftLabels
from ..types import Bools1d, Floats1d, Ints1d
from .checks import needing_sklearn

TINY = numpy.finfo("float32").tiny
# Added to variances of losses from 0 to 1, as in Li et al. 2020 (DivideMix), so that the many
# sentences with losses near 0 don't become a separate component.
LEAST_VARIANCE = 5e-4


class Selection(NamedTuple):
    """The criteria to keep units, applied one after the other.

    agreed (bool): Keep units in which all teachers have the same best tag for each token.
    min_entities (int): Keep units with at least this many entities.
    top (Optional[float]): Keep this share of them, those with the highest confidence, above 0 to 1;
        None for all.
    mixture (Optional[float]): Keep units whose probability of belonging to the lower component of a
        Gaussian mixture of losses is above this, from 0 to below 1; None for all.
    """

    agreed: bool = False
    min_entities: int = 0
    top: Optional[float] = None
    mixture: Optional[float] = None

    def check(self) -> None:
        """RAISES (UserError): If it keeps everything or is invalid, or if scikit-learn is needed
        and isn't installed.
        """
        if self.top is not None and self.mixture is not None:
            raise UserError("Can't use both --top and --mixture: leave one out.")
        if self.top is not None and not 0.0 < self.top <= 1.0:
            raise UserError(f"--top is {self.top}: set it above 0 and up to 1, for example 0.8.")
        if self.mixture is not None:
            if not 0.0 <= self.mixture < 1.0:
                raise UserError(
                    f"--mixture is {self.mixture}: set it from 0 to below 1, for example 0.5."
                )
            import_mixture()
        if self == Selection():
            raise UserError(
                "Nothing to filter by: set --agreed, --min-entities, --top or --mixture."
            )

    def select(self, units: "Units") -> Bools1d:
        """Select units. Units without soft labels aren't selected.

        units (Units): All units of a file.
        RETURNS (Bools1d): Whether to keep each one, bool, (n_units,).
        RAISES (UserError): If no mixture can be fit to the losses of the remaining units.
        """
        columns = {name: numpy.array(column) for name, column in vars(units).items()}
        kept: Bools1d = columns["n_labeled"] > 0
        if self.agreed:
            kept &= columns["agreed"] > 0
        kept &= columns["n_ents"] >= self.min_entities
        (left,) = numpy.nonzero(kept)
        if self.top is not None:
            order = numpy.argsort(-columns["confidences"][left], kind="stable")
            kept[left[order[max(round(self.top * len(left)), 1) :]]] = False
        if self.mixture is not None and len(left):
            kept[left] = get_low_posteriors(columns["losses"][left]) > self.mixture
        return kept


class Units:
    """Measurements of sentences, or of documents without sentence boundaries, in the order of a
    file.

    Attributes
    ----------
    n_labeled (array): Number of tokens with soft labels.
    agreed (array): 1 if all teachers have the same best tag for each of these tokens.
    n_ents (array): Number of entities that begin in the unit.
    confidences (array): The mean probability of the best tags of tokens.
    losses (array): The mean negative log-probability of the best valid tags.
    """

    def __init__(self) -> None:
        # Arrays need a few bytes per unit, lists about a hundred.
        self.n_labeled, self.agreed, self.n_ents = array("q"), array("b"), array("q")
        self.confidences, self.losses = array("d"), array("d")

    def add(self, doc: Doc, soft: SoftLabels) -> None:
        """Measure the units of a document.

        doc (Doc): The document.
        soft (SoftLabels): Its soft labels.
        """
        owners = get_owners(doc)
        (rows,) = numpy.nonzero(soft.probs.any(axis=1))
        n = int(owners[-1]) + 1 if len(owners) else 0
        taught, probs = owners[rows], soft.probs[rows]
        n_labeled = numpy.bincount(taught, minlength=n)
        divided = numpy.bincount(taught, soft.agreement[rows] < 1.0, minlength=n)
        ents = owners[[ent.start for ent in doc.ents]] if doc.ents else owners[:0]
        log_probs = numpy.log(numpy.maximum(probs, TINY))
        breaks = numpy.diff(taught, prepend=-1) > 0
        best = constrained_tags(log_probs, breaks, soft.tag_set)
        losses = -log_probs[numpy.arange(len(best)), best]
        sizes = numpy.maximum(n_labeled, 1)
        self.n_labeled.extend(n_labeled.tolist())
        self.agreed.extend((divided == 0).astype(int).tolist())
        self.n_ents.extend(numpy.bincount(ents, minlength=n).tolist())
        highest = probs.max(axis=1)
        self.confidences.extend((numpy.bincount(taught, highest, minlength=n) / sizes).tolist())
        self.losses.extend((numpy.bincount(taught, losses, minlength=n) / sizes).tolist())


def get_owners(doc: Doc) -> Ints1d:
    """Number the units of a document: its sentences, or the whole document if none are marked.

    doc (Doc): The document.
    RETURNS (Ints1d): The unit of each token, from 0, int64, (n_tokens,).
    """
    begins = numpy.zeros(len(doc), dtype="int64")
    if doc.has_annotation("SENT_START"):
        begins[1:] = doc.to_array("SENT_START")[1:] == 1
    return numpy.cumsum(begins)


def get_low_posteriors(losses: Floats1d) -> Floats1d:
    """Fit a mixture of two Gaussians to losses, scaled to the range from 0 to 1.

    losses (Floats1d): The loss of each unit, (n_units,).
    RETURNS (Floats1d): The probability of the component with the lower mean, (n_units,). It never
        increases with the loss, whatever the variances are: losses below the lower mean count as
        that mean, and losses above the higher mean as that one.
    RAISES (UserError): If all losses are the same.
    """
    low, high = (losses.min(), losses.max())
    if low == high:
        raise UserError(
            f"Can't fit a mixture to the losses of {number(len(losses), 'sentence')}: all are "
            "equal. Label more sentences, or use --top."
        )
    scaled = ((losses - low) / (high - low))[:, None]
    mixture = import_mixture()(2, reg_covar=LEAST_VARIANCE, max_iter=1000, random_state=0)
    means = mixture.fit(scaled).means_.ravel()
    posteriors = mixture.predict_proba(scaled.clip(means.min(), means.max()))
    found: Floats1d = posteriors[:, means.argmin()]
    return found


def import_mixture() -> Any:
    """RETURNS (type): GaussianMixture of scikit-learn.
    RAISES (UserError): If it isn't installed.
    """
    with needing_sklearn("fit a mixture"):
        from sklearn.mixture import GaussianMixture
    return GaussianMixture
