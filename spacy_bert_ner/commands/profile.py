"""Where the time of a pipeline goes, and which of its settings cost some."""

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
from spacy.util import minibatch

from ..errors import UserError
from ..findings import number
from ..formats import read_docs
from ..pipeline.encoders import iter_encoders
from .pipelines import explain_no_ents, explain_pipeline, load_pipeline

# Padding is work for nothing: a share above this is worth a hint.
MOST_PADDING = 0.15
# The words that share micro-batches should fill some: `max_batch_items` of the factory is 4096.
LEAST_BATCH_ITEMS = 20_000
LEAST_BATCH_SIZE = 16
TOKENIZER = "tokenizer"
# One thread at a time may have functions replaced: the last to leave would put back what another
# had put there.
_WATCHING = Lock()


@dataclass
class Profile:
    """What was measured.

    Attributes
    ----------
    seconds (Dict[str, float]): By component, with spaCy's tokenizer as "tokenizer".
    inside (Dict[str, Dict[str, float]]): By component, seconds of what it does.
    n_docs, n_words (int): Documents, and their tokens.
    n_windows, n_pieces, n_padded (int): What the encoders read: windows, and their wordpieces
        without and with padding.
    hints (List[str]): Settings that cost time, and what to set.
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
        """RETURNS (float): Seconds altogether."""
        return sum(self.seconds.values())

    @property
    def padding(self) -> float:
        """RETURNS (float): Share of padding in what the encoders read, 0 to 1."""
        return 1.0 - self.n_pieces / self.n_padded if self.n_padded else 0.0

    def add(self, name: str, stage: str, seconds: float) -> None:
        """Count seconds to what a component does."""
        stages = self.inside.setdefault(name, {})
        stages[stage] = stages.get(stage, 0.0) + seconds


def profile_file(
    pipeline: str,
    path: Path,
    *,
    source: Optional[str] = None,
    batch_size: Optional[int] = None,
    limit: int = 1000,
    notify: Callable[[str], None],
) -> Profile:
    """Profile a pipeline on the texts of a file.

    pipeline (str): The name or path of the pipeline.
    path (Path): Text, or a file of documents.
    source (Optional[str]): The format of the file, else guessed from its name.
    batch_size (Optional[int]): Documents read at once, else as the pipeline says.
    limit (int): Documents read at most.
    notify (Callable[[str], None]): Is told if the pipeline sets no entities.
    RETURNS (Profile): What was measured.
    RAISES (UserError): For what can't be read, and for a pipeline that can't predict.
    """
    nlp = load_pipeline(pipeline)
    texts = [doc.text for doc in islice(read_docs(path, nlp, source), limit)]
    first = next((text.strip() for text in texts if text.strip()), None)
    if first is None:
        raise UserError(f"{path} has no text to read: name a file that has.")
    no_ents = explain_no_ents(nlp, pipeline)
    if no_ents is not None:
        notify(no_ents)
    with explain_pipeline(pipeline):
        nlp(first[:1000])  # the first call of torch is slow
        return profile(nlp, texts, batch_size=batch_size or nlp.batch_size)


def profile(nlp: Language, texts: Iterable[str], *, batch_size: int) -> Profile:
    """Run a pipeline as `nlp.pipe` does, and take the time of each part of it.

    nlp (Language): The pipeline. Run it on a text before: the first call of torch is slow.
    texts (Iterable[str]): Texts.
    batch_size (int): Documents read at once.
    RETURNS (Profile): What was measured.
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
        rest = "packing" if "forward" in stages else "writing"
        if {"forward", "decode"} <= set(stages):  # an encoder inside of bert_ner
            rest = "packing, head and writing"
        stages[rest] = max(result.seconds[name] - sum(stages.values()), 0.0)
    result.hints = get_hints(nlp, result, batch_size=batch_size)
    return result


def get_hints(nlp: Language, result: Profile, *, batch_size: int) -> List[str]:
    """RETURNS (List[str]): Settings of a pipeline that cost time, and what to set."""
    hints = []
    if result.n_padded and batch_size < min(LEAST_BATCH_SIZE, result.n_docs):
        hints.append(
            f"{number(batch_size, 'document')} a batch: windows of few documents don't fill "
            f"micro-batches. Set batch_size in [nlp], or of nlp.pipe, to {LEAST_BATCH_SIZE} or more"
        )
    for name, pipe in nlp.pipeline:
        most = getattr(pipe, "cfg", {}).get("max_batch_items")
        if most is not None and most < min(LEAST_BATCH_ITEMS, result.n_words):
            hints.append(
                f"{most} words at most share micro-batches. Set max_batch_items in "
                f"[components.{name}] to 100000"
            )
    if result.padding > MOST_PADDING:
        hints.append(
            f"{result.padding:.0%} of what the encoder reads is padding: the windows of a batch "
            "differ much in length. Read more documents at once (batch_size), or set window = 128 "
            "in the encoder's model to pack short sentences"
        )
    return hints + _get_thread_hints(nlp)


def _get_thread_hints(nlp: Language) -> List[str]:
    shims = [shim for _, pipe in nlp.pipeline for shim in _shims(pipe)]
    if not any(shim.device.type == "cpu" for shim in shims):
        return []
    import torch

    n_threads = torch.get_num_threads()
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if n_threads >= (n_cores or 1):
        return []
    return [
        f"torch computes in {n_threads} of {n_cores} threads that it could. Call "
        "torch.set_num_threads, or unset OMP_NUM_THREADS; or run as many processes, with "
        "nlp.pipe(n_process=…)"
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
    """Take the time of what a component of ours calls, while the block runs."""
    with ExitStack() as stack:
        for owner, function, stage in _get_stages(pipe):
            stack.enter_context(_replaced(owner, function, stage, name, result))
        yield


def _get_stages(pipe: Any) -> List[Tuple[Any, str, str]]:
    """RETURNS (List[Tuple[Any, str, str]]): Functions that a component calls: where they are
    looked up, their names there, and what to call them."""
    from ..pipeline.bert_ner import BertNER
    from ..tagging import entities

    stages: List[Tuple[Any, str, str]] = []
    shims = _shims(pipe)
    if shims:
        from ..model.encoder import layer as encoder

        stages += [
            (encoder, "get_pieces", "wordpieces"),
            (encoder, "get_windows", "windows"),
            *((shim, "encode", "forward") for shim in shims),
        ]
    if isinstance(pipe, BertNER):
        if not shims:
            stages.append((pipe, "predict", "head"))
        stages.append((entities, "decode", "decode"))
    return stages


def _shims(pipe: Any) -> List[Any]:
    """The encoders of ours in a component."""
    found = iter_encoders(getattr(pipe, "model", None))
    return [encoder.shim for encoder in found if encoder.is_ours]


@contextmanager
def _replaced(owner: Any, function: str, stage: str, name: str, result: Profile) -> Iterator[None]:
    original: Callable = getattr(owner, function)
    own = function in vars(owner)

    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        output = original(*args, **kwargs)
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
    """RETURNS (str): The measurements as a table, and the hints."""
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
        f"{result.n_words / total:.0f} words a second"
    )
    if result.n_padded:
        lines.append(
            f"{number(result.n_windows, 'window')}, {number(result.n_pieces, 'wordpiece')}, "
            f"{result.padding:.1%} padding"
        )
    return "\n".join([*lines, *(f"Hint: {hint}." for hint in result.hints)])
