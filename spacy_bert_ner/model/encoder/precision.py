"""The precision of the encoder: half precision on hardware that supports it, and oneDNN's
kernels."""

import os
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, List, Optional, Tuple, cast

import torch
from torch.overrides import TorchFunctionMode

from ...errors import UserError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
# Caches of oneDNN and of the layer between it and torch, whose sizes are read at first use. They
# keep objects for each shape of a batch, up to 1,024, which takes hundreds of megabytes after a
# while and makes nothing faster.
SHAPE_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")


def check_precision(precision: str) -> None:
    """Check a setting.

    precision (str): A name, see `TransformerModel.v1`.
    RAISES (ValueError): If it isn't one of PRECISIONS.
    """
    if precision not in PRECISIONS:
        raise UserError(
            f"Can't compute with precision = '{precision}': set it to one of "
            f"{', '.join(PRECISIONS)} in [components.transformer.model]."
        )


def computing(
    precision: str, device: torch.device, *, is_train: bool = False
) -> ContextManager[Any]:
    """Make the context to run an encoder in.

    precision (str): A name in PRECISIONS, see `TransformerModel.v1`.
    device (torch.device): Where the encoder is.
    is_train (bool): Whether it is trained.
    RETURNS (ContextManager[Any]): The context.
    """
    if device.type == "cpu":
        bound_shape_caches()
        if get_dtype(precision, device, is_train=is_train) is None and prefers_onednn():
            return OneDNN()
    return casting(precision, device, is_train=is_train)


def casting(precision: str, device: torch.device, *, is_train: bool) -> ContextManager[Any]:
    """Make the context that casts to half precision. In training, around several contexts of
    `computing`, weights are cast only once for all of them, and kept once for the backward pass.
    (In inference mode, torch casts them in each. That takes less than 1 % of the time of a
    micro-batch of 1,024 wordpieces, and a copy of the weights would take memory.)

    precision (str): A name in PRECISIONS.
    device (torch.device): Where the encoder is.
    is_train (bool): Whether it is trained.
    RETURNS (ContextManager[Any]): The context, which does nothing for full precision.
    """
    dtype = get_dtype(precision, device, is_train=is_train)
    if dtype is None:
        return nullcontext()
    return cast(ContextManager[Any], torch.autocast(device.type, dtype=dtype))


def get_dtype(precision: str, device: torch.device, *, is_train: bool) -> Optional[torch.dtype]:
    """Find the type for torch.autocast.

    precision (str): A name in PRECISIONS.
    device (torch.device): Where the encoder is.
    is_train (bool): Whether it is trained.
    RETURNS (Optional[torch.dtype]): The type, None for full precision.
    """
    auto = precision == "auto"
    if precision == "bf16" or (auto and has_bf16(device.type)):
        return torch.bfloat16
    if device.type != "cuda":
        return None
    # In training, fp16 needs scaled gradients, which only the setting "fp16" has.
    if precision == "fp16" or (auto and not is_train and has_fp16()):
        return torch.float16
    return None


def name_precision(precision: str, device: torch.device) -> str:
    """Find the precision that predictions are made in.

    precision (str): A name in PRECISIONS.
    device (torch.device): Where the encoder is.
    RETURNS (str): "fp32", "bf16" or "fp16".
    """
    names = {None: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
    return names[get_dtype(precision, device, is_train=False)]


@cache
def bound_shape_caches() -> None:
    """Limit the caches for shapes of batches, unless the environment sets their sizes."""
    for name in SHAPE_CACHES:
        os.environ.setdefault(name, "16")


@cache
def has_bf16(device_type: str) -> bool:
    """Check whether the hardware multiplies bf16. If not, torch does it via float32, which is
    slower and no more exact.

    device_type (str): "cpu" or "cuda".
    RETURNS (bool): Whether it does.
    """
    if device_type == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    _, flags = get_cpu()
    # Of x86, and of ARM.
    return device_type == "cpu" and bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags))


@cache
def has_fp16() -> bool:
    """RETURNS (bool): Whether the GPU has units for products in fp16: Volta and later. Before, it
    is no faster than float32, or even slower."""
    return torch.cuda.get_device_capability() >= (7, 0)


@cache
def prefers_onednn() -> bool:
    """RETURNS (bool): Whether to multiply with oneDNN instead of MKL, which torch uses for float32,
    and which is half as fast on AMD's processors."""
    vendor, _ = get_cpu()
    return (
        vendor == "AuthenticAMD"
        and torch.backends.mkl.is_available()
        and torch.backends.mkldnn.is_available()
        and find_onednn_linear() is not None
    )


def find_onednn_linear() -> Optional[Callable[..., Any]]:
    """Find the kernel that torch compiles linear layers to. It has no public name: if it is
    missing, layers multiply with torch's default.

    RETURNS (Optional[Callable[..., Any]]): Of inputs, weights, biases, and the name, the arguments
        and the algorithm of an activation; None if torch no longer has it.
    """
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None)


@cache
def get_cpu(path: str = "/proc/cpuinfo") -> Tuple[str, List[str]]:
    """Read what Linux reports about the processor.

    path (str): The file to read.
    RETURNS (Tuple[str, List[str]]): Vendor and flags; nothing on other systems.
    """
    if not Path(path).exists():
        return "", []
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    fields: Dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return fields.get("vendor_id", ""), (fields.get("flags") or fields.get("Features", "")).split()


class OneDNN(TorchFunctionMode):
    """A context in which linear layers multiply float32 with oneDNN, with gradients. Results differ
    from torch's by rounding."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: Tuple[Any, ...] = (),
        kwargs: Optional[Dict[str, Any]] = None,
    ) -> Any:
        if func is torch.nn.functional.linear and not kwargs and _fits(*args):
            return _multiply(*args) if torch.is_grad_enabled() else _linear(*args)
        return func(*args, **(kwargs or {}))


def _multiply(X: torch.Tensor, W: torch.Tensor, b: Optional[torch.Tensor] = None) -> torch.Tensor:
    # With two dimensions, since views that are made inside can't be changed in place (as DeBERTa
    # does).
    Y = _Linear.apply(X.reshape(-1, X.shape[-1]), W, b)
    return cast(torch.Tensor, Y).view(*X.shape[:-1], len(W))


class _Linear(torch.autograd.Function):
    """A linear layer, float32.

    X (torch.Tensor): Inputs, (n, n_inputs).
    W (torch.Tensor): Weights, (n_outputs, n_inputs).
    b (Optional[torch.Tensor]): Biases, (n_outputs,).
    """

    @staticmethod
    def forward(
        ctx: Any, X: torch.Tensor, W: torch.Tensor, b: Optional[torch.Tensor]
    ) -> torch.Tensor:
        ctx.save_for_backward(X, W)
        return _linear(X, W, b)

    @staticmethod
    def backward(ctx: Any, dY: torch.Tensor) -> Tuple[Optional[torch.Tensor], ...]:
        X, W = ctx.saved_tensors
        need_X, need_W, need_b = ctx.needs_input_grad
        return (
            _linear(dY, W.T) if need_X else None,
            _linear(dY.T, X.T) if need_W else None,
            dY.sum(dim=0) if need_b else None,
        )


def _linear(X: torch.Tensor, W: torch.Tensor, b: Optional[torch.Tensor] = None) -> torch.Tensor:
    kernel = find_onednn_linear()
    if kernel is None:
        return torch.nn.functional.linear(X, W, b)
    return cast(torch.Tensor, kernel(X, W, b, "none", [], ""))


def _fits(X: torch.Tensor, W: torch.Tensor, b: Optional[torch.Tensor] = None) -> bool:
    return X.dtype == W.dtype == torch.float32 and X.dim() >= 2 and W.dim() == 2 and X.numel() > 0
