"""A Hugging Face tokenizer, reduced to what windows need."""

import json
from itertools import chain
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple, cast

import numpy
from tokenizers import Tokenizer

from ...errors import UserError
from ...types import Ints1d, Ints2d

# Texts are encoded this many characters at a time: the tokenizer's own records take about a
# kilobyte per wordpiece, and only their ids and offsets are kept.
CHUNK_CHARS = 50_000
# Special tokens that control an encoder. Others (`[URL]`, `<nl>`) are words of the training data.
CONTROLS = (
    "bos_token",
    "cls_token",
    "eos_token",
    "mask_token",
    "pad_token",
    "sep_token",
    "unk_token",
)


class PieceTokenizer:
    """A fast tokenizer that only splits text: no truncation, no padding, no special tokens, and
    text that looks like a token that controls the encoder (`[SEP]`, `<s>`) is text. A tokenizer's
    additional special tokens are words: they are its pieces, as they were in training. Using it
    doesn't change it, so that threads can share it.

    backend (Tokenizer): Without truncation and padding. Its special tokens are those that control
        the encoder.
    controls (List[int]): Ids that text never gets.
    filler (int): Id for a window that would be empty, and for pieces of text that would get one of
        `controls`.

    Attributes
    ----------
    prefix, suffix (List[int]): Ids of the special tokens before and after a single sequence.
    """

    def __init__(self, backend: Tokenizer, *, controls: List[int], filler: int):
        self.backend = backend
        self.backend.encode_special_tokens = True
        self.controls = controls
        self.filler = filler
        self.prefix, self.suffix = _special_ids(backend)
        vocab = backend.get_vocab(with_added_tokens=True)
        self._strings = numpy.full(max(vocab.values()) + 1, "", dtype=object)
        self._strings[list(vocab.values())] = list(vocab)

    @classmethod
    def from_huggingface(cls, tokenizer: Any, n_rows: Optional[int] = None) -> "PieceTokenizer":
        """Make it from a tokenizer of transformers.

        tokenizer (PreTrainedTokenizerFast): Its truncation and padding are switched off in place,
            since they are state that would be saved with it.
        n_rows (Optional[int]): Number of wordpieces that the encoder has vectors for. Additional
            special tokens without a vector are text.
        RETURNS (PieceTokenizer): The tokenizer.
        RAISES (ValueError): For a tokenizer without character offsets.
        """
        if not tokenizer.is_fast:
            raise UserError(
                f"Can't align the pieces of {type(tokenizer).__name__} with spaCy's tokens: it "
                "gives no character offsets. Use its fast version: tokenizer_config = "
                '{"use_fast": true}, with a tokenizer.json next to the weights.'
            )
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        names = tokenizer.special_tokens_map
        controls = {str(names[name]) for name in CONTROLS if names.get(name)}
        backend = _with_words(tokenizer.backend_tokenizer, controls, n_rows)
        vocab = backend.get_vocab(with_added_tokens=True)
        ids = {vocab[token] for token in controls & set(vocab)} - {tokenizer.unk_token_id}
        return cls(backend, controls=sorted(ids), filler=tokenizer.unk_token_id or 0)

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.backend.encode_special_tokens = True  # which copies and pickles lose

    def __call__(self, texts: List[str]) -> Tuple[Ints1d, Ints2d, Ints1d]:
        """Split texts into wordpieces.

        texts (List[str]): The texts.
        RETURNS (Tuple[Ints1d, Ints2d, Ints1d]): Ids of all pieces, int32, (n_pieces,);
            first and end character of each in its text, int64, (n_pieces, 2); the number of
            pieces of each text, int64, (n_texts,).
        """
        ids: List[Ints1d] = [numpy.zeros(0, dtype="int32")]
        offsets: List[Ints2d] = [numpy.zeros((0, 2), dtype="int64")]
        lengths: List[int] = []
        for chunk in _chunks(texts):
            found = self.backend.encode_batch(chunk, add_special_tokens=False)
            lengths += map(len, found)
            ids.append(_join((one.ids for one in found), "int32"))
            pairs = chain.from_iterable(one.offsets for one in found)
            offsets.append(_join(pairs, "int64").reshape(-1, 2))
        all_ids = numpy.concatenate(ids)
        # A vocabulary of whole strings (Unigram) may contain `<s>` as an ordinary piece.
        all_ids[numpy.isin(all_ids, self.controls)] = self.filler
        return (
            all_ids,
            numpy.concatenate(offsets),
            numpy.asarray(lengths, dtype="int64"),
        )

    def strings(self, ids: Ints1d) -> List[str]:
        """Look up wordpieces.

        ids (Ints1d): Vocabulary ids, int, (n_pieces,).
        RETURNS (List[str]): The wordpieces.
        """
        return cast(List[str], self._strings[ids].tolist())


def get_kind(backend: Tokenizer) -> str:
    """RETURNS (str): The kind of a tokenizer, such as "WordPiece" or "byte-level BPE".

    backend (Tokenizer): The tokenizer.
    """
    kind = type(backend.model).__name__
    return f"byte-level {kind}" if "ByteLevel" in str(backend.pre_tokenizer) else kind


def _join(lists: Iterable[Iterable[int]], dtype: str) -> Ints1d:
    """RETURNS (Ints1d): The numbers in lists, one after the other."""
    return numpy.fromiter(chain.from_iterable(lists), dtype=dtype)


def _with_words(backend: Any, controls: Set[str], n_rows: Optional[int]) -> Any:
    """RETURNS (Tokenizer): A tokenizer for which special tokens are words, except those that
    control the encoder; the same one, if it has no others."""
    words = {
        token.content
        for id_, token in backend.get_added_tokens_decoder().items()
        if token.special and token.content not in controls and (n_rows is None or id_ < n_rows)
    }
    if not words:
        return backend
    settings = json.loads(backend.to_str())
    for token in settings["added_tokens"]:
        token["special"] = token["special"] and token["content"] not in words
    return Tokenizer.from_str(json.dumps(settings))


def _special_ids(backend: Any) -> Tuple[List[int], List[int]]:
    encoding = backend.post_process(backend.encode("a", add_special_tokens=False))
    special = numpy.asarray(encoding.special_tokens_mask, dtype=bool)
    inner = numpy.nonzero(~special)[0]
    # A vocabulary without "a" and without an unknown token gives only the special tokens.
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
