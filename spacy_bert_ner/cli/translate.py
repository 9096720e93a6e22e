from enum import Enum
from pathlib import Path
from typing import Any, List, Optional, Sequence

from typer import Argument, BadParameter, Option, echo

from ._util import COLUMN, ON_ERROR, SOURCE, TARGET, OnError


class Choice(str, Enum):
    """Which of several translations of a word is used."""

    first = "first"
    random = "random"


# fmt: off


def translate_cli(
    input_path: Path = Argument(..., readable=False, help="Labeled file"),
    output_path: Path = Argument(..., readable=False, help="Where to write the documents"),
    lexicon: List[Path] = Option([], "--lexicon", readable=False, help="Words and their translations: a word, a tab or a space (MUSE) and its translation in each line, or FreeDict's .dict.dz; can be given several times, and the first that has a word counts"),
    backwards: List[Path] = Option([], "--backwards", readable=False, help="As --lexicon, from the other language to that of the corpus: read backwards"),
    function: Optional[str] = Option(None, "--function", metavar="NAME", help="In place of lexicons: a function of spaCy's registry misc that translates a list of texts"),
    code: Optional[Path] = Option(None, "--code", "-c", readable=False, help="Python file that registers the function"),
    keep: Optional[str] = Option(None, "--keep", metavar="LABELS", help="Labels, with commas between them, whose entities keep their words, '' for none; else PER and PERSON with lexicons, and none with a function"),
    choice: Choice = Option(Choice.first, "--choice", help="Of several translations, the first, or one at random for each word"),
    seed: int = Option(0, "--seed", help="Of the choice at random"),
    min_coverage: float = Option(10.0, "--min-coverage", min=0, max=100, help="How many percent of the tokens lexicons must translate; else there is no output"),
    lang: str = Option("xx", "--lang", "-l", help="Code of the language of the input, whose tokenizer reads texts without tokens"),
    to_lang: str = Option("xx", "--to-lang", help="Code of the language of the output, whose tokenizer reads what a function gives"),
    source: Optional[str] = SOURCE,
    target: Optional[str] = TARGET,
    column: Optional[str] = COLUMN,
    on_error: OnError = ON_ERROR,
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
        settings = {"choice": choice.value, "seed": seed, "min_coverage": min_coverage}
        translator = _make_word_by_word(lexicon, backwards, keep, **settings)
    else:
        translator = _make_marked_texts(function, code, to_lang, keep)
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


def _make_word_by_word(
    lexicon: List[Path], backwards: List[Path], keep: Optional[str], **settings: Any
) -> Any:
    from ..commands.word_by_word import PERSONS, make_word_by_word

    return make_word_by_word(lexicon, backwards, keep=_split(keep, PERSONS), **settings)


def _make_marked_texts(
    function: str, code: Optional[Path], to_lang: str, keep: Optional[str]
) -> Any:
    from ..commands.marked_texts import MarkedTexts
    from ..commands.translate import load_function

    return MarkedTexts(load_function(function, code), to_lang, keep=_split(keep, ()))


def _split(labels: Optional[str], default: Sequence[str]) -> Sequence[str]:
    if labels is None:
        return default
    return [name.strip() for name in labels.split(",") if name.strip()]
