"""Entities and blocked tokens that documents have before decoding."""

from typing import Iterable, List, NamedTuple, Sequence

import numpy
from spacy.tokens import Doc, Span

from ..characters import add_before, concatenate
from ..errors import UserError
from ..types import Bools1d, Ints1d
from .settings import Settings

# Values of token.ent_iob.
MISSING_IOB, OUTSIDE_IOB, BEGIN_IOB = 0, 2, 3


class Constraints(NamedTuple):
    """Which tokens get a predicted tag, and where sequences of tags begin among them.

    rows (Ints1d): The tokens, int64, (n_rows,).
    breaks (Bools1d): Whether a sequence begins there, bool, (n_rows,).
    blocked (List[Span]): Tokens that can't be part of an entity, a span for each.
    """

    rows: Ints1d
    breaks: Bools1d
    blocked: List[Span]


def check_sentences(docs: Iterable[Doc], name: str) -> None:
    """Check that documents have sentence starts, to decode by sentence.

    docs (Iterable[Doc]): The documents.
    name (str): Name of the component, for the message.
    RAISES (ValueError): If one has none.
    """
    if not all(doc.has_annotation("SENT_START") for doc in docs):
        raise UserError(
            f"'{name}' can't decode by sentence, since a document has no sentence starts. Add a "
            "component that sets them (sentencizer, senter, parser) before it, or set decode_scope "
            '= "doc".'
        )


def get_constraints(
    docs: Sequence[Doc], read: Sequence[Bools1d], settings: Settings
) -> List[Constraints]:
    """Find the tokens to tag. Those that aren't read are left out: an entity can contain them, but
    not begin or end with them. Preset entities and blocked tokens that are kept are left out as
    well, and end a sequence.

    docs (Sequence[Doc]): Documents, with sentences if entities stay within them.
    read (Sequence[Bools1d]): The tokens that are read, see `get_read_tokens`, bool, (n_tokens,).
    settings (Settings): Whether preset entities are kept, and whether a sequence ends with its
        sentence.
    RETURNS (List[Constraints]): By document, the tokens, and where sequences begin.
    """
    ent_iob, ent_type, sent_start = concatenate(docs, ["ENT_IOB", "ENT_TYPE", "SENT_START"])
    lengths = [len(doc) for doc in docs]
    is_blocked = (ent_iob == BEGIN_IOB) & (ent_type == 0) & settings.annotate_ents
    fixed = is_blocked.copy()
    if settings.keeps_ents:
        fixed |= (ent_iob != MISSING_IOB) & (ent_iob != OUTSIDE_IOB)
    # A sequence number for each token: where it changes among the tokens to tag, a sequence begins.
    sequence = numpy.cumsum(fixed)
    sequence += numpy.repeat(numpy.arange(len(docs)), lengths)
    if settings.by_sentence:
        sequence += numpy.cumsum(sent_start == 1)
    rows = numpy.nonzero(numpy.concatenate(read) & ~fixed)[0]
    breaks = numpy.diff(sequence[rows], prepend=-1) != 0
    first_tokens = add_before(lengths)
    edges = numpy.searchsorted(rows, first_tokens).tolist()
    rows -= numpy.repeat(first_tokens[:-1], numpy.diff(edges))
    blocked: List[List[Span]] = [[] for _ in docs]
    for i in numpy.nonzero(is_blocked)[0].tolist():
        owner = int(numpy.searchsorted(first_tokens, i, side="right")) - 1
        place = i - int(first_tokens[owner])
        blocked[owner].append(docs[owner][place : place + 1])
    return [
        Constraints(rows[i:j], breaks[i:j], spans) for i, j, spans in zip(edges, edges[1:], blocked)
    ]
