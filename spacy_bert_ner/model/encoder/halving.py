"""Micro-batches for which a GPU has no memory."""

from typing import Callable, Iterator, List, Tuple, TypeVar

import torch

from ...errors import UserError, warn
from .backward import Backward
from .batches import Batch
from .settings import BLOCK

ResultT = TypeVar("ResultT")


class Halving:
    """Runs an encoder on micro-batches. One that doesn't fit into the memory of the GPU is halved
    and run again, which is told once. In the backward pass, it is run again with fewer activations.

    Attributes
    ----------
    most_pieces (int): Wordpieces that a micro-batch may have from now on, padding included.
    most_kept (int): Wordpieces whose activations may be kept for a backward pass from now on.
    """

    def __init__(self) -> None:
        self.most_pieces = self.most_kept = 1 << 62

    def run(
        self, encode: Callable[[Batch], ResultT], batch: Batch
    ) -> Iterator[Tuple[Batch, ResultT]]:
        """Run the encoder on a micro-batch, or on parts of it.

        encode (Callable[[Batch], ResultT]): Runs the encoder.
        batch (Batch): Windows.
        YIELDS (Tuple[Batch, ResultT]): The parts in the order of their windows, and their results.
        RAISES (UserError): If one window alone doesn't fit.
        """
        try:
            result = encode(batch)
        except torch.cuda.OutOfMemoryError as error:
            if len(batch.lengths) == 1:
                raise UserError(
                    f"The GPU has no memory for a window of {batch.ids.size} wordpieces: close "
                    f'other programs that use it, set precision = "auto" or a shorter window in '
                    f"{BLOCK}, or use the CPU."
                ) from error
        else:
            yield batch, result
            return
        # Not in the block above, where the exception keeps what was calculated.
        torch.cuda.empty_cache()
        self._tell(batch.ids.size)
        for half in batch.halve():
            yield from self.run(encode, half)

    def keep(self, encode: Callable[..., ResultT], batch: Batch, n_kept: int, most: int) -> ResultT:
        """Run the encoder on a micro-batch for training, and keep its activations if there is
        memory for them. If not, it is run again in the backward pass, when others are free.

        encode (Callable[..., ResultT]): Runs the encoder, with the argument `keep`.
        batch (Batch): Windows.
        n_kept (int): Wordpieces before it in this step, whose activations may be kept.
        most (int): The most of them to keep.
        RETURNS (ResultT): The result.
        """
        if n_kept + batch.ids.size <= min(most, self.most_kept):
            try:
                return encode(batch, keep=True)
            except torch.cuda.OutOfMemoryError:
                if not n_kept:  # nor is there memory in the backward pass
                    raise
            torch.cuda.empty_cache()
            self.most_kept = n_kept
        return encode(batch, keep=False)

    def backward(self, backward: Backward, gradient: torch.Tensor, others: List[Backward]) -> None:
        """Run the backward pass of a micro-batch. Without memory for it, free all activations that
        are kept, and run the rest of it with those of one block at a time. (Not in halves: dropout
        would be another than that of the output, to which the gradient belongs.)

        backward (Backward): The backward pass.
        gradient (torch.Tensor): Of the output, float32, (n_windows, longest, width).
        others (List[Backward]): Those of this step that come after it.
        RAISES (UserError): If there is no memory for that either.
        """
        before = backward.get_versions()
        try:
            backward(gradient)
        except torch.cuda.OutOfMemoryError:
            n_kept = sum(other.free() for other in others)
        else:
            return
        torch.cuda.empty_cache()
        self._tell_backward(backward.n_pieces, n_kept)
        try:
            backward.complete(gradient, before)
        except torch.cuda.OutOfMemoryError as error:
            raise UserError(
                f"The GPU has no memory to train on a micro-batch of {backward.n_pieces} "
                f"wordpieces: close other programs that use it, set batch_pieces in {BLOCK} to "
                f'{backward.n_pieces // 2} or less, precision = "auto" or freeze_layers there, or '
                f"use the CPU."
            ) from error

    def _tell(self, n_pieces: int) -> None:
        if self.most_pieces > n_pieces:
            warn(
                f"The GPU has no memory for a micro-batch of {n_pieces} wordpieces: it is read in "
                f"halves, and so are those that follow. To try no larger ones, set batch_pieces in "
                f"{BLOCK} to {n_pieces // 2} or less."
            )
        self.most_pieces = min(self.most_pieces, n_pieces // 2)

    def _tell_backward(self, n_pieces: int, n_kept: int) -> None:
        """n_kept (int): Wordpieces of other micro-batches whose activations were kept."""
        n_all = n_pieces + n_kept
        if self.most_kept > n_all // 2 or (not n_kept and self.most_pieces > n_pieces // 2):
            warn(
                f"The GPU has no memory for the backward pass with the activations of {n_all} "
                f"wordpieces: some are calculated again, which takes more time, and fewer are kept "
                f"from now on. To keep fewer from the start, set batch_pieces in {BLOCK} to "
                f"{n_all // 2} or less."
            )
        self.most_kept = min(self.most_kept, n_all // 2)
        if not n_kept:
            self.most_pieces = min(self.most_pieces, n_pieces // 2)
