from typing import Any, Callable, Optional, Protocol, runtime_checkable

from spacy.language import Language


@runtime_checkable
class CheckpointLoader(Protocol):
    """The type of `checkpoint` in `BertNER.initialize`: gives labels and weights to start from."""

    def prepare(self, component: Any, nlp: Optional[Language]) -> Callable[[], None]:
        """Read the checkpoint, give the component its labels, and the encoder its weights.

        component (BertNER): The component, not initialized.
        nlp (Optional[Language]): The pipeline, with the encoder that the component listens to.
        RETURNS (Callable[[], None]): Writes the weights of the classifier, once the model of the
            component is initialized.
        RAISES (ValueError): If it can't be read, or doesn't fit the component.
        """
