"""Makes thinc take the stand-in for a GPU. Tensors of torch stay on the CPU."""

import sys
import threading
from contextlib import contextmanager

import cupy
import thinc.util
import torch

assert "thinc.api" not in sys.modules, "its modules have copies of what is replaced here"

IS_REAL = False
# Whether tensors count as tensors of the GPU: in all threads, as theirs do.
_state = {"on": True}
_to_torch = thinc.util.xp2torch
# Of functions of thinc's kernels, those that check the lengths that they are given.
CHECKED = ("reduce", "seq2col")


def _is_on_gpu(obj):
    return _state["on"] and isinstance(obj, torch.Tensor)


def _get_default_device():
    """The device of tensors that are made without one: that of the context's ops."""
    from thinc.api import CupyOps, get_current_ops

    if _state["on"] and not isinstance(get_current_ops(), CupyOps):
        raise TypeError(f"A tensor without a device, in {threading.current_thread().name}")
    return torch.device("cpu")


def _to_strict_torch(xp_tensor, requires_grad=False, device=None):
    if _state["on"] and not isinstance(xp_tensor, cupy.ndarray):
        caller = sys._getframe(1).f_globals["__name__"]
        if caller.startswith("spacy_bert_ner."):
            raise TypeError("A tensor of the GPU from an array of NumPy")
    return _to_torch(xp_tensor, requires_grad, device)


thinc.util.is_torch_cuda_array = _is_on_gpu
thinc.util.get_torch_default_device = _get_default_device
thinc.util.xp2torch = _to_strict_torch


def _make_kernel(name, function):
    """A function of thinc's CUDA kernels: that of NumpyOps, with the arguments that CUDA takes."""

    def run(*args, threshold=None, **kwargs):
        for value in (*args, *kwargs.values()):
            if isinstance(value, cupy.ndarray):
                assert value.flags["C_CONTIGUOUS"], f"{name} of an array that isn't contiguous"
        if any(part in name for part in CHECKED):
            cupy.count("waits", 2)
        return cupy.launch(function, *args, **kwargs)

    return run


def install():
    """Use the stand-in from now on, in this thread."""
    from thinc.api import NumpyOps, require_gpu
    from thinc.backends import _custom_kernels

    from spacy_bert_ner.model.encoder import rows

    ops = NumpyOps()
    for name, kernel in list(vars(_custom_kernels).items()):
        if isinstance(kernel, type(install)) and hasattr(ops, name):
            setattr(_custom_kernels, name, _make_kernel(name, getattr(ops, name)))
    rows.is_host = lambda device: not _state["on"]
    require_gpu()


@contextmanager
def using_cpu():
    """Use the CPU for a while."""
    from thinc.api import require_cpu, require_gpu

    _state["on"] = False
    require_cpu()
    try:
        yield
    finally:
        _state["on"] = True
        require_gpu()


@contextmanager
def counting():
    """Count what is done on the device.

    YIELDS (Counter): See `cupy.EVENTS`.
    """
    cupy.EVENTS.clear()
    yield cupy.EVENTS
