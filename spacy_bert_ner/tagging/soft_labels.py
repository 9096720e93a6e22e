"""Soft labels: how probable teachers find each tag of each token, as documents carry it: in plain
types and bytes in `doc.user_data`, which a DocBin keeps with `store_user_data=True`."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy
from spacy.tokens import Doc
from spacy.training import Example

from ..errors import UserError
from ..types import Bools1d, Floats1d, Floats2d, Ints1d
from .schemes import SCHEMES, TagSet, get_tag_set

SOFT_KEY = "spacy_bert_ner.soft_labels"
ALIGNS = ("token", "word")
# Half of the memory: a student can't tell the difference.
STORED = numpy.dtype("<f2")
# How far from 1 the sum of a token's probabilities may be after rounding.
ROUNDING = 0.05
# Prefixes of a scheme in another that says less. What isn't here can't be told token by token:
# whether a B ends its entity as well (U) depends on the next one.
CONVERSIONS: Dict[Tuple[str, str], Dict[str, str]] = {
    ("BILUO", "BIO"): {"B": "B", "I": "I", "L": "I", "U": "B"},
    ("BILUO", "IO"): {"B": "I", "I": "I", "L": "I", "U": "I"},
    ("BIO", "IO"): {"B": "I", "I": "I"},
    ("IOB1", "IO"): {"B": "I", "I": "I"},
    **{(name, name): {prefix: prefix for prefix in SCHEMES[name].prefixes} for name in SCHEMES},
}


class SoftLabels(NamedTuple):
    """What a document carries.

    scheme (str): Of the tags, a name in SCHEMES.
    labels (Tuple[str, ...]): Entity labels, in the order of their tags.
    align (str): What has a tag, "token" or "word".
    probs (Floats2d): Tag probabilities, float32, (n_tokens, n_tags): zeros for tokens that teachers
        tell nothing of.
    agreement (Floats1d): The share of the teachers, by weight, whose best tag is that of their
        mean, float32, (n_tokens,).
    has_gold (bool): Whether `doc.ents` are gold annotation, and not what the teachers find.
    """

    scheme: str
    labels: Tuple[str, ...]
    align: str
    probs: Floats2d
    agreement: Floats1d
    has_gold: bool

    @property
    def tag_set(self) -> TagSet:
        """RETURNS (TagSet): The tags, in the order of the columns."""
        return get_tag_set(self.scheme, self.labels)

    def within(self, start: int, end: int) -> "SoftLabels":
        """Take those of a range of tokens.

        start, end (int): The first token, and the one after the last.
        RETURNS (SoftLabels): As many as there are tokens in it.
        """
        return self._replace(probs=self.probs[start:end], agreement=self.agreement[start:end])


class SoftTags(NamedTuple):
    """Soft labels as a component learns them.

    rows (Ints1d): The tokens that have some, int64, (n_rows,).
    probs (Floats2d): Probabilities of the component's tags, float32, (n_rows, n_tags).
    agreement (Floats1d): See `SoftLabels`, float32, (n_rows,).
    has_gold (bool): Whether the entities of the document are gold annotation.
    """

    rows: Ints1d
    probs: Floats2d
    agreement: Floats1d
    has_gold: bool


def set_soft_labels(doc: Doc, soft: SoftLabels) -> None:
    """Let a document carry soft labels, in place of those that it has.

    doc (Doc): The document. Changed.
    soft (SoftLabels): Of its tokens.
    """
    doc.user_data[SOFT_KEY] = {
        "scheme": soft.scheme,
        "labels": list(soft.labels),
        "align": soft.align,
        "probs": numpy.ascontiguousarray(soft.probs, dtype=STORED).tobytes(),
        "agreement": numpy.ascontiguousarray(soft.agreement, dtype=STORED).tobytes(),
        "has_gold": soft.has_gold,
    }


def get_soft_labels(doc: Doc) -> Optional[SoftLabels]:
    """Read the soft labels that a document carries.

    doc (Doc): The document.
    RETURNS (Optional[SoftLabels]): What it carries, None if it has none.
    RAISES (UserError): For what can't be soft labels of its tokens.
    """
    data = doc.user_data.get(SOFT_KEY)
    if data is None:
        return None
    try:
        return _read(data, len(doc))
    except (KeyError, TypeError, ValueError) as error:
        problem = f"has no {error}" if isinstance(error, KeyError) else str(error)
        raise UserError(
            f"Can't read the soft labels of a document of {len(doc)} tokens ({problem}): they were "
            "changed, or are of other tokens. Write them again with spacy bert-ner label."
        ) from error


def _read(data: Any, n_tokens: int) -> SoftLabels:
    if not isinstance(data, dict):
        raise TypeError(f"they are {type(data).__name__}, not a dict")
    scheme, align, has_gold = data["scheme"], data["align"], data["has_gold"]
    if not isinstance(scheme, str) or scheme not in SCHEMES:
        raise TypeError(f"scheme = {scheme!r}")
    if align not in ALIGNS:
        raise TypeError(f"align = {align!r}")
    if not isinstance(has_gold, bool):
        raise TypeError(f"has_gold = {has_gold!r}")
    labels = data["labels"]
    if not isinstance(labels, (list, tuple)) or not all(isinstance(name, str) for name in labels):
        raise TypeError("their labels aren't strings")
    if not labels or len(set(labels)) < len(labels):
        raise TypeError(f"labels = {list(labels)!r}")
    n_tags = 1 + len(labels) * len(SCHEMES[scheme].prefixes)
    probs = _get_array(data, "probs", n_tokens * n_tags).reshape(n_tokens, n_tags)
    agreement = _get_array(data, "agreement", n_tokens)
    sums = probs.sum(axis=1)
    if not ((sums == 0.0) | (abs(sums - 1.0) < ROUNDING)).all():
        raise TypeError("probabilities of a token that don't add up to 1")
    probs /= numpy.where(sums == 0.0, 1.0, sums)[:, None]
    return SoftLabels(scheme, tuple(labels), align, probs, agreement, has_gold)


def _get_array(data: Dict[str, Any], name: str, size: int) -> Floats1d:
    """RETURNS (Floats1d): Numbers from 0 to 1, float32, (size,)."""
    content = data[name]
    if not isinstance(content, bytes):
        raise TypeError(f"{name} is {type(content).__name__}, not bytes")
    if len(content) != size * STORED.itemsize:
        raise TypeError(f"{name} has {len(content)} bytes, not {size * STORED.itemsize}")
    values = numpy.frombuffer(content, dtype=STORED).astype("float32")
    if not ((values >= 0.0) & (values <= 1.0)).all():  # nor NaN
        raise TypeError(f"{name} isn't from 0 to 1")
    return values


def get_soft_tags(
    example: Example, tag_set: TagSet, align: str, rows: Ints1d
) -> Optional[SoftTags]:
    """The soft labels of `example.reference`, for a component. Tokens of `example.predicted` that
    aren't one token there have none.

    example (Example): A document as the component reads it, and the one with soft labels.
    tag_set (TagSet): The component's tags. Labels that it doesn't have are outside.
    align (str): What gets a tag, "token" or "word".
    rows (Ints1d): The tokens that get a tag, int64, (n_rows,).
    RETURNS (Optional[SoftTags]): None for a document without soft labels.
    RAISES (UserError): See `check_soft_labels`.
    """
    soft = get_soft_labels(example.reference)
    if soft is None:
        return None
    check_soft_labels(soft, tag_set.name, align)
    places, fits = _find_tokens(example)
    rows = rows[fits[rows]]
    rows = rows[soft.probs[places[rows]].any(axis=1)]
    probs = soft.probs[places[rows]] @ map_tags(soft.tag_set, tag_set)
    return SoftTags(rows, probs, soft.agreement[places[rows]], soft.has_gold)


def _find_tokens(example: Example) -> Tuple[Ints1d, Bools1d]:
    """Where the tokens of `example.predicted` are in `example.reference`, (n_tokens,), and whether
    they are one token there, (n_tokens,)."""
    theirs, ours = example.alignment.x2y, example.alignment.y2x
    lengths = numpy.asarray(theirs.lengths)
    firsts = numpy.cumsum(lengths) - lengths
    fits = lengths == 1
    places = numpy.zeros(len(lengths), dtype="int64")
    places[fits] = numpy.asarray(theirs.data)[firsts[fits]]
    fits[fits] = numpy.asarray(ours.lengths)[places[fits]] == 1
    return places, fits


def check_soft_labels(soft: SoftLabels, scheme: str, align: str) -> None:
    """Check that a component can learn soft labels.

    soft (SoftLabels): What a document carries.
    scheme, align (str): Settings of the component.
    RAISES (UserError): For a scheme that can't be converted, and for tags of other tokens.
    """
    if (soft.scheme, scheme) not in CONVERSIONS:
        raise UserError(
            f'Can\'t learn soft labels of the scheme {soft.scheme} with scheme = "{scheme}": what '
            f'its tags mean can\'t be told token by token. Set it to "{soft.scheme}", the scheme '
            "of the teachers."
        )
    if soft.align != align:
        raise UserError(
            f'Can\'t learn soft labels of teachers with align = "{soft.align}" with align = '
            f'"{align}", which tags other tokens. Set it to "{soft.align}".'
        )


def map_tags(theirs: TagSet, ours: TagSet) -> Floats2d:
    """A matrix that turns probabilities of tags into those of other tags: by the names of the
    labels, and where ours don't have a label, to O.

    theirs, ours (TagSet): The tags. Their schemes are a pair in CONVERSIONS.
    RETURNS (Floats2d): 0 or 1, float32, (n_their_tags, n_our_tags).
    """
    prefixes = CONVERSIONS[theirs.name, ours.name]
    columns = {tag: i for i, tag in enumerate(ours.tags)}
    matrix = numpy.zeros((len(theirs), len(ours)), dtype="float32")
    matrix[0, 0] = 1.0
    for row, tag in enumerate(theirs.tags[1:], start=1):
        prefix, _, label = tag.partition("-")
        matrix[row, columns.get(f"{prefixes[prefix]}-{label}", 0)] = 1.0
    return matrix


def find_scheme(schemes: List[str]) -> Optional[str]:
    """Find the scheme that all of several can be converted to.

    schemes (List[str]): Names in SCHEMES.
    RETURNS (Optional[str]): One of them, None if there is none.
    """
    for ours in schemes:
        if all((theirs, ours) in CONVERSIONS for theirs in schemes):
            return ours
    return None


def average_tags(
    opinions: List[Floats2d], known: List[Bools1d], weights: Floats1d
) -> Tuple[Floats2d, Floats1d]:
    """The mean of what teachers think. The O of one that doesn't know some labels says nothing
    about these: it is divided between O and them as by the teachers that know them.

    opinions (List[Floats2d]): Of each teacher, probabilities of the tags of all labels, 0 for tags
        that it doesn't know, and zeros for tokens that it tells nothing of, (n_tokens, n_tags).
    known (List[Bools1d]): Of each teacher, the tags that it knows, (n_tags,).
    weights (Floats1d): Of the teachers, (n_teachers,).
    RETURNS (Tuple[Floats2d, Floats1d]): The mean, float32, (n_tokens, n_tags), and the share of the
        teachers, by weight, whose best tag is that of the mean, float32, (n_tokens,). Of teachers
        that tell something of a token.
    """
    P = numpy.stack(opinions).astype("float64")  # (n_teachers, n_tokens, n_tags)
    W = weights[:, None] * P.any(axis=2)  # (n_teachers, n_tokens)
    P = numpy.stack([_divide_outside(P, W, known, k) for k in range(len(P))])
    totals = numpy.maximum(W.sum(axis=0), numpy.finfo("float64").tiny)
    mean = numpy.einsum("kn,knc->nc", W, P) / totals[:, None]
    agrees = P.argmax(axis=2) == mean.argmax(axis=1)
    return mean.astype("float32"), ((W * agrees).sum(axis=0) / totals).astype("float32")


def _divide_outside(P: Floats2d, W: Floats2d, known: List[Bools1d], k: int) -> Floats2d:
    """RETURNS (Floats2d): What a teacher thinks, with its O divided, (n_tokens, n_tags)."""
    mine: Floats2d = P[k].copy()
    if known[k].all():
        return mine
    shares = numpy.zeros_like(mine)
    norms = numpy.zeros_like(mine)
    tiny = numpy.finfo("float64").tiny
    for j in range(len(P)):
        group = known[j] & ~known[k]
        inside = P[j][:, group]
        whole = numpy.maximum(P[j][:, 0] + inside.sum(axis=1), tiny)
        shares[:, group] += W[j][:, None] * inside / whole[:, None]
        norms[:, group] += W[j][:, None]
    shares /= numpy.maximum(norms, tiny)
    shares /= numpy.maximum(shares.sum(axis=1, keepdims=True), 1.0)
    moved = mine[:, :1] * shares
    mine += moved
    mine[:, 0] -= moved.sum(axis=1)
    return mine
