"""Remember the pipeline that each component was made for."""

from typing import Any, Optional
from weakref import ReferenceType, WeakKeyDictionary, ref

from spacy.language import Language

# As long as both exist. Not an attribute of the component, which is copied and pickled without its
# pipeline.
_PIPELINES: "WeakKeyDictionary[Any, ReferenceType[Language]]" = WeakKeyDictionary()


def remember_pipeline(component: Any, nlp: Language) -> None:
    """Let `get_pipeline` find the pipeline of a component.

    component (Any): The component.
    nlp (Language): The pipeline that it was made for.
    """
    _PIPELINES[component] = ref(nlp)


def get_pipeline(component: Any) -> Optional[Language]:
    """RETURNS (Optional[Language]): The pipeline that a component was made for; None if that is
    unknown or gone.

    component (Any): The component.
    """
    remembered = _PIPELINES.get(component)
    return None if remembered is None else remembered()
