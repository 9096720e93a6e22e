"""Copies of a model in several processes, which learn together (torch.distributed)."""

from typing import Any, Callable, Iterator, List, NamedTuple, Optional

import numpy
import torch
from thinc.api import Model, torch2xp, xp2torch
from torch import distributed

from ...types import Floats1d
from ..shims import get_module


class Weight(NamedTuple):
    """A weight of a model, in thinc's arrays or in torch's.

    data (torch.Tensor): Its value, which shares the memory of the model.
    get_gradient (Callable[[], Optional[torch.Tensor]]): Returns its gradient, None if it has none.
    set_gradient (Callable[[torch.Tensor], None]): Replaces its gradient.
    """

    data: torch.Tensor
    get_gradient: Callable[[], Optional[torch.Tensor]]
    set_gradient: Callable[[torch.Tensor], None]


def send_weights(model: Model[Any, Any]) -> None:
    """Give all copies the weights of the first process.

    model (Model): The copy of this process. Changed.
    """
    for weight in _get_weights(model):
        distributed.broadcast(weight.data, src=0)


def sum_gradients(model: Model[Any, Any]) -> None:
    """Give all copies the sum of their gradients, with one exchange for all weights. A weight
    without gradient in any process gets none.

    model (Model): The copy of this process. Changed.
    """
    weights = list(_get_weights(model))
    gradients = [weight.get_gradient() for weight in weights]
    if not weights:
        return
    device = weights[0].data.device
    found = torch.tensor([float(one is not None) for one in gradients], device=device)
    distributed.all_reduce(found)
    used = [pair for pair, count in zip(zip(weights, gradients), found.tolist()) if count]
    if not used:
        return
    parts = [torch.zeros_like(weight.data) if one is None else one for weight, one in used]
    joined = torch.cat([part.reshape(-1) for part in parts])
    distributed.all_reduce(joined)
    for (weight, _), part in zip(used, joined.split([part.numel() for part in parts])):
        weight.set_gradient(part.view(weight.data.shape))


def sum_numbers(numbers: List[float], model: Model[Any, Any]) -> Floats1d:
    """Sum numbers over processes.

    numbers (List[float]): As many in each process.
    model (Model): The copy of this process, on the device that is used for the exchange.
    RETURNS (Floats1d): The sums, float64, (n,).
    """
    device = next((weight.data.device for weight in _get_weights(model)), torch.device("cpu"))
    sums = torch.tensor(numbers, dtype=torch.float64, device=device)
    distributed.all_reduce(sums)
    return numpy.asarray(sums.cpu())


def send(value: Any) -> Any:
    """RETURNS (Any): What the first process gave.

    value (Any): Anything that can be pickled; not used in other processes.
    """
    values = [value]
    distributed.broadcast_object_list(values, src=0)
    return values[0]


def _get_weights(model: Model[Any, Any]) -> Iterator[Weight]:
    for node in model.walk():
        for name in node.param_names:
            if node.has_param(name):
                yield _make_weight(node, name)
        for shim in node.shims:
            module = get_module(shim)
            if isinstance(module, torch.nn.Module):
                yield from (_wrap(param) for param in module.parameters() if param.requires_grad)


def _make_weight(node: Model[Any, Any], name: str) -> Weight:
    def get_gradient() -> Optional[torch.Tensor]:
        return xp2torch(node.get_grad(name)) if node.has_grad(name) else None

    def set_gradient(gradient: torch.Tensor) -> None:
        node.set_grad(name, torch2xp(gradient.contiguous()))  # type: ignore[arg-type]

    return Weight(xp2torch(node.get_param(name)), get_gradient, set_gradient)


def _wrap(param: torch.nn.Parameter) -> Weight:
    def set_gradient(gradient: torch.Tensor) -> None:
        param.grad = gradient

    return Weight(param.data, lambda: param.grad, set_gradient)
