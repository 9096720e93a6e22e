"""The rows of a classifier, and the tags that they stand for."""

from typing import Any, Dict, Mapping, Optional, Sequence, Union

import numpy

from ..tagging.schemes import SCHEMES, TagSet
from ..types import Floats2d
from .labels import LabelError, Reading, list_names, name_tags, read_labels

LabelsT = Union[Mapping[Any, Optional[str]], Sequence[str], None]
# A tag that the checkpoint has no row for gets that of another tag of its label, this much lower:
# never the best, and no part of the sum of probabilities, but soon learned where gold has it.
UNSEEN = 20.0


def read_rows(
    name: str,
    config: Any,
    labels: LabelsT,
    scheme: Optional[str],
    settings: Dict[str, Any],
) -> Reading:
    """Understand the labels of a classifier.

    name (str): What the checkpoint is called.
    config (PretrainedConfig): Its config.json.
    labels (LabelsT): A map from its label names to others, None for none.
    scheme (Optional[str]): "BIO" or "IOB1", where the labels don't tell.
    settings (Dict[str, Any]): Of an exported pipeline.
    RETURNS (Reading): What its rows stand for.
    RAISES (LabelError): For labels that can't be understood.
    """
    try:
        names = list_names(config.id2label)
    except LabelError as error:
        raise LabelError(f"'{name}': {error}") from error
    if labels is not None and not isinstance(labels, Mapping):
        raise LabelError(
            f"'{name}' has a classifier with the labels {names}: give a map from them to others, "
            f"not the list {list(labels)}."
        )
    tags = settings.get("tags", [])
    if labels is None and len(tags) == len(names) and settings.get("scheme") in SCHEMES:
        # Ours: names that Hugging Face's pipeline reads may be the same for two tags. Somebody may
        # have changed them since.
        entity_labels = list(dict.fromkeys(tag.partition("-")[2] for tag in tags[1:]))
        tag_set = TagSet(settings["scheme"], entity_labels)
        if tag_set.tags == tags and names == name_tags(tag_set, settings["scheme"]):
            if scheme not in (None, settings["scheme"]):
                raise LabelError(
                    f"'{name}' was exported with the scheme {settings['scheme']}, and has no tags "
                    f"of {scheme}: leave the scheme out (--scheme), or give it as it is."
                )
            return Reading(settings["scheme"], entity_labels, list(range(len(tags))))
    try:
        return read_labels(names, label_map=labels, scheme=scheme)
    except LabelError as error:
        raise LabelError(f"'{name}': {error}") from error


def new_labels(name: str, config: Any, labels: LabelsT, scheme: Optional[str]) -> Reading:
    """Take labels for a classifier that has to be trained.

    name (str): What the checkpoint is called.
    config (PretrainedConfig): Its config.json.
    labels (LabelsT): A list of labels.
    scheme (Optional[str]): The scheme of their tags, else BIO.
    RETURNS (Reading): The labels, without rows.
    RAISES (LabelError): For anything but a list of distinct labels.
    """
    classes = getattr(config, "architectures", None) or ["no class"]
    if labels is None or isinstance(labels, Mapping) or not list(labels):
        raise LabelError(
            f"'{name}' ({', '.join(classes)}) has no token classifier: its encoder can be taken, "
            'with a new one to train. Give the labels for it, as labels=["PER", "LOC"] in Python '
            "or --labels labels.json of from-hf."
        )
    if isinstance(labels, str) or len(set(labels)) < len(labels):
        raise LabelError(f"Can't make a classifier for the labels {labels!r}: give each one once.")
    return Reading(scheme or "BIO", list(labels), [])


def place_rows(values: Floats2d, reading: Reading) -> Floats2d:
    """Put rows into the order of the tags. A tag without one gets that of another tag of its label,
    or zeros if there is none, with a bias that is lower by `UNSEEN`.

    values (Floats2d): Weights with a row for each label, (n_labels, n_in), or biases, (n_labels,).
    reading (Reading): What the rows stand for.
    RETURNS (Floats2d): The same for the tags, float32, (n_tags, n_in) or (n_tags,).
    """
    tag_set = TagSet(reading.scheme, reading.labels)
    placed = numpy.zeros((len(tag_set), *values.shape[1:]), dtype="float32")
    is_bias = values.ndim == 1
    for tag, row in enumerate(reading.rows):
        label = tag_set.label_ids[tag]
        alike = [reading.rows[i] for i in numpy.nonzero(tag_set.label_ids == label)[0]]
        stand_in = next((other for other in alike if other is not None), None)
        if row is not None:
            placed[tag] = values[row]
        else:
            placed[tag] = 0.0 if stand_in is None else values[stand_in]
            placed[tag] -= UNSEEN * is_bias
    return placed
