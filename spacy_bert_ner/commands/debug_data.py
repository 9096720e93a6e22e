"""Check a corpus as the pipeline of a config reads it for training: each split is read once, one
document at a time."""

from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

import srsly
from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.training import Example
from spacy.util import (
    SimpleFrozenDict,
    registry,
    resolve_dot_names,
)
from tqdm import tqdm

from ..errors import MissingFileError, UserError
from ..formats.output import check_target, replace_file
from ..pipeline.bert_ner import BertNER
from ..pipeline.encoders import Found, iter_encoders
from ..pipeline.listeners import check_upstream
from ..pipeline.reading import make_reader
from ..training.corpus import Corpus
from ..training.gold_report import make_gold_report
from ..training.sentences import get_sentence_setters
from .checks import load_blank, read_config
from .data_report import DataReport, SplitReport
from .encoder_report import EncoderReport
from .similarity import get_similarity

# Factories of components that make vectors for listeners.
ENCODER_FACTORIES = ("transformer", "curated_transformer", "tok2vec")

# Streamed training data (max_epochs = -1) may have no end.
STREAM_LIMIT = 10_000


def debug_data(
    config_path: Union[str, Path],
    overrides: Dict[str, Any] = SimpleFrozenDict(),
    *,
    limit: Optional[int] = None,
    json_path: Optional[Path] = None,
) -> DataReport:
    """Read the training and the development data of a config as its pipeline does, and count.

    config_path (Union[str, Path]): The config.
    overrides (Dict[str, Any]): Settings that override those of the config, such as "paths.train".
    limit (Optional[int]): Maximum number of documents to read per split; None for all, or 10,000 if
        the training data is streamed (`max_epochs = -1`).
    json_path (Optional[Path]): A file to write the counts to.
    RETURNS (DataReport): The counts.
    RAISES (UserError): For a config that can't be trained, and for files that don't exist
        (MissingFileError) or can't be written.
    """
    if json_path is not None:
        check_target(json_path)
    _check_names(config_path, overrides)
    report = _make_report(load_blank(config_path, overrides), limit)
    if json_path is not None:
        with replace_file(json_path) as file:
            file.write(srsly.json_dumps(report.as_dict(), indent=2).encode("utf-8"))
    return report


def _check_names(config_path: Union[str, Path], overrides: Dict[str, Any]) -> None:
    """RAISES (UserError): For a setting of [paths] that the config doesn't have, which would have
    no effect: spaCy accepts any name there."""
    if not Path(config_path).is_file():
        return  # pipes can only be read once
    paths = read_config(config_path).get("paths", {})
    for name in overrides:
        section, _, key = name.partition(".")
        if section == "paths" and key not in paths:
            raise UserError(
                f"{config_path} has no setting '{name}'. Use one of "
                f"{', '.join(f'paths.{known}' for known in paths)}."
            )


def _make_report(nlp: Language, limit: Optional[int]) -> DataReport:
    components = {name: pipe for name, pipe in nlp.components if isinstance(pipe, BertNER)}
    if not components:
        raise UserError(
            f"The pipeline {nlp.pipe_names} has no component 'bert_ner': make a config with "
            "'python -m spacy bert-ner init-config', or check spaCy's own components with "
            "'python -m spacy debug data'."
        )
    for name, pipe in components.items():
        check_upstream(nlp, name, pipe.model)
    readers, names, corpora = _get_corpora(nlp)
    found = _get_encoders(nlp)
    for encoder in found.values():
        encoder.node.initialize()
    labels = {name: _get_labels(nlp, name, pipe) for name, pipe in components.items()}
    read_by = {name: make_reader(pipe.model, nlp, name) for name, pipe in components.items()}
    splits: Dict[str, SplitReport] = {}
    for split, corpus in corpora.items():
        train = splits.get("train")
        gold = {}
        for name, pipe in components.items():
            known = labels[name]
            if known is None and train:
                known = [*pipe.labels, *train.labels] or None
            gold[name] = make_gold_report(known, pipe.settings, read_by[name])
        encoders = {name: EncoderReport(encoder) for name, encoder in found.items()}
        splits[split] = SplitReport(gold, encoders, train)
        n_most = _get_limit(nlp, split) if limit is None else limit
        _read(nlp, corpus, splits[split], n_most, split)
        if split == "train":
            _compare_vectors(nlp, found, encoders)
    return DataReport(
        lang=str(nlp.lang),
        pipeline=nlp.pipe_names,
        readers=readers,
        reader_names=names,
        labels=labels,
        others=_get_others(nlp, found),
        **splits,
    )


def _compare_vectors(
    nlp: Language, found: Dict[str, Found], reports: Dict[str, EncoderReport]
) -> None:
    """Record how similar the vectors of the first documents are, before any training."""
    optimizer = nlp.config.interpolate()["training"]["optimizer"]
    for name, encoder in found.items():
        reports[name].similarity = get_similarity(encoder.node, reports[name].first)
        reports[name].head_factor = float(optimizer.get("head_factor", 1.0))


def _get_limit(nlp: Language, split: str) -> Optional[int]:
    streams = nlp.config.interpolate()["training"]["max_epochs"] == -1
    return STREAM_LIMIT if split == "train" and streams else None


def _read(
    nlp: Language, corpus: Callable, split: SplitReport, limit: Optional[int], title: str
) -> None:
    """Count the examples of a corpus. An encoder gets the sentence boundaries of components before
    it, as in training."""
    setters = get_sentence_setters(nlp)
    # The findings of our reader are shown with the others, not logged.
    read = partial(corpus.read, report=split.reading) if isinstance(corpus, Corpus) else corpus
    examples = iter(read(nlp))
    some = islice(examples, limit)
    for example in tqdm(some, title, unit=" documents", leave=False, disable=None):
        doc = example.predicted.copy()
        for name, pipe in nlp.components:
            if name in split.encoders:
                split.encoders[name].add(doc)
            if pipe in setters:
                doc = pipe(doc)
        split.add(Example(doc, example.reference))
    split.is_whole = next(examples, None) is None


def _get_corpora(nlp: Language) -> Tuple[Dict[str, str], Dict[str, str], Dict[str, Callable]]:
    """The blocks of the readers in the config, their registered names, and the readers, by split.

    RAISES (OSError): For a path that doesn't exist. ValueError: If there is no path.
    """
    config = nlp.config.interpolate()
    training: Any = registry.resolve(config["training"], schema=ConfigSchemaTraining)
    readers = {"train": training["train_corpus"], "dev": training["dev_corpus"]}
    names = {}
    for split, reader in readers.items():
        _check_block(config, split, reader)
        section, _, name = reader.partition(".")
        block = config.get(section, {}).get(name, {})
        names[split] = block.get("@readers", reader)
        if "path" not in block:
            continue
        way_out = f"Set path in [{reader}], in most configs with --paths.{split}."
        if block["path"] is None:
            raise UserError(f"The path of the {split} data isn't set. {way_out}")
        if not Path(block["path"]).exists():
            raise MissingFileError(f"There is no file or folder {block['path']}. {way_out}")
    corpora = resolve_dot_names(config, list(readers.values()))
    return readers, names, dict(zip(readers, corpora))


def _check_block(config: Dict[str, Any], split: str, reader: str) -> None:
    """RAISES (ValueError): If the config has neither a block of that name nor one that makes it."""
    block = config
    for key in reader.split("."):
        if "@readers" in block:
            return
        if not isinstance(block.get(key), dict):
            known = ", ".join(f"corpora.{name}" for name in config.get("corpora", {})) or "none"
            raise UserError(
                f"{split}_corpus in [training] is {reader!r}, but the config has no such block. "
                f"Its blocks of [corpora] are {known}."
            )
        block = block[key]


def _get_encoders(nlp: Language) -> Dict[str, Found]:
    """Our encoders, by component: its own encoder, not one that it listens to. An exported one
    can't be initialized, and says how to go back."""
    return {
        name: found
        for name, pipe in nlp.components
        for found in iter_encoders(getattr(pipe, "model", None), name)
        if found.is_ours or found.is_exported
    }


def _get_others(nlp: Language, encoders: Dict[str, Found]) -> Dict[str, str]:
    return {
        name: nlp.config["components"][name]["model"]["@architectures"]
        for name in nlp.pipe_names
        if nlp.get_pipe_meta(name).factory in ENCODER_FACTORIES and name not in encoders
    }


def _get_labels(nlp: Language, name: str, pipe: BertNER) -> Optional[List[str]]:
    """The labels that a component will have in training; None for those of its training data."""
    config = nlp.config.interpolate()
    if name in config["training"]["frozen_components"]:
        return list(pipe.labels)
    given = registry.resolve(config["initialize"]["components"].get(name, {})).get("labels")
    return None if given is None else sorted({*pipe.labels, *given})
