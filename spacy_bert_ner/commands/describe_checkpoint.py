"""Describe a Hugging Face checkpoint."""

from typing import Any, Dict

from ..hf.checkpoint import read_checkpoint
from ..hf.labels import LabelError
from ..model.encoder.huggingface import get_limit
from ..model.encoder.lookup import find_pretrained
from ..model.encoder.pretrained import read_config
from .describe import describe_layer, describe_transformer


def describe_checkpoint(source: str) -> Dict[str, Any]:
    """Describe the folder of a checkpoint, see `describe`.

    source (str): The folder, or a name.
    RETURNS (Dict[str, Any]): Its encoder, and its classifier if it has one, with plain values.
    RAISES (ValueError): For a checkpoint that can't be read.
    """
    info: Dict[str, Any] = {"source": source, "kind": "Hugging Face checkpoint"}
    try:
        checkpoint = read_checkpoint(source)
    except LabelError as error:
        # No classifier, or one with unclear labels: everything else can be described.
        checkpoint = read_checkpoint(source, labels=_stand_ins(source))
        info["note"] = str(error)
    encoder = checkpoint.encoder
    info["encoders"] = [
        {
            **describe_transformer(encoder.model, encoder.tokenizer),
            "limit": get_limit(encoder),
            "precision": "fp32",
        }
    ]
    if "note" in info and not checkpoint.params:
        return {**info, "components": []}
    shapes = {name: list(value.shape) for name, value in checkpoint.params.items()}
    rows = checkpoint.params[checkpoint.head.rows[0]]
    head: Dict[str, Any] = {
        "name": "classifier",
        "factory": checkpoint.head.architecture,
        "dropout": checkpoint.head_settings["dropout"],
        "layers": [describe_layer("Linear", rows.shape[1], rows.shape[0], shapes)],
    }
    if "note" not in info:
        head.update(labels=checkpoint.labels, scheme=checkpoint.scheme, tags=rows.shape[0])
    return {**info, "components": [head]}


def _stand_ins(source: str) -> Any:
    """Placeholder labels, to read a checkpoint with unclear labels."""
    config = read_config(find_pretrained(source))
    classes = config.architectures or []
    if any(name.endswith("ForTokenClassification") for name in classes):
        n_labels = config.num_labels
        return {str(i): f"I-{i}" if i else "O" for i in range(n_labels)}
    return ["ENTITY"]
