"""Masked language models of Hugging Face: predict the word for a mask."""

import unicodedata
from typing import Any, Dict, Iterator, List, Optional, Tuple

import torch
from huggingface_hub.errors import HFValidationError
from thinc.api import get_torch_default_device
from transformers import AutoModelForMaskedLM

from ...errors import UserError
from .huggingface import Encoder, check_vocabulary, get_limit
from .lookup import check_pretrained, find_pretrained
from .pretrained import read_config, read_model, read_tokenizer

# Endings of the names of classes that predict masked words.
CLASSES = ("ForMaskedLM", "ForPreTraining")
WAY_OUT = "Use a checkpoint of a ...ForMaskedLM class, such as xlm-roberta-base."
# The most wordpieces that are read at once, padding included, and the most texts: each has a row of
# logits, as wide as the vocabulary.
BATCH_PIECES = 4096
BATCH_TEXTS = 64
# How many texts, and how many words of the vocabulary, are encoded at once.
ENCODED_TEXTS = 500
CHUNK = 10_000
# A word before another one, which must not be at the beginning.
BEFORE = "a"


class MaskedLM:
    """A masked language model with its tokenizer, which fills masks with words of one wordpiece:
    pieces of letters and digits that are whole words.

    Attributes
    ----------
    model (PreTrainedModel): The model, in float32.
    backend (Tokenizer): Its tokenizer.
    mask (str): The token for a masked word in a text.
    limit (int): The most wordpieces that can be read at once, special tokens included.
    words (List[str]): The words that it can fill in.
    """

    def __init__(self, name: str, model: Any, tokenizer: Any):
        """
        name (str): The name that was given.
        model (PreTrainedModel): The model. It is moved to the device of the current ops.
        tokenizer (PreTrainedTokenizerFast): Its tokenizer.
        RAISES (UserError): For a tokenizer without a mask, and for one whose pieces aren't words.
        """
        if not tokenizer.is_fast or tokenizer.mask_token is None:
            raise UserError(f"'{name}' has no fast tokenizer with a mask. {WAY_OUT}")
        check_vocabulary(name, model, tokenizer)
        self.limit = get_limit(Encoder(model, tokenizer))
        self.model = model.to(get_torch_default_device()).eval()
        self.mask = str(tokenizer.mask_token)
        self.backend = tokenizer.backend_tokenizer
        self.backend.no_truncation()
        self.backend.no_padding()
        self._mask_id, self._pad_id = tokenizer.mask_token_id, int(tokenizer.pad_token_id or 0)
        found = find_words(self.backend)
        if not found:
            raise UserError(f"No piece of the tokenizer of '{name}' is a word. {WAY_OUT}")
        self.words = list(found.values())
        self._word_ids = torch.tensor(list(found), device=self.model.device)

    def count_pieces(self, texts: List[str]) -> List[int]:
        """Measure texts.

        texts (List[str]): The texts.
        RETURNS (List[int]): How many wordpieces each has, with special tokens.
        """
        return list(map(len, self._encode(texts)))

    def fill(self, texts: List[str]) -> List[Optional[str]]:
        """Find the most probable word for the mask of each text.

        texts (List[str]): The texts, each with one mask, of no more wordpieces than the limit.
        RETURNS (List[Optional[str]]): The words; None for a text that doesn't have exactly one
            mask, since it contains what looks like another.
        """
        rows = self._encode(texts)
        fit = [i for i, ids in enumerate(rows) if ids.count(self._mask_id) == 1]
        words: List[Optional[str]] = [None] * len(texts)
        for chosen in _make_batches(sorted(fit, key=lambda i: -len(rows[i])), rows):
            logits = self.get_logits([rows[i] for i in chosen])
            best = logits.index_select(1, self._word_ids).argmax(dim=1)
            for i, place in zip(chosen, best.tolist()):
                words[i] = self.words[place]
        return words

    def _encode(self, texts: List[str]) -> List[List[int]]:
        """RETURNS (List[List[int]]): Ids of wordpieces, with special tokens. Texts are encoded in
        small groups, since the tokenizer's own records are larger."""
        rows: List[List[int]] = []
        for start in range(0, len(texts), ENCODED_TEXTS):
            chunk = self.backend.encode_batch(texts[start : start + ENCODED_TEXTS])
            rows += [encoding.ids for encoding in chunk]
        return rows

    def get_logits(self, rows: List[List[int]]) -> torch.Tensor:
        """Read texts, and predict only the masked pieces: other pieces would need a row of logits
        each.

        rows (List[List[int]]): Ids of their wordpieces, with one mask each.
        RETURNS (torch.Tensor): float32, (n_rows, n_pieces of the vocabulary).
        """
        longest = max(map(len, rows))
        ids = torch.tensor([row + [self._pad_id] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
        places = torch.tensor([row.index(self._mask_id) for row in rows])

        def take_masked(module: Any, inputs: Any, output: Any) -> Any:
            hidden = output.last_hidden_state
            output.last_hidden_state = hidden[torch.arange(len(rows)), places].unsqueeze(1)
            return output

        device = self.model.device
        hook = self.model.base_model.register_forward_hook(take_masked)
        try:
            with torch.inference_mode():
                output = self.model(input_ids=ids.to(device), attention_mask=mask.to(device))
        finally:
            hook.remove()
        logits: torch.Tensor = output.logits[:, 0]
        return logits


def load_masked_lm(name: str) -> MaskedLM:
    """Load a masked language model by name. No code of it is run.

    name (str): A folder, an installed package, or a hub name, see `find_pretrained`.
    RETURNS (MaskedLM): The model.
    RAISES (UserError): If there is none of that name, or if it doesn't predict masked words.
    """
    source = find_pretrained(name)
    check_pretrained(name, source, WAY_OUT)
    try:
        config = read_config(source)
        classes = config.architectures or ["a model without a class"]
        if not any(kind.endswith(CLASSES) for kind in classes):
            raise UserError(
                f"Can't predict masked words with '{name}', which is {', '.join(classes)}: it has "
                f"no head for that. {WAY_OUT}"
            )
        tokenizer = read_tokenizer(source)
        model, loaded = read_model(source, config, AutoModelForMaskedLM, output_loading_info=True)
    except (OSError, HFValidationError) as error:
        raise UserError(
            f"Can't load the encoder '{name}': {str(error).strip().splitlines()[0]} {WAY_OUT}"
        ) from error
    if loaded["missing_keys"]:
        raise UserError(
            f"Can't predict masked words with '{name}', which lacks weights of "
            f"{type(model).__name__} ({sorted(loaded['missing_keys'])[0]}). {WAY_OUT}"
        )
    return MaskedLM(name, model, tokenizer)


def is_word(text: str) -> bool:
    """RETURNS (bool): Whether a text consists of letters, with their marks, and digits, so that no
    tokenizer splits it.

    text (str): The text.
    """
    return text != "" and all(unicodedata.category(char)[0] in "LMN" for char in text)


def find_words(backend: Any) -> Dict[int, str]:
    """Find the wordpieces that are words: after another word and a space, they are tokenized as
    this one piece.

    backend (Tokenizer): The tokenizer.
    RETURNS (Dict[int, str]): The words, by id.
    """
    before = backend.encode(BEFORE, add_special_tokens=False).ids
    pieces = sorted(backend.get_vocab(with_added_tokens=False).items(), key=lambda item: item[1])
    words: List[Tuple[int, str]] = []
    for piece, id_ in pieces:
        text = (backend.decoder.decode([piece]) if backend.decoder else piece).strip()
        if is_word(text):
            words.append((id_, text))
    found = {}
    for start in range(0, len(words), CHUNK):
        chunk = words[start : start + CHUNK]
        texts = [f"{BEFORE} {word}" for _, word in chunk]
        for (id_, word), encoding in zip(
            chunk, backend.encode_batch(texts, add_special_tokens=False)
        ):
            if encoding.ids == [*before, id_]:
                found[id_] = word
    return found


def _make_batches(order: List[int], rows: List[List[int]]) -> Iterator[List[int]]:
    """YIELDS (List[int]): Indices of texts to read together, from texts sorted by length, longest
    first."""
    while order:
        n = max(1, min(BATCH_TEXTS, BATCH_PIECES // len(rows[order[0]])))
        yield order[:n]
        order = order[n:]
