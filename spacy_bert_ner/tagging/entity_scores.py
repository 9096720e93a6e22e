"""Entity scores: in a span group, which is saved with the document, and as `ent._.score`."""

import struct
from functools import partial
from math import isnan
from types import MappingProxyType
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Tuple
from weakref import ref

import numpy
import srsly
from spacy.tokens import Doc, Span, SpanGroup

from ..characters import token_chars
from ..errors import UserError
from ..findings import number
from ..types import Floats1d, Ints1d

# Marks groups of `bert_ner`, whatever their key: those of other components, such as spancat, may
# have scores too.
SOURCE = "bert_ner"
# The attributes of a group with scores. What each is the probability of: docs/concepts/scores.md.
NAMES = ("scores", "edges_scores", "type_scores")
# What the key of a group of candidates ends with, after the key of the entities.
CANDIDATES = "_candidates"
# Start, end and label of an entity.
Key = Tuple[int, int, int]
# A span in the bytes of a group: its ids and its label, tokens (start, end), characters (the same).
PACKED_SPAN = struct.Struct(">QQQllll")
# The attributes of a group as they are stored.
ATTRS: Any = SpanGroup.attrs


class ScoredSpans(SpanGroup):
    """Spans with scores that keep their place in the text when a later component merges or splits
    tokens (`merge_entities`). spaCy's own SpanGroup keeps token numbers: after a merge, its spans
    are on the wrong tokens, or it raises E035 when it is read or saved.

    Spans that no longer consist of whole tokens are removed, with their scores. After saving and
    loading, the group is an ordinary SpanGroup.
    """

    def __init__(self, doc: Doc, **settings: Any):
        """Make a group of a document.

        doc (Doc): The document.
        settings (Any): Arguments of SpanGroup: `name`, `attrs`, `spans`.
        """
        super().__init__(doc, **settings)
        self._followed = ref(doc)
        self._tokens = _digest_tokens(doc)

    def _follow(self) -> None:
        # None if the document was deleted: the attributes can still be read.
        doc = self._followed()
        tokens = self._tokens if doc is None else _digest_tokens(doc)
        if tokens != self._tokens:
            follow_text(self)
            self._tokens = tokens

    def __len__(self) -> int:
        self._follow()
        return super().__len__()

    def __getitem__(self, i: int) -> Span:
        self._follow()
        return super().__getitem__(i)

    def __iter__(self) -> Iterator[Span]:
        self._follow()
        return iter([SpanGroup.__getitem__(self, i) for i in range(SpanGroup.__len__(self))])

    @property
    def attrs(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): The attributes; "scores" has the scores of the spans."""
        self._follow()
        attrs: Dict[str, Any] = ATTRS.__get__(self)
        return attrs

    @attrs.setter
    def attrs(self, attrs: Dict[str, Any]) -> None:
        """Set the attributes.

        attrs (Dict[str, Any]): All of them.
        """
        ATTRS.__set__(self, attrs)

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): The group, in the format of SpanGroup."""
        self._follow()
        return super().to_bytes()

    def copy(self, doc: Optional[Doc] = None) -> "ScoredSpans":
        """Copy the group.

        doc (Optional[Doc]): The document of the copy, None for the same.
        RETURNS (ScoredSpans): The copy, with the scores.
        """
        group = super().copy(doc)
        return ScoredSpans(group.doc, name=group.name, attrs=group.attrs, spans=list(group))


def _digest_tokens(doc: Doc) -> int:
    """A number that changes when tokens are merged or split."""
    return hash(doc.to_array("IDX").tobytes())


def follow_text(group: SpanGroup) -> None:
    """Move the spans of a group to the tokens that now have their characters. Spans that don't
    consist of whole tokens are removed, with their scores.

    group (SpanGroup): A group. Changed.
    """
    starts, ends = token_chars(group.doc)
    if _is_in_place(group, starts, ends):
        return
    packed = srsly.msgpack_loads(SpanGroup.to_bytes(group))["spans"]
    kept, moved = [], []
    for place, span in enumerate(packed):
        *ids, _, _, start_char, end_char = PACKED_SPAN.unpack(span)
        start = int(numpy.searchsorted(starts, start_char, side="left"))
        end = int(numpy.searchsorted(ends, end_char, side="right"))
        if start < end and starts[start] == start_char and ends[end - 1] == end_char:
            kept.append(place)
            moved.append(PACKED_SPAN.pack(*ids, start, end, start_char, end_char))
    attrs = ATTRS.__get__(group)
    msg = {"name": group.name, "attrs": {}, "spans": moved}
    SpanGroup.from_bytes(group, srsly.msgpack_dumps(msg))
    for name in NAMES:
        if name in attrs and len(attrs[name]) == len(packed):
            attrs[name] = numpy.asarray(attrs[name])[kept]
    ATTRS.__set__(group, attrs)


def _is_in_place(group: SpanGroup, starts: Ints1d, ends: Ints1d) -> bool:
    """RETURNS (bool): Whether the characters of all spans are those of their tokens."""
    try:
        spans = [SpanGroup.__getitem__(group, i) for i in range(SpanGroup.__len__(group))]
    except IndexError:  # E035: the document has fewer tokens now
        return False
    return all(
        starts[span.start] == span.start_char and ends[span.end - 1] == span.end_char
        for span in spans
    )


def make_span_group(
    doc: Doc,
    key: str,
    spans: List[Span],
    scores: Floats1d,
    kept: List[Span],
    named: Mapping[str, Floats1d] = MappingProxyType({}),
) -> SpanGroup:
    """Make a group of entities with their scores in `attrs["scores"]`, as spancat does.

    doc (Doc): The document.
    key (str): Name of the group in `doc.spans`.
    spans (List[Span]): The entities, in the order of the text.
    scores (Floats1d): Their scores, 0 to 1, float32, (n_spans,).
    kept (List[Span]): Entities of `doc.ents` that are kept. Those that an earlier run or another
        component has written to the group stay in it.
    named (Mapping[str, Floats1d]): Other scores, by the names of their attributes, (n_spans,) each.
    RETURNS (SpanGroup): The group, to be put into `doc.spans`.
    """
    columns = {**named, "scores": scores}
    if kept and key in doc.spans and doc.spans[key].attrs.get("source") == SOURCE:
        group = doc.spans[key]
        places = {_get_place(span): i for i, (span, _) in enumerate(_iter_group(key, group))}
        known = [span for span in kept if _get_place(span) in places]
        rows = [places[_get_place(span)] for span in known]
        order = numpy.argsort([span.start for span in [*known, *spans]], kind="stable")
        spans = [[*known, *spans][i] for i in order]
        for name, values in columns.items():
            # Not a number where a score is unknown: an older version has written the group.
            before = numpy.asarray(group.attrs.get(name, numpy.full(len(places), numpy.nan)))
            columns[name] = numpy.append(before[rows], values)[order].astype("float32")
    return ScoredSpans(doc, name=key, spans=spans, attrs={**columns, "source": SOURCE})


def iter_scores(doc: Doc, name: str = "scores") -> Iterator[Tuple[Span, float]]:
    """Iterate over the entities and scores of all `bert_ner` components.

    doc (Doc): A document.
    name (str): Name of the attribute with the scores: "scores", "edges_scores" or "type_scores".
    YIELDS (Tuple[Span, float]): An entity, and its score, 0 to 1.
    RAISES (ValueError): For a group that was changed, so that it doesn't have as many scores as
        spans.
    """
    for key, group, attrs in _iter_groups(doc):
        if name in attrs:
            yield from _iter_group(key, group, name)


def _iter_groups(doc: Doc) -> Iterator[Tuple[str, SpanGroup, Dict[str, Any]]]:
    """YIELDS (Tuple[str, SpanGroup, Dict[str, Any]]): Key, group and attributes of each group of a
    `bert_ner`. To get the attributes, a ScoredSpans looks at the tokens: so once for each."""
    for key, group in doc.spans.items():
        attrs = group.attrs
        if attrs.get("source") == SOURCE:
            yield key, group, attrs


def _iter_group(key: str, group: SpanGroup, name: str = "scores") -> Iterator[Tuple[Span, float]]:
    try:
        spans = list(iter(group))  # without its length, for which a ScoredSpans looks at the tokens
    except IndexError:  # E035: a loaded group, whose tokens were merged after loading
        follow_text(group)
        spans = list(group)
    scores = numpy.asarray(group.attrs[name])
    if len(scores) != len(spans):
        raise UserError(
            f"doc.spans['{key}'] has {number(len(spans), 'span')} but "
            f"{number(len(scores), 'score')}: change group.attrs['{name}'] along with the spans."
        )
    yield from zip(spans, scores.tolist())


def _get_place(span: Span) -> Tuple[int, int, int]:
    """Its characters and its label, which don't depend on the tokens."""
    return span.start_char, span.end_char, span.label


def get_scores(doc: Doc) -> Optional[Dict[Key, float]]:
    """Get the scores of all entities of a document in one pass, which is faster than `get_score`
    for each.

    doc (Doc): A document.
    RETURNS (Optional[Dict[Tuple[int, int, int], float]]): Scores by start, end and label, of the
        first group that has them; None if the document has no predictions.
    RAISES (ValueError): See `iter_scores`.
    """
    found: Optional[Dict[Key, float]] = None
    for key, group, attrs in _iter_groups(doc):
        found = {} if found is None else found
        if not isinstance(group, ScoredSpans):
            follow_text(group)
        if "scores" in attrs:
            for span, score in _iter_group(key, group):
                found.setdefault((span.start, span.end, span.label), score)
    return found


def get_score(span: Span, name: str = "scores") -> Optional[float]:
    """Get the score of an entity, found by its characters and its label. For a span without a label
    (`doc[1:3]`), it is the score of the entity with the same characters. For all entities of a
    document, use `get_scores`.

    span (Span): An entity.
    name (str): Name of the attribute with the scores: "scores", "edges_scores" or "type_scores".
    RETURNS (Optional[float]): 0 to 1; None for a span that no `bert_ner` predicted.
    RAISES (ValueError): See `iter_scores`.
    """
    *place, label = _get_place(span)
    for entity, score in iter_scores(span.doc, name):
        *its_place, its_label = _get_place(entity)
        if place == its_place and label in (its_label, 0):
            return None if isnan(score) else score
    return None


def install_extensions() -> None:
    """Register the extension attributes `Span._.score`, `Span._.edges_score` and
    `Span._.type_score`: scores of an entity, 0 to 1, or None for a span that no `bert_ner`
    predicted. Existing extensions of these names are kept. Creating a `bert_ner` does this; call it
    to read scores from a DocBin without a pipeline."""
    getters: Dict[str, Callable[[Span], Any]] = {
        "score": get_score,
        "edges_score": partial(get_score, name="edges_scores"),
        "type_score": partial(get_score, name="type_scores"),
    }
    for extension, getter in getters.items():
        if not Span.has_extension(extension):
            Span.set_extension(extension, getter=getter)
