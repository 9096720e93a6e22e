from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import REPLACE

# fmt: off


def to_hf_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    output_path: Path = Argument(..., readable=False, help="Output folder for the checkpoint"),
    component: Optional[str] = Option(None, "--component", "-c", metavar="NAME", help="Name of the bert_ner component to write, if there are several"),
    force: bool = REPLACE,
) -> None:
    # fmt: on
    """
    Write a pipeline as a Hugging Face checkpoint, which works without spaCy.

    Load it with AutoModelForTokenClassification and AutoTokenizer, or with
    pipeline("token-classification", aggregation_strategy="first").
    """
    from ..commands.to_hf import to_hf
    from ..terminal import printable

    to_hf(pipeline, output_path, component=component, force=force)
    echo(printable(f"Wrote {output_path}."))
