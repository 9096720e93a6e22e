"""How long to train on a corpus."""

import math
import sys
from pathlib import Path
from typing import NamedTuple

import spacy
from tqdm import tqdm

from ..errors import UserError, warn
from ..formats import Report
from ..training.corpus import Corpus

# Approximate words in a training step: those of 32 tweets.
BATCH_WORDS, BATCH_DOCS = 600, 32


class Passes(NamedTuple):
    """Number of passes over the training data.

    least (int): Passes over large data.
    most (int): Passes over small data.
    few_steps (int): Minimum number of steps, if the most passes have as many.
    """

    least: int
    most: int
    few_steps: int


# For encoders that are fine-tuned, and for token vectors that are trained from scratch.
FINE_TUNING = Passes(4, 20, 300)
FROM_NOTHING = Passes(10, 100, 1000)


class Plan(NamedTuple):
    """How long to train on a corpus.

    batch_size (int): Documents per step.
    max_steps, warmup_steps (int): All steps, and those in which the learning rate rises.
    eval_frequency (int): Steps between evaluations.
    """

    batch_size: int
    max_steps: int
    warmup_steps: int
    eval_frequency: int


def plan_training(path: Path, lang: str, passes: Passes = FINE_TUNING) -> Plan:
    """Choose the batch size, so that a step has about as many words as in a recipe that is known to
    work, and the number of steps. Data without entities is logged.

    path (Path): A file in any of the formats, or a folder of such files.
    lang (str): Language code; its tokenizer is used for texts without tokens.
    passes (Passes): Number of passes over the data.
    RETURNS (Plan): The numbers.
    RAISES (ValueError): For a file that can't be read, or has no words.
    """
    nlp = spacy.blank(lang)
    nlp.max_length = sys.maxsize  # the limit is for parsers
    n_docs = n_words = n_ents = 0
    report = Report()
    docs = Corpus(path).read_docs(nlp, report)
    for doc in tqdm(docs, path.name, unit=" documents", leave=False, disable=None):
        n_docs += 1
        n_words += len(doc)
        n_ents += len(doc.ents)
    if not n_words:
        raise UserError(f"Can't train on {path}: it has no words. Use a file with labeled text.")
    if not n_ents:
        problems = f"\n{report.message()}" if report.message() else ""
        warn(f"{path} has no entities: there is nothing to learn. Use labeled data.{problems}")
    batch_size = min(max(1, round(BATCH_WORDS * n_docs / n_words)), BATCH_DOCS)
    epoch = math.ceil(n_docs / batch_size)
    max_steps = epoch * min(max(passes.least, math.ceil(passes.few_steps / epoch)), passes.most)
    return Plan(batch_size, max_steps, math.ceil(max_steps / 10), math.ceil(max_steps / 8))
