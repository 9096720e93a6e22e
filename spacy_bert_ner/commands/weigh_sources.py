"""Compute how much the labels of each source language should count for a target language."""

import json
import sys
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy
import spacy
from spacy.tokens import Doc
from tqdm import tqdm

from ..errors import UserError
from ..findings import number
from ..formats import check_format, read_docs
from ..formats.json_values import Value, read_values
from ..formats.output import check_target, replace_file
from ..model.encoder.language_identifier import IdentifierSettings, fit_identifier
from ..types import Floats1d, Floats2d
from .checks import check_input
from .similarity import make_encoder_node, take_beginning

# Minimum sentences per language.
LEAST_SENTS = 10
# Accuracy of the classifier on the source sentences, below which weights aren't reliable.
LEAST_ACCURACY = 0.9
# The weight of a teacher must be above 0.
LEAST_WEIGHT = 1e-6
# Whole numbers in JSON may be larger than this.
LARGEST = sys.float_info.max
BATCH_SIZE = 64


class SourceWeight(NamedTuple):
    """The weight of a source.

    source (str): Its file, as given by the user.
    weight (float): Its share, above 0; those of all sources add up to 1.
    """

    source: str
    weight: float


class Weighing(NamedTuple):
    """The result of a weighing.

    weights (List[SourceWeight]): The weights, in the order of the sources.
    accuracy (float): Accuracy of the classifier on the source sentences, 0 to 1.
    tau (float): The factor of the scores.
    """

    weights: List[SourceWeight]
    accuracy: float
    tau: float


def weigh_sources(
    encoder: str,
    target: Path,
    sources: Sequence[Path],
    *,
    settings: IdentifierSettings = IdentifierSettings(),
    max_sents: int = 2000,
    tau: Optional[float] = None,
    source: Optional[str] = None,
    output_path: Optional[Path] = None,
) -> Weighing:
    """Compute how much the labels of each source language should count for a target language, from
    texts without labels: a classifier learns to distinguish the sources by an encoder's vectors of
    their sentences, and predicts which source each target sentence resembles. Progress is shown on
    terminals.

    encoder (str): A folder, an installed Python package, or a name on the hub. It isn't trained.
    target (Path): Text in the target language: a file in any of the formats, or a folder of .txt
        files.
    sources (Sequence[Path]): At least two such files, one of each source language.
    settings (IdentifierSettings): Settings of the classifier.
    max_sents (int): Maximum number of sentences to read per file, from its beginning. A document
        without sentence boundaries counts as one.
    tau (Optional[float]): Factor of the scores before the softmax; None for 1 / their variance, as
        in the paper.
    source (Optional[str]): The format of all files; by default guessed for each one.
    output_path (Optional[Path]): Where to write the weights, in JSON.
    RETURNS (Weighing): The weights.
    RAISES (UserError): For files that can't be read or written, for too few sources or sentences,
        and for settings or an encoder for which weights aren't finite.
    """
    if len(sources) < 2:
        raise UserError("Can't weigh fewer than two sources. Name at least two source files.")
    paths = [target, *sources]
    for path in paths:
        check_input(path, or_folder=True)
        check_format(path, source)
    if output_path is not None:
        check_target(output_path, paths)
    sents = [_read_sents(path, source, max_sents) for path in paths]
    node = make_encoder_node(encoder, spacy.blank("xx"))
    target_X, *features = [_encode(node, *pair) for pair in zip(paths, sents)]
    show = partial(tqdm, desc="training the classifier", unit=" epochs", leave=False, disable=None)
    get_scores = fit_identifier(features, settings, show)
    found = [get_scores(X).argmax(axis=1) == i for i, X in enumerate(features)]
    shares, tau = get_shares(get_scores(target_X), tau)
    if not numpy.isfinite(shares).all():
        raise UserError(
            f"Can't compute weights with --gamma {settings.gamma} and --tau {tau}: the numbers "
            "become too large. Leave these options out, or check the encoder's weights."
        )
    weights = [SourceWeight(str(path), float(X)) for path, X in zip(sources, shares)]
    if output_path is not None:
        _write(output_path, weights)
    return Weighing(weights, float(numpy.concatenate(found).mean()), tau)


def get_shares(scores: Floats2d, tau: Optional[float] = None) -> Tuple[Floats1d, float]:
    """Compute weights from scores: the mean softmax over sentences.

    scores (Floats2d): Scores of the target sentences for each source, (n_sents, n_sources).
    tau (Optional[float]): See `weigh_sources`.
    RETURNS (Tuple[Floats1d, float]): Weights that add up to 1, (n_sources,), and tau.
    """
    scores = scores.astype("float64")
    if tau is None:
        variance = float(scores.var())
        tau = 1.0 / variance if variance else 1.0
    with numpy.errstate(over="ignore", invalid="ignore"):  # weights are checked later
        scores = tau * scores
        shares = numpy.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
    weights = numpy.maximum(shares.mean(axis=0), LEAST_WEIGHT)
    return weights / weights.sum(), tau


def _read_sents(path: Path, source: Optional[str], most: int) -> List[Doc]:
    """RETURNS (List[Doc]): The first sentences of a file, or documents without boundaries."""
    sents = list(islice(_iter_sents(path, source), most))
    if len(sents) < LEAST_SENTS:
        raise UserError(
            f"Can't use {path}: it has {number(len(sents), 'sentence')} (a document without "
            f"sentence boundaries counts as one). Name a file with {LEAST_SENTS} or more. Use "
            "--from lines for plain text with one sentence per line."
        )
    return sents


def _iter_sents(path: Path, source: Optional[str]) -> Iterator[Doc]:
    for doc in read_docs(path, spacy.blank("xx"), source):
        for sent in doc.sents if doc.has_annotation("SENT_START") else [doc]:
            if sent.text.strip():
                yield take_beginning(sent)


def _encode(node: Any, path: Path, sents: List[Doc]) -> Floats2d:
    """RETURNS (Floats2d): The mean vector of the wordpieces of each sentence, (n_sents, width)."""
    vectors = []
    with tqdm(
        total=len(sents), desc=path.name, unit=" sentences", leave=False, disable=None
    ) as bar:
        for start in range(0, len(sents), BATCH_SIZE):
            batch = sents[start : start + BATCH_SIZE]
            for data in node.predict(batch).doc_data:
                pieces = node.ops.to_numpy(data.model_output.last_hidden_state)
                vectors.append(pieces.reshape(-1, pieces.shape[-1]).mean(axis=0))
            bar.update(len(batch))
    return numpy.stack(vectors)


def _write(path: Path, weights: List[SourceWeight]) -> None:
    with replace_file(path) as file:
        text = json.dumps([entry._asdict() for entry in weights], indent=2, ensure_ascii=False)
        file.write(f"{text}\n".encode())


def read_weights(path: Path, teachers: Sequence[str]) -> List[SourceWeight]:
    """Read the weights that `weigh_sources` wrote, for teachers of these languages.

    path (Path): The file, in JSON.
    teachers (Sequence[str]): Names or paths of the teachers, in the order of the sources.
    RETURNS (List[SourceWeight]): One for each teacher.
    RAISES (UserError): For a file that doesn't exist or doesn't contain weights, and for one with
        more or fewer sources than teachers.
    """
    check_input(path)
    weights = []
    for record in map(Value.read, read_values(path)):
        source, weight = record.data.get("source"), record.data.get("weight")
        if isinstance(weight, bool) or (isinstance(weight, int) and abs(weight) > LARGEST):
            weight = None
        if not isinstance(source, str) or not isinstance(weight, (int, float)):
            raise record.error(
                'it needs a string as "source" and a number as "weight". Name a file written by '
                "weigh-sources."
            )
        weights.append(SourceWeight(source, float(weight)))
    if len(weights) != len(teachers):
        names = ", ".join(entry.source for entry in weights) or "none"
        raise UserError(
            f"Can't use the weights in {path} for {number(len(teachers), 'teacher')}: its sources "
            f"are {names}. Name one teacher for each, in this order."
        )
    return weights


def format_weights(weighing: Weighing) -> str:
    """RETURNS (str): A table of sources and weights, and the accuracy of the classifier.

    weighing (Weighing): The output of `weigh_sources`.
    """
    width = max(len("source"), *(len(entry.source) for entry in weighing.weights))
    lines = [f"{'source':<{width}}  weight"]
    lines += [f"{entry.source:<{width}}  {entry.weight:6.3f}" for entry in weighing.weights]
    lines.append(
        f"The classifier found the source of {weighing.accuracy:.1%} of the source sentences; tau "
        f"is {weighing.tau:.3g}."
    )
    if weighing.accuracy < LEAST_ACCURACY:
        lines.append(
            "The classifier can hardly distinguish the sources, so the weights aren't reliable: "
            "use more sentences, more --epochs, or an encoder that knows the languages."
        )
    return "\n".join(lines)
