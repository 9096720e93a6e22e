from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

# fmt: off


def to_hf_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    output_path: Path = Argument(..., help="Where to write the checkpoint: a new folder"),  # noqa: B008
    component: Optional[str] = Option(None, "--component", "-c", metavar="NAME", help="The bert_ner to write, if there are several"),  # noqa: E501
    force: bool = Option(False, "--force", "-F", help="Replace a folder that isn't empty"),
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
