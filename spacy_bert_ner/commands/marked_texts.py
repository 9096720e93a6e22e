"""Translation by a function, with marks around entities to find them in the translation (Chen et
al. 2023, EasyProject)."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, Callable, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import spacy
from spacy.tokens import Doc, Span

from ..errors import UserError
from ..findings import number
from ..formats.files import RECORD_KEY
from ..pipeline.lang import check_lang
from .word_by_word import is_kept

TranslateT = Callable[[List[str]], List[str]]
# Brackets to mark entities with: the first pair that a text doesn't contain is used.
MARKS = ("[]", "{}", "<>", "⟦⟧")
# Number of documents whose texts are translated at once.
BATCH = 16


@dataclass
class MarkCounts:
    """Counts of texts, which are sentences, or documents without sentence boundaries.

    n_texts, n_lost_texts (int): Texts that were read, and those that were left out.
    n_ents, n_lost_ents (int): Entities that were read, and those of texts that were left out.
    n_kept_ents (int): Entities whose words were kept.
    """

    n_texts: int = 0
    n_lost_texts: int = 0
    n_ents: int = 0
    n_lost_ents: int = 0
    n_kept_ents: int = 0


class Marked(NamedTuple):
    """A text to translate, with marks around its entities.

    span (Span): The original sentence or document.
    text (str): The text with marks.
    marks (str): The opening and the closing mark.
    """

    span: Span
    text: str
    marks: str


class Found(NamedTuple):
    """A translated text without marks, and its entities as (first character, the one after the
    last, label)."""

    text: str
    ents: List[Tuple[int, int, str]]


class MarkedTexts:
    """Translates sentence by sentence. A sentence whose marks are lost is left out, since its
    entities would have no labels. So is a sentence with missing annotation."""

    def __init__(self, translate: TranslateT, lang: str = "xx", *, keep: Sequence[str] = ()):
        """Nothing is translated yet.

        translate (TranslateT): Returns the translations of a list of texts.
        lang (str): Language code; its tokenizer is used for the translations.
        keep (Sequence[str]): Labels of entities whose words are kept.
        """
        self.function = translate
        self.nlp = spacy.blank(check_lang(lang))
        self.keep = keep
        self.counts = MarkCounts()

    def translate(self, docs: Iterable[Doc]) -> Iterator[Doc]:
        """Translate documents in batches.

        docs (Iterable[Doc]): Documents with entities.
        YIELDS (Doc): A document for each one with a translated sentence.
        RAISES (UserError): If the function doesn't return one text for each; after the last
            document, if all sentences were lost.
        """
        docs = iter(docs)
        while batch := list(islice(docs, BATCH)):
            yield from self._translate_batch(batch)
        if self.counts.n_texts and self.counts.n_lost_texts == self.counts.n_texts:
            raise UserError(
                f"None of {number(self.counts.n_texts, 'sentence')} could be translated with its "
                f"entities: the function loses the marks around them, such as {MARKS[0]}. Use "
                "another function, or a lexicon."
            )

    def summary(self) -> str:
        """RETURNS (str): The counts, as text."""
        counts = self.counts
        texts, ents = counts.n_texts - counts.n_lost_texts, counts.n_ents - counts.n_lost_ents
        return (
            f"{number(counts.n_texts, 'sentence')}: {texts} translated, {counts.n_lost_texts} lost "
            f"with their entities; {number(counts.n_ents, 'entity', 'entities')}: {ents} found "
            f"again ({counts.n_kept_ents} not translated), {counts.n_lost_ents} lost."
        )

    def _translate_batch(self, docs: List[Doc]) -> Iterator[Doc]:
        marked = [[mark(span) for span in _get_texts(doc)] for doc in docs]
        all_marked = [item for items in marked for item in items if item is not None]
        # If labels differ, each entity is also translated by itself, to match it with those found.
        names = [ent.text for item in all_marked if _is_mixed(item) for ent in item.span.ents]
        texts = list(dict.fromkeys([item.text for item in all_marked] + names))
        translations = dict(zip(texts, self._call(texts)))
        for doc, items in zip(docs, marked):
            found = []
            for span, item in zip(_get_texts(doc), items):
                result = None if item is None else self._find(item, translations)
                self._count(span, result)
                if result is not None:
                    found.append(result)
            if found or not len(doc):
                yield self._make_doc(doc, found)

    def _call(self, texts: List[str]) -> List[str]:
        translations: Any = list(self.function(list(texts))) if texts else []
        if len(translations) != len(texts):
            raise UserError(
                f"The function returns {number(len(translations), 'translation')} for "
                f"{number(len(texts), 'text')}: it must return one for each."
            )
        for text in translations:
            if not isinstance(text, str):
                raise UserError(
                    f"The function returns a {type(text).__name__} as a translation: it must "
                    "return strings."
                )
        return translations

    def _find(self, item: Marked, translations: Any) -> Optional[Found]:
        """RETURNS (Optional[Found]): The entities of a translated text; None if marks are lost."""
        ents = list(item.span.ents)
        parts = split_marked(translations[item.text], item.marks) if ents else None
        if not ents:
            text = translations[item.text].strip()
            return Found(text, []) if text else None
        if parts is None or len(parts) != 2 * len(ents) + 1 or not all(map(str.strip, parts[1::2])):
            return None
        order = list(range(len(ents)))
        if _is_mixed(item):
            order = match([translations[ent.text] for ent in ents], parts[1::2])
        for i, place in enumerate(order):
            if is_kept(ents[i].label_, self.keep):
                parts[2 * place + 1] = ents[i].text
        labels = {place: ents[i].label_ for i, place in enumerate(order)}
        return _join(parts, labels)

    def _count(self, span: Span, result: Optional[Found]) -> None:
        ents = list(span.ents)
        self.counts.n_texts += 1
        self.counts.n_ents += len(ents)
        if result is None:
            self.counts.n_lost_texts += 1
            self.counts.n_lost_ents += len(ents)
        else:
            self.counts.n_kept_ents += sum(is_kept(ent.label_, self.keep) for ent in ents)

    def _make_doc(self, source: Doc, found: List[Found]) -> Doc:
        """RETURNS (Doc): A document of translated sentences."""
        words: List[str] = []
        spaces: List[bool] = []
        starts: Any = []
        ents: List[Tuple[int, int, str]] = []
        for text, places in found:
            doc = self.nlp.make_doc(text)
            for start, end, label in places:
                span = doc.char_span(start, end, alignment_mode="expand")
                assert span is not None  # it has characters
                ents.append((len(words) + span.start, len(words) + span.end, label))
            words += [token.text for token in doc]
            spaces += [bool(token.whitespace_) for token in doc]
            spaces[-1] = True
            starts += [i == 0 for i in range(len(doc))]
        spaces[-1:] = [False] * bool(spaces)
        has_sents = source.has_annotation("SENT_START")
        doc = Doc(
            self.nlp.vocab, words=words, spaces=spaces, sent_starts=starts if has_sents else None
        )
        if source.has_annotation("ENT_IOB"):
            spans = [Span(doc, start, end, label=label) for start, end, label in ents]
            apart = spacy.util.filter_spans(spans)
            self.counts.n_lost_ents += len(spans) - len(apart)  # several in one token
            doc.set_ents(apart, default="outside")
        if RECORD_KEY in source.user_data:
            doc.user_data[RECORD_KEY] = source.user_data[RECORD_KEY]
        return doc


def _get_texts(doc: Doc) -> List[Span]:
    """RETURNS (List[Span]): The sentences, or the whole document if they aren't known."""
    spans = list(doc.sents) if doc.has_annotation("SENT_START") else [doc[:]]
    return [span for span in spans if span.text.strip()]


def mark(span: Span) -> Optional[Marked]:
    """Put marks around the entities of a text.

    span (Span): The text, with its entities.
    RETURNS (Optional[Marked]): The text; None if it contains all kinds of marks, or if some of its
        tokens, and not all, have no annotation.
    """
    doc = span.doc
    if doc.has_annotation("ENT_IOB") and any(not token.ent_iob for token in span):
        return None
    marks = next((pair for pair in MARKS if not set(pair) & set(span.text)), None)
    if marks is None:
        return None
    text, at = "", span.start_char
    for ent in span.ents:
        before = doc.text[at : ent.start_char]
        text += f"{before}{marks[0]}{ent.text}{marks[1]}"
        at = ent.end_char
    return Marked(span, (text + doc.text[at : span.end_char]).strip(), marks)


def split_marked(text: str, marks: str) -> Optional[List[str]]:
    """Split a text at its marks.

    text (str): The text.
    marks (str): The two marks around an entity.
    RETURNS (Optional[List[str]]): The text before the first entity, the entity, the text before the
        next one, and so on; None if marks aren't in pairs.
    """
    parts = re.split(f"([{re.escape(marks)}])", text)
    order = "".join(parts[1::2])
    if order != marks * (len(order) // 2):
        return None
    return parts[0::2]


def match(names: Sequence[str], found: Sequence[str]) -> List[int]:
    """Match names with entities, the most similar pairs first; among equally similar pairs, those
    with the closest positions.

    names (Sequence[str]): Entities, translated by themselves.
    found (Sequence[str]): The same number of entities of the translated text.
    RETURNS (List[int]): For each name, the position of its entity in `found`.
    """
    pairs = [
        (-SequenceMatcher(None, name.lower(), other.strip().lower()).ratio(), abs(i - j), i, j)
        for i, name in enumerate(names)
        for j, other in enumerate(found)
    ]
    order = [-1] * len(names)
    taken = set()
    for _, _, i, j in sorted(pairs):
        if order[i] < 0 and j not in taken:
            order[i] = j
            taken.add(j)
    return order


def _is_mixed(item: Marked) -> bool:
    return len({ent.label for ent in item.span.ents}) > 1


def _join(parts: List[str], labels: Any) -> Optional[Found]:
    """RETURNS (Optional[Found]): The text without marks, and the positions of its entities."""
    text = ""
    ents = []
    for i, part in enumerate(parts):
        if i % 2:
            inner = part.strip()
            start = len(text) + part.index(inner)
            ents.append((start, start + len(inner), labels[i // 2]))
        text += part
    cut = len(text) - len(text.lstrip())
    text = text.strip()
    return Found(text, [(start - cut, end - cut, label) for start, end, label in ents])
