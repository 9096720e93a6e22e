"""What a component's listener layers hear from, and what to do when they hear nothing."""

from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional

from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Model

ADD = (
    'Add a transformer before \'{name}\': nlp.add_pipe("transformer", before="{name}") with a '
    'model "spacy-bert-ner.TransformerModel.v1", or "transformer" before "{name}" in '
    "[nlp] pipeline with a block [components.transformer]."
)
SWITCH = """A listener only hears its own kind. For '{factory}', set:

[components.{name}.model.tok2vec]
{settings}
"""


class Kind(NamedTuple):
    """A kind of listener.

    factory (str): The component that it listens to.
    get_upstream (Callable[[Model], str]): The name of that component, or "*".
    is_heard (Callable[[Doc], bool]): Whether a document has output for it.
    settings (str): The block of the config that makes one.
    """

    factory: str
    get_upstream: Callable[[Any], str]
    is_heard: Callable[[Doc], bool]
    settings: str


def _get_output(doc: Doc) -> Any:
    return doc._.trf_data if Doc.has_extension("trf_data") else None


# By the name of the layer, so that no package is imported for models that don't need it. The two
# transformers leave their output in one place: it is told by an attribute.
KINDS: Dict[str, Kind] = {
    "transformer-listener": Kind(
        "transformer",
        lambda node: node.upstream_name,
        lambda doc: hasattr(_get_output(doc), "wordpieces"),
        '@architectures = "spacy-transformers.TransformerListener.v1"\n'
        "grad_factor = 1.0\n"
        'upstream = "{upstream}"\n'
        'pooling = {{"@layers": "spacy-bert-ner.reduce_first.v1"}}',
    ),
    "last_transformer_layer_listener": Kind(
        "curated_transformer",
        lambda node: node.attrs["_upstream_name"],
        lambda doc: hasattr(_get_output(doc), "last_hidden_layer_state"),
        '@architectures = "spacy-curated-transformers.LastTransformerLayerListener.v1"\n'
        "width = {width}\n"
        "grad_factor = 1.0\n"
        'upstream = "{upstream}"\n'
        'pooling = {{"@layers": "spacy-bert-ner.reduce_first.v1"}}',
    ),
    "tok2vec-listener": Kind(
        "tok2vec",
        lambda node: node.upstream_name,
        lambda doc: doc.tensor.size > 0,
        '@architectures = "spacy.Tok2VecListener.v1"\nwidth = {width}\nupstream = "{upstream}"',
    ),
}
# Other layers of curated transformers that listen.
for _name in ("scalar_weighting_listener", "transformer_layers_listener"):
    KINDS[_name] = KINDS["last_transformer_layer_listener"]


def get_listeners(model: Model) -> List[Any]:
    """RETURNS (List[Any]): The layers of a model that listen to another component."""
    # `replace_listeners` leaves a node that is named like a listener, and listens no more.
    return [node for node in model.walk() if node.name in KINDS and _listens(node)]


def _listens(node: Any) -> bool:
    return hasattr(node, "upstream_name") or "_upstream_name" in node.attrs


def check_upstream(nlp: Language, name: str, model: Model) -> None:
    """Check at initialization that every listener of a component has an encoder to listen to, and
    that it will be heard in training.

    RAISES (ValueError): If there is none, or if it is frozen and doesn't annotate.
    """
    for listener in get_listeners(model):
        upstream = find_upstream(nlp, name, listener)
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
    """Check before prediction that the encoder has seen the documents: a listener would give zeros
    for those it hasn't.

    RAISES (ValueError): If it hasn't.
    """
    kinds = {KINDS[listener.name] for listener in get_listeners(model)}
    for doc in docs if kinds else ():
        for kind in kinds:
            if len(doc) and not kind.is_heard(doc):
                raise ValueError(_unheard(doc, name, kind))


def check_no_listeners(name: str, model: Model) -> None:
    """RAISES (ValueError): For a model that listens, and so can't rehearse: `nlp.rehearse` runs no
    encoder before it."""
    for listener in get_listeners(model):
        factory = KINDS[listener.name].factory
        raise ValueError(
            f"'{name}' can't rehearse, since '{factory}', to which it listens, doesn't. Leave it "
            f'out: nlp.rehearse(examples, exclude=["{name}"]). Or give it an encoder of its own '
            f'first: nlp.replace_listeners("{factory}", "{name}", ["model.tok2vec"]). Or train '
            "with examples of the old data among the new."
        )


def find_upstream(nlp: Language, name: str, listener: Model) -> Optional[str]:
    """RETURNS (Optional[str]): The component that a listener of the component `name` hears."""
    for upstream, pipe in nlp.components:
        if listener in getattr(pipe, "listener_map", {}).get(name, []):
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
            f"'{name}' listens to {which}, and can't hear {others}: it must be enabled, stand "
            f"before '{name}', and bear the name that `upstream` asks for."
        )
    for other in KINDS.values():
        for pipe, factory in factories.items():
            if factory == other.factory:
                return (
                    f"'{name}' listens to {which}, and the pipeline has a {factory} named "
                    f"'{pipe}'. " + _switch(name, other, pipe, nlp.get_pipe(pipe))
                )
    return f"'{name}' listens to {which}, and the pipeline has none. " + ADD.format(name=name)


def _unheard(doc: Doc, name: str, kind: Kind) -> str:
    output = _get_output(doc)
    for other in KINDS.values():
        if "transformer" in kind.factory and output is not None and other.is_heard(doc):
            return (
                f"'{name}' listens to a {kind.factory}, and got the output of a {other.factory}. "
                + _switch(name, other, "*", None)
            )
    return (
        f"'{name}' got a document without {kind.factory} output: the {kind.factory} is missing, "
        f"disabled, behind '{name}', or its output was removed (by doc_cleaner). Enable it: "
        f'nlp.enable_pipe("{kind.factory}"). ' + ADD.format(name=name)
    )


def _switch(name: str, kind: Kind, upstream: str, pipe: Any) -> str:
    width = pipe.model.maybe_get_dim("nO") if pipe is not None else None
    settings = kind.settings.format(upstream=upstream, width=width or "WIDTH OF THE ENCODER")
    return SWITCH.format(factory=kind.factory, name=name, settings=settings)
