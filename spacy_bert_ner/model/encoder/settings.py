"""Settings of an encoder, in a module that doesn't import torch."""

from dataclasses import dataclass
from typing import Any, Dict, Optional

from ...errors import UserError

# The block of the settings of an encoder, for messages.
BLOCK = "[components.transformer.model]"
# The least values of settings that are counts or sizes.
LEAST = {
    "window": 0,
    "stride": 0,
    "context": 0,
    "mixed_layers": 1,
    "embedding_noise": 0,
    "batch_pieces": 1,
    "n_threads": 1,
}


@dataclass(kw_only=True)
class WindowSettings:
    """Settings that a saved pipeline takes from its config.cfg, see `TransformerModel.v1` and
    `OnnxEncoder.v1`. (Plain values in `attrs` would be saved with the weights, and override the
    config.)

    Attributes
    ----------
    window, stride (int): Wordpieces in a window, and between the starts of overlapping ones.
    context (int): Wordpieces to read on either side of a window.
    batch_pieces (Optional[int]): Wordpieces in a micro-batch; None for a number that fits the
        device.
    """

    window: int
    stride: int
    context: int
    batch_pieces: Optional[int]


@dataclass(kw_only=True)
class EncoderSettings(WindowSettings):
    """Settings of an encoder that is loaded by its name and can be trained.

    Attributes
    ----------
    name (str): A folder, an installed package, or a name on the Hugging Face hub.
    tokenizer_config, transformer_config (Dict[str, Any]): Arguments for AutoTokenizer and
        AutoConfig.
    context_dropout (float): Share of windows that are read without context in training, 0 to 1.
    """

    name: str
    tokenizer_config: Dict[str, Any]
    transformer_config: Dict[str, Any]
    context_dropout: float


def check_ranges(block: str, **settings: Optional[float]) -> None:
    """Check settings that are counts or sizes.

    block (str): The block that they are set in, for the message.
    settings (Optional[float]): Those in LEAST.
    RAISES (ValueError): For one out of its range.
    """
    for setting, value in settings.items():
        least = LEAST[setting]
        if value is not None and value < least:
            raise UserError(
                f"Can't read text with {setting} = {value}: set it to {least} or more in {block}."
            )


def check_context_dropout(context_dropout: float) -> None:
    """Check a setting of `TransformerModel.v1`.

    context_dropout (float): Share of windows, 0 to 1.
    RAISES (ValueError): If it is out of this range.
    """
    if not 0.0 <= context_dropout <= 1.0:
        raise UserError(
            f"Can't use context_dropout = {context_dropout}: set it to a share of the windows from "
            f"0 to 1 in {BLOCK}."
        )
