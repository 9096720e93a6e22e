"""What commands check before they begin. Not in `cli`, which spaCy loads with every command."""

from pathlib import Path
from typing import Any, Dict, Union

from spacy.language import Language
from spacy.util import SimpleFrozenDict, load_config, load_model_from_config

from ..errors import UserError, describe_error


def require_gpu(number: int) -> None:
    """Take a GPU, or none, if the number is below 0.

    RAISES (UserError): If there is no such GPU, or something is missing for it.
    """
    import thinc.api

    if number < 0:
        return
    try:
        thinc.api.require_gpu(number)
    except (ValueError, RuntimeError) as error:
        reason = str(error).removeprefix("Cannot use GPU, ").rstrip(".")
        raise UserError(
            f"Can't use GPU {number}: {reason}. Leave out --use-gpu to use the CPU."
        ) from error


def load_blank(path: Union[str, Path], overrides: Dict[str, Any] = SimpleFrozenDict()) -> Language:
    """Make the pipeline of a config, not initialized.

    overrides (Dict[str, Any]): Settings that take the place of its own, such as "paths.train".
    RAISES (UserError): For what is no config, or one that makes no pipeline. OSError: For a file
        that isn't there.
    """
    try:
        return load_model_from_config(load_config(path, overrides=overrides), auto_fill=True)
    except UserError:
        raise
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(f"Can't make the pipeline of {path}: {describe_error(error)}") from error
