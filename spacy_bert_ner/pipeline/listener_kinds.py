"""The kinds of layers that listen to an encoder, and the data that they store between its update
and their own. This is the only module that uses private attributes of listeners."""

from functools import partial
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from spacy.tokens import Doc

# Private attributes in which the listeners of spaCy and spacy-transformers store what they
# `receive`. Without these attributes, checks and balance are left out.
OUTPUTS, BACKPROP = "_outputs", "_backprop"
# Key in `doc.user_data` of a transformer's output, `doc._.trf_data`, which is slower to read.
TRF_DATA: Any = ("._.", "trf_data", None, None)
ADD = (
    'Add a {factory} before \'{name}\': nlp.add_pipe("{factory}", before="{name}"){model}, or '
    '"{factory}" before "{name}" in [nlp] pipeline with a block [components.{factory}].'
)


class Kind(NamedTuple):
    """A kind of listener.

    factory (str): The component that it listens to.
    get_upstream (Callable[[Model], str]): The name of that component, or "*".
    is_heard (Callable[[Doc], bool]): Whether a document has output for it.
    get_pieced (Callable[[Doc], Any]): Gets from this output the number of wordpieces of each token,
        or whether it has any, (n_tokens,); None if that is unknown.
    get_received (Callable[[Model], Optional[List[Any]]]): The same for all documents that the layer
        learns from; None if it has received none.
    settings (str): The block of the config for a listener.
    model (str): The model of a new component of the factory.
    """

    factory: str
    get_upstream: Callable[[Any], str]
    is_heard: Callable[[Doc], bool]
    get_pieced: Callable[[Doc], Any]
    get_received: Callable[[Any], Optional[List[Any]]]
    settings: str
    model: str = ""

    def get_pipe(self, listener: Any) -> str:
        """Get the name of the component that a listener listens to.

        listener (Model): A layer of this kind.
        RETURNS (str): The name; that of the factory, if the listener doesn't set one.
        """
        upstream = self.get_upstream(listener)
        return self.factory if upstream == "*" else upstream

    def add(self, name: str) -> str:
        """Describe how to add the component.

        name (str): The component that listens to it.
        RETURNS (str): One line.
        """
        return ADD.format(factory=self.factory, name=name, model=self.model)


def get_output(doc: Doc) -> Any:
    """Get the output of a transformer from a document.

    doc (Doc): The document.
    RETURNS (Any): Its `trf_data`, None if it has none.
    """
    return doc.user_data.get(TRF_DATA)


def _count_pieces(output: Any) -> Any:
    """Count the wordpieces in the output of a transformer, of this package or
    spacy-transformers."""
    if hasattr(output, "has_pieces"):
        return output.has_pieces
    return output.align.lengths if hasattr(output, "align") else None


def _get_received(listener: Any) -> Optional[List[Any]]:
    outputs = _get_outputs(listener)
    return None if outputs is None else [_count_pieces(output) for output in outputs]


def _get_nothing_of_received(listener: Any) -> Optional[List[Any]]:
    outputs = _get_outputs(listener)
    return None if outputs is None else [None for _ in outputs]


def _count_curated_pieces(output: Any) -> Any:
    layer = getattr(output, "last_hidden_layer_state", None)
    return None if layer is None else layer.lengths


def _get_curated_received(listener: Any) -> Optional[List[Any]]:
    outputs = _curated().get_output(listener)
    return None if outputs is None else [layers[-1].lengths for layers in outputs.all_outputs]


# By the name of the layer, so that no package is imported for models that don't need it. The two
# transformers store their output in one place: it is distinguished by an attribute.
KINDS: Dict[str, Kind] = {
    "transformer-listener": Kind(
        "transformer",
        lambda node: node.upstream_name,
        lambda doc: hasattr(get_output(doc), "wordpieces"),
        lambda doc: _count_pieces(get_output(doc)),
        _get_received,
        '@architectures = "spacy-transformers.TransformerListener.v1"\n'
        "grad_factor = 1.0\n"
        'upstream = "{upstream}"\n'
        'pooling = {{"@layers": "spacy-bert-ner.reduce_first.v1"}}',
        ' with a model "spacy-bert-ner.TransformerModel.v1"',
    ),
    "last_transformer_layer_listener": Kind(
        "curated_transformer",
        lambda node: _curated().get_upstream_name(node),
        lambda doc: hasattr(get_output(doc), "last_hidden_layer_state"),
        lambda doc: _count_curated_pieces(get_output(doc)),
        _get_curated_received,
        '@architectures = "spacy-curated-transformers.LastTransformerLayerListener.v1"\n'
        "width = {width}\n"
        "grad_factor = 1.0\n"
        'upstream = "{upstream}"\n'
        'pooling = {{"@layers": "spacy-bert-ner.reduce_first.v1"}}',
    ),
    "tok2vec-listener": Kind(
        "tok2vec",
        lambda node: node.upstream_name,
        lambda doc: doc.tensor is not None and doc.tensor.size > 0,  # None after doc_cleaner
        lambda doc: None,
        _get_nothing_of_received,
        '@architectures = "spacy.Tok2VecListener.v1"\nwidth = {width}\nupstream = "{upstream}"',
    ),
}
# Other layers of curated transformers that listen.
for _name in ("scalar_weighting_listener", "transformer_layers_listener"):
    KINDS[_name] = KINDS["last_transformer_layer_listener"]


def is_listener(node: Any) -> bool:
    """Check whether a layer listens to another component. `nlp.replace_listeners` leaves layers
    with the name of a listener that no longer listen.

    node (Model): A layer.
    RETURNS (bool): Whether it does.
    """
    if node.name not in KINDS:
        return False
    return hasattr(node, "upstream_name") or (_is_curated(node) and _curated().is_listener(node))


def tells_received(listener: Any) -> bool:
    """RETURNS (bool): Whether it is known what a listener has received.

    listener (Model): The layer.
    """
    return _is_curated(listener) or hasattr(listener, OUTPUTS)


def wrap_callback(listener: Any, receive: Callable[..., Any]) -> None:
    """Make a listener call another function instead of the callback that it received in this step.
    Does nothing if it received none, or has the function already.

    listener (Model): The layer.
    receive (Callable): Called as the callback, with the callback itself as the argument `callback`.
    """
    if _is_curated(listener):
        utils = _curated()
        callback = utils.get_backprop(listener)
    else:
        callback = getattr(listener, BACKPROP, None)
    # A listener whose component was not updated still has that of the previous step.
    if callback is None or isinstance(callback, partial):
        return
    wrapped = partial(receive, callback=callback)
    if _is_curated(listener):
        batch_id, outputs = utils.get_batch_id(listener), utils.get_output(listener)
        utils.receive(listener, batch_id, outputs, wrapped)
    else:
        setattr(listener, BACKPROP, wrapped)


def _get_outputs(listener: Any) -> Any:
    return getattr(listener, OUTPUTS, None)


def _is_curated(node: Any) -> bool:
    return node.name in KINDS and KINDS[node.name].factory == "curated_transformer"


def _curated() -> Any:
    """Functions of spacy-curated-transformers for its listeners. A pipeline only has these if it is
    installed."""
    from spacy_curated_transformers.models.listeners import ListenerStateUtils

    return ListenerStateUtils
