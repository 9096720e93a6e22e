"""How much the labels of each of several languages should count for another one."""

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

# Of a language: fewer tell nothing.
LEAST_SENTS = 10
# Share of the sources' own sentences whose source is found, below which weights tell little.
LEAST_ACCURACY = 0.9
# A teacher's weight has to be above 0.
LEAST_WEIGHT = 1e-6
# Whole numbers of JSON may be larger.
LARGEST = sys.float_info.max
BATCH_SIZE = 64


class SourceWeight(NamedTuple):
    """What a source counts.

    source (str): Its file, as it was given.
    weight (float): Its share, above 0; those of all sources add up to 1.
    """

    source: str
    weight: float


class Weighing(NamedTuple):
    """What was found.

    weights (List[SourceWeight]): In the order of the sources.
    accuracy (float): Share of the sources' own sentences whose source was found, 0 to 1.
    tau (float): What scores were multiplied with.
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
    """Find how much the labels of each of several languages should count for a target language,
    from texts alone: a classifier learns to tell the sources apart by the vectors that an encoder
    gives for sentences, and is asked which of them each sentence of the target is like. Progress is
    shown on terminals.

    encoder (str): A folder, an installed Python package, or a name on the hub. It isn't trained.
    target (Path): Text in the target language: a file in any of the formats, or a folder of .txt
        files.
    sources (Sequence[Path]): At least two such files, one of each source language.
    settings (IdentifierSettings): Of the classifier.
    max_sents (int): How many sentences of each file to read at most, from its first on. A document
        without sentence boundaries counts as one.
    tau (Optional[float]): What to multiply scores with before they become shares by a softmax; None
        for 1 / their variance, as in the paper.
    source (Optional[str]): The format of all files, else guessed of each.
    output_path (Optional[Path]): Where to write the weights, in JSON.
    RETURNS (Weighing): The weights.
    RAISES (UserError): For what can't be read or written, for too few sources or sentences, and for
        settings or an encoder that make weights of something else than numbers.
    """
    if len(sources) < 2:
        raise UserError("Can't weigh one source against itself: name two files or more.")
    paths = [target, *sources]
    for path in paths:
        check_input(path, or_folder=True)
        check_format(path, source)
    if output_path is not None:
        check_target(output_path, paths)
    sents = [_read_sents(path, source, max_sents) for path in paths]
    node = make_encoder_node(encoder, spacy.blank("xx"))
    target_X, *features = [_encode(node, *pair) for pair in zip(paths, sents)]
    show = partial(tqdm, desc="telling sources apart", unit=" epochs", leave=False, disable=None)
    get_scores = fit_identifier(features, settings, show)
    found = [get_scores(X).argmax(axis=1) == i for i, X in enumerate(features)]
    shares, tau = get_shares(get_scores(target_X), tau)
    if not numpy.isfinite(shares).all():
        raise UserError(
            f"Can't weigh with --gamma {settings.gamma} and --tau {tau}: the numbers become too "
            "large. Leave these options out, or check the encoder's weights."
        )
    weights = [SourceWeight(str(path), float(X)) for path, X in zip(sources, shares)]
    if output_path is not None:
        _write(output_path, weights)
    return Weighing(weights, float(numpy.concatenate(found).mean()), tau)


def get_shares(scores: Floats2d, tau: Optional[float] = None) -> Tuple[Floats1d, float]:
    """Make weights of scores: the mean over sentences of each one's softmax.

    scores (Floats2d): Of the sentences of the target, for each source, (n_sents, n_sources).
    tau (Optional[float]): See `weigh_sources`.
    RETURNS (Tuple[Floats1d, float]): Weights that add up to 1, (n_sources,), and tau.
    """
    scores = scores.astype("float64")
    if tau is None:
        variance = float(scores.var())
        tau = 1.0 / variance if variance else 1.0
    with numpy.errstate(over="ignore", invalid="ignore"):  # weights are checked in place of it
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
            f"Can't tell a language by {path}, which has {number(len(sents), 'sentence')}, where a "
            f"document without boundaries counts as one: name a file with {LEAST_SENTS} or more. "
            "Text with a sentence a line is read so with --from lines."
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
    """Read what `weigh_sources` has written, for teachers of these languages.

    path (Path): The file, in JSON.
    teachers (Sequence[str]): Names or paths of the teachers, in the order of the sources.
    RETURNS (List[SourceWeight]): One for each teacher.
    RAISES (UserError): For a file that isn't there or is none of weights, and for one with more or
        fewer sources than teachers.
    """
    check_input(path)
    weights = []
    for record in map(Value.read, read_values(path)):
        source, weight = record.data.get("source"), record.data.get("weight")
        if isinstance(weight, bool) or (isinstance(weight, int) and abs(weight) > LARGEST):
            weight = None
        if not isinstance(source, str) or not isinstance(weight, (int, float)):
            raise record.error(
                'it has no "source" that is a string, or no "weight" that is a number. Name a file '
                "that weigh-sources has written."
            )
        weights.append(SourceWeight(source, float(weight)))
    if len(weights) != len(teachers):
        names = ", ".join(entry.source for entry in weights) or "none"
        raise UserError(
            f"Can't weigh {number(len(teachers), 'teacher')} by {path}, whose sources are {names}: "
            "name one teacher for each, in this order."
        )
    return weights


def format_weights(weighing: Weighing) -> str:
    """RETURNS (str): A table of sources and weights, and how well they could be told apart.

    weighing (Weighing): What `weigh_sources` gave.
    """
    width = max(len("source"), *(len(entry.source) for entry in weighing.weights))
    lines = [f"{'source':<{width}}  weight"]
    lines += [f"{entry.source:<{width}}  {entry.weight:6.3f}" for entry in weighing.weights]
    lines.append(
        f"The source of {weighing.accuracy:.1%} of the sources' own sentences was found; tau is "
        f"{weighing.tau:.3g}."
    )
    if weighing.accuracy < LEAST_ACCURACY:
        lines.append(
            "The sources can hardly be told apart, so the weights tell little: give more "
            "sentences, more --epochs, or an encoder that knows the languages."
        )
    return "\n".join(lines)
