"""Counts of how an encoder reads documents."""

from typing import Any, Dict, List, Optional

import numpy
from spacy.tokens import Doc

from ..characters import visible_tokens
from ..findings import Finding, show, to_dicts
from ..pipeline.encoders import Found
from .distribution import Distribution
from .similarity import LEAST_FACTOR, MOST_TOKENS, ONE_WAY, take_beginning


class EncoderReport:
    """Counts of how an encoder reads documents.

    encoder (Found): One of our encoders, initialized.

    Attributes
    ----------
    window, stride, context, limit (int): The settings of windows, and the maximum wordpieces that
        the encoder can read at once.
    docs (Distribution): Wordpieces per document.
    windows (Distribution): Wordpieces per window, special tokens and context included.
    doc_windows (Distribution): Windows per document.
    first (List[Doc]): The beginnings of the first documents.
    similarity (Optional[float]): The mean cosine of the vectors of the first tokens; None if it
        wasn't measured.
    head_factor (float): Learning rate of the head in training, as a multiple of the encoder's.
    n_tokens, n_unknown, n_unmarked (int): Tokens, wordpieces that aren't in the vocabulary,
        documents without sentence boundaries.
    long_sents, no_pieces, blank (Finding): Sentences that can't be read as a whole; visible tokens
        without wordpieces, and invisible ones.
    """

    def __init__(self, encoder: Found):
        settings = encoder.node.attrs["settings"]
        self.window: int = settings.window
        self.stride: int = settings.stride
        self.context: int = settings.context
        self.limit: int = encoder.shim.limit
        self.tokenizer = encoder.shim.pieces
        self.unknown_id: Optional[int] = encoder.shim.encoder.tokenizer.unk_token_id
        self.first: List[Doc] = []
        self.similarity: Optional[float] = None
        self.head_factor = 1.0
        self.docs = Distribution()
        self.windows = Distribution()
        self.doc_windows = Distribution()
        self.n_tokens = 0
        self.n_unknown = 0
        self.n_unmarked = 0
        self.long_sents = Finding(
            f"sentences are longer than the {self.limit} wordpieces that the encoder can "
            "read, and are read in overlapping windows"
        )
        self.no_pieces = Finding(
            "visible tokens have no wordpieces: they aren't learned from, and no entity begins or "
            "ends with them"
        )
        self.blank = Finding("invisible tokens have no wordpieces: they aren't learned from")

    @property
    def has_slow_heads(self) -> bool:
        """RETURNS (bool): Whether the vectors are nearly parallel, and heads don't have a higher
        learning rate."""
        return (self.similarity or 0.0) > ONE_WAY and self.head_factor < LEAST_FACTOR

    @property
    def findings(self) -> List[Finding]:
        """RETURNS (List[Finding]): The findings about tokens and sentences."""
        return [self.long_sents, self.no_pieces, self.blank]

    def add(self, doc: Doc) -> None:
        """Count a document.

        doc (Doc): The document, with the sentence boundaries of the pipeline, if any.
        """
        from ..model.encoder.pieces import get_pieces
        from ..model.encoder.windows import get_windows

        if not len(doc):
            return
        if self.n_tokens < MOST_TOKENS:
            self.first.append(take_beginning(doc))
        pieces = get_pieces(self.tokenizer, [doc])
        windows, _ = get_windows(
            self.tokenizer,
            pieces,
            window=self.window,
            stride=self.stride,
            limit=self.limit,
            context=self.context,
        )
        self.docs.add([len(pieces.ids)])
        self.windows.add(windows.lengths)
        self.doc_windows.add([len(windows.lengths)])
        self.n_tokens += len(doc)
        self.n_unknown += int((pieces.ids == self.unknown_id).sum())
        self.n_unmarked += not pieces.has_sents[0]
        self._add_long_sents(doc, pieces)
        counts = numpy.bincount(pieces.pairs[0], minlength=len(doc))
        visible = visible_tokens(doc)
        for i in numpy.nonzero(counts == 0)[0].tolist():
            if visible[i]:
                self.no_pieces.add(show(doc[i].text))
            else:
                self.blank.add(ascii(doc[i].text))

    def _add_long_sents(self, doc: Doc, pieces: Any) -> None:
        if not pieces.has_sents[0]:
            return
        longest = self.limit - len(self.tokenizer.prefix) - len(self.tokenizer.suffix)
        lengths = numpy.diff(pieces.sents)
        for i in numpy.nonzero(lengths > longest)[0].tolist():
            sent = doc[int(pieces.sent_tokens[i]) : int(pieces.sent_tokens[i + 1])]
            self.long_sents.add(f"{show(sent.text)} ({lengths[i]})")

    def as_dict(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): The counts, for JSON."""
        return {
            "limit": self.limit,
            "window": self.window,
            "context": self.context,
            "docs": self.docs.as_dict(),
            "windows": self.windows.as_dict(),
            "doc_windows": self.doc_windows.as_dict(),
            "similarity": self.similarity,
            "head_factor": self.head_factor,
            "n_tokens": self.n_tokens,
            "n_pieces": self.docs.total,
            "n_unknown": self.n_unknown,
            "n_unmarked": self.n_unmarked,
            "findings": to_dicts(self.findings),
        }
