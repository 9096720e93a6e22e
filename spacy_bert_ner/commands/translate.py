"""A labeled corpus in another language."""

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
        RAISES (UserError): After the last one, if too little of them could be translated.
        """

    def summary(self) -> str:
        """RETURNS (str): What was translated, kept and lost, for people."""


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
    """Translate a labeled file, a document at a time. A progress bar is shown on terminals.

    input_path (Path): The file.
    output_path (Path): Where to write the documents.
    translator (Translator): What translates. It has the counts afterwards.
    source, target (Optional[str]): The formats, else guessed from the names of the files.
    column (Optional[str]): Of a table, the column with the texts, "text" if it isn't named.
    lang (str): Code of the language of the input, whose tokenizer reads texts without tokens.
    skip_broken (bool): Leave out records that can't be read, instead of ending with an error.
    RETURNS (Report): How much was written, and what didn't fit.
    RAISES (UserError): For what can't be read, translated or written, and for an unknown language.
        There is no output then.
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
    code (Optional[Path]): A file of Python that registers it.
    RETURNS (TranslateT): The function.
    RAISES (UserError): If there is none of the name.
    """
    if code is not None:
        check_input(code)
        spacy.util.import_file("python_code", code)
    if not spacy.registry.has("misc", name):
        raise UserError(
            f"No function '{name}' is registered to translate: put @spacy.registry.misc('{name}') "
            "before one that takes a list of texts and returns their translations, and name its "
            "file with --code."
        )
    function: TranslateT = spacy.registry.get("misc", name)
    return function
