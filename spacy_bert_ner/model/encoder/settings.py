"""Settings of an encoder, in a module that doesn't import torch."""

from dataclasses import dataclass
from typing import Any, Dict, Optional

from ...errors import UserError

# The least values of settings that are counts or sizes.
LEAST = {
    "window": 0,
    "stride": 0,
    "context": 0,
    "mixed_layers": 1,
    "embedding_noise": 0,
    "batch_pieces": 1,
}


@dataclass
class EncoderSettings:
    """Settings that a saved pipeline takes from its config.cfg, see `TransformerModel.v1`. (Plain
    values in `attrs` would be saved with the weights, and override the config.)

    Attributes
    ----------
    name (str): A folder, an installed package, or a name on the Hugging Face hub.
    tokenizer_config, transformer_config (Dict[str, Any]): Arguments for AutoTokenizer and
        AutoConfig.
    window, stride (int): Wordpieces in a window, and between the starts of overlapping ones.
    context (int): Wordpieces to read on either side of a window.
    context_dropout (float): Share of windows that are read without context in training, 0 to 1.
    batch_pieces (Optional[int]): Wordpieces in a micro-batch; None for a number that fits the
        device.
    """

    name: str
    tokenizer_config: Dict[str, Any]
    transformer_config: Dict[str, Any]
    window: int
    stride: int
    context: int
    context_dropout: float
    batch_pieces: Optional[int]


def check_ranges(*, context_dropout: float, **settings: Optional[float]) -> None:
    """Check settings of `TransformerModel.v1`.

    context_dropout (float): Share of windows, 0 to 1.
    settings (Optional[float]): Those in LEAST.
    RAISES (ValueError): For one out of its range.
    """
    for setting, value in settings.items():
        least = LEAST[setting]
        if value is not None and value < least:
            raise UserError(
                f"Can't read text with {setting} = {value}: set it to {least} or more in "
                "[components.transformer.model]."
            )
    if not 0.0 <= context_dropout <= 1.0:
        raise UserError(
            f"Can't use context_dropout = {context_dropout}: set it to a share of the windows from "
            "0 to 1 in [components.transformer.model]."
        )
