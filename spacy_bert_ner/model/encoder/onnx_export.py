"""Export an encoder to ONNX, for `spacy-bert-ner.OnnxEncoder.v1`."""

import io
import warnings
from typing import Any, Dict, List, NamedTuple, Tuple

import numpy
import torch

from ...errors import UserError, describe_error
from ..onnx.sessions import get_graph
from ..onnx.shim import Facts
from .batches import Batch
from .shim import EncoderShim, get_vectors

# Supported by onnxruntime since version 1.14, with layer normalization as one operator.
OPSET = 17
# Files are protobuf messages, which have this limit.
MAX_BYTES = 2**31 - 2**20
# How much vectors may differ from those of torch, relative to the largest value.
TOLERANCE = 1e-4
# Lengths of windows to compare, other than those that the graph is traced with.
LENGTHS = ([1], [3, 9, 5], [17, 2])
TRACED = [7, 5]


class Network(torch.nn.Module):
    """An encoder whose only output are its vectors.

    model (PreTrainedModel): The encoder.
    mixed_layers (int): See `get_vectors`.
    """

    def __init__(self, model: Any, mixed_layers: int):
        super().__init__()
        self.model = model
        self.mixed_layers = mixed_layers

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Run the encoder in float32.

        input_ids, attention_mask (torch.Tensor): int64, (n_windows, longest).
        RETURNS (torch.Tensor): float32, (n_windows, longest, width).
        """
        return get_vectors(self.model, input_ids, attention_mask, self.mixed_layers)


class Exported(NamedTuple):
    """The arguments of `model.onnx.layer.set_export`."""

    graph: bytes
    tokenizer: str
    facts: Facts


def export_encoder(shim: EncoderShim, name: str) -> Exported:
    """Export an encoder in float32, whatever its precision is, and compare the result with it.

    shim (EncoderShim): The encoder.
    name (str): Its name.
    RETURNS (Exported): The export.
    RAISES (ValueError): For an encoder that can't be exported.
    """
    model = shim.encoder.model  # type: ignore[union-attr]
    size = sum(param.numel() for param in model.parameters())
    if 4 * size > MAX_BYTES:
        raise UserError(
            f"Can't export the encoder '{name}': its {size} weights need {4 * size / 1e9:.1f} GB, "
            "and an ONNX file holds 2 GB. Train a smaller encoder."
        )
    facts = Facts(
        name=name,
        family=model.config.model_type,
        precision="fp32",
        n_layers=model.config.num_hidden_layers,
        n_parameters=size,
        width=model.config.hidden_size,
        limit=shim.limit,
        pad_id=shim.pad_id,
        filler=shim.pieces.filler,
        controls=shim.pieces.controls,
    )
    network = Network(model.eval(), shim.mixed_layers).eval()
    graph = _trace(network, shim, name)
    _check(network, graph, shim, name)
    return Exported(graph, shim.pieces.backend.to_str(), facts)


def _trace(network: Network, shim: EncoderShim, name: str) -> bytes:
    axes = {0: "n_windows", 1: "longest"}
    names = ["input_ids", "attention_mask"]
    file = io.BytesIO()
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            # Of traced conditions, whose effect is found by the comparison.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                tuple(_to_tensors(_make_batch(TRACED, shim), shim).values()),
                file,  # type: ignore[arg-type]
                input_names=names,
                output_names=["vectors"],
                dynamic_axes=dict.fromkeys([*names, "vectors"], axes),
                opset_version=OPSET,
                dynamo=False,  # of the two exporters, the one that knows all families of encoders
            )
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        raise UserError(
            f"Can't export the encoder '{name}': torch can't convert {_kind(network)} to ONNX "
            f"({describe_error(error)}). Use the pipeline as it is, with torch."
        ) from error
    return file.getvalue()


def _check(network: Network, graph: bytes, shim: EncoderShim, name: str) -> None:
    """RAISES (ValueError): If onnxruntime gives other vectors than torch."""
    for lengths in LENGTHS:
        if max(lengths) > shim.limit:
            continue
        batch = _make_batch(lengths, shim)
        with torch.inference_mode():
            expected = network(**_to_tensors(batch, shim)).cpu().numpy()
        found = get_graph(graph).run(batch, n_threads=1)
        is_piece = batch.mask.astype(bool)
        difference = numpy.abs(found - expected)[is_piece].max()
        if not difference <= TOLERANCE * max(1.0, numpy.abs(expected[is_piece]).max()):
            raise UserError(
                f"Can't export the encoder '{name}': the vectors of the exported {_kind(network)} "
                f"differ from those of torch by {difference:.2g}, which is more than {TOLERANCE}. "
                "Use the pipeline as it is, with torch."
            )


def _kind(network: Network) -> str:
    return type(network.model).__name__


def _make_batch(lengths: List[int], shim: EncoderShim) -> Batch:
    """RETURNS (Batch): Windows of wordpieces of the vocabulary, of these lengths."""
    n_rows = len(shim.pieces.backend.get_vocab(with_added_tokens=True))
    ids = numpy.full((len(lengths), max(lengths)), shim.pad_id, dtype="int64")
    places: List[Tuple[int, int]] = [(i, 0) for i in range(len(lengths))]
    for row, length in zip(ids, lengths):
        row[:length] = (numpy.arange(length) * 7 + n_rows // 2) % n_rows
        row[:length][row[:length] == shim.pad_id] = shim.pieces.filler
    return Batch(ids=ids, lengths=numpy.array(lengths), places=places)


def _to_tensors(batch: Batch, shim: EncoderShim) -> Dict[str, torch.Tensor]:
    return {
        "input_ids": torch.from_numpy(batch.ids).to(shim.device),
        "attention_mask": torch.from_numpy(batch.mask).to(shim.device),
    }
