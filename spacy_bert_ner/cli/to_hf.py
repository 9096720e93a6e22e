from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import REPLACE

# fmt: off


def to_hf_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    output_path: Path = Argument(..., readable=False, help="Where to write the checkpoint: a new folder"),
    component: Optional[str] = Option(None, "--component", "-c", metavar="NAME", help="The bert_ner to write, if there are several"),
    force: bool = REPLACE,
) -> None:
    # fmt: on
    """
    Write a pipeline as a Hugging Face checkpoint, which needs no spaCy.

    AutoModelForTokenClassification and AutoTokenizer read it, and pipeline("token-classification",
    aggregation_strategy="first").
    """
    from ..commands.to_hf import to_hf
    from ..terminal import printable

    to_hf(pipeline, output_path, component=component, force=force)
    echo(printable(f"Wrote {output_path}."))
