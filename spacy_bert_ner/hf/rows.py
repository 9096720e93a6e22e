"""The rows of a classifier, and their tags."""

from typing import Any, Dict, Mapping, Optional, Sequence, Union

import numpy

from ..tagging.schemes import SCHEMES, TagSet
from ..types import Floats2d
from .labels import LabelError, Reading, list_names, name_tags, read_labels

LabelsT = Union[Mapping[Any, Optional[str]], Sequence[str], None]
# A tag without a row in the checkpoint gets the row of another tag of its label, with a score that
# is lower by this: it is never the best tag and has almost no probability, but it is soon learned
# if gold annotation has it.
UNSEEN = 20.0


def read_rows(
    name: str,
    config: Any,
    labels: LabelsT,
    scheme: Optional[str],
    settings: Dict[str, Any],
) -> Reading:
    """Understand the labels of a classifier.

    name (str): Name of the checkpoint.
    config (PretrainedConfig): Its config.json.
    labels (LabelsT): New names for its labels by name or number; None to keep all.
    scheme (Optional[str]): "BIO" or "IOB1", for labels that fit both.
    settings (Dict[str, Any]): Settings of an exported pipeline.
    RETURNS (Reading): The tags of its rows.
    RAISES (LabelError): For labels that can't be understood.
    """
    try:
        names = list_names(config.id2label)
    except LabelError as error:
        raise LabelError(f"'{name}': {error}") from error
    if labels is not None and not isinstance(labels, Mapping):
        raise LabelError(
            f"'{name}' has a classifier with the labels {names}: give a map from them to new "
            f"names, not the list {list(labels)}."
        )
    tags = settings.get("tags", [])
    if labels is None and len(tags) == len(names) and settings.get("scheme") in SCHEMES:
        # An exported pipeline: two tags may have the same name for Hugging Face's pipeline. The
        # names may have been changed since then.
        entity_labels = list(dict.fromkeys(tag.partition("-")[2] for tag in tags[1:]))
        tag_set = TagSet(settings["scheme"], entity_labels)
        if tag_set.tags == tags and names == name_tags(tag_set, settings["scheme"]):
            if scheme not in (None, settings["scheme"]):
                raise LabelError(
                    f"'{name}' was exported with the scheme {settings['scheme']}, not {scheme}: "
                    f"leave the scheme out (--scheme), or set it to {settings['scheme']}."
                )
            return Reading(settings["scheme"], entity_labels, list(range(len(tags))))
    try:
        return read_labels(names, label_map=labels, scheme=scheme)
    except LabelError as error:
        raise LabelError(f"'{name}': {error}") from error


def new_labels(name: str, config: Any, labels: LabelsT, scheme: Optional[str]) -> Reading:
    """Make labels for a new classifier, which has to be trained.

    name (str): Name of the checkpoint.
    config (PretrainedConfig): Its config.json.
    labels (LabelsT): A list of labels.
    scheme (Optional[str]): The scheme of their tags, None for BIO.
    RETURNS (Reading): The labels, without rows.
    RAISES (LabelError): For anything but a list of distinct labels.
    """
    classes = getattr(config, "architectures", None) or ["no class"]
    if labels is None or isinstance(labels, Mapping) or not list(labels):
        raise LabelError(
            f"'{name}' ({', '.join(classes)}) has no token classifier, but its encoder can be used "
            'with a new one. Give the labels to train, as labels=["PER", "LOC"] in Python or '
            "--labels labels.json of from-hf."
        )
    if isinstance(labels, str) or len(set(labels)) < len(labels):
        raise LabelError(f"Can't make a classifier for the labels {labels!r}: give each one once.")
    return Reading(scheme or "BIO", list(labels), [])


def place_rows(values: Floats2d, reading: Reading) -> Floats2d:
    """Put rows into the order of the tags. A tag without a row gets the row of another tag of its
    label, or zeros if there is none, with a bias that is lower by `UNSEEN`.

    values (Floats2d): Weights with a row for each label, (n_labels, n_in), or biases, (n_labels,).
    reading (Reading): The tags of the rows.
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
