from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import COLUMN, ON_ERROR, SOURCE, TARGET, OnError

# fmt: off


def convert_cli(
    input_path: Path = Argument(..., readable=False, help="Labeled file, or a folder of .txt files"),
    output_path: Path = Argument(..., readable=False, help="Output file"),
    source: Optional[str] = SOURCE,
    target: Optional[str] = TARGET,
    column: Optional[str] = COLUMN,
    lang: str = Option("xx", "--lang", "-l", help="Language code; its tokenizer is used for texts without tokens"),
    max_length: int = Option(10_000_000, "--max-length", min=1, help="Maximum length of a text in characters; each character needs about 80 bytes of memory"),
    on_error: OnError = ON_ERROR,
) -> None:
    # fmt: on
    """
    Convert labeled files from any format to any other.

    The file name shows the format: .spacy, .jsonl (Prodigy and others, or
    doccano, depending on the keys), .json (Label Studio), .conll and .iob2 (one
    token per line: CoNLL-2003, Universal NER, tags of any scheme), .biluo, .txt
    (one document per file; "lines": one document per line), .parquet (one row
    per document), .csv and .tsv (input only), and .html (output only).

    In files with one token per line, the tag is in the last column, or, if the
    first column numbers the tokens (Universal NER), after the token. Documents
    begin at lines with -DOCSTART- or "# newdoc"; in a file without such lines,
    every sentence is a document.

    Annotations that don't fit are counted and shown. Tokens of spans that don't
    fit count as missing annotation.
    """
    from ..commands.convert import convert
    from ..errors import wrap

    report = convert(
        input_path,
        output_path,
        source=source,
        target=target,
        column=column,
        lang=lang,
        skip_broken=on_error == OnError.skip,
        max_length=max_length,
    )
    echo(wrap(f"{output_path}: {report.summary()}"), err=True)
    if report.message():
        echo(wrap(report.message()), err=True)
