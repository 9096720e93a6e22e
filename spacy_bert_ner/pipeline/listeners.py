"""Find what the listeners of a component listen to, and explain how to fix a missing encoder."""

import re
from typing import Any, Iterable, Iterator, List, Optional, Sequence

import srsly
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model

from ..errors import UserError
from ..model.heads import get_head
from ..types import Bools1d
from .listener_kinds import KINDS, Kind, get_output, is_listener, tells_received
from .owners import get_pipeline

# Registered names of layers that listen, of spaCy and its transformers.
LISTENER = re.compile(r"Listener\.v\d+$")
SWITCH = """A listener only works with its own kind of component. For '{factory}', set:

[components.{name}.model.tok2vec]
{settings}
"""


def get_listeners(model: Model[Any, Any]) -> List[Any]:
    """Find the layers of a model that listen to another component.

    model (Model): The model of a component.
    RETURNS (List[Any]): The layers.
    """
    return [node for node in model.walk() if is_listener(node)]


def get_pieced(docs: List[Doc], listener: Any, *, is_train: bool) -> List[Optional[Bools1d]]:
    """Find which tokens have wordpieces of their own, from the output that a listener received.

    docs (List[Doc]): The documents.
    listener (Any): The layer.
    is_train (bool): Whether it is called for training, between its forward and its backward pass.
    RETURNS (List[Optional[Bools1d]]): bool, (n_tokens,), by document; None where that is unknown.
    """
    kind = KINDS[listener.name]
    heard = kind.get_received(listener) if is_train else None
    if heard is None:  # as the listener itself does for a frozen encoder
        heard = [kind.get_pieced(doc) for doc in docs]
    return [None if pieces is None else listener.ops.to_numpy(pieces) > 0 for pieces in heard]


def check_upstream(nlp: Language, name: str, model: Model[Any, Any]) -> None:
    """Check at initialization that every listener of a component has an encoder to listen to, and
    that it will receive its output in training.

    nlp (Language): The pipeline.
    name (str): Name of the component.
    model (Model): Its model.
    RAISES (ValueError): If there is no encoder, or if it is frozen and doesn't annotate, or has no
        weights.
    """
    for listener in get_listeners(model):
        upstream = find_upstream(nlp, listener)
        if upstream is None:
            raise UserError(_missing(nlp, name, listener))
        training = nlp.config.interpolate()["training"]
        frozen = upstream in training["frozen_components"]
        if frozen and upstream not in training["annotating_components"]:
            raise UserError(
                f"'{name}' can't train on the frozen '{upstream}' without its output. Set "
                f'annotating_components = ["{upstream}"] in [training], next to '
                "frozen_components, after the existing ones."
            )
        encoder: Any = nlp.get_pipe(upstream)
        if frozen and not _has_weights(encoder.model):
            raise UserError(
                f"'{name}' can't train on the frozen '{upstream}', which has no weights: spaCy "
                "doesn't initialize what is frozen. Load those of a trained pipeline: set only "
                f'source = "PATH" in [components.{upstream}]. To freeze a pretrained encoder, use '
                "freeze_layers of spacy-bert-ner.TransformerModel.v1 instead of frozen_components."
            )


def _has_weights(model: Model[Any, Any]) -> bool:
    """RETURNS (bool): Whether an encoder is initialized, judged by its model."""
    if model.has_dim("nO") is None:
        return False
    return all(node.has_param(name) for node in model.walk() for name in node.param_names)


def check_output(docs: Iterable[Doc], name: str, model: Model[Any, Any]) -> None:
    """Check before prediction that the encoder has read the documents: for others, a listener would
    return zeros.

    docs (Iterable[Doc]): The documents.
    name (str): Name of the component.
    model (Model): Its model.
    RAISES (ValueError): If it hasn't, or has read other tokens.
    """
    kinds = {KINDS[listener.name]: listener for listener in get_listeners(model)}
    for doc in docs if kinds else ():
        for kind, listener in kinds.items():
            upstream = kind.get_pipe(listener)
            if len(doc) and not kind.is_heard(doc):
                raise UserError(_unheard(doc, name, kind, upstream))
            pieced = kind.get_pieced(doc) if len(doc) else None
            if pieced is not None and len(pieced) != len(doc):
                raise UserError(
                    f"'{name}' got a document of {len(doc)} tokens, of which '{upstream}' has read "
                    f"{len(pieced)}: a component between them merges or splits tokens. Move it "
                    f"before '{upstream}', or after '{name}'."
                )


def check_received(docs: Sequence[Doc], name: str, model: Model[Any, Any]) -> None:
    """Check before an update that every listener has received output: spaCy's error, E203, doesn't
    say which component is missing.

    docs (Sequence[Doc]): The documents.
    name (str): Name of the component.
    model (Model): Its model.
    RAISES (ValueError): If one hasn't.
    """
    for listener in get_listeners(model):
        kind = KINDS[listener.name]
        if kind.get_received(listener) is not None or not tells_received(listener):
            continue
        if all(kind.is_heard(doc) for doc in docs if len(doc)):
            continue  # output of a frozen encoder that annotates
        upstream = kind.get_upstream(listener)
        which = kind.factory if upstream == "*" else f"{kind.factory} named '{upstream}'"
        raise UserError(
            f"'{name}' can't learn, since it has received nothing from a {which}. It must come "
            f"before '{name}', be enabled, and be updated before it, or be in "
            "annotating_components of [training] if it is frozen. nlp.rename_pipe doesn't change "
            f"`upstream` of a listener: set it in [components.{name}.model.tok2vec] to the new "
            "name."
        )


def check_rehearsal(component: Any) -> None:
    """Check that a component can rehearse. One that listens can't, since `nlp.rehearse` runs no
    encoder before it; nor can one with a head that gives no probabilities.

    component (Any): A component with `name` and `model`.
    RAISES (ValueError): If it can't.
    """
    name = component.name
    leave_out = f'Leave it out: nlp.rehearse(examples, exclude=["{name}"]). '
    mix = "Or mix examples of the old data with the new ones."
    for listener in get_listeners(component.model):
        upstream = KINDS[listener.name].get_pipe(listener)
        paths = _find_paths(component, upstream)
        known = srsly.json_dumps(paths) if paths else "PATHS"
        where = "" if paths else f", with the paths of all listeners in [components.{name}]"
        raise UserError(
            f"'{name}' can't rehearse, since it listens to '{upstream}', which doesn't rehearse. "
            f"{leave_out}Or give it an encoder of its own first: "
            f'nlp.replace_listeners("{upstream}", "{name}", {known}){where}. {mix}'
        )
    head = get_head(component.model)
    if not head.rehearses:
        raise UserError(
            f"'{name}' can't rehearse, since its model is {head.name}. {leave_out}{mix}"
        )


def _find_paths(component: Any, upstream: str) -> List[str]:
    """Find the blocks of the listeners of a component in its config, as `nlp.replace_listeners`
    takes them. It doesn't check them: with the path of a block around a listener, the pipeline is
    saved with a config that doesn't fit its model.

    component (Any): The component.
    upstream (str): The component that they listen to.
    RETURNS (List[str]): Their paths; none if the config of the component is unknown.
    """
    nlp = get_pipeline(component)
    if nlp is None:
        return []
    configs = [nlp.get_pipe_config(name) for name, pipe in nlp.components if pipe is component]
    return [path for config in configs for path in _iter_listeners(config, "", upstream)]


def _iter_listeners(block: Any, path: str, upstream: str) -> Iterator[str]:
    """YIELDS (str): The path of each block of a listener within a block of a config."""
    if not isinstance(block, dict):
        return
    if LISTENER.search(block.get("@architectures", "")):
        if block.get("upstream", "*") in ("*", upstream):
            yield path
        return
    for key, value in block.items():
        yield from _iter_listeners(value, f"{path}.{key}" if path else key, upstream)


def find_upstream(nlp: Language, listener: Model[Any, Any]) -> Optional[str]:
    """Find the component that a listener listens to, even if one of them was renamed.

    nlp (Language): The pipeline.
    listener (Model): The layer.
    RETURNS (Optional[str]): The name of the component, None if there is none.
    """
    for upstream, pipe in nlp.components:
        if any(listener in nodes for nodes in getattr(pipe, "listener_map", {}).values()):
            return upstream
    return None


def _missing(nlp: Language, name: str, listener: Any) -> str:
    kind = KINDS[listener.name]
    wanted = kind.get_upstream(listener)
    which = f"a {kind.factory}" if wanted == "*" else f"a {kind.factory} named '{wanted}'"
    factories = {pipe: nlp.get_pipe_meta(pipe).factory for pipe in nlp.component_names}
    others = [pipe for pipe, factory in factories.items() if factory == kind.factory]
    if others:
        return (
            f"'{name}' listens to {which}, but {others} can't be used: it must be enabled, come "
            f"before '{name}', and have the name that `upstream` asks for."
        )
    for other in KINDS.values():
        for pipe, factory in factories.items():
            if factory == other.factory:
                return (
                    f"'{name}' listens to {which}, and the pipeline has a {factory} named "
                    f"'{pipe}'. " + _switch(name, other, pipe, nlp.get_pipe(pipe))
                )
    return f"'{name}' listens to {which}, and the pipeline has none. {kind.add(name)}"


def _unheard(doc: Doc, name: str, kind: Kind, upstream: str) -> str:
    output = get_output(doc)
    for other in KINDS.values():
        if "transformer" in kind.factory and output is not None and other.is_heard(doc):
            return (
                f"'{name}' listens to a {kind.factory}, and got the output of a {other.factory}. "
                + _switch(name, other, "*", None)
            )
    return (
        f"'{name}' got a document without the output of '{upstream}': it is missing, disabled, "
        f"after '{name}', or its output was removed (by doc_cleaner). Enable it: "
        f'nlp.enable_pipe("{upstream}"). {kind.add(name)}'
    )


def _switch(name: str, kind: Kind, upstream: str, pipe: Any) -> str:
    width = pipe.model.maybe_get_dim("nO") if pipe is not None else None
    settings = kind.settings.format(upstream=upstream, width=width or "WIDTH OF THE ENCODER")
    return SWITCH.format(factory=kind.factory, name=name, settings=settings)
