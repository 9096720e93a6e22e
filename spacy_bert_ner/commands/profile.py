"""Measure where a pipeline spends its time, and find settings that make it slower."""

import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import logger, minibatch

from ..errors import UserError
from ..findings import number
from ..formats import read_docs
from ..pipeline.encoders import Found, iter_encoders
from .checks import check_input
from .pipelines import explain_no_ents, explain_pipeline, load_pipeline

# Padding wastes time: a share above this gets a hint.
MOST_PADDING = 0.15
# The words that share micro-batches should fill several: the default `max_batch_items` is 4096.
LEAST_BATCH_ITEMS = 20_000
LEAST_BATCH_SIZE = 16
TOKENIZER = "tokenizer"
# Only one thread at a time may replace functions: otherwise, the last one could restore the
# replacement of another instead of the original.
_WATCHING = Lock()


@dataclass
class Profile:
    """The measurements.

    Attributes
    ----------
    seconds (Dict[str, float]): By component, with spaCy's tokenizer as "tokenizer".
    inside (Dict[str, Dict[str, float]]): By component, seconds of each of its steps.
    n_docs, n_words (int): Documents, and their tokens.
    n_windows, n_pieces, n_padded (int): Windows that the encoders read, and their wordpieces
        without and with padding.
    hints (List[str]): Settings that make it slower, and better values.
    """

    seconds: Dict[str, float] = field(default_factory=dict)
    inside: Dict[str, Dict[str, float]] = field(default_factory=dict)
    n_docs: int = 0
    n_words: int = 0
    n_windows: int = 0
    n_pieces: int = 0
    n_padded: int = 0
    hints: List[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        """RETURNS (float): Total seconds."""
        return sum(self.seconds.values())

    @property
    def padding(self) -> float:
        """RETURNS (float): Share of padding in the input of the encoders, 0 to 1."""
        return 1.0 - self.n_pieces / self.n_padded if self.n_padded else 0.0

    def add(self, name: str, stage: str, seconds: float) -> None:
        """Add seconds to a step of a component.

        name (str): The component.
        stage (str): The step.
        seconds (float): Its time.
        """
        stages = self.inside.setdefault(name, {})
        stages[stage] = stages.get(stage, 0.0) + seconds


def profile_file(
    pipeline: str,
    input_path: Path,
    *,
    source: Optional[str] = None,
    batch_size: Optional[int] = None,
    limit: int = 1000,
    notify: Callable[[str], None] = logger.warning,
) -> Profile:
    """Profile a pipeline on the texts of a file.

    pipeline (str): Name or path of a trained pipeline.
    input_path (Path): The file.
    source (Optional[str]): Its format; by default guessed from its name.
    batch_size (Optional[int]): Documents read at once; by default that of the pipeline.
    limit (int): Maximum number of documents to read.
    notify (Callable[[str], None]): Gets a message if the pipeline sets no entities.
    RETURNS (Profile): The measurements.
    RAISES (UserError): For a file or pipeline that can't be read or loaded, and for a file without
        text.
    """
    check_input(input_path)
    nlp = load_pipeline(pipeline)
    texts = [doc.text for doc in islice(read_docs(input_path, nlp, source), limit)]
    first = next((text.strip() for text in texts if text.strip()), None)
    if first is None:
        raise UserError(f"{input_path} has no text. Name a file with text.")
    no_ents = explain_no_ents(nlp, pipeline)
    if no_ents is not None:
        notify(f"Warning: {no_ents}")
    with explain_pipeline(pipeline):
        nlp(first[:1000])
        return profile(nlp, texts, batch_size=batch_size or nlp.batch_size)


def profile(nlp: Language, texts: Iterable[str], *, batch_size: int) -> Profile:
    """Run a pipeline as `nlp.pipe` does, and measure the time of each part.

    nlp (Language): The pipeline. Run it on a text first: the first call of torch is slow.
    texts (Iterable[str]): Texts.
    batch_size (int): Documents read at once.
    RETURNS (Profile): The measurements.
    """
    result = Profile()
    for batch in minibatch(texts, batch_size):
        with _timed(result.seconds, TOKENIZER):
            docs = [nlp.make_doc(text) for text in batch]
        for name, pipe in nlp.pipeline:
            with _WATCHING, _watched(name, pipe, result), _timed(result.seconds, name):
                docs = _run(pipe, docs)
        result.n_docs += len(docs)
        result.n_words += sum(len(doc) for doc in docs)
    for name, stages in result.inside.items():
        rest = "packing" if "wordpieces" in stages else "writing"
        if {"wordpieces", "decode"} <= set(stages):  # an encoder inside of bert_ner
            rest = "packing, head and writing"
        stages[rest] = max(result.seconds[name] - sum(stages.values()), 0.0)
    result.hints = get_hints(nlp, result, batch_size=batch_size)
    return result


def get_hints(nlp: Language, result: Profile, *, batch_size: int) -> List[str]:
    """RETURNS (List[str]): Settings that make a pipeline slower, and better values.

    nlp (Language): The pipeline.
    result (Profile): The measurements.
    batch_size (int): Documents read at once.
    """
    hints = []
    if result.n_padded and batch_size < min(LEAST_BATCH_SIZE, result.n_docs):
        hints.append(
            f"batch_size = {batch_size} is too small to fill micro-batches. Set batch_size in "
            f"[nlp], or of nlp.pipe, to {LEAST_BATCH_SIZE} or more"
        )
    for name, pipe in nlp.pipeline:
        most = getattr(pipe, "cfg", {}).get("max_batch_items")
        if most is not None and most < min(LEAST_BATCH_ITEMS, result.n_words):
            hints.append(
                f"max_batch_items = {most} is too small to fill micro-batches. Set it to 100000 in "
                f"[components.{name}]"
            )
    if result.padding > MOST_PADDING:
        hints.append(
            f"{result.padding:.0%} of the encoder's input is padding: the windows of a batch have "
            "very different lengths. Read more documents at once (batch_size), or set window = 128 "
            "in the encoder's model to pack short sentences"
        )
    return hints + _get_thread_hints(nlp)


def _get_thread_hints(nlp: Language) -> List[str]:
    found = [encoder for _, pipe in nlp.pipeline for encoder in _find_encoders(pipe)]
    if not any(encoder.is_ours and encoder.shim.device.type == "cpu" for encoder in found):
        return []
    import torch

    n_threads = torch.get_num_threads()
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if n_threads >= (n_cores or 1):
        return []
    return [
        f"torch uses {n_threads} of {n_cores} cores. Call torch.set_num_threads({n_cores}), unset "
        "OMP_NUM_THREADS, or run several processes with nlp.pipe(n_process=…)"
    ]


def _run(pipe: Any, docs: List[Doc]) -> List[Doc]:
    if hasattr(pipe, "pipe"):
        return list(pipe.pipe(docs, batch_size=len(docs)))
    return [pipe(doc) for doc in docs]


@contextmanager
def _timed(seconds: Dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start


@contextmanager
def _watched(name: str, pipe: Any, result: Profile) -> Iterator[None]:
    """Measure the time of the functions that one of our components calls, in a with block."""
    with ExitStack() as stack:
        for owner, function, stage in _get_stages(pipe):
            stack.enter_context(_replaced(owner, function, stage, name, result))
        yield


def _get_stages(pipe: Any) -> List[Tuple[Any, str, str]]:
    """RETURNS (List[Tuple[Any, str, str]]): Functions that a component calls: the objects that have
    them, their names there, and the names of the steps."""
    from ..model.encoder import windows
    from ..pipeline.bert_ner import BertNER
    from ..tagging import entities

    stages: List[Tuple[Any, str, str]] = []
    found = _find_encoders(pipe)
    if found:
        stages += [
            (windows, "get_pieces", "wordpieces"),
            (windows, "get_windows", "windows"),
            *((encoder.shim, "encode", "forward") for encoder in found),
        ]
    if isinstance(pipe, BertNER):
        if not found:
            stages.append((pipe, "predict", "head"))
        stages.append((entities, "decode", "decode"))
    return stages


def _find_encoders(pipe: Any) -> List[Found]:
    """Our encoders in a component."""
    found = iter_encoders(getattr(pipe, "model", None))
    return [encoder for encoder in found if encoder.pieces is not None]


@contextmanager
def _replaced(owner: Any, function: str, stage: str, name: str, result: Profile) -> Iterator[None]:
    original: Callable = getattr(owner, function)
    own = function in vars(owner)

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        output = original(*args, **kwargs)
        if stage == "forward":
            owner.wait()
        result.add(name, stage, time.perf_counter() - start)
        if stage == "forward":
            (batch,) = args
            result.n_windows += len(batch.lengths)
            result.n_pieces += int(batch.lengths.sum())
            result.n_padded += batch.ids.size
        return output

    setattr(owner, function, timed)
    try:
        yield
    finally:
        if own:
            setattr(owner, function, original)
        else:
            delattr(owner, function)


def format_profile(result: Profile) -> str:
    """RETURNS (str): The measurements as a table, and the hints.

    result (Profile): The measurements.
    """
    total = max(result.total, 1e-9)
    rows = []
    for name, seconds in result.seconds.items():
        rows.append((name, seconds))
        rows += [(f"  {stage}", part) for stage, part in result.inside.get(name, {}).items()]
    width = max([len(name) for name, _ in rows] + [5])
    lines = [f"{name:<{width}} {part:>9.3f} s {part / total:>7.1%}" for name, part in rows]
    lines.append(f"{'total':<{width}} {result.total:>9.3f} s")
    lines.append("")
    lines.append(
        f"{number(result.n_docs, 'document')}, {number(result.n_words, 'word')}, "
        f"{result.n_words / total:.0f} words per second"
    )
    if result.n_padded:
        lines.append(
            f"{number(result.n_windows, 'window')}, {number(result.n_pieces, 'wordpiece')}, "
            f"{result.padding:.1%} padding"
        )
    return "\n".join([*lines, *(f"Hint: {hint}." for hint in result.hints)])
