"""Soft labels: the probabilities that teachers give to each tag of each token. Documents store them
in `doc.user_data` as plain types and bytes, which a DocBin keeps with `store_user_data=True`."""

from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy
from spacy.tokens import Doc
from spacy.training import Example

from ..errors import UserError
from ..types import Bools1d, Floats1d, Floats2d, Ints1d
from .schemes import SCHEMES, TagSet, get_tag_set

SOFT_KEY = "spacy_bert_ner.soft_labels"
ALIGNS = ("token", "word")
# Half precision takes half of the memory, and makes no difference to a student.
STORED = numpy.dtype("<f2")
# How far from 1 the sum of a token's probabilities may be after rounding.
ROUNDING = 0.05
# Prefixes of a scheme in one with less information. Other pairs can't be converted token by token:
# whether a B also ends its entity (U) depends on the next token.
CONVERSIONS: Dict[Tuple[str, str], Dict[str, str]] = {
    ("BILUO", "BIO"): {"B": "B", "I": "I", "L": "I", "U": "B"},
    ("BILUO", "IO"): {"B": "I", "I": "I", "L": "I", "U": "I"},
    ("BIO", "IO"): {"B": "I", "I": "I"},
    ("IOB1", "IO"): {"B": "I", "I": "I"},
    **{(name, name): {prefix: prefix for prefix in SCHEMES[name].prefixes} for name in SCHEMES},
}


class SoftLabels(NamedTuple):
    """The soft labels of a document.

    scheme (str): Tag scheme, a name in SCHEMES.
    labels (Tuple[str, ...]): Entity labels, in the order of their tags.
    align (str): What gets a tag, "token" or "word".
    probs (Floats2d): Tag probabilities, float32, (n_tokens, n_tags): zeros for tokens without
        predictions of teachers.
    agreement (Floats1d): The share of the teachers, by weight, whose best tag is the best tag of
        their mean, float32, (n_tokens,).
    has_gold (bool): Whether `doc.ents` are gold annotation, not predictions of the teachers.
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
        """Select a range of tokens.

        start, end (int): The first token, and the one after the last.
        RETURNS (SoftLabels): The soft labels of these tokens.
        """
        return self._replace(probs=self.probs[start:end], agreement=self.agreement[start:end])


class SoftTags(NamedTuple):
    """Soft labels, converted to the tags of a component.

    rows (Ints1d): The tokens with soft labels, int64, (n_rows,).
    probs (Floats2d): Probabilities of the component's tags, float32, (n_rows, n_tags).
    agreement (Floats1d): See `SoftLabels`, float32, (n_rows,).
    has_gold (bool): Whether the entities of the document are gold annotation.
    """

    rows: Ints1d
    probs: Floats2d
    agreement: Floats1d
    has_gold: bool


def set_soft_labels(doc: Doc, soft: SoftLabels) -> None:
    """Store soft labels in a document, and replace those that it has.

    doc (Doc): The document. Changed.
    soft (SoftLabels): The soft labels of its tokens.
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
    """Read the soft labels of a document.

    doc (Doc): The document.
    RETURNS (Optional[SoftLabels]): The soft labels, None if it has none.
    RAISES (UserError): For data that can't be soft labels of its tokens.
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
            "changed, or belong to other tokens. Write them again with spacy bert-ner label."
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
    """Convert the soft labels of `example.reference` to the tags of a component. Tokens of
    `example.predicted` that aren't exactly one token there get none.

    example (Example): A document as the component reads it, and the one with soft labels.
    tag_set (TagSet): The component's tags. Labels that it doesn't have count as outside.
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
    """The index in `example.reference` of each token of `example.predicted`, (n_tokens,), and
    whether it is exactly one token there, (n_tokens,)."""
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

    soft (SoftLabels): The soft labels of a document.
    scheme, align (str): Settings of the component.
    RAISES (UserError): For a scheme that can't be converted, and for another `align`.
    """
    if (soft.scheme, scheme) not in CONVERSIONS:
        raise UserError(
            f'Can\'t learn soft labels of the scheme {soft.scheme} with scheme = "{scheme}": '
            f'these tags can\'t be converted token by token. Set scheme to "{soft.scheme}", the '
            "scheme of the teachers."
        )
    if soft.align != align:
        raise UserError(
            f'Can\'t learn soft labels of teachers with align = "{soft.align}" in a component '
            f'with align = "{align}", which tags different tokens. Set align to "{soft.align}".'
        )


def map_tags(theirs: TagSet, ours: TagSet) -> Floats2d:
    """Make a matrix that converts probabilities of tags to those of other tags, by the names of the
    labels. Labels that `ours` doesn't have are converted to O.

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
    """Find a scheme that all given schemes can be converted to.

    schemes (List[str]): Names in SCHEMES.
    RETURNS (Optional[str]): One of the given schemes, None if there is no such scheme.
    """
    for ours in schemes:
        if all((theirs, ours) in CONVERSIONS for theirs in schemes):
            return ours
    return None


def average_tags(
    opinions: List[Floats2d], known: List[Bools1d], weights: Floats1d
) -> Tuple[Floats2d, Floats1d]:
    """Average the predictions of teachers. If a teacher doesn't know some labels, its O says
    nothing about them: its probability is divided between O and these labels as the teachers that
    know them divide it.

    opinions (List[Floats2d]): By teacher, probabilities of the tags of all labels: 0 for tags that
        it doesn't know, and zeros for tokens that it doesn't tag, (n_tokens, n_tags).
    known (List[Bools1d]): By teacher, whether it knows each tag, (n_tags,).
    weights (Floats1d): Weights of the teachers, (n_teachers,).
    RETURNS (Tuple[Floats2d, Floats1d]): The mean, float32, (n_tokens, n_tags), and the share of the
        teachers, by weight, whose best tag is that of the mean, float32, (n_tokens,). Teachers that
        don't tag a token aren't counted for it.
    """
    P = numpy.stack(opinions).astype("float64")  # (n_teachers, n_tokens, n_tags)
    W = weights[:, None] * P.any(axis=2)  # (n_teachers, n_tokens)
    P = numpy.stack([_divide_outside(P, W, known, k) for k in range(len(P))])
    totals = numpy.maximum(W.sum(axis=0), numpy.finfo("float64").tiny)
    mean = numpy.einsum("kn,knc->nc", W, P) / totals[:, None]
    agrees = P.argmax(axis=2) == mean.argmax(axis=1)
    return mean.astype("float32"), ((W * agrees).sum(axis=0) / totals).astype("float32")


def _divide_outside(P: Floats2d, W: Floats2d, known: List[Bools1d], k: int) -> Floats2d:
    """RETURNS (Floats2d): The probabilities of a teacher, with its O divided, (n_tokens,
    n_tags)."""
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
