"""Quantize the weights of an ONNX graph to 8 bits, with the package `onnx`."""

import logging
import re
from contextlib import contextmanager
from typing import Any, Collection, Dict, Iterator, List, NamedTuple

import numpy

from ...errors import UserError
from ...types import Floats2d
from .sessions import switch_off_telemetry

# In names of nodes, such as "/network/encoder/layer.3/output/dense/MatMul".
LAYER = re.compile(r"^.*?\.\d+(?=/)")
# Weights of other nodes with fewer values stay as they are.
LEAST_VALUES = 4096


class Step(NamedTuple):
    """How to quantize a graph.

    name (str): What to call it.
    block_size (int): Number of weights that share a factor. The inputs of a layer are quantized in
        blocks of the same size, each wordpiece for itself.
    has_embeddings (bool): Whether embeddings are quantized.
    kept (Collection[str]): Layers that stay in float32, see `find_layers`.
    """

    name: str
    block_size: int
    has_embeddings: bool = True
    kept: Collection[str] = ()


def require_packages() -> None:
    """Import the packages that export and quantize.

    RAISES (ValueError): If one is missing.
    """
    switch_off_telemetry()
    try:
        import onnx  # noqa: F401

        with _without_root_handler():
            import onnxruntime.quantization.matmul_nbits_quantizer  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"Can't export without the packages for it ({error}): python -m pip install "
            '"spacy-bert-ner[quantize]".'
        ) from error


def find_layers(graph: bytes) -> Dict[str, List[str]]:
    """Find the matrix multiplications of a graph that can be quantized.

    graph (bytes): An ONNX file.
    RETURNS (Dict[str, List[str]]): Names of nodes by the layer that they are a part of: a block of
        the encoder, or a node outside of the blocks.
    """
    return _find_layers(_parse(graph))


def _find_layers(model: Any) -> Dict[str, List[str]]:
    weights = {tensor.name for tensor in model.graph.initializer}
    layers: Dict[str, List[str]] = {}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            found = LAYER.match(node.name)
            layers.setdefault(found[0] if found else node.name, []).append(node.name)
    return layers


def quantize_graph(graph: bytes, step: Step) -> bytes:
    """Quantize weights to 8 bits: those of matrix multiplications in blocks (onnxruntime's operator
    MatMulNBits), embeddings by row. Unlike with onnxruntime's `quantize_dynamic`, no factor is
    calculated over a whole batch, so that the vectors of a text don't depend on the texts that are
    read together with it.

    graph (bytes): An ONNX file, not changed.
    step (Step): How to quantize it.
    RETURNS (bytes): The quantized graph, an ONNX file.
    """
    model = _parse(graph)
    layers = _find_layers(model)
    if step.has_embeddings:
        _quantize_embeddings(model.graph)
    kept = [name for layer in step.kept for name in layers[layer]]
    model = _quantize_matmuls(model, step.block_size, kept)
    return model.SerializeToString()


def _parse(graph: bytes) -> Any:
    """RETURNS (onnx.ModelProto): The model of a file."""
    import onnx

    return onnx.load_model_from_string(graph)


def _quantize_matmuls(model: Any, block_size: int, kept: List[str]) -> Any:
    from onnxruntime.quantization.matmul_nbits_quantizer import (
        DefaultWeightOnlyQuantConfig,
        MatMulNBitsQuantizer,
    )

    # Level 4 computes with 8-bit integers, lower ones with floats.
    config = DefaultWeightOnlyQuantConfig(
        block_size=block_size, is_symmetric=True, accuracy_level=4, bits=8
    )
    quantizer = MatMulNBitsQuantizer(model, nodes_to_exclude=kept, algo_config=config)
    quantizer.process()
    quantized = quantizer.model.model
    # Weights that several nodes share (ALBERT) are written once for each of them.
    tensors = {tensor.name: tensor for tensor in quantized.graph.initializer}
    del quantized.graph.initializer[:]
    quantized.graph.initializer.extend(tensors.values())
    return quantized


def _quantize_embeddings(graph: Any) -> None:
    """Replace embeddings with rows of 8-bit integers and a factor for each row. onnxruntime's
    quantizer only has one factor for all rows, or 4 bits."""
    from onnx import TensorProto, helper, numpy_helper

    tables = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    used: Dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            used[name] = used.get(name, 0) + 1
    for node in graph.node:
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or not _is_embedding(table, node) or used[table.name] > 1:
            nodes.append(node)
            continue
        name = table.name
        rows, factors = _quantize_rows(numpy_helper.to_array(table))
        graph.initializer.remove(table)
        graph.initializer.append(numpy_helper.from_array(rows, f"{name}_rows"))
        graph.initializer.append(numpy_helper.from_array(factors, f"{name}_factors"))
        for part, ids in (("rows", node.input[1]), ("factors", node.input[1])):
            nodes.append(helper.make_node("Gather", [f"{name}_{part}", ids], [f"{name}_{part}_at"]))
        nodes.append(
            helper.make_node("Cast", [f"{name}_rows_at"], [f"{name}_cast"], to=TensorProto.FLOAT)
        )
        nodes.append(
            helper.make_node("Mul", [f"{name}_cast", f"{name}_factors_at"], list(node.output))
        )
    del graph.node[:]
    graph.node.extend(nodes)


def _is_embedding(table: Any, node: Any) -> bool:
    from onnx import TensorProto

    is_by_row = all(attribute.i == 0 for attribute in node.attribute if attribute.name == "axis")
    is_large = len(table.dims) == 2 and table.dims[0] * table.dims[1] >= LEAST_VALUES
    return is_by_row and is_large and table.data_type == TensorProto.FLOAT


def _quantize_rows(table: Floats2d) -> Any:
    """RETURNS (Tuple[Ints2d, Floats2d]): Rows, int8, and their factors, float32, (n_rows, 1)."""
    largest = numpy.abs(table).max(axis=1, keepdims=True)
    factors = numpy.where(largest > 0, largest, 1).astype("float32") / 127
    return numpy.rint(table / factors).astype("int8"), factors


@contextmanager
def _without_root_handler() -> Iterator[None]:
    """Keep a module that is imported from setting up logging for the whole process, which
    `logging.basicConfig` only does where no handler exists."""
    handler = logging.NullHandler()
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
