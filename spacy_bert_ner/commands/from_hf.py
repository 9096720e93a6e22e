"""Pipelines on disk from Hugging Face checkpoints."""

from pathlib import Path
from typing import Any, List, Optional

import srsly

from ..errors import UserError
from ..hf.folders import check_output, write_folder
from ..hf.loader import from_huggingface


def from_hf(
    source: str,
    output_path: Path,
    *,
    labels_path: Optional[Path] = None,
    force: bool = False,
    **settings: Any,
) -> List[str]:
    """Write the pipeline of a Hugging Face token classifier to a folder.

    source (str): A folder, an installed Python package that holds a model, or a name on the hub.
    output_path (Path): Where to write the pipeline.
    labels_path (Optional[Path]): JSON file, the `labels` of `from_huggingface`.
    force (bool): Replace a folder that isn't empty.
    settings (Any): What else `from_huggingface` takes.
    RETURNS (List[str]): The labels that the pipeline finds.
    RAISES (UserError): For what can't be read or written.
    """
    check_output(output_path, force, source)
    nlp = from_huggingface(source, labels=_read_labels(labels_path), **settings)
    with write_folder(output_path, force=force) as folder:
        nlp.to_disk(folder)
    return list(nlp.get_pipe("bert_ner").labels)  # type: ignore[attr-defined]


def _read_labels(path: Optional[Path]) -> Any:
    if path is None:
        return None
    try:
        labels = srsly.read_json(path)
    except ValueError as error:
        raise UserError(f"Can't read labels from {path}: it is no JSON ({error}).") from error
    if not isinstance(labels, (dict, list)):
        raise UserError(f"Can't read labels from {path}: it is neither an object nor an array.")
    return labels
