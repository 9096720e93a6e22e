"""Memory of the C library, and of GPUs."""

import ctypes
import sys
from typing import Any

import torch

# Wordpieces of a micro-batch. A CPU is fully used with few, which need less padding.
DEFAULT_PIECES = 1024
# On a GPU of NVIDIA. Fewer leave the GPU idle, and more don't make it faster.
FEWEST_PIECES, MOST_PIECES = 1024, 16384
# The part of the free memory that a micro-batch may take. The rest is for gradients and vectors,
# for the head, and for other processes, which may take their part at the same time.
SHARE = 0.5


def return_free_memory() -> None:
    """Return freed memory to the operating system. glibc keeps memory between blocks that are still
    in use, which after batches of many lengths is as much as the blocks themselves. Does nothing
    with other C libraries."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def get_default_pieces(device: torch.device, config: Any, longest: int, *, is_train: bool) -> int:
    """Find how many wordpieces a micro-batch may have where `batch_pieces` is null. On a GPU of
    NVIDIA, so many that it takes SHARE of the free memory at most: a power of two, so that batches
    are the same as long as the free memory is about the same.

    device (torch.device): The device of the encoder.
    config (PretrainedConfig): The config of the encoder.
    longest (int): Wordpieces of the longest window.
    is_train (bool): Whether activations of all layers are kept for the backward pass.
    RETURNS (int): Wordpieces, padding included: DEFAULT_PIECES, or FEWEST_PIECES to MOST_PIECES.
    """
    if device.type != "cuda":
        return DEFAULT_PIECES
    free, _ = torch.cuda.mem_get_info(device)
    # What torch keeps of freed memory isn't free for others, but for torch.
    free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    n_pieces = int(SHARE * free / estimate_piece(config, longest, is_train=is_train))
    fitting = 1 << max(n_pieces, 1).bit_length() - 1
    return min(max(fitting, FEWEST_PIECES), MOST_PIECES)


def estimate_piece(config: Any, longest: int, *, is_train: bool) -> int:
    """Estimate the memory that an encoder takes for a wordpiece, in float32. Half precision takes
    less, and so does attention whose kernel doesn't store its weights.

    config (PretrainedConfig): The config of the encoder.
    longest (int): Wordpieces of the window.
    is_train (bool): Whether activations of all layers are kept for the backward pass. If not, those
        of one layer are in memory at a time.
    RETURNS (int): Bytes.
    """
    width = config.hidden_size
    # DistilBERT and XLNet have it under another name.
    inner = getattr(config, "intermediate_size", None) or 4 * width
    # Of a layer (Korthikanti et al. 2022): its input, queries, keys and values, the output of
    # attention, inputs and output of both normalizations, masks of dropout; the inner layer before
    # and after its activation; and for each head the weights of attention with their dropout.
    layer = 9 * width + 2 * inner + 3 * config.num_attention_heads * longest
    return int(4 * layer * (config.num_hidden_layers if is_train else 1))
