"""The backward pass of a micro-batch."""

from typing import Any, Callable, Dict, List, Optional, Tuple

import torch

from .blocks import keeping_inputs
from .devices import get_random_state, using_random_state
from .memory import return_free_memory

# The gradient of each weight, if it has one, and its version, which changes when something is added
# to it.
Versions = Dict[str, Tuple[Optional[torch.Tensor], int]]


class Backward:
    """The backward pass of an encoder for a micro-batch.

    model (PreTrainedModel): The encoder.
    n_pieces (int): Wordpieces of the micro-batch, padding included.
    run (Callable[[], torch.Tensor]): Runs the encoder on it. Returns float32,
        (n_windows, longest, width).
    device (torch.device): The device of the encoder.
    """

    def __init__(
        self, model: Any, n_pieces: int, run: Callable[[], torch.Tensor], device: torch.device
    ):
        self.n_pieces = n_pieces
        self._model = model
        self._run = run
        self._device = device
        self._random_state = get_random_state(device)
        self._output: Optional[torch.Tensor] = None

    def encode(self, *, keep: bool) -> torch.Tensor:
        """Run the forward pass.

        keep (bool): Keep the activations; if not, the encoder is run again in the backward pass,
            with the same dropout (Chen et al. 2016).
        RETURNS (torch.Tensor): The output, without activations.
        """
        self._model.train()
        with torch.set_grad_enabled(keep):
            output = self._run()
        self._output = output if keep else None
        return output.detach()

    def free(self) -> int:
        """Free the activations that are kept.

        RETURNS (int): The wordpieces that had any.
        """
        is_kept = self._output is not None
        self._output = None
        return self.n_pieces if is_kept else 0

    def __call__(self, gradient: torch.Tensor) -> None:
        """Add to the gradients of the weights, and free the activations.

        gradient (torch.Tensor): Of the output.
        """
        output, self._output = self._output, None
        is_kept = output is not None
        if output is None:
            output = self._run_again()
        if output.requires_grad:  # not if all layers are frozen
            torch.autograd.backward(output, gradient)
        if not is_kept:
            del output
            return_free_memory()

    def get_versions(self) -> Versions:
        """RETURNS (Versions): Of the gradients of the weights as they are."""
        return {name: _get_version(param) for name, param in self._model.named_parameters()}

    def complete(self, gradient: torch.Tensor, before: Versions) -> None:
        """Run again what failed before its end, with the activations of one block at a time. To a
        weight, a backward pass adds its whole gradient at once, or none of it: so only the weights
        that have none of it get theirs.

        gradient (torch.Tensor): Of the output.
        before (Versions): From before the backward pass that failed.
        """
        missing: List[torch.nn.Parameter] = []
        for name, param in self._model.named_parameters():
            grad, version = before[name]
            if param.requires_grad and param.grad is grad and _get_version(param)[1] == version:
                missing.append(param)
        with keeping_inputs(self._model):
            output = self._run_again()
        if missing and output.requires_grad:
            torch.autograd.backward(output, gradient, inputs=missing)

    def _run_again(self) -> torch.Tensor:
        with using_random_state(self._device, self._random_state):
            self._model.train()
            return self._run()


def _get_version(param: torch.nn.Parameter) -> Tuple[Optional[torch.Tensor], int]:
    return param.grad, 0 if param.grad is None else param.grad._version
