"""An exported encoder as a thinc layer: documents in, one vector for each token out."""

from functools import partial
from typing import Any, Callable, List, Optional, Tuple, cast

import numpy
from spacy.errors import Errors
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Ragged

from ...errors import UserError
from ...types import Floats2d as HostFloats2d
from ..encoder.batches import get_batches
from ..encoder.settings import WindowSettings, check_ranges
from ..encoder.windows import Windows, check_window, cut_docs
from ..types import PoolingT, Tok2VecT
from .shim import Facts, OnnxShim

NAME = "spacy-bert-ner.OnnxEncoder.v1"
BLOCK = f"the block of {NAME}"
# As for an encoder of torch on a CPU, see `encoder.layer`.
DEFAULT_BATCH_PIECES = 1024
CALL_PIECES = 80

InT = List[Doc]
OutT = List[Floats2d]


def build_onnx_encoder_v1(
    pooling: PoolingT,
    window: int = 128,
    stride: int = 0,
    context: int = 0,
    batch_pieces: Optional[int] = None,
    n_threads: Optional[int] = None,
) -> Tok2VecT:
    """Construct `spacy-bert-ner.OnnxEncoder.v1`: an encoder that was exported from a trained
    pipeline, for prediction without torch. `python -m spacy bert-ner quantize` creates it, with the
    settings of the original encoder. It can't be trained.

    pooling (PoolingT): Reduces the wordpieces of a token to one vector, such as
        `spacy-bert-ner.reduce_first.v1`.
    window (int): Length of a window in wordpieces, see `TransformerModel.v1`.
    stride (int): Wordpieces between the starts of overlapping windows; 0 for three quarters of the
        window.
    context (int): Wordpieces of the same document that are read on either side of a window.
    batch_pieces (Optional[int]): Wordpieces that the encoder reads at once, padding included; null
        for 1,024.
    n_threads (Optional[int]): Threads of each process. null for one in processes that others have
        started, as with nlp.pipe(n_process=2), and elsewhere for the number in the environment
        variable OMP_NUM_THREADS, or one for each core.
    RETURNS (Tok2VecT): A model that gives a vector for each token, (n_tokens, width).
    RAISES (ValueError): For settings out of their range.
    """
    check_ranges(
        BLOCK,
        window=window,
        stride=stride,
        context=context,
        batch_pieces=batch_pieces,
        n_threads=n_threads,
    )
    return Model(
        "onnx-encoder",
        forward,
        init=init,
        layers=[pooling],
        dims={"nO": None},
        shims=[OnnxShim(n_threads)],
        attrs={
            "settings": WindowSettings(
                window=window, stride=stride, context=context, batch_pieces=batch_pieces
            )
        },
    )


def set_export(model: Tok2VecT, graph: bytes, tokenizer: str, facts: Facts) -> None:
    """Give a layer its encoder.

    model (Tok2VecT): The layer. Changed.
    graph (bytes): An ONNX file, see `OnnxShim.set_export`.
    tokenizer (str): The text of its tokenizer.json.
    facts (Facts): What else is known of it.
    RAISES (ValueError): For an encoder that can't be used, or can't read the windows of the
        settings.
    """
    shim: OnnxShim = model.shims[0]  # type: ignore[assignment]
    shim.set_export(graph, tokenizer, facts)
    init(model)


def init(model: Tok2VecT, X: Optional[InT] = None, Y: Optional[OutT] = None) -> None:
    """Set the width to that of the encoder.

    model (Tok2VecT): The layer.
    X (Optional[List[Doc]]): Not used.
    Y (Optional[List[Floats2d]]): Not used.
    RAISES (ValueError): If the layer has no encoder, or one that can't read the windows of the
        settings.
    """
    shim: OnnxShim = model.shims[0]  # type: ignore[assignment]
    if shim.export is None:
        raise UserError(
            f"Can't initialize {NAME}: it only holds an encoder that was exported from a trained "
            "pipeline. Train with spacy-bert-ner.TransformerModel.v1, and run 'python -m spacy "
            "bert-ner quantize' then."
        )
    _check_window(model)
    model.set_dim("nO", shim.export.facts.width, force=True)


def forward(model: Tok2VecT, docs: InT, is_train: bool) -> Tuple[OutT, Callable[[OutT], InT]]:
    """Divide documents into windows, run the encoder on them, and reduce the wordpieces of each
    token to a vector.

    model (Tok2VecT): The layer.
    docs (List[Doc]): The documents.
    is_train (bool): Must be False.
    RETURNS (Tuple[List[Floats2d], Callable]): Vectors, (n_tokens, width), and a callback that isn't
        used.
    RAISES (ValueError): In training, without an encoder, and for a window that it can't read.
    """
    if is_train:
        raise UserError(
            f"Can't train {NAME}: it is an exported encoder, which can only predict. Train the "
            "pipeline that it was exported from, and run 'python -m spacy bert-ner quantize' again."
        )
    shim: OnnxShim = model.shims[0]  # type: ignore[assignment]
    if shim.export is None:
        raise UserError(Errors.E109.format(name=model.name))
    settings = _check_window(model)  # the config of a loaded pipeline may set another
    read = [doc for doc in docs if len(doc)]
    cut = cut_docs(shim.pieces, read, settings, limit=shim.limit)
    encode = partial(_encode, shim, settings.batch_pieces or DEFAULT_BATCH_PIECES)
    pairs = zip(cut, shim.export.graph.recent.read(shim, read, cut, encode))
    width = shim.export.facts.width
    Y = [_pool(model, *next(pairs)) if len(doc) else model.ops.alloc2f(0, width) for doc in docs]
    return Y, _refuse


def _encode(shim: OnnxShim, batch_pieces: int, cut: List[Windows]) -> List[HostFloats2d]:
    """RETURNS (List[HostFloats2d]): Vectors of the wordpieces of each document, float32,
    (n_rows, width)."""
    assert shim.export is not None
    facts = shim.export.facts
    vectors = [numpy.empty((len(windows.ids), facts.width), "float32") for windows in cut]
    for batch in get_batches(
        cut, batch_pieces=batch_pieces, call_pieces=CALL_PIECES, pad_id=facts.pad_id
    ):
        hidden = shim.encode(batch)
        for row, length, (doc, start) in zip(hidden, batch.lengths.tolist(), batch.places):
            vectors[doc][start : start + length] = row[:length]
    return vectors


def _pool(model: Tok2VecT, windows: Windows, X: HostFloats2d) -> Floats2d:
    """Reduce the wordpieces of each token of a document, (n_rows, width) to (n_tokens, width)."""
    pooling: PoolingT = model.layers[0]
    rows = model.ops.asarray(X[cast(Any, windows.align.dataXd)])
    return pooling.predict(Ragged(rows, cast(Any, model.ops.asarray(windows.align.lengths))))


def _check_window(model: Tok2VecT) -> WindowSettings:
    """RETURNS (WindowSettings): The settings.
    RAISES (ValueError): If the encoder can't read windows of their length."""
    shim: OnnxShim = model.shims[0]  # type: ignore[assignment]
    settings: WindowSettings = model.attrs["settings"]
    assert shim.export is not None
    check_window(settings.window, shim.pieces, shim.limit, shim.export.facts.name, BLOCK)
    return settings


def _refuse(dY: OutT) -> InT:
    raise NotImplementedError("an exported encoder can't learn")
