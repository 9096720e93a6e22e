"""What a component's listener layers hear from, and what to do when they hear nothing."""

from typing import Any, Iterable, List, Optional

from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model

ADD = (
    'Add a transformer before \'{name}\': nlp.add_pipe("transformer", before="{name}") with a '
    'model "spacy-bert-ner.TransformerModel.v1", or "transformer" before "{name}" in '
    "[nlp] pipeline with a block [components.transformer]."
)


def get_listeners(model: Model) -> List[Any]:
    """RETURNS (List[Any]): The spacy-transformers listeners in a model, known by their name, so
    that spacy-transformers isn't imported for models that have none."""
    return [
        node
        for node in model.walk()
        if node.name == "transformer-listener" and hasattr(node, "upstream_name")
    ]


def check_upstream(nlp: Language, name: str, model: Model) -> None:
    """Check at initialization that every listener of a component has a transformer to listen to,
    and that it will be heard in training.

    RAISES (ValueError): If there is none, or if it is frozen and doesn't annotate.
    """
    for listener in get_listeners(model):
        upstream = _find_upstream(nlp, name, listener)
        if upstream is None:
            raise ValueError(_missing(nlp, name, listener))
        training = nlp.config["training"]
        frozen = upstream in training["frozen_components"]
        if frozen and upstream not in training["annotating_components"]:
            raise ValueError(
                f"'{name}' can't train on the frozen '{upstream}' without its output. Set "
                f'annotating_components = ["{upstream}"] in [training], beside '
                "frozen_components, behind those that are there."
            )


def check_output(docs: Iterable[Doc], name: str, model: Model) -> None:
    """Check before prediction that the transformer has seen the documents: a listener would give
    zeros for those it hasn't.

    RAISES (ValueError): If it hasn't.
    """
    if not get_listeners(model):
        return
    for doc in docs:
        if len(doc) and not (Doc.has_extension("trf_data") and doc._.trf_data is not None):
            raise ValueError(
                f"'{name}' got a document without transformer output: the transformer is missing, "
                f"disabled, behind '{name}', or its output was removed (by doc_cleaner). Enable "
                f'it: nlp.enable_pipe("transformer"). ' + ADD.format(name=name)
            )


def _find_upstream(nlp: Language, name: str, listener: Model) -> Optional[str]:
    for upstream, pipe in nlp.components:
        if listener in getattr(pipe, "listener_map", {}).get(name, []):
            return upstream
    return None


def _missing(nlp: Language, name: str, listener: Any) -> str:
    wanted = listener.upstream_name
    others = [
        pipe for pipe in nlp.component_names if nlp.get_pipe_meta(pipe).factory == "transformer"
    ]
    which = "a transformer" if wanted == "*" else f"a transformer named '{wanted}'"
    if not others:
        return f"'{name}' listens to {which}, and the pipeline has none. " + ADD.format(name=name)
    return (
        f"'{name}' listens to {which}, and can't hear {others}: a transformer must be enabled, "
        f"stand before '{name}', and bear the name that `upstream` asks for."
    )
