from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import FORMATS, READ_ONLY, OnError

# fmt: off


def convert_cli(
    input_path: Path = Argument(..., help="Labeled file", exists=True, dir_okay=False),  # noqa: B008
    output_path: Path = Argument(..., help="Where to write the documents", dir_okay=False),  # noqa: B008
    source: Optional[str] = Option(None, "--from", metavar="NAME", help=f"Format of the input, if its name doesn't tell: {FORMATS}, {READ_ONLY}"),  # noqa: E501
    target: Optional[str] = Option(None, "--to", metavar="NAME", help=f"Format of the output, if its name doesn't tell: {FORMATS}, html"),  # noqa: E501
    column: Optional[str] = Option(None, "--column", metavar="NAME", help="Of csv and tsv, the column with the texts, if it isn't 'text'"),  # noqa: E501
    lang: str = Option("xx", "--lang", "-l", help="Code of the language, whose tokenizer reads texts without tokens"),  # noqa: E501
    max_length: int = Option(10_000_000, "--max-length", min=1, help="The most characters of a text, of which each takes about 80 bytes of memory"),  # noqa: E501
    on_error: OnError = Option(OnError.stop, "--on-error", help="What to do about a record that can't be read"),  # noqa: B008, E501
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
