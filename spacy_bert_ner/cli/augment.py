from pathlib import Path
from typing import Optional

from typer import Argument, Option

from ._util import COLUMN, ON_ERROR, SOURCE, USE_GPU, OnError, notify

# fmt: off


def augment_cli(
    encoder: str = Argument(..., help="Masked language model: a folder, an installed package, or a name on the Hugging Face hub"),
    input_path: Path = Argument(..., readable=False, help="Text, a file of documents, or a folder of .txt files"),
    output_path: Path = Argument(..., readable=False, help="Output file (.spacy) for the new texts"),
    share: float = Option(0.15, "--share", min=0, max=1, help="Share of the replaceable words that are replaced in each sentence"),
    copies: int = Option(1, "--copies", min=1, help="Number of new versions of each text, each with other words replaced"),
    min_length: int = Option(3, "--min-length", min=1, help="Length of the shortest words that are replaced, in characters"),
    seed: int = Option(0, "--seed", min=0, help="Random seed for the choice of words"),
    lang: str = Option("xx", "--lang", "-l", help="Language code; its tokenizer is used for texts without tokens"),
    source: Optional[str] = SOURCE,
    column: Optional[str] = COLUMN,
    use_gpu: int = USE_GPU,
    on_error: OnError = ON_ERROR,
) -> None:
    # fmt: on
    """
    Write new versions of texts, with some words replaced by a masked language
    model.

    Words are masked and filled in one after the other, always with the most
    probable word that is a single piece of the model's vocabulary. The number
    of words, the spaces and the sentence boundaries stay the same. Entities are
    not copied: label the new texts with `label`.
    """
    from ..commands.augment import Masking, augment
    from ..commands.checks import require_gpu

    require_gpu(use_gpu)
    report = augment(
        encoder,
        input_path,
        output_path,
        Masking(share, copies, min_length, seed),
        source=source,
        column=column,
        lang=lang,
        skip_broken=on_error == OnError.skip,
    )
    notify(f"{output_path}: {report.summary()}")
    notify(report.describe_changes())
    if report.message():
        notify(report.message())
