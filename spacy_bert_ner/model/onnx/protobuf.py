"""Find references to other files in an ONNX graph, without the package `onnx`.

An ONNX file is a protobuf message
(https://protobuf.dev/programming-guides/encoding, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
"""

from typing import Any, Dict, Iterator, Tuple, Union

from ...errors import UserError

# Kinds of values in the encoding. Others are deprecated, and in no ONNX file.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
FIXED_SIZES = {FIXED64: 8, FIXED32: 4}

# Fields of the messages that can contain a tensor, by number; None for one that names a file.
MessageT = Dict[int, Any]
TENSOR: MessageT = {13: None, 14: None}  # external_data, data_location
SPARSE: MessageT = {1: TENSOR, 2: TENSOR}
GRAPH: MessageT = {}
ATTRIBUTE: MessageT = {5: TENSOR, 6: GRAPH, 10: TENSOR, 11: GRAPH, 22: SPARSE, 23: SPARSE}
NODE: MessageT = {5: ATTRIBUTE}
GRAPH.update({1: NODE, 5: TENSOR, 15: SPARSE})
FUNCTION: MessageT = {7: NODE, 11: ATTRIBUTE}
TRAINING: MessageT = {1: GRAPH, 2: GRAPH}
MODEL: MessageT = {7: GRAPH, 20: TRAINING, 25: FUNCTION}


def check_self_contained(graph: bytes) -> None:
    """Check that a graph has all its weights in it: onnxruntime would read those that it doesn't
    have from any file that the graph names.

    graph (bytes): An ONNX file.
    RAISES (ValueError): If it doesn't, or isn't an ONNX file.
    """
    _check(memoryview(graph), MODEL)


def _check(message: memoryview, fields: MessageT) -> None:
    for number, value in _iter_fields(message):
        if number not in fields:
            continue
        if fields[number] is None:
            if value:  # data_location = DEFAULT is 0
                raise UserError("it has weights in another file, which is never read")
        elif isinstance(value, memoryview):
            _check(value, fields[number])


def _iter_fields(message: memoryview) -> Iterator[Tuple[int, Union[int, memoryview]]]:
    """YIELDS (Tuple[int, Union[int, memoryview]]): Numbers and values of the fields of a message;
    numbers of a fixed size as they are.
    RAISES (ValueError): If it isn't a message."""
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        number, kind = (key & 0xFFFFFFFF) >> 3, key & 7
        if kind == VARINT:
            value, at = _read_varint(message, at)
            yield number, value
            continue
        size = FIXED_SIZES.get(kind)
        if kind == BYTES:
            size, at = _read_varint(message, at)
        if size is None or at + size > len(message):
            raise UserError(f"no valid field at byte {at}")
        yield number, message[at : at + size]
        at += size


def _read_varint(message: memoryview, at: int) -> Tuple[int, int]:
    """RETURNS (Tuple[int, int]): A number of up to 10 bytes, and where it ends."""
    value = 0
    for i, byte in enumerate(message[at : at + 10]):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise UserError(f"no valid number at byte {at}")
