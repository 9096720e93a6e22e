"""Convert files from one format to another."""

from pathlib import Path
from typing import Optional

import spacy

from ..formats import Report, check_format, read_docs, write_docs
from ..formats.output import check_target
from ..formats.progress import Progress
from ..pipeline.lang import check_lang
from .checks import check_input

# The tokens of a text need about 80 times its size in memory.
MAX_LENGTH = 10_000_000


def convert(
    input_path: Path,
    output_path: Path,
    *,
    source: Optional[str] = None,
    target: Optional[str] = None,
    column: Optional[str] = None,
    lang: str = "xx",
    skip_broken: bool = False,
    max_length: int = MAX_LENGTH,
) -> Report:
    """Convert a file of documents.

    input_path, output_path (Path): The input, a file or a folder of .txt files, and where to write.
    source, target (Optional[str]): The formats; by default guessed from the file names.
    column (Optional[str]): Column with the texts, for tables; "text" by default.
    lang (str): Language code; its tokenizer is used for texts without tokens. Use the language that
        the model is trained for: spans must align with its tokens.
    skip_broken (bool): Skip records that can't be read, instead of raising an error.
    max_length (int): Maximum characters of a text.
    RETURNS (Report): The counts of what was written, and of what didn't fit.
    RAISES (UserError): For files that can't be read or written, and for an unknown language.
    """
    check_input(input_path, or_folder=True)
    source = check_format(input_path, source)
    target = check_format(output_path, target, for_writing=True)
    check_target(output_path, [input_path])
    nlp = spacy.blank(check_lang(lang))
    nlp.max_length = max_length
    report = Report(skip_broken=skip_broken)
    with Progress(input_path, source, report) as progress:
        docs = read_docs(progress.path, nlp, source, report, column=column)
        write_docs(output_path, progress.each(docs), target, report)
    return report
