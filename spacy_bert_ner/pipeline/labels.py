"""The labels of a component, and a model with an output for each of their tags."""

from itertools import islice
from typing import Any, Callable, Iterable, List, Optional, Set, Tuple

from spacy.errors import Errors
from spacy.training import Example

from ..errors import UserError, warn
from ..tagging.calibration import CALIBRATION, Calibration
from ..tagging.gold import get_labels
from ..tagging.schemes import TagSet, get_tag_set
from ..tagging.settings import Settings
from .saving import SavedPipe


class LabeledPipe(SavedPipe):
    """A component whose settings and labels, in `cfg`, determine which tags its model predicts."""

    _reported: Set[str]  # unknown labels that were reported

    @property
    def settings(self) -> Settings:
        """RETURNS (Settings): The current settings in `cfg`."""
        return Settings.from_cfg(self.cfg)

    @property
    def calibration(self) -> Calibration:
        """RETURNS (Calibration): How its scores are calibrated."""
        return Calibration.from_cfg(self.cfg)

    @property
    def labels(self) -> Tuple[str, ...]:
        """RETURNS (Tuple[str, ...]): The labels, in the order of their tags."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> List[str]:
        """RETURNS (List[str]): The labels, for `spacy init labels` and `initialize`."""
        return list(self.cfg["labels"])

    @property
    def tag_set(self) -> TagSet:
        """RETURNS (TagSet): The tags that the model predicts, in its order."""
        return get_tag_set(self.cfg["scheme"], self.labels)

    @property
    def n_outputs(self) -> Optional[int]:
        """RETURNS (Optional[int]): The number of tags that the model has outputs for; None if it
        isn't initialized, so that it isn't set yet."""
        layer = self.model.maybe_get_ref("output_layer")
        return None if layer is None else layer.maybe_get_dim("nO")

    def add_label(self, label: str) -> int:
        """Add a label. In an initialized model, its tags are added after the others, which keep
        their weights.

        label (str): The label.
        RETURNS (int): 0 if the component has the label already, otherwise 1.
        RAISES (ValueError): If no tags can be added to the model.
        """
        if not isinstance(label, str):
            raise ValueError(Errors.E187)
        if label in self.labels:
            return 0
        n_needed = len(get_tag_set(self.cfg["scheme"], (*self.labels, label)))
        if self.n_outputs is not None and self.n_outputs < n_needed:
            if not self.is_resizable:
                raise UserError(Errors.E922.format(name=self.name, nO=self.n_outputs))
            self.set_output(n_needed)
        self.cfg["labels"].append(label)
        self.vocab.strings.add(label)
        return 1

    def _initialize_model(self, get_examples: Callable[[], Iterable[Example]]) -> None:
        """Initialize the weights of the model, with outputs for the labels.

        get_examples (Callable[[], Iterable[Example]]): Returns a representative sample of examples.
        """
        self._drop_calibration()
        filled = (example.x for example in get_examples() if len(example.x))
        sample = list(islice(filled, 10))
        Y: List[Any] = [self.model.ops.alloc2f(len(doc), len(self.tag_set)) for doc in sample]
        self.model.initialize(X=sample or None, Y=Y or None)

    def _drop_calibration(self) -> None:
        """Remove the calibration, with a warning: it was fitted to scores of other weights."""
        if self.cfg.pop(CALIBRATION, None) is not None:
            warn(
                f"[{self.name}] was calibrated and is now trained: its calibration doesn't fit "
                "the new weights and was removed. After training, run spacy bert-ner calibrate."
            )

    def report_labels(self, examples: Iterable[Example]) -> None:
        """Log a warning, once for each label, for gold labels that the model doesn't have. At
        initialization, only the beginning of a stream of examples is read.

        examples (Iterable[Example]): Gold documents.
        """
        unknown = set(get_labels(examples)).difference(self.labels, self._reported)
        if unknown:
            self._reported |= unknown
            warn(
                f"[{self.name}] gold entities have the labels {sorted(unknown)}, which the model "
                "doesn't have, and count as outside. Name them in "
                f"[initialize.components.{self.name}] labels to learn them."
            )
