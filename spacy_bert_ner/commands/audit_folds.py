"""Out-of-fold predictions: those for each document come from a pipeline that was trained on others.

Everything is kept in a folder, so that the same call resumes an interrupted run.
"""

import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence
from zipfile import BadZipFile

import numpy
from spacy.tokens import Doc

from ..errors import UserError
from ..findings import number
from ..formats import write_docs
from ..formats.output import replace_file
from ..tagging.schemes import TagSet, get_tag_set
from ..tagging.soft_labels import map_tags
from ..types import Floats2d, Ints1d
from ..zones import take_at_most, take_batches
from .annotate import copy_words
from .init_config import init_config
from .summary import format_time
from .teachers import load_teacher
from .train_process import call, make_train_command, temporary_folder

# Training documents that `spacy train` evaluates on. The model after the last step is used, so they
# only have to exist: those of the fold would be a way to learn from it.
N_DEV = 20


class Folds(NamedTuple):
    """A cross-validation.

    folder (Path): Where its results are kept.
    rows (List[Ints1d]): The documents of each fold, in the order of the corpus, (n_docs_of_fold,).
    overrides (Dict[str, Any]): Settings that override those of the config.
    seed (int): The seed of the trainings.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    """

    folder: Path
    rows: List[Ints1d]
    overrides: Dict[str, Any]
    seed: int
    use_gpu: int

    @property
    def config(self) -> Path:
        """RETURNS (Path): The config of the trainings."""
        return self.folder / "config.cfg"

    def get_file(self, fold: int) -> Path:
        """RETURNS (Path): Where the predictions of a fold are kept.

        fold (int): Its index.
        """
        return self.folder / f"fold-{fold + 1}.npz"


class Predictions(NamedTuple):
    """What a corpus is predicted to have.

    tag_set (TagSet): The tags.
    probs (List[Floats2d]): By document, probabilities of tags, zeros for tokens without a tag,
        float32, (n_tokens, n_tags).
    """

    tag_set: TagSet
    probs: List[Floats2d]


class Fold(NamedTuple):
    """The predictions of a fold.

    scheme (str): The tag scheme.
    probs (Floats2d): Probabilities of tags, of the documents of the fold one after the other,
        float32, (n_tokens_of_fold, n_tags).
    seconds (float): How long training and prediction took.
    """

    scheme: str
    probs: Floats2d
    seconds: float


def split_docs(docs: Sequence[Doc], n_folds: int, seed: int) -> List[Ints1d]:
    """Split documents into folds at random. Documents with the same text are in the same fold:
    their annotation would otherwise be known from the training data.

    docs (Sequence[Doc]): The documents.
    n_folds (int): Number of folds.
    seed (int): Seed of the order.
    RETURNS (List[Ints1d]): The documents of each fold, in order, (n_docs_of_fold,).
    RAISES (UserError): For fewer texts than folds.
    """
    groups: Dict[str, List[int]] = {}
    for i, doc in enumerate(docs):
        groups.setdefault(doc.text, []).append(i)
    texts = list(groups.values())
    if len(texts) < max(n_folds, 2):
        way_out = f"Use --folds {len(texts)}, or more documents" if len(texts) > 1 else "Use more"
        raise UserError(
            f"Can't split {number(len(texts), 'document')} with different texts into {n_folds} "
            f"folds, since each needs at least one. {way_out}."
        )
    order = numpy.random.default_rng(seed).permutation(len(texts))
    return [
        numpy.array(sorted(i for place in order[fold::n_folds] for i in texts[place]))
        for fold in range(n_folds)
    ]


def predict_folds(
    folds: Folds, docs: Sequence[Doc], labels: Sequence[str], notify: Callable[[str], None]
) -> Predictions:
    """Train and predict the folds that aren't finished.

    folds (Folds): What to train.
    docs (Sequence[Doc]): The corpus.
    labels (Sequence[str]): Its labels.
    notify (Callable[[str], None]): Gets a line when a training begins, with the time left.
    RETURNS (Predictions): The predictions of all documents.
    RAISES (UserError): For a training that fails, and for files of finished folds that can't be
        read.
    """
    n_folds = len(folds.rows)
    done: Dict[int, Fold] = {}
    for fold in range(n_folds):
        if folds.get_file(fold).exists():
            done[fold] = _read(folds, docs, labels, fold)
    if done:
        notify(f"{number(len(done), 'fold')} of {n_folds} finished before.")
    for fold in range(n_folds):
        if fold not in done:
            notify(f"Training without fold {fold + 1} of {n_folds}{_tell_left(done, n_folds)}")
            done[fold] = _run(folds, docs, labels, fold)
            _write(folds.get_file(fold), done[fold])
    scheme = done[0].scheme
    probs: List[Any] = [None] * len(docs)
    for fold, rows in enumerate(folds.rows):
        ends = numpy.cumsum([len(docs[i]) for i in rows])
        for i, part in zip(rows, numpy.split(done[fold].probs, ends[:-1])):
            probs[i] = part
    return Predictions(get_tag_set(scheme, tuple(labels)), probs)


def _tell_left(done: Dict[int, Fold], n_folds: int) -> str:
    if not done:
        return ""
    mean = float(numpy.mean([fold.seconds for fold in done.values()]))
    return f": about {format_time(mean * (n_folds - len(done)))} left"


def _run(folds: Folds, docs: Sequence[Doc], labels: Sequence[str], fold: int) -> Fold:
    start = time.perf_counter()
    held_out = [docs[i] for i in folds.rows[fold]]
    rows = numpy.sort(numpy.concatenate([*folds.rows[:fold], *folds.rows[fold + 1 :]]))
    training = [docs[i] for i in rows]
    if not any(doc.ents for doc in training):
        raise UserError(
            f"All entities are in fold {fold + 1}, so the others have nothing to learn. Use "
            "another --seed, fewer --folds, or more documents."
        )
    with temporary_folder(folds.folder / ".training") as folder:
        paths = {"paths.train": folder / "train.spacy", "paths.dev": folder / "dev.spacy"}
        for path, part in zip(paths.values(), (training, training[:N_DEV])):
            write_docs(path, part)
        if not folds.config.exists():
            _make_config(folds.config, paths["paths.train"])
        overrides = {
            **{name: str(path) for name, path in paths.items()},
            "system.seed": folds.seed,
            **folds.overrides,
        }
        command = make_train_command(folds.config, folder / "out", overrides, folds.use_gpu)
        call(command, f"Training without fold {fold + 1}")
        found = predict_tags(folder / "out" / "model-last", held_out, labels)
    seconds = time.perf_counter() - start
    return Fold(found.tag_set.name, numpy.concatenate(found.probs), seconds)


def _make_config(path: Path, train: Path) -> None:
    text = init_config(train=train)
    with replace_file(path) as file:
        file.write(text.encode("utf-8"))


def predict_tags(path: Path, docs: Sequence[Doc], labels: Sequence[str]) -> Predictions:
    """Predict documents from their words.

    path (Path): A trained pipeline.
    docs (Sequence[Doc]): The documents.
    labels (Sequence[str]): The labels of the tags. Others that the pipeline has count as outside.
    RETURNS (Predictions): The probabilities of tags.
    RAISES (UserError): If the pipeline can't be loaded, or can't predict.
    """
    teacher = load_teacher(str(path))
    tag_set = get_tag_set(teacher.ner.settings.scheme, tuple(labels))
    columns = map_tags(teacher.ner.tag_set, tag_set)
    size, probs = teacher.nlp.batch_size, []
    for batch in take_batches([teacher.nlp], iter(docs), take_at_most(size)):
        blank = [copy_words(teacher.nlp, doc, False) for doc in batch]
        probs += [opinion.probs @ columns for opinion in teacher.label(blank, size)]
    return Predictions(tag_set, probs)


def _write(path: Path, fold: Fold) -> None:
    with replace_file(path) as file:
        numpy.savez_compressed(file, **fold._asdict())


def _read(folds: Folds, docs: Sequence[Doc], labels: Sequence[str], fold: int) -> Fold:
    """RAISES (UserError): For a file that isn't one of the fold."""
    path, n_tokens = folds.get_file(fold), sum(len(docs[i]) for i in folds.rows[fold])
    try:
        with path.open("rb") as file, numpy.load(file, allow_pickle=False) as data:
            scheme, seconds = str(data["scheme"]), float(data["seconds"])
            probs = data["probs"]
        shape = n_tokens, len(get_tag_set(scheme, tuple(labels)))
        if probs.shape != shape or probs.dtype != numpy.float32:
            raise UserError(f"{probs.dtype} of shape {probs.shape}, not float32 of shape {shape}")
    except (BadZipFile, EOFError, KeyError, ValueError, UserError) as error:
        raise UserError(
            f"{path} isn't complete ({error}). Delete it, and run the same command to train its "
            "fold again."
        ) from error
    return Fold(scheme, probs, seconds)
