from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import REPLACE

# fmt: off


def shrink_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    output_path: Path = Argument(..., readable=False, help="Where to write the encoder: a new folder"),
    layers: int = Option(..., "--layers", "-l", min=1, help="How many layers to keep, spread evenly from the first to the last"),
    head: bool = Option(False, "--head", help="Write the classifier as well, to begin with it (HuggingFaceCheckpoint.v1)"),
    component: Optional[str] = Option(None, "--component", "-c", metavar="NAME", help="The bert_ner to read, if there are several"),
    force: bool = REPLACE,
) -> None:
    # fmt: on
    """
    Write a smaller encoder, some layers of a trained pipeline's, for a student to begin with.

    The folder is an encoder of Hugging Face's with its tokenizer: name it in a config, as
    --vars.encoder. It has to be trained, on what `label` gives of the same pipeline.
    """
    from ..commands.shrink import shrink
    from ..terminal import printable

    shrink(pipeline, output_path, layers, head=head, component=component, force=force)
    echo(printable(f"Wrote {output_path}: {layers} layers of the encoder of {pipeline}."))
