from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import COLUMN, ON_ERROR, SOURCE, TARGET, OnError

# fmt: off


def convert_cli(
    input_path: Path = Argument(..., readable=False, help="Labeled file, or a folder of .txt files"),
    output_path: Path = Argument(..., readable=False, help="Where to write the documents"),
    source: Optional[str] = SOURCE,
    target: Optional[str] = TARGET,
    column: Optional[str] = COLUMN,
    lang: str = Option("xx", "--lang", "-l", help="Code of the language, whose tokenizer reads texts without tokens"),
    max_length: int = Option(10_000_000, "--max-length", min=1, help="The most characters of a text, of which each takes about 80 bytes of memory"),
    on_error: OnError = ON_ERROR,
) -> None:
    # fmt: on
    """
    Convert labeled files from any format to any other.

    Formats are told by the names: .spacy, .jsonl (Prodigy and others; doccano, as its keys tell),
    .json (Label Studio), .conll and .iob2 (a token a line: CoNLL-2003, Universal NER, tags of any
    scheme), .biluo, .txt (a document a file; "lines": a document a line), .csv and .tsv, which are
    only read, and .html, which is only written.

    In files with a token a line, the tag stands in the last column, or, where the first column is
    numbered (Universal NER), after the token. Documents begin at lines -DOCSTART- or "# newdoc";
    in a file that has none, every sentence is a document.

    What doesn't fit is counted and shown. Tokens of such spans are missing annotation.
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
