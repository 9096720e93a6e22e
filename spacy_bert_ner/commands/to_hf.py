"""Hugging Face checkpoints from pipelines on disk."""

from pathlib import Path
from typing import Optional

from ..hf.export import to_huggingface
from ..hf.folders import check_output
from .pipelines import load_pipeline


def to_hf(
    pipeline: str, output_path: Path, *, component: Optional[str] = None, force: bool = False
) -> None:
    """Write a pipeline as a Hugging Face checkpoint. The output is checked before the pipeline is
    loaded.

    pipeline (str): The name or path of the pipeline.
    output_path (Path): Where to write the checkpoint.
    component (Optional[str]): The bert_ner to write, if there are several.
    force (bool): Replace a folder that isn't empty.
    RAISES (UserError): For what can't be read, exported or written.
    """
    check_output(output_path, force, pipeline)
    to_huggingface(load_pipeline(pipeline), output_path, component=component, force=force)
