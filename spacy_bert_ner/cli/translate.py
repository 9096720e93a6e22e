from enum import Enum
from pathlib import Path
from typing import Any, List, Optional, Sequence

from typer import Argument, BadParameter, Option, echo

from ._util import FORMATS, READ_ONLY, OnError


class Choice(str, Enum):
    """Which of several translations of a word is used."""

    first = "first"
    random = "random"


# fmt: off


def translate_cli(
    input_path: Path = Argument(..., help="Labeled file", exists=True, dir_okay=False),  # noqa: B008
    output_path: Path = Argument(..., help="Where to write the documents", dir_okay=False),  # noqa: B008
    lexicon: List[Path] = Option([], "--lexicon", exists=True, dir_okay=False, help="Words and their translations: a word, a tab or a space (MUSE) and its translation in each line, or FreeDict's .dict.dz; can be given several times, and the first that has a word counts"),  # noqa: B008, E501
    backwards: List[Path] = Option([], "--backwards", exists=True, dir_okay=False, help="As --lexicon, from the other language to that of the corpus: read backwards"),  # noqa: B008, E501
    function: Optional[str] = Option(None, "--function", metavar="NAME", help="In place of lexicons: a function of spaCy's registry misc that translates a list of texts"),  # noqa: E501
    code: Optional[Path] = Option(None, "--code", "-c", exists=True, dir_okay=False, help="Python file that registers the function"),  # noqa: B008, E501
    keep: Optional[str] = Option(None, "--keep", metavar="LABELS", help="Labels, with commas between them, whose entities keep their words, '' for none; else PER and PERSON with lexicons, and none with a function"),  # noqa: E501
    choice: Choice = Option(Choice.first, "--choice", help="Of several translations, the first, or one at random for each word"),  # noqa: B008, E501
    seed: int = Option(0, "--seed", help="Of the choice at random"),
    min_coverage: float = Option(10.0, "--min-coverage", min=0, max=100, help="How many percent of the tokens lexicons must translate; else there is no output"),  # noqa: E501
    lang: str = Option("xx", "--lang", "-l", help="Code of the language of the input, whose tokenizer reads texts without tokens"),  # noqa: E501
    to_lang: str = Option("xx", "--to-lang", help="Code of the language of the output, whose tokenizer reads what a function gives"),  # noqa: E501
    source: Optional[str] = Option(None, "--from", metavar="NAME", help=f"Format of the input, if its name doesn't tell: {FORMATS}, {READ_ONLY}"),  # noqa: E501
    target: Optional[str] = Option(None, "--to", metavar="NAME", help=f"Format of the output, if its name doesn't tell: {FORMATS}, html"),  # noqa: E501
    column: Optional[str] = Option(None, "--column", metavar="NAME", help="Of csv and tsv, the column with the texts, if it isn't 'text'"),  # noqa: E501
    on_error: OnError = Option(OnError.stop, "--on-error", help="What to do about a record that can't be read"),  # noqa: B008, E501
) -> None:
    # fmt: on
    """
    Translate a labeled file: word by word with a lexicon, or with any function that translates.

    With a lexicon, each token becomes one token, and labels stay where they are. Capitals are those
    of the original; punctuation, numbers, names of persons, and words that the lexicon doesn't have
    are kept.

    A function is given sentences, or documents without sentences, with brackets around entities,
    and these are found again in the translation. A sentence whose brackets are lost is left out.
    """
    from ..commands.translate import translate
    from ..errors import wrap

    if (function is None) == (not lexicon and not backwards):
        raise BadParameter("Name a --lexicon (or one to read --backwards), or a --function.")
    translator: Any
    if function is None:
        from ..commands.word_by_word import PERSONS, make_word_by_word

        translator = make_word_by_word(
            lexicon,
            backwards,
            keep=_split(keep, PERSONS),
            choice=choice.value,
            seed=seed,
            min_coverage=min_coverage,
        )
    else:
        from ..commands.marked_texts import MarkedTexts, load_function

        translator = MarkedTexts(load_function(function, code), to_lang, keep=_split(keep, ()))
    report = translate(
        input_path,
        output_path,
        translator,
        source=source,
        target=target,
        column=column,
        lang=lang,
        skip_broken=on_error == OnError.skip,
    )
    for message in (f"{output_path}: {report.summary()}", translator.summary(), report.message()):
        if message:
            echo(wrap(message), err=True)


def _split(labels: Optional[str], default: Sequence[str]) -> Sequence[str]:
    if labels is None:
        return default
    return [name.strip() for name in labels.split(",") if name.strip()]
