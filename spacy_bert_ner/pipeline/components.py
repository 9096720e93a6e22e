"""Find the component that a command reads or writes."""

from typing import Optional, Tuple

from spacy.language import Language

from ..errors import UserError
from .bert_ner import BertNER


def find_component(nlp: Language, name: Optional[str] = None) -> Tuple[str, BertNER]:
    """Find the entity recognizer of a pipeline.

    nlp (Language): The pipeline.
    name (Optional[str]): Its name; None if there is only one.
    RETURNS (Tuple[str, BertNER]): Its name, and the component.
    RAISES (ValueError): If there is none, or several.
    """
    names = [pipe for pipe, component in nlp.components if isinstance(component, BertNER)]
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        if not names:
            raise UserError(
                f"The pipeline has no bert_ner, only {nlp.component_names}. Add one, and train it."
            )
        given = "several" if name is None else f"no bert_ner named '{name}', but"
        raise UserError(
            f'The pipeline has {given} {names}: name one, as component="{names[0]}" in Python '
            f"or --component {names[0]} on the command line."
        )
    return name, dict(nlp.components)[name]  # type: ignore[return-value]
