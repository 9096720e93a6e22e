"""What differs between devices of torch: CPUs, NVIDIA's GPUs (cuda) and Apple's (mps)."""

from contextlib import contextmanager
from typing import Iterator, Tuple

import torch

RandomState = Tuple[torch.Tensor, ...]


def is_host(device: torch.device) -> bool:
    """Check whether tensors are in the memory of the CPU, so that NumPy can write to them.

    device (torch.device): The device of the tensors.
    RETURNS (bool): Whether they are.
    """
    return device.type == "cpu"


def shares_memory(device: torch.device) -> bool:
    """Check whether thinc's arrays and torch's tensors can share memory. For Apple's GPUs, thinc
    copies: a change of an array isn't seen by the tensor.

    device (torch.device): The device of the tensors.
    RETURNS (bool): Whether they can.
    """
    return device.type in ("cpu", "cuda")


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done all that was started, to measure its time. Does nothing for a CPU.

    device (torch.device): The device.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def get_random_state(device: torch.device) -> RandomState:
    """RETURNS (RandomState): The states of the generators that a module on a device uses: those of
    the CPU and of the device.

    device (torch.device): The device.
    """
    states = (torch.get_rng_state(),)
    if device.type == "cuda":
        return (*states, torch.cuda.get_rng_state(device))
    if device.type == "mps":
        return (*states, torch.mps.get_rng_state())
    return states


@contextmanager
def using_random_state(device: torch.device, states: RandomState) -> Iterator[None]:
    """Repeat random numbers, and restore the states of the generators afterwards.

    device (torch.device): The device.
    states (RandomState): The output of `get_random_state` before the first use of the numbers.
    YIELDS (None): While they are repeated.
    """
    before = get_random_state(device)
    _set_random_state(device, states)
    try:
        yield
    finally:
        _set_random_state(device, before)


def _set_random_state(device: torch.device, states: RandomState) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states[1])
