"""The blocks of a Hugging Face encoder: freezing, averaging, and learning rates by block."""

import math
from contextlib import contextmanager
from functools import partial
from typing import Any, Dict, Iterator, Tuple

import torch
from torch.utils.checkpoint import checkpoint

from ...errors import UserError


def freeze(model: Any, n_layers: int) -> None:
    """Exclude the embeddings and the first n blocks of an encoder from training (Wu & Dredze 2019).

    model (PreTrainedModel): The encoder, changed in place.
    n_layers (int): Blocks, from the first; 0 for the embeddings alone.
    RAISES (ValueError): If the encoder has fewer blocks, or shares them.
    """
    path, blocks = find_blocks(model, f"freeze {n_layers} layers", "freeze_layers = null")
    if not 0 <= n_layers <= len(blocks):
        raise UserError(
            f"Can't freeze {n_layers} layers of {type(model).__name__}, which has {len(blocks)}. "
            f"Set freeze_layers to null (train all), or to 0 (embeddings) up to {len(blocks)}."
        )
    for name, child in model.named_children():
        if name == path.split(".")[0]:
            break
        child.requires_grad_(False)
    parent = model.get_submodule(path.rpartition(".")[0])
    siblings = [child for child in parent.children() if child is not blocks]
    # Relative positions, which all blocks use (DeBERTa, MPNet), and their normalization.
    if parent is not model and any(isinstance(child, torch.nn.Embedding) for child in siblings):
        for child in siblings:
            child.requires_grad_(False)
    for block in blocks[:n_layers]:
        block.requires_grad_(False)


def add_noise(model: Any, size: float) -> None:
    """Add random noise to the embeddings of wordpieces in training: uniform noise whose norm is
    about `size` / 3 ** 0.5 for a sequence (NEFTune, Jain et al. 2023).

    model (PreTrainedModel): The encoder, changed in place.
    size (float): Size of the noise, 0 or more.
    """
    # A function of the module, since pipelines are pickled.
    model.get_input_embeddings().register_forward_hook(partial(_disturb, size=size))


def _disturb(module: Any, inputs: Any, X: torch.Tensor, *, size: float) -> torch.Tensor:
    if not module.training:
        return X
    n_pieces, width = X.shape[-2:]
    noise = torch.empty_like(X).uniform_(-1.0, 1.0)
    return X + noise * size / math.sqrt(n_pieces * width)


def check_mixed_layers(model: Any, n_layers: int) -> None:
    """Check that an encoder has as many outputs as should be averaged.

    model (PreTrainedModel): The encoder.
    n_layers (int): Blocks, from the last.
    RAISES (ValueError): If it has fewer.
    """
    n_blocks, name = model.config.num_hidden_layers, type(model).__name__
    if n_layers > n_blocks:
        raise UserError(
            f"Can't mix the last {n_layers} layers of {name}, which has {n_blocks}. Set "
            f"mixed_layers to 1 (only the last) up to {n_blocks}."
        )


def get_depths(model: Any) -> Dict[str, int]:
    """Count the blocks of an encoder above each of its weights: none for the last block and later
    layers, all for the embeddings.

    model (PreTrainedModel): The encoder.
    RETURNS (Dict[str, int]): By name.
    RAISES (ValueError): If the encoder shares its blocks.
    """
    path, blocks = find_blocks(model, "decay the rates of the layers", "layer_decay = 1.0")
    embeddings = {
        f"{name}.weight"
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Embedding)
    }
    depths = {}
    depth = len(blocks)
    for name, _ in model.named_parameters():
        if name.startswith(f"{path}."):
            depth = len(blocks) - 1 - int(name[len(path) + 1 :].split(".")[0])
            depths[name] = depth
        else:  # embeddings of relative positions may come after the blocks
            depths[name] = len(blocks) if name in embeddings else depth
    return depths


def find_blocks(model: Any, what: str, way_out: str) -> Tuple[str, torch.nn.ModuleList]:
    """Find the blocks of an encoder.

    model (PreTrainedModel): The encoder.
    what (str): What they are needed for, for the message.
    way_out (str): What to set instead, for the message.
    RETURNS (Tuple[str, ModuleList]): Where they are, and the blocks.
    RAISES (ValueError): If there is no list of them, since they are shared.
    """
    n_blocks = model.config.num_hidden_layers
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == n_blocks:
            return path, module
    raise UserError(
        f"Can't {what} of {type(model).__name__}: it has no list of {n_blocks} blocks. Set "
        f"{way_out}."
    )


@contextmanager
def keeping_inputs(model: Any) -> Iterator[None]:
    """Keep only the inputs of blocks for the backward pass, which runs each block again, with the
    same dropout, when it comes to it. (That of Hugging Face is missing in some encoders.)

    model (PreTrainedModel): The encoder.
    YIELDS (None): While the encoder may be run.
    """
    blocks = list(_find_outer_blocks(model))
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward  # of this block alone, so that of its class is back


def _find_outer_blocks(module: torch.nn.Module) -> Iterator[Any]:
    """YIELDS (Module): The modules of lists that aren't within other lists."""
    for child in module.children():
        if isinstance(child, torch.nn.ModuleList):
            yield from child.children()
        else:
            yield from _find_outer_blocks(child)
