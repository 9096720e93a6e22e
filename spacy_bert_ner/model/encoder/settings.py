"""Settings of an encoder. Without torch, so that it can be asked whether a layer is one."""

from dataclasses import dataclass
from typing import Any, Dict, Optional


@dataclass
class EncoderSettings:
    """Settings that a saved pipeline takes from its config.cfg, see `TransformerModel.v1`.
    (Thinc would save plain values in `attrs` with the weights, and let those win.)

    Attributes
    ----------
    name (str): A folder, an installed package, or a name on the Hugging Face hub.
    tokenizer_config, transformer_config (Dict[str, Any]): Arguments for AutoTokenizer and
        AutoConfig.
    window, stride (int): Wordpieces in a window, and between the starts of overlapping ones.
    context (int): Wordpieces to read on either side of a window.
    context_dropout (float): Share of windows that training leaves without context, 0 to 1.
    batch_pieces (Optional[int]): Wordpieces in a micro-batch; None for a number that suits the
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
