"""Translate a labeled corpus to another language."""

from pathlib import Path
from typing import Iterable, Iterator, Optional, Protocol

import spacy
from spacy.tokens import Doc

from ..errors import UserError
from ..formats import Report, check_column, check_format, read_docs, write_docs
from ..formats.output import check_target
from ..formats.progress import Progress
from ..pipeline.lang import check_lang
from .checks import check_input
from .marked_texts import TranslateT


class Translator(Protocol):
    """Translates documents with their entities, see `word_by_word` and `marked_texts`."""

    def translate(self, docs: Iterable[Doc]) -> Iterator[Doc]:
        """Translate documents.

        docs (Iterable[Doc]): Labeled documents.
        YIELDS (Doc): New documents.
        RAISES (UserError): After the last one, if too little could be translated.
        """

    def summary(self) -> str:
        """RETURNS (str): The counts of what was translated, kept and lost, as text."""


def translate(
    input_path: Path,
    output_path: Path,
    translator: Translator,
    *,
    source: Optional[str] = None,
    target: Optional[str] = None,
    column: Optional[str] = None,
    lang: str = "xx",
    skip_broken: bool = False,
) -> Report:
    """Translate a labeled file, one document at a time. A progress bar is shown on terminals.

    input_path (Path): The file.
    output_path (Path): Where to write the documents.
    translator (Translator): Translates the documents, and counts the results.
    source, target (Optional[str]): The formats; by default guessed from the file names.
    column (Optional[str]): Column with the texts, for tables; "text" by default.
    lang (str): Language code of the input; its tokenizer is used for texts without tokens.
    skip_broken (bool): Skip records that can't be read, instead of raising an error.
    RETURNS (Report): The counts of what was written, and of what didn't fit.
    RAISES (UserError): For files that can't be read, translated or written, and for an unknown
        language. No output is written then.
    """
    check_input(input_path)
    source = check_format(input_path, source)
    check_column(source, column)
    target = check_format(output_path, target, for_writing=True)
    check_target(output_path, [input_path])
    nlp = spacy.blank(check_lang(lang))
    report = Report(skip_broken=skip_broken)
    with Progress(input_path, source, report) as progress:
        docs = progress.each(read_docs(progress.path, nlp, source, report, column=column))
        write_docs(output_path, translator.translate(docs), target, report)
    return report


def load_function(name: str, code: Optional[Path] = None) -> TranslateT:
    """Load a function that is registered in spaCy's registry `misc`.

    name (str): Its name there.
    code (Optional[Path]): A Python file that registers it.
    RETURNS (TranslateT): The function.
    RAISES (UserError): If there is no function of this name.
    """
    if code is not None:
        check_input(code)
        spacy.util.import_file("python_code", code)
    if not spacy.registry.has("misc", name):
        raise UserError(
            f"No function '{name}' is registered: add @spacy.registry.misc('{name}') to a function "
            "that takes a list of texts and returns their translations, and name its file with "
            "--code."
        )
    function: TranslateT = spacy.registry.get("misc", name)
    return function
