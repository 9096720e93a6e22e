"""Arrays of documents as one: a GPU copies one large array faster than many small ones."""

from typing import Any, List, Sequence

import numpy
from thinc.api import Ops

from ..characters import add_before
from ..types import Floats2d as HostFloats2d


class SplitRows(List[Any]):
    """The parts of an array that was split. The list itself must stay as it is; a part of it
    (`parts[2:]`) is an ordinary list.

    Attributes
    ----------
    joined (ArrayXd): The array.
    """

    joined: Any


def to_host(ops: Ops, arrays: List[Any]) -> List[HostFloats2d]:
    """Copy arrays from the device of ops to the CPU.

    ops (Ops): Those of the arrays.
    arrays (List[Floats2d]): One for each document, (n_tokens, width).
    RETURNS (List[HostFloats2d]): Arrays of NumPy. Those that are there already aren't copied.
    """
    if ops.xp is numpy:
        return list(arrays)
    return split_like(ops.to_numpy(ops.flatten(arrays)), arrays)


def to_device(ops: Ops, arrays: List[HostFloats2d]) -> List[Any]:
    """Copy arrays from the CPU to the device of ops.

    ops (Ops): Those of the copies.
    arrays (List[HostFloats2d]): One for each document, (n_tokens, width).
    RETURNS (List[Floats2d]): Arrays of the device. On a CPU, nothing is copied.
    """
    if ops.xp is numpy:
        return list(arrays)
    return split_like(ops.xp.asarray(numpy.concatenate(arrays)), arrays)


def split_like(joined: Any, arrays: Sequence[Any]) -> SplitRows:
    """Undo `ops.flatten`.

    joined (ArrayXd): The rows of all arrays.
    arrays (Sequence[ArrayXd]): The arrays.
    RETURNS (SplitRows): The rows that belong to each of them, which share the memory of
        `joined`.
    """
    firsts = add_before([len(array) for array in arrays]).tolist()
    parts = SplitRows(joined[start:end] for start, end in zip(firsts, firsts[1:]))
    parts.joined = joined
    return parts


def join(ops: Ops, arrays: List[Any]) -> Any:
    """As `ops.flatten`, but arrays that were split aren't copied.

    ops (Ops): Those of the arrays.
    arrays (List[ArrayXd]): The arrays, from `split_like` or not.
    RETURNS (ArrayXd): The rows of all of them.
    """
    return arrays.joined if isinstance(arrays, SplitRows) else ops.flatten(arrays)
