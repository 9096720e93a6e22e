"""How long to train on a corpus."""

import math
import sys
from pathlib import Path
from typing import NamedTuple

import spacy
from tqdm import tqdm

from ..errors import UserError, warn
from ..formats import read_docs

# Words in a step of training, about: those of 32 tweets.
BATCH_WORDS, BATCH_DOCS = 600, 32


class Passes(NamedTuple):
    """How often to go over the data.

    least (int): Passes over much of it.
    most (int): Passes over little.
    few_steps (int): How many steps are few, so that there are more than the least passes.
    """

    least: int
    most: int
    few_steps: int


# Of encoders, which are fine-tuned, and of token vectors that are trained from nothing.
FINE_TUNING = Passes(4, 20, 300)
FROM_NOTHING = Passes(10, 100, 1000)


class Plan(NamedTuple):
    """How long to train on a corpus.

    batch_size (int): Documents in a step.
    max_steps, warmup_steps (int): Steps in all, and those in which the learning rate rises.
    eval_frequency (int): Steps between evaluations.
    """

    batch_size: int
    max_steps: int
    warmup_steps: int
    eval_frequency: int


def plan_training(path: Path, lang: str, passes: Passes = FINE_TUNING) -> Plan:
    """Plan steps of about as many words as the recipe has that is known to work, and as many of
    them as training takes. Data without entities are logged.

    path (Path): A file in any of the formats.
    lang (str): Code of the language, whose tokenizer reads texts without tokens.
    passes (Passes): How often to go over the data.
    RETURNS (Plan): The numbers.
    RAISES (ValueError): For a file that can't be read, or has no words.
    """
    nlp = spacy.blank(lang)
    nlp.max_length = sys.maxsize  # the limit is for parsers
    n_docs = n_words = n_ents = 0
    docs = read_docs(path, nlp)
    for doc in tqdm(docs, path.name, unit=" documents", leave=False, disable=None):
        n_docs += len(doc) > 0
        n_words += len(doc)
        n_ents += len(doc.ents)
    if not n_words:
        raise UserError(f"There is nothing to train on in {path}: it has no words.")
    if not n_ents:
        warn(f"{path} has no entities: there is nothing to learn. Name labeled data.")
    batch_size = min(max(1, round(BATCH_WORDS * n_docs / n_words)), BATCH_DOCS)
    epoch = math.ceil(n_docs / batch_size)
    max_steps = epoch * min(max(passes.least, math.ceil(passes.few_steps / epoch)), passes.most)
    return Plan(batch_size, max_steps, math.ceil(max_steps / 10), math.ceil(max_steps / 8))
