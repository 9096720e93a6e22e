from enum import Enum
from pathlib import Path
from typing import Any, List, Optional, Sequence

from typer import Argument, BadParameter, Option, echo

from ._util import COLUMN, ON_ERROR, SOURCE, TARGET, OnError


class Choice(str, Enum):
    """Which translation to use if a word has several."""

    first = "first"
    random = "random"


# fmt: off


def translate_cli(
    input_path: Path = Argument(..., readable=False, help="Labeled file"),
    output_path: Path = Argument(..., readable=False, help="Output file"),
    lexicon: List[Path] = Option([], "--lexicon", readable=False, help="File of words and their translations: each line is a word, a tab or a space (MUSE), and its translation; or a FreeDict .dict.dz. Can be repeated; the first file that contains a word is used for it"),
    backwards: List[Path] = Option([], "--backwards", readable=False, help="Like --lexicon, but from the target language to the language of the corpus"),
    function: Optional[str] = Option(None, "--function", metavar="NAME", help="Instead of lexicons: the name of a function in spaCy's registry misc that translates a list of texts"),
    code: Optional[Path] = Option(None, "--code", "-c", readable=False, help="Python file that registers the function"),
    keep: Optional[str] = Option(None, "--keep", metavar="LABELS", help="Labels, separated by commas, whose entities are not translated, '' for none; default: PER and PERSON with lexicons, none with a function"),
    choice: Choice = Option(Choice.first, "--choice", help="If a word has several translations, use the first, or a random one for each occurrence"),
    seed: int = Option(0, "--seed", help="Random seed for --choice random"),
    min_coverage: float = Option(10.0, "--min-coverage", min=0, max=100, help="Percentage of the tokens that the lexicons must translate; below this, nothing is written"),
    lang: str = Option("xx", "--lang", "-l", help="Language code of the input; its tokenizer is used for texts without tokens"),
    to_lang: str = Option("xx", "--to-lang", help="Language code of the output; its tokenizer is used for the texts that a function returns"),
    source: Optional[str] = SOURCE,
    target: Optional[str] = TARGET,
    column: Optional[str] = COLUMN,
    on_error: OnError = ON_ERROR,
) -> None:
    # fmt: on
    """
    Translate a labeled file: word by word with a lexicon, or with any
    translation function.

    With a lexicon, each token becomes one token, and labels stay in place. The
    letter case is that of the original; punctuation, numbers, names of persons,
    and words that are not in the lexicon are kept.

    A function gets sentences (documents, if there are no sentence boundaries)
    with brackets around the entities, which mark the entities in the
    translation. Sentences whose brackets are lost are left out.
    """
    from ..commands.translate import translate
    from ..errors import wrap

    if (function is None) == (not lexicon and not backwards):
        raise BadParameter("Give either lexicons (--lexicon, --backwards) or a --function.")
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
