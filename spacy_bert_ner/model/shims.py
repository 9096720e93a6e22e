"""Modules of torch inside of thinc's layers."""

from typing import Any, Optional


def get_module(shim: Any) -> Optional[Any]:
    """Get the module of a shim of thinc, which is only available under this private name. Without
    it, an encoder counts as not initialized.

    shim (Shim): The shim.
    RETURNS (Optional[torch.nn.Module]): The module, None if it has none.
    """
    return getattr(shim, "_model", None)
