"""Make a smaller encoder from some blocks of a larger one."""

from typing import List

import numpy
import safetensors.torch
import srsly

from ...damage import CHECKSUMS, DamagedPipelineError
from ...errors import UserError
from .blocks import find_blocks
from .huggingface import Encoder, encoder_from_bytes, encoder_to_bytes


def keep_blocks(encoder: Encoder, n_layers: int, *, first: bool = False) -> Encoder:
    """Make an encoder from some blocks of another one, with its embeddings and its tokenizer.

    encoder (Encoder): The larger encoder. Not changed.
    n_layers (int): Number of blocks to keep, fewer than the encoder has.
    first (bool): Keep the first blocks (Sajjad et al. 2023). Otherwise they are spread evenly from
        the first to the last (Sanh et al. 2019 use 0, 2, 4, 7, 9 and 11 of 12).
    RETURNS (Encoder): A new encoder.
    RAISES (ValueError): If the encoder doesn't have more blocks than that, or if its blocks differ,
        so that none can replace another.
    """
    kind = type(encoder.model).__name__
    way_out = "another teacher, whose blocks don't share weights"
    path, blocks = find_blocks(encoder.model, f"keep {n_layers} layers", way_out)
    if not 1 <= n_layers < len(blocks):
        raise UserError(
            f"Can't shrink {kind}, which has {len(blocks)} layers, to {n_layers}: "
            + (f"choose 1 to {len(blocks) - 1} layers." if len(blocks) > 1 else "it has one.")
        )
    kept = list(range(n_layers)) if first else spread_blocks(len(blocks), n_layers)
    data = encoder_to_bytes(encoder)
    del data[CHECKSUMS]
    config = srsly.json_loads(data["config"])
    # Some configs name it n_layers.
    config[encoder.model.config.attribute_map.get("num_hidden_layers", "num_hidden_layers")] = (
        n_layers
    )
    kinds = config.get("layer_types")  # of attention, of each block
    if kinds is not None and len(kinds) == len(blocks):
        config["layer_types"] = [kinds[block] for block in kept]
    names = {f"{path}.{old}.": f"{path}.{new}." for new, old in enumerate(kept)}
    weights = {}
    for name, tensor in safetensors.torch.load(data["weights"]).items():
        if not name.startswith(f"{path}."):
            weights[name] = tensor
            continue
        start = f"{path}.{name[len(path) + 1 :].split('.')[0]}."
        if start in names:
            weights[names[start] + name[len(start) :]] = tensor
    # Without sort_keys, srsly rounds an epsilon of 1e-12 to 0.
    data["config"] = srsly.json_dumps(config, sort_keys=True)
    data["weights"] = safetensors.torch.save(weights)
    try:
        return encoder_from_bytes(data, {})
    except DamagedPipelineError as error:
        raise UserError(
            f"Can't shrink {kind} to {n_layers} layers: its blocks differ, and one can't replace "
            "another. Choose another teacher."
        ) from error


def spread_blocks(n_blocks: int, n_kept: int) -> List[int]:
    """Spread blocks evenly from the first to the last.

    n_blocks (int): Number of blocks.
    n_kept (int): Number of blocks to choose.
    RETURNS (List[int]): Their numbers from 0.
    """
    return [int(place) for place in numpy.linspace(0, n_blocks - 1, n_kept).round()]
