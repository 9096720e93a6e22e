from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import REPLACE

# fmt: off


def shrink_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    output_path: Path = Argument(..., readable=False, help="Output folder for the encoder"),
    layers: int = Option(..., "--layers", "-l", min=1, help="Number of layers to keep, spread evenly from the first to the last"),
    first: bool = Option(False, "--first", help="Keep the first layers instead of spread ones"),
    head: bool = Option(False, "--head", help="Also write the classifier, for a student that starts from it (HuggingFaceCheckpoint.v1)"),
    component: Optional[str] = Option(None, "--component", "-c", metavar="NAME", help="Name of the bert_ner component to read, if there are several"),
    force: bool = REPLACE,
) -> None:
    # fmt: on
    """
    Write a smaller encoder with some layers of a trained pipeline's encoder, to
    train a student.

    The folder is a Hugging Face encoder with its tokenizer: name it in a
    config, or with --vars.encoder. Train it on the output of `label` with the
    same pipeline.
    """
    from ..commands.shrink import shrink
    from ..findings import number
    from ..terminal import printable

    shrink(
        pipeline, output_path, layers, first=first, head=head, component=component, force=force
    )
    count = number(layers, "layer")
    echo(printable(f"Wrote {output_path}: {count} of the encoder of {pipeline}."))
