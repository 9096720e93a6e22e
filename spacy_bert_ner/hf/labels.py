"""Convert between the labels of existing token classifiers and the tags of a TagSet."""

import re
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..errors import UserError
from ..tagging.schemes import SCHEMES, TagSet

# Letters before or after a label, and the prefixes that they are converted to.
LETTERS = {"B": "B", "I": "I", "M": "I", "L": "L", "E": "L", "U": "U", "S": "U", "W": "U"}
# Schemes by the prefixes that occur. For B and I alone, each label has to be checked.
NOTATIONS = {"I": "IO", "B": "BIO", "BI": "BIO", "BILU": "BILUO", "BLU": "BILUO"}
# Prefixes for names that Hugging Face's pipeline understands, which only knows B and I. It finds
# the same entities in valid tags: inside and last tags continue an entity, single ones begin one.
TO_HF = {
    "BIO": {"B": "B", "I": "I"},
    "BILUO": {"B": "B", "I": "I", "L": "I", "U": "B"},
    "IOB1": {"B": "B", "I": "I"},
    "IO": {"I": "I"},
}
OUTSIDE = {"O", "o"}
# Names for pieces that aren't words. Those in MARKS always are, those in BARE_MARKS only among
# names with prefixes: without prefixes, PAD or X may be an entity label.
MARKS = {"[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]", "<s>", "</s>", "<pad>", "<PAD>", "<unk>"}
BARE_MARKS = {"X", "PAD", "CLS", "SEP", "UNK", "MASK", "##"}
PREFIXED = re.compile(r"([A-Za-z])[-_](.+)", re.DOTALL)
SUFFIXED = re.compile(r"(.+)[-_]([A-Za-z])", re.DOTALL)
GENERIC = re.compile(r"LABEL_\d+")


class LabelError(UserError):
    """Labels that can't be understood."""


class Reading(NamedTuple):
    """The tags of the rows of a classifier.

    scheme (str): A name in SCHEMES.
    labels (List[str]): Entity labels, in the order of their first rows.
    rows (List[Optional[int]]): Row of each tag of `TagSet(scheme, labels)`, None if it has none,
        (n_tags,).
    """

    scheme: str
    labels: List[str]
    rows: List[Optional[int]]


def read_labels(
    names: Sequence[str],
    *,
    label_map: Optional[Mapping[Any, Optional[str]]] = None,
    scheme: Optional[str] = None,
) -> Reading:
    """Understand the names of a classifier's rows: IOB1, IOB2, BILOU, IOBES, BMES, IO or bare
    names, with the letter before or after the label, and `-` or `_` between them. Rows for special
    tokens are ignored.

    names (Sequence[str]): The names, in the order of the rows, (n_labels,).
    label_map (Optional[Mapping[Any, Optional[str]]]): New names for some names or numbers of rows;
        None for rows that should be ignored.
    scheme (Optional[str]): "BIO" or "IOB1" for names with B and I that fit both.
    RETURNS (Reading): The tags of the rows.
    RAISES (LabelError): For names that can't be understood.
    """
    names = list(names)
    # Numbers are integers in Python, and strings in JSON.
    mapped = _apply_map(names, {str(key): name for key, name in (label_map or {}).items()})
    generic = [name for name in mapped if name is not None and GENERIC.fullmatch(name)]
    if generic:
        raise _unclear(names, f"{generic[0]} doesn't name an entity")
    pairs = _split(names, mapped)
    found = _find_scheme(names, [pair for pair in pairs if pair], scheme)
    labels = list(dict.fromkeys(pair[1] for pair in pairs if pair and pair[1]))
    tags = TagSet(found, labels).tags
    rows: List[Optional[int]] = [None] * len(tags)
    for i, pair in enumerate(pairs):
        if pair is None:
            continue
        tag = tags.index(f"{pair[0]}-{pair[1]}" if pair[1] else "O")
        if rows[tag] is not None:
            raise _unclear(names, f"rows {rows[tag]} and {i} are both {tags[tag]}")
        rows[tag] = i
    if not labels:
        raise _unclear(names, "no name is that of an entity")
    return Reading(found, labels, rows)


def list_names(id2label: Mapping[int, Any]) -> List[str]:
    """List the names of a classifier's rows, in their order.

    id2label (Mapping[int, Any]): The names by number, as a config.json has them. Other types, such
        as numbers, are converted to strings.
    RETURNS (List[str]): The names, (n_labels,).
    RAISES (LabelError): If the numbers aren't those of the rows.
    """
    numbers = sorted(id2label)
    if numbers != list(range(len(numbers))):
        shown = ", ".join(map(str, numbers[:5])) + (", …" if len(numbers) > 5 else "")
        raise LabelError(
            f"id2label in config.json has the numbers {shown} for its {len(numbers)} labels. They "
            f"must be those of the classifier's rows, 0 to {len(numbers) - 1}: correct the file."
        )
    return [str(id2label[number]) for number in numbers]


def name_tags(tag_set: TagSet, scheme: str) -> List[str]:
    """RETURNS (List[str]): Names of the tags for Hugging Face's pipeline, (n_tags,).

    tag_set (TagSet): The tags.
    scheme (str): Their scheme.
    """
    letters = TO_HF[scheme]
    pairs = [tag.partition("-") for tag in tag_set.tags[1:]]
    return ["O", *(f"{letters[prefix]}-{label}" for prefix, _, label in pairs)]


def _apply_map(names: Sequence[str], label_map: Mapping[str, Optional[str]]) -> List[Optional[str]]:
    keys = {str(i): i for i in range(len(names))}
    keys.update({name: i for i, name in enumerate(names)})
    unknown = sorted(set(label_map) - set(keys))
    if unknown:
        raise LabelError(
            f"The label map has {unknown}, which the checkpoint doesn't have. Its labels are "
            f"{_show(names)}."
        )
    mapped: List[Optional[str]] = list(names)
    for key, value in label_map.items():
        if value is not None and not isinstance(value, str):
            raise LabelError(
                f"The label map has {value!r} for {key!r}: use a name such as B-PER, O, or null."
            )
        mapped[keys[key]] = value
    return mapped


def _split(
    names: Sequence[str], mapped: Sequence[Optional[str]]
) -> List[Optional[Tuple[str, str]]]:
    """The prefix and the label of each name, ("", "") for outside, None for ignored names."""
    inner = [
        name for name in mapped if name is not None and name not in OUTSIDE and name not in MARKS
    ]
    entities = [name for name in inner if name not in BARE_MARKS]
    for pattern, order in ((PREFIXED, (1, 2)), (SUFFIXED, (2, 1))):
        matches = {name: pattern.fullmatch(name) for name in entities}
        parts = {name: match.group(*order) for name, match in matches.items() if match}
        known = {name: part for name, part in parts.items() if part[0].upper() in LETTERS}
        # Names without prefixes may look like this: E-MAIL, S_BAHN. Their letters don't form a
        # scheme.
        if known and _order(LETTERS[letter.upper()] for letter, _ in known.values()) in NOTATIONS:
            break
    else:
        return _split_bare(names, mapped, inner)
    others = [name for name in entities if name not in known]
    if others:
        raise _unclear(names, f"{others[0]!r} has no prefix, but {next(iter(known))!r} has one")
    empty = {label.upper() for _, label in known.values()} & OUTSIDE
    if empty:
        raise _unclear(names, "O has a prefix")
    pairs: List[Optional[Tuple[str, str]]] = []
    for name in mapped:
        if name in known:
            letter, label = known[name]
            pairs.append((LETTERS[letter.upper()], label))
        else:
            pairs.append(("", "") if name in OUTSIDE else None)
    return pairs


def _split_bare(
    names: Sequence[str], mapped: Sequence[Optional[str]], inner: Sequence[str]
) -> List[Optional[Tuple[str, str]]]:
    if OUTSIDE.isdisjoint(name for name in mapped if name is not None):
        raise _unclear(names, "none of them is O, for tokens outside of entities")
    for name in inner:
        if name in BARE_MARKS:
            raise _unclear(names, f"{name!r} may be an entity or a special token")
        if name.upper() in LETTERS:
            raise _unclear(names, f"{name!r} has no label")
        match = PREFIXED.fullmatch(name)
        if match and match[1].upper() in LETTERS:
            raise _unclear(
                names,
                f"{name!r} begins with a prefix, but all prefixes together don't form a scheme",
            )
    return [
        None if name is None or name in MARKS else ("", "") if name in OUTSIDE else ("I", name)
        for name in mapped
    ]


def _find_scheme(
    names: Sequence[str], pairs: Sequence[Tuple[str, str]], scheme: Optional[str]
) -> str:
    prefixes: Dict[str, str] = {}
    for prefix, label in pairs:
        if label:
            prefixes[label] = prefixes.get(label, "") + prefix
    found = NOTATIONS.get(_order("".join(prefixes.values())), "BIO")
    if found == "BIO" and any("B" not in used for used in prefixes.values()):
        # If B occurs only for some labels, it was needed between adjacent entities with the same
        # label.
        if any("I" not in used for used in prefixes.values()):
            raise _unclear(names, "some labels have no B and some no I")
        found = "IOB1"
    if scheme is not None and scheme != found:
        if {scheme, found} != {"BIO", "IOB1"}:
            raise LabelError(
                f"The labels {_show(names)} are tags of the scheme {found}, not of {scheme}. Leave "
                "the scheme out, or rename the labels (--labels map.json of from-hf)."
            )
        if scheme not in SCHEMES or any(len(set(used)) < 2 for used in prefixes.values()):
            raise _unclear(names, f"some labels lack a tag that {scheme} needs")
        found = scheme
    return found


def _order(prefixes: Iterable[str]) -> str:
    return "".join(sorted(set(prefixes)))


def _show(names: Sequence[str]) -> str:
    return str({str(i): name for i, name in enumerate(names)})


def _unclear(names: Sequence[str], reason: str) -> LabelError:
    return LabelError(
        f"Can't understand the labels {_show(names)}: {reason}. Give new names for them by name or "
        'number, as labels={"0": "O", "1": "B-PER", …} in Python or --labels map.json of from-hf; '
        "null for a label that should be ignored."
    )
