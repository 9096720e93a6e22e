"""What a document fixes before it is decoded."""

from typing import List, NamedTuple

import numpy
from spacy.tokens import Doc, Span

from ..errors import UserError
from ..types import Bools1d, Ints1d

# Values of token.ent_iob.
MISSING_IOB, OUTSIDE_IOB, BEGIN_IOB = 0, 2, 3


class Constraints(NamedTuple):
    """Which tokens get a predicted tag, and where sequences of tags begin among them.

    rows (Ints1d): The tokens, int64, (n_rows,).
    breaks (Bools1d): Whether a sequence begins there, bool, (n_rows,).
    blocked (List[Span]): Tokens that can't be part of an entity, one by one.
    """

    rows: Ints1d
    breaks: Bools1d
    blocked: List[Span]


def get_constraints(
    doc: Doc,
    name: str,
    read: Bools1d,
    *,
    keep_ents: bool,
    keep_blocked: bool,
    by_sentence: bool,
) -> Constraints:
    """Find the tokens to predict. Those that aren't read are left out, so that an entity goes
    across them but can't begin or end there. Preset entities and blocked tokens are left out as
    well, and end a sequence.

    name (str): Of the component, for errors.
    read (Bools1d): The tokens that are read, see `get_read_tokens`, bool, (n_tokens,).
    keep_ents, keep_blocked (bool): Whether entities and blocked tokens that are set stay.
    by_sentence (bool): Whether a sequence ends with its sentence.
    RAISES (ValueError): By sentence, for a document without sentences.
    """
    ent_iob, ent_type = doc.to_array(["ENT_IOB", "ENT_TYPE"]).reshape(len(doc), 2).T
    is_blocked = (ent_iob == BEGIN_IOB) & (ent_type == 0) & keep_blocked
    fixed = is_blocked.copy()
    if keep_ents:
        fixed |= (ent_iob != MISSING_IOB) & (ent_iob != OUTSIDE_IOB)
    # A sequence number for each token: a change of it among the free ones is a break.
    sequence = numpy.cumsum(fixed)
    if by_sentence:
        if not doc.has_annotation("SENT_START"):
            raise UserError(
                f"'{name}' can't decode by sentence, since the document has none. Add a "
                "component that sets them (sentencizer, senter, parser) before it, or set "
                'decode_scope = "doc".'
            )
        sequence = sequence + numpy.cumsum(doc.to_array("SENT_START") == 1)
    rows = numpy.nonzero(read & ~fixed)[0]
    breaks = numpy.diff(sequence[rows], prepend=-1) != 0
    blocked = [doc[int(i) : int(i) + 1] for i in numpy.nonzero(is_blocked)[0]]
    return Constraints(rows, breaks, blocked)
