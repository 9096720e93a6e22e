"""Entities and blocked tokens that documents have before decoding."""

from typing import Iterable, List, NamedTuple

import numpy
from spacy.tokens import Doc, Span

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


def get_constraints(doc: Doc, read: Bools1d, settings: Settings) -> Constraints:
    """Find the tokens to tag. Those that aren't read are left out: an entity can contain them, but
    not begin or end with them. Preset entities and blocked tokens that are kept are left out as
    well, and end a sequence.

    doc (Doc): A document, with sentences if entities stay within them.
    read (Bools1d): The tokens that are read, see `get_read_tokens`, bool, (n_tokens,).
    settings (Settings): Whether preset entities are kept, and whether a sequence ends with its
        sentence.
    RETURNS (Constraints): The tokens, and where sequences begin.
    """
    ent_iob, ent_type = doc.to_array(["ENT_IOB", "ENT_TYPE"]).reshape(len(doc), 2).T
    is_blocked = (ent_iob == BEGIN_IOB) & (ent_type == 0) & settings.annotate_ents
    fixed = is_blocked.copy()
    if settings.keeps_ents:
        fixed |= (ent_iob != MISSING_IOB) & (ent_iob != OUTSIDE_IOB)
    # A sequence number for each token: where it changes among the tokens to tag, a sequence begins.
    sequence = numpy.cumsum(fixed)
    if settings.by_sentence:
        sequence = sequence + numpy.cumsum(doc.to_array("SENT_START") == 1)
    rows = numpy.nonzero(read & ~fixed)[0]
    breaks = numpy.diff(sequence[rows], prepend=-1) != 0
    blocked = [doc[int(i) : int(i) + 1] for i in numpy.nonzero(is_blocked)[0]]
    return Constraints(rows, breaks, blocked)
