from pathlib import Path
from typing import Optional

from typer import Argument, Option

from ._util import COLUMN, ON_ERROR, SOURCE, USE_GPU, OnError, notify

# fmt: off


def augment_cli(
    encoder: str = Argument(..., help="Masked language model: a folder, an installed package, or a name on the Hugging Face hub"),
    input_path: Path = Argument(..., readable=False, help="Text, a file of documents, or a folder of .txt files"),
    output_path: Path = Argument(..., readable=False, help="Where to write the new texts, a .spacy file"),
    share: float = Option(0.15, "--share", min=0, max=1, help="How many of the words of each sentence are replaced, of those that can be"),
    copies: int = Option(1, "--copies", min=1, help="How many times each text is written, with other words replaced"),
    min_length: int = Option(3, "--min-length", min=1, help="The length of the shortest words that are replaced, in characters"),
    seed: int = Option(0, "--seed", min=0, help="Of the choice of words"),
    lang: str = Option("xx", "--lang", "-l", help="Code of the language, whose tokenizer reads texts without tokens"),
    source: Optional[str] = SOURCE,
    column: Optional[str] = COLUMN,
    use_gpu: int = USE_GPU,
    on_error: OnError = ON_ERROR,
) -> None:
    # fmt: on
    """
    Write new texts: those of a file, with words replaced by what a language model expects there.

    Words are masked and filled in one after the other, always by the most probable word that is one
    piece of the model's. The number of words stays, and so do spaces and sentences. Entities
    don't: label the new texts with `label`.
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
