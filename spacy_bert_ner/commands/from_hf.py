"""Make a pipeline from a Hugging Face checkpoint."""

from pathlib import Path
from typing import Any, List, Optional

import srsly

from ..errors import UserError
from ..hf.folders import check_folder, write_folder
from ..hf.loader import from_huggingface
from ..hf.rows import LabelsT
from .checks import check_input


def from_hf(
    source: str,
    output_path: Path,
    *,
    lang: str = "en",
    labels_path: Optional[Path] = None,
    force: bool = False,
    **settings: Any,
) -> List[str]:
    """Write a pipeline made from a token classifier.

    source (str): A folder, an installed Python package, or a name on the Hugging Face hub.
    output_path (Path): A folder, new or empty.
    lang (str): Language code, which sets the tokenizer.
    labels_path (Optional[Path]): A JSON file with the argument `labels` of `from_huggingface`.
    force (bool): Replace a folder that isn't empty.
    settings (Any): `scheme`, `align`, `decoder` and `window`, see `from_huggingface`.
    RETURNS (List[str]): The labels that the pipeline finds.
    RAISES (UserError): For a checkpoint or labels that can't be read, and for a folder that can't
        be written.
    """
    check_folder(output_path, force, source)
    labels = None if labels_path is None else read_label_file(labels_path)
    nlp = from_huggingface(source, lang, labels=labels, **settings)
    with write_folder(output_path, force=force) as folder:
        nlp.to_disk(folder)
    return list(nlp.get_pipe("bert_ner").labels)  # type: ignore[attr-defined]


def read_label_file(path: Path) -> LabelsT:
    """Read labels for a checkpoint.

    path (Path): A JSON file.
    RETURNS (LabelsT): An object that renames labels, or an array of new ones.
    RAISES (UserError): For a file that doesn't exist, or contains neither.
    """
    check_input(path)
    try:
        labels = srsly.read_json(path)
    except ValueError as error:
        raise UserError(f"Can't read labels from {path}: it isn't JSON ({error}).") from error
    if not isinstance(labels, (dict, list)):
        raise UserError(f"Can't read labels from {path}: it is neither an object nor an array.")
    return labels
