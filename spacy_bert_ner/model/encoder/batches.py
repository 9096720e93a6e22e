"""Micro-batches of windows of similar length."""

from dataclasses import dataclass
from typing import Iterator, List, Tuple

import numpy

from ...types import Ints1d, Ints2d
from .windows import Windows


@dataclass
class Batch:
    """Windows that the encoder reads together.

    Attributes
    ----------
    ids (Ints2d): Vocabulary ids, padded with the padding id, int64, (n_windows, longest).
    lengths (Ints1d): Length of each window, int64, (n_windows,).
    places (List[Tuple[int, int]]): Document and first row of each window.
    """

    ids: Ints2d
    lengths: Ints1d
    places: List[Tuple[int, int]]

    @property
    def mask(self) -> Ints2d:
        """RETURNS (Ints2d): 1 for wordpieces, 0 for padding, int64, (n_windows, longest)."""
        return (numpy.arange(self.ids.shape[1]) < self.lengths[:, None]).astype("int64")

    def halve(self) -> List["Batch"]:
        """RETURNS (List[Batch]): Its windows, longest first, in two batches."""
        middle = (len(self.lengths) + 1) // 2
        return [self._select(slice(middle)), self._select(slice(middle, None))]

    def _select(self, windows: slice) -> "Batch":
        lengths = self.lengths[windows]
        return Batch(self.ids[windows, : lengths.max()], lengths, self.places[windows])


def get_batches(
    docs: List[Windows], *, batch_pieces: int, call_pieces: int, pad_id: int
) -> Iterator[Batch]:
    """Sort the windows of all documents by length and yield them, longest first.

    docs (List[Windows]): The documents, in windows.
    batch_pieces (int): The most wordpieces of a batch, padding included. A window that is longer
        is a batch of its own.
    call_pieces (int): A batch is divided where that saves more padding than this, in wordpieces:
        the number that the encoder reads in the time of one additional call.
    pad_id (int): Vocabulary id of the padding.
    YIELDS (Batch): The batches.
    """
    if not docs:
        return
    lengths = numpy.concatenate([windows.lengths for windows in docs])
    rows = numpy.concatenate([windows.starts[:-1] for windows in docs])
    owners = numpy.repeat(numpy.arange(len(docs)), [len(windows.lengths) for windows in docs])
    order = numpy.argsort(-lengths, kind="stable")
    while len(order):
        longest = int(lengths[order[0]])
        n_windows = _cut(lengths[order[: max(1, batch_pieces // longest)]], call_pieces)
        chosen, order = order[:n_windows], order[n_windows:]
        ids = numpy.full((len(chosen), longest), pad_id, dtype="int64")
        places = list(zip(owners[chosen].tolist(), rows[chosen].tolist()))
        for row, length, (doc, first) in zip(ids, lengths[chosen].tolist(), places):
            row[:length] = docs[doc].ids[first : first + length]
        yield Batch(ids=ids, lengths=lengths[chosen], places=places)


def _cut(lengths: Ints1d, call_pieces: int) -> int:
    """Find how many windows to read together. The rest is left to the next batch, padded to the
    first of them.

    lengths (Ints1d): Length of each window, longest first, (n_windows,).
    call_pieces (int): See `get_batches`.
    RETURNS (int): The number of windows, from the first.
    """
    n_windows = len(lengths)
    while True:
        saved = (lengths[0] - lengths[:n_windows]) * numpy.arange(n_windows, 0, -1)
        best = int(saved.argmax())
        if saved[best] <= call_pieces:
            return n_windows
        n_windows = best
