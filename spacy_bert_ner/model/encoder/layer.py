"""The encoder as a thinc layer: documents in, packed wordpiece vectors and alignments out."""

import logging
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Optional, Tuple, cast

import numpy
import srsly
import torch
from spacy.errors import Errors
from spacy.tokens import Doc
from spacy.util import logger
from spacy_transformers.data_classes import FullTransformerBatch, TransformerData, WordpieceBatch
from thinc.api import Model
from transformers.utils import ModelOutput

from ...damage import WAY_OUT, DamagedPipelineError, reading
from ...errors import UserError
from ...types import Bools1d
from .backward import Backward
from .batches import Batch, get_batches
from .huggingface import load_pretrained
from .inlining import replace_listener_cfg, split_by_doc
from .memory import get_default_pieces
from .precision import casting
from .rows import Rows, TakeT, make_rows
from .settings import BLOCK, EncoderSettings
from .shim import EncoderShim
from .windows import Windows, check_window, cut_docs

# In training, the activations of this many wordpieces are kept for the backward pass; those beyond
# are recomputed. With 6 layers of 384, one takes 0.2 MB in windows of 32 wordpieces and 0.6 MB in
# windows of 512, where attention weighs more.
KEPT_PIECES = 1536

# The cost of one call of the encoder, in wordpieces: a micro-batch is divided where that saves more
# padding. On one thread of a CPU, 40 to 80, in training and in prediction, with 6 layers of 384 and
# with 12. On a GPU it costs thousands, and micro-batches stay whole.
CALL_PIECES = {"cpu": 80}

InT = List[Doc]
OutT = FullTransformerBatch
BackpropT = Callable[[OutT], InT]


@dataclass
class EncoderData(TransformerData):
    """The output for a document, in the form that listeners expect, and `has_pieces`, which can't
    be seen from `align`, since that has a row for every token.

    has_pieces (Bools1d): Whether a token has wordpieces of its own, bool, (n_tokens,). The others
        have the row of a neighbor.
    """

    has_pieces: Bools1d


class EncoderLayer(Model[InT, OutT]):
    """A layer that only consists of its shim, which is all that it loads from a file."""

    def from_dict(self, msg: Dict[str, Any]) -> "EncoderLayer":
        """Load the result of `to_dict`.

        msg (Dict[str, Any]): With the bytes of the shim.
        RETURNS (EncoderLayer): This layer.
        RAISES (DamagedPipelineError): If they can't be read, or the encoder can't be used.
        """
        with reading("the file 'model' of a transformer component"):
            ((shim_bytes,),) = msg["shims"]
        shim: EncoderShim = self.shims[0]  # type: ignore[assignment]
        shim.from_bytes(shim_bytes)
        if shim.encoder is not None:
            self.set_dim("nO", shim.encoder.model.config.hidden_size, force=True)
        return self

    @property
    def _init_tokenizer_config(self) -> Dict[str, Any]:
        # If the file can't be opened, spacy-transformers assumes a folder of its first version, and
        # calls this.
        raise DamagedPipelineError(
            "Can't read the file 'model' of a transformer component: it is a folder, or you have "
            f"no permission to read it. {WAY_OUT}"
        )

    def from_bytes(self, bytes_data: bytes) -> "EncoderLayer":
        """Load the result of `to_bytes`.

        bytes_data (bytes): The layer.
        RETURNS (EncoderLayer): This layer.
        RAISES (DamagedPipelineError): As `from_dict`.
        """
        with reading("the file 'model' of a transformer component"):
            msg = srsly.msgpack_loads(bytes_data)
        return self.from_dict(msg)


def encoder(settings: EncoderSettings, shim: EncoderShim) -> Model[InT, OutT]:
    """Encode documents of any length, in windows of whole sentences.

    settings (EncoderSettings): Settings.
    shim (EncoderShim): Holds the encoder, once the layer is initialized or read from bytes.
    RETURNS (Model[List[Doc], FullTransformerBatch]): The layer.
    """
    return EncoderLayer(
        "transformer",
        forward,
        init=init,
        dims={"nO": None},
        shims=[shim],
        attrs={
            "settings": settings,
            "replace_listener": split_by_doc,
            "replace_listener_cfg": replace_listener_cfg,
        },
    )


def forward(model: Model[InT, OutT], docs: InT, is_train: bool) -> Tuple[OutT, BackpropT]:
    """Divide documents into windows, and run the encoder on them.

    model (Model[List[Doc], FullTransformerBatch]): The layer.
    docs (List[Doc]): The documents.
    is_train (bool): Whether to learn from them.
    RETURNS (Tuple[FullTransformerBatch, Callable]): Vectors of wordpieces, float32,
        (n_rows, width) of each document, and a callback for their gradient.
    RAISES (ValueError): Without an encoder, and for a window that it can't read.
    """
    start_time = time.perf_counter()
    shim: EncoderShim = model.shims[0]  # type: ignore[assignment]
    settings: EncoderSettings = model.attrs["settings"]
    cut = _cut(model, [doc for doc in docs if len(doc)], is_train)
    width = model.get_dim("nO")
    device = shim.device
    rows = make_rows([len(windows.ids) for windows in cut], width, device, share=is_train)
    batch_pieces = settings.batch_pieces or _get_default_pieces(shim, cut, is_train)
    batch_pieces = min(batch_pieces, shim.halving.most_pieces)
    # No division saves as many as `batch_pieces`.
    call_pieces = CALL_PIECES.get(device.type, batch_pieces)
    sizes = {"batch_pieces": batch_pieces, "call_pieces": call_pieces}
    batches = list(get_batches(cut, **sizes, pad_id=shim.pad_id))
    backprops: List[Tuple[TakeT, Backward]] = []
    if is_train:
        # A GPU needs memory for a whole micro-batch in any case.
        kept = KEPT_PIECES if device.type == "cpu" else max(KEPT_PIECES, batch_pieces)
        backprops = _encode_for_update(shim, batches, rows, kept)
    else:
        for batch in batches:
            for part, hidden in shim.halving.run(shim.encode, batch):
                rows.write(part, hidden)
    data = iter([_doc_data(shim, windows, X) for windows, X in zip(cut, rows.arrays())])
    if logger.isEnabledFor(logging.DEBUG):
        shim.wait()
        n_padded = sum(batch.ids.size for batch in batches)
        _log(cut, n_padded, time.perf_counter() - start_time)
    output = FullTransformerBatch.empty(0)
    output.spans = [[] for _ in docs]
    output.cached_doc_data = [next(data) if len(doc) else TransformerData.empty() for doc in docs]

    def backprop(d_output: OutT) -> InT:
        (gradient,) = d_output.model_output.values()  # (n_rows, width) of all documents
        gradient = gradient.float()
        backprops.reverse()
        while backprops:  # first those whose activations are kept, to free them
            take, backward = backprops.pop()
            shim.backward(backward, take(gradient), [other for _, other in backprops])
        return docs

    return output, backprop


def _cut(model: Model[InT, OutT], docs: InT, is_train: bool) -> List[Windows]:
    """RETURNS (List[Windows]): Documents that have tokens, in windows."""
    shim: EncoderShim = model.shims[0]  # type: ignore[assignment]
    settings: EncoderSettings = model.attrs["settings"]
    if shim.encoder is None:
        raise UserError(Errors.E109.format(name=model.name))
    _check_window(settings, shim)  # the config of a loaded pipeline may set another
    dropout = settings.context_dropout if is_train else 0.0
    return cut_docs(shim.pieces, docs, settings, limit=shim.limit, context_dropout=dropout)


def _get_default_pieces(shim: EncoderShim, cut: List[Windows], is_train: bool) -> int:
    """RETURNS (int): What `batch_pieces` is where the setting is null."""
    assert shim.encoder is not None
    # At once for all documents: where one begins, the difference is negative.
    starts = numpy.concatenate([[0], *(windows.starts for windows in cut)])
    longest = int(numpy.diff(starts).max(initial=0))
    config = shim.encoder.model.config
    return get_default_pieces(shim.device, config, longest, is_train=is_train)


def _encode_for_update(
    shim: EncoderShim, batches: List[Batch], rows: Rows, kept: int
) -> List[Tuple[TakeT, Backward]]:
    """Run the encoder for training, the shortest windows first: activations grow with length, and
    the first ones are kept.

    rows (Rows): The vectors are written to it.
    kept (int): Wordpieces, padding included, whose activations are kept for the backward pass.
        On a GPU without memory for them, fewer are kept.
    RETURNS (List[Tuple[TakeT, Backward]]): For each part that was run, in this order: the callback
        that finds the gradient of its output, and the backward pass that takes it.
    """
    backprops = []
    n_pieces = 0

    def encode(part: Batch) -> Tuple[torch.Tensor, Backward]:
        return shim.halving.keep(shim.encode_for_update, part, n_pieces, kept)

    with casting(shim.precision, shim.device, is_train=True):
        for batch in reversed(batches):
            for part, (hidden, backward) in shim.halving.run(encode, batch):
                n_pieces += part.ids.size
                backprops.append((rows.write(part, hidden), backward))
    return backprops


def init(model: Model[InT, OutT], X: Optional[InT] = None, Y: Optional[OutT] = None) -> None:
    """Load the encoder, unless it is loaded already.

    model (Model[List[Doc], FullTransformerBatch]): The layer.
    X (Optional[List[Doc]]): Not used.
    Y (Optional[FullTransformerBatch]): Not used.
    RAISES (ValueError): If it can't be loaded, or can't read the windows of the settings.
    """
    shim: EncoderShim = model.shims[0]  # type: ignore[assignment]
    settings: EncoderSettings = model.attrs["settings"]
    if shim.encoder is None:
        shim.set_encoder(
            load_pretrained(settings.name, settings.tokenizer_config, settings.transformer_config)
        )
    shim_encoder = shim.encoder
    assert shim_encoder is not None
    model.set_dim("nO", shim_encoder.model.config.hidden_size, force=True)
    _check_window(settings, shim)


def _check_window(settings: EncoderSettings, shim: EncoderShim) -> None:
    check_window(settings.window, shim.pieces, shim.limit, settings.name, BLOCK)


def _log(cut: List[Windows], n_padded: int, seconds: float) -> None:
    n_pieces = sum(len(windows.ids) for windows in cut)
    logger.debug(
        "Encoded %d documents in %.3f s: %d windows, %d wordpieces, %.1f %% padding, %.0f "
        "wordpieces a second",
        len(cut),
        seconds,
        sum(len(windows.starts) - 1 for windows in cut),
        n_pieces,
        100 * (1 - n_pieces / max(n_padded, 1)),
        n_pieces / max(seconds, 1e-9),
    )


def _doc_data(shim: EncoderShim, windows: Windows, vectors: Any) -> EncoderData:
    ids: Any = windows.ids[None]  # one row for all windows, as `align` counts them
    return EncoderData(
        wordpieces=WordpieceBatch(
            strings=[shim.pieces.strings(windows.ids)],
            input_ids=ids,
            attention_mask=cast(Any, numpy.ones(ids.shape, dtype=bool)),
            lengths=[len(windows.ids)],
            token_type_ids=None,
        ),
        model_output=ModelOutput(last_hidden_state=vectors),
        align=windows.align,
        has_pieces=windows.has_pieces,
    )
