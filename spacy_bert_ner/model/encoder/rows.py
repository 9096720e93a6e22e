"""The vectors of a call, from the rows of padded batches to the rows of documents, and back."""

from contextlib import suppress
from functools import partial
from typing import Any, Callable, List, Protocol, cast

import numpy
import torch
from thinc.api import torch2xp

from ...types import Ints1d, Ints2d
from .batches import Batch
from .devices import is_host
from .pieces import get_ranks

# A function that takes the gradient of the rows of all documents, float32, (n_rows, width), and
# gives that of the output of the encoder for a batch, (n_windows, longest, width), with zeros for
# padding.
TakeT = Callable[[torch.Tensor], torch.Tensor]


class Rows(Protocol):
    """The rows of all documents of a call. In `Batch`, a row has padding; here, none."""

    def write(self, batch: Batch, hidden: torch.Tensor) -> TakeT:
        """Write the output of the encoder for a batch.

        batch (Batch): Windows of these documents.
        hidden (torch.Tensor): Their vectors, float32, (n_windows, longest, width).
        RETURNS (TakeT): A callback that finds the gradient of these vectors.
        """

    def arrays(self) -> List[Any]:
        """RETURNS (List[FloatsXd]): The vectors of each document, as thinc's arrays of the device,
        float32, (n_rows, width)."""


def make_rows(sizes: List[int], width: int, device: torch.device, *, share: bool) -> Rows:
    """Make room for the vectors of a call.

    sizes (List[int]): Number of rows of each document.
    width (int): Width of the vectors.
    device (torch.device): Where they are.
    share (bool): On a GPU, whether documents may share memory, so that one that is kept keeps the
        vectors of all. It saves a copy.
    RETURNS (Rows): The room.
    """
    if is_host(device):
        return _HostRows(sizes, width)
    return _DeviceRows(sizes, width, device, share=share)


class _HostRows:
    """Rows in the memory of the CPU, where copies of single windows are cheap: each document has an
    array of its own.

    sizes (List[int]): Number of rows of each document.
    width (int): Width of the vectors.
    """

    def __init__(self, sizes: List[int], width: int):
        self._firsts = _get_firsts(sizes)
        self._vectors = [numpy.empty((size, width), dtype="float32") for size in sizes]

    def write(self, batch: Batch, hidden: torch.Tensor) -> TakeT:
        for row, length, (doc, start) in zip(hidden.numpy(), batch.lengths.tolist(), batch.places):
            self._vectors[doc][start : start + length] = row[:length]
        return partial(self._take, batch)

    def arrays(self) -> List[Any]:
        return list(self._vectors)

    def _take(self, batch: Batch, d_rows: torch.Tensor) -> torch.Tensor:
        d_hidden = d_rows.new_zeros(*batch.ids.shape, d_rows.shape[1])
        arrays = d_rows.numpy()
        for row, length, start in zip(
            d_hidden.numpy(), batch.lengths.tolist(), _get_starts(batch, self._firsts).tolist()
        ):
            row[:length] = arrays[start : start + length]
        return d_hidden


class _DeviceRows:
    """Rows in the memory of a GPU, where each copy is a launch: one for all windows of a batch.

    sizes (List[int]): Number of rows of each document.
    width (int): Width of the vectors.
    device (torch.device): The GPU.
    share (bool): Whether documents may share memory.
    """

    def __init__(self, sizes: List[int], width: int, device: torch.device, *, share: bool):
        self._sizes = sizes
        self._firsts = _get_firsts(sizes)
        self._packed = torch.empty(sum(sizes), width, device=device)
        self._share = share

    def write(self, batch: Batch, hidden: torch.Tensor) -> TakeT:
        padded, rows = self._find(batch)
        flat = hidden.reshape(-1, hidden.shape[-1])
        self._packed[rows] = flat[padded]

        def take(d_rows: torch.Tensor) -> torch.Tensor:
            d_hidden = d_rows.new_zeros(batch.ids.size, d_rows.shape[1])
            d_hidden[padded] = d_rows[rows]
            return d_hidden.view(*batch.ids.shape, -1)

        return take

    def arrays(self) -> List[Any]:
        parts = self._packed.split(self._sizes)
        if not self._share:
            # Without memory for copies, a document that is kept keeps all vectors of its batch.
            with suppress(torch.cuda.OutOfMemoryError):
                parts = tuple(part.clone() for part in parts)
        return list(map(torch2xp, parts))

    def _find(self, batch: Batch) -> torch.Tensor:
        """RETURNS (torch.Tensor): For each wordpiece of a batch, its row there, as if windows were
        one below the other, and its row among all documents, int64, (2, n_pieces)."""
        starts = numpy.stack(
            [
                numpy.arange(len(batch.lengths)) * batch.ids.shape[1],
                _get_starts(batch, self._firsts),
            ]
        )
        places: Ints2d = numpy.repeat(starts, batch.lengths, axis=1) + get_ranks(batch.lengths)
        return torch.from_numpy(places).to(self._packed.device, non_blocking=True)


def _get_firsts(sizes: List[int]) -> Ints1d:
    return cast(Ints1d, numpy.cumsum([0, *sizes]))


def _get_starts(batch: Batch, firsts: Ints1d) -> Ints1d:
    """RETURNS (Ints1d): The first row of each window among those of all documents."""
    docs, starts = numpy.array(batch.places, dtype="int64").reshape(-1, 2).T
    found: Ints1d = firsts[docs] + starts
    return found
