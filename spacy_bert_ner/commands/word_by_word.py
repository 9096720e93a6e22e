"""Translation word by word, with a lexicon (Wu et al. 2020, UniTrans): labels stay in place."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Iterator, List, Literal, Sequence

from spacy.tokens import Doc, Span, Token

from ..errors import UserError
from ..findings import number
from ..formats.files import RECORD_KEY
from ..formats.lexicons import Lexicon, read_lexicon
from ..formats.report import Report
from .checks import check_input

# Labels of persons, whose names are the same in other languages.
PERSONS = ("PER", "PERSON")
Choice = Literal["first", "random"]
# Attributes of a token that are copied to its translation.
COPIED: Any = ["ENT_IOB", "ENT_TYPE", "ENT_KB_ID", "ENT_ID", "SENT_START"]


@dataclass
class WordCounts:
    """Counts of tokens.

    n_translated (int): Tokens with a translation in the lexicon.
    n_unknown (int): Tokens with letters that aren't in the lexicon. They are kept.
    n_named (int): Tokens of entities whose words are kept.
    n_without_letters (int): Punctuation, numbers and white space, which are kept.
    """

    n_translated: int = 0
    n_unknown: int = 0
    n_named: int = 0
    n_without_letters: int = 0

    @property
    def n_tokens(self) -> int:
        """RETURNS (int): All tokens."""
        return self.n_translated + self.n_unknown + self.n_named + self.n_without_letters

    def share(self, n: int) -> float:
        """The share of some tokens.

        n (int): Number of these tokens.
        RETURNS (float): Their share of all tokens, in percent.
        """
        return 100.0 * n / max(self.n_tokens, 1)


class WordByWord:
    """Translates each token by itself. Entities, missing annotation, sentence boundaries, span
    groups, and the id and the meta of records are copied; everything else is left out."""

    def __init__(
        self,
        lexicon: Lexicon,
        *,
        keep: Sequence[str] = PERSONS,
        choice: Choice = "first",
        seed: int = 0,
        min_coverage: float = 10.0,
    ):
        """Nothing is translated yet.

        lexicon (Lexicon): The translations.
        keep (Sequence[str]): Labels of entities whose words are kept.
        choice (Choice): Which of several translations to use: the first (the main one, of the first
            lexicon that has one), or a random one for each token.
        seed (int): Random seed of random choices.
        min_coverage (float): Percentage of the tokens that must be translated.
        """
        self.lexicon = lexicon
        self.keep = keep
        self.choice = choice
        self.random = random.Random(seed)
        self.min_coverage = min_coverage
        self.counts = WordCounts()
        self.left_out = Report()

    def translate(self, docs: Iterable[Doc]) -> Iterator[Doc]:
        """Translate documents, token by token.

        docs (Iterable[Doc]): Labeled documents.
        YIELDS (Doc): For each document, one with the same number of tokens.
        RAISES (UserError): After the last one, if too few of their tokens are in the lexicon.
        """
        for doc in docs:
            words = [self._translate(token) for token in doc]
            yield copy_labels(doc, words)
        share = self.counts.share(self.counts.n_translated)
        if self.counts.n_tokens and share < self.min_coverage:
            raise UserError(
                f"The lexicon translates {share:.1f} % of {number(self.counts.n_tokens, 'token')}, "
                f"but at least {self.min_coverage:g} % are needed. Check its languages and its "
                "direction (--lexicon: from the language of the corpus; --backwards: to it), or "
                "lower --min-coverage."
            )

    def summary(self) -> str:
        """RETURNS (str): The counts, and what was left out of the lexicon, as text."""
        counts = self.counts
        lines = [
            f"{number(counts.n_tokens, 'token')}: {counts.n_translated} translated "
            f"({counts.share(counts.n_translated):.1f} %), {counts.n_unknown} not in the lexicon "
            f"({counts.share(counts.n_unknown):.1f} %), {counts.n_named} in entities of "
            f"{' or '.join(self.keep) or 'no label'} kept, {counts.n_without_letters} without "
            "letters kept."
        ]
        return "\n".join(filter(None, [*lines, self.left_out.message()]))

    def _translate(self, token: Token) -> str:
        if not any(char.isalpha() for char in token.text):
            self.counts.n_without_letters += 1
            return token.text
        if token.ent_type_ and is_kept(token.ent_type_, self.keep):
            self.counts.n_named += 1
            return token.text
        found = self.lexicon.look_up(token.text)
        if not found:
            self.counts.n_unknown += 1
            return token.text
        self.counts.n_translated += 1
        word = found[0] if self.choice == "first" else self.random.choice(found)
        return copy_case(token.text, word, is_first=token.i == 0 or bool(token.is_sent_start))


def copy_case(source: str, target: str, *, is_first: bool) -> str:
    """Copy the letter case of a word to its translation: all capitals, or a capital at the
    beginning. Otherwise the case is that of the lexicon. The case of a word of one letter, such as
    "I", is only copied at the beginning of a sentence.

    source (str): The word.
    target (str): Its translation in the lexicon.
    is_first (bool): Whether the word is the first of a sentence.
    RETURNS (str): The translation.
    """
    if len(source) > 1 and source.isupper():
        return target.upper()
    if source[0].isupper() and (len(source) > 1 or is_first):
        return target[0].upper() + target[1:]
    return target


def copy_labels(doc: Doc, words: List[str]) -> Doc:
    """Copy the labels of a document to other words.

    doc (Doc): The original.
    words (List[str]): One word for each of its tokens.
    RETURNS (Doc): A document of these words.
    """
    spaces = None if doc.has_unknown_spaces else [bool(token.whitespace_) for token in doc]
    copy = Doc(doc.vocab, words=words, spaces=spaces)
    labels: Any = doc.to_array(COPIED)
    copy.from_array(COPIED, labels)
    for key, group in doc.spans.items():
        copy.spans[key] = [
            Span(copy, span.start, span.end, label=span.label, kb_id=span.kb_id, span_id=span.id)
            for span in group
        ]
    if RECORD_KEY in doc.user_data:
        copy.user_data[RECORD_KEY] = doc.user_data[RECORD_KEY]
    return copy


def is_kept(label: str, keep: Iterable[str]) -> bool:
    """Check whether entities with a label keep their words.

    label (str): The label.
    keep (Iterable[str]): The labels whose entities keep their words, in any letter case.
    RETURNS (bool): Whether they do.
    """
    return label.lower() in {name.lower() for name in keep}


def make_word_by_word(
    paths: Sequence[Path], backwards: Sequence[Path] = (), **settings: Any
) -> WordByWord:
    """Read lexicons to translate with.

    paths, backwards (Sequence[Path]): See `read_lexicon`.
    settings (Any): Settings of `WordByWord`.
    RETURNS (WordByWord): The translator, with the counts of what was left out of the lexicons.
    RAISES (UserError): For a lexicon that can't be read.
    """
    for path in (*paths, *backwards):
        check_input(path)
    report = Report()
    translator = WordByWord(read_lexicon(paths, backwards, report), **settings)
    translator.left_out = report
    return translator
