"""The part of a Hugging Face tokenizer that windows are made with."""

from typing import Any, List, Tuple

import numpy

from ..errors import UserError
from ..types import Ints1d, Ints2d

# Texts are encoded this many characters at a time: the tokenizer's own records take about a
# kilobyte a piece, and only ids and offsets are kept of them.
CHUNK_CHARS = 50_000


class PieceTokenizer:
    """A fast tokenizer that cuts text and nothing else: no truncation, no padding, no special
    tokens, and text that looks like a special token (`[SEP]`, `<s>`) is text.

    tokenizer (PreTrainedTokenizerFast): Its truncation and padding are switched off in place,
        since they are state that would be saved with it.
    RAISES (ValueError): For a tokenizer without character offsets.

    Attributes
    ----------
    prefix, suffix (List[int]): Ids of the special tokens before and after a single sequence.
    filler (int): Id for a window that would hold nothing at all.
    """

    def __init__(self, tokenizer: Any):
        if not tokenizer.is_fast:
            raise UserError(
                f"Can't align the pieces of {type(tokenizer).__name__} with spaCy's tokens: it "
                "gives no character offsets. Use its fast version: tokenizer_config = "
                '{"use_fast": true}, with a tokenizer.json beside the weights.'
            )
        self.backend = tokenizer.backend_tokenizer
        self.backend.no_truncation()
        self.backend.no_padding()
        self.prefix, self.suffix = _special_ids(self.backend)
        self.filler = tokenizer.unk_token_id or 0
        self._special = sorted(set(tokenizer.all_special_ids) - {tokenizer.unk_token_id})
        vocab = self.backend.get_vocab(with_added_tokens=True)
        self._strings = numpy.full(max(vocab.values()) + 1, "", dtype=object)
        self._strings[list(vocab.values())] = list(vocab)

    def __call__(self, texts: List[str]) -> Tuple[Ints1d, Ints2d, Ints1d]:
        """Cut texts into wordpieces.

        RETURNS (Tuple[Ints1d, Ints2d, Ints1d]): Ids of all pieces, int32, (n_pieces,);
            first and end character of each in its text, int64, (n_pieces, 2); the number of
            pieces of each text, int64, (n_texts,).
        """
        ids: List[Ints1d] = [numpy.zeros(0, dtype="int32")]
        offsets: List[Ints2d] = [numpy.zeros((0, 2), dtype="int64")]
        lengths: List[int] = []
        self.backend.encode_special_tokens = True  # a copy or a pickle would have lost it
        for chunk in _chunks(texts):
            for encoding in self.backend.encode_batch(chunk, add_special_tokens=False):
                lengths.append(len(encoding))
                if len(encoding):
                    ids.append(numpy.asarray(encoding.ids, dtype="int32"))
                    offsets.append(numpy.asarray(encoding.offsets, dtype="int64"))
        all_ids = numpy.concatenate(ids)
        # A vocabulary of whole strings (Unigram) may hold `<s>` as a piece like any other.
        all_ids[numpy.isin(all_ids, self._special)] = self.filler
        return (
            all_ids,
            numpy.concatenate(offsets),
            numpy.asarray(lengths, dtype="int64"),
        )

    def strings(self, ids: Ints1d) -> List[str]:
        """RETURNS (List[str]): The wordpieces with these ids."""
        return self._strings[ids].tolist()


def _special_ids(backend: Any) -> Tuple[List[int], List[int]]:
    encoding = backend.post_process(backend.encode("a", add_special_tokens=False))
    special = numpy.asarray(encoding.special_tokens_mask, dtype=bool)
    inner = numpy.nonzero(~special)[0]
    # A vocabulary without "a" and without an unknown token leaves the special tokens alone.
    start, end = (inner[0], inner[-1] + 1) if len(inner) else (1, 1)
    return encoding.ids[:start], encoding.ids[end:]


def _chunks(texts: List[str]) -> List[List[str]]:
    chunks: List[List[str]] = []
    size = CHUNK_CHARS
    for text in texts:
        if size >= CHUNK_CHARS:
            chunks.append([])
            size = 0
        chunks[-1].append(text)
        size += len(text)
    return chunks
