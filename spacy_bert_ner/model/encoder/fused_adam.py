"""Thinc's Adam for all tensors of an encoder at once, in torch's fused kernel."""

from collections import defaultdict
from typing import Any, Dict, List, Mapping, Tuple

import numpy
import torch
from thinc.api import Optimizer, torch2xp, xp2torch
from torch.optim.adamw import adamw
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ..optimizers import LayeredAdam

Params = List[Tuple[str, torch.nn.Parameter]]

# The largest decay of thinc's averages of weights (NumpyOps.update_averages).
MAX_DECAY = 0.9999


def is_adam(optimizer: Any) -> bool:
    """Check whether `step_adam` gives the same result as calls of an optimizer.

    optimizer (Any): An optimizer.
    RETURNS (bool): Whether it does.
    """
    return (
        type(optimizer) in (Optimizer, LayeredAdam)
        and not optimizer.use_radam
        and optimizer.b1 > 0.0
        and optimizer.b2 > 0.0
    )


def step_adam(
    optimizer: Optimizer, shim_id: int, params: Params, scales: Mapping[str, float]
) -> None:
    """Update weights as thinc's Adam does (Kingma & Ba 2015), with its current rates, and store
    moments and averages where it does. Gradients aren't clipped.

    optimizer (Optimizer): Adam.
    shim_id (int): First part of the keys under which it keeps them.
    params (Params): Names and tensors, which have gradients. The gradients are changed.
    scales (Mapping[str, float]): Factors on the learning rate by name; 1 for those not named.
    """
    groups: Dict[Tuple[int, float], Params] = defaultdict(list)
    for name, param in params:
        optimizer.nr_update[shim_id, name] += 1
        key = (optimizer.nr_update[shim_id, name], scales.get(name, 1.0))
        groups[key].append((name, param))
    for (n_updates, scale), group in groups.items():
        _step_group(optimizer, shim_id, group, n_updates, scale * optimizer.learn_rate)


@torch.no_grad()
def _step_group(
    optimizer: Optimizer, shim_id: int, group: Params, n_updates: int, learn_rate: float
) -> None:
    tensors = [param.data for _, param in group]
    gradients = [param.grad for _, param in group if param.grad is not None]
    L2 = optimizer.L2
    if L2 and not optimizer.L2_is_weight_decay:
        for gradient, tensor in zip(gradients, tensors):
            gradient.add_(tensor, alpha=L2)
    decay = L2 if optimizer.L2_is_weight_decay else 0.0
    steps = torch.full((len(group),), n_updates - 1.0, device=tensors[0].device)
    adamw(
        tensors,
        gradients,
        _get_means(optimizer.mom1, shim_id, group, flat=True),
        _get_means(optimizer.mom2, shim_id, group, flat=True),
        [],
        list(steps.unbind()),  # counted on by the kernel
        fused=True,
        amsgrad=False,
        beta1=optimizer.b1,
        beta2=optimizer.b2,
        # Thinc decays the weights after the step, torch before it: so the step must shrink with
        # them.
        lr=learn_rate * (1.0 - learn_rate * decay),
        weight_decay=decay / (1.0 - learn_rate * decay),
        # Thinc adds epsilon before the correction for the bias of the first steps.
        eps=optimizer.eps / (1.0 - optimizer.b2**n_updates) ** 0.5,
        maximize=False,
    )
    if optimizer.averages is not None:
        averages = _get_means(optimizer.averages, shim_id, group, flat=False)
        decay = min((1.0 + n_updates) / (10.0 + n_updates), MAX_DECAY)
        get_ema_multi_avg_fn(decay)(averages, tensors, n_updates)


def _get_means(
    means: Dict[Any, Any], shim_id: int, group: Params, *, flat: bool
) -> List[torch.Tensor]:
    """Running means of tensors, as tensors on the memory of thinc's arrays. Thinc's moments are
    flat, and its averages aren't."""
    output = []
    for name, param in group:
        key = (shim_id, name)
        if key not in means:
            shape = [param.numel()] if flat else param.shape
            means[key] = torch2xp(torch.zeros(shape, device=param.device))
        array = means[key].reshape(param.shape)  # on the same memory
        if isinstance(array, numpy.ndarray):
            # A tenth of the time of xp2torch, for the hundreds of arrays of a step.
            output.append(torch.from_numpy(array).to(param.device))
        else:
            output.append(xp2torch(array, device=param.device))
    return output
