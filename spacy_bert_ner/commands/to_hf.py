"""Write a pipeline as a Hugging Face checkpoint."""

from pathlib import Path
from typing import Optional

from ..hf.export import to_huggingface
from ..hf.folders import check_folder
from .pipelines import load_pipeline


def to_hf(
    pipeline: str, output_path: Path, *, component: Optional[str] = None, force: bool = False
) -> None:
    """Write a pipeline as a checkpoint, see `to_huggingface`.

    pipeline (str): Name or path of a trained pipeline.
    output_path (Path): A folder, new or empty.
    component (Optional[str]): Name of the `bert_ner`, if there are several.
    force (bool): Replace a folder that isn't empty.
    RAISES (UserError): For a pipeline that can't be loaded, or that Hugging Face has no model for,
        and for a folder that can't be written.
    """
    check_folder(output_path, force, pipeline)
    to_huggingface(load_pipeline(pipeline), output_path, component=component, force=force)
