"""Make smaller encoders, to train students from."""

from pathlib import Path
from typing import Optional

from ..errors import UserError
from ..hf.checkpoint import quiet
from ..hf.export import make_model
from ..hf.folders import check_folder, write_folder
from ..model.encoder.pretrained import without_bars
from ..model.encoder.shrinking import keep_blocks
from ..pipeline.components import find_component
from ..pipeline.encoders import find_encoder
from ..pipeline.settings import get_dropout
from .pipelines import load_pipeline


def shrink(
    pipeline: str,
    output_path: Path,
    n_layers: int,
    *,
    first: bool = False,
    head: bool = False,
    component: Optional[str] = None,
    force: bool = False,
) -> None:
    """Write some layers of the encoder of a pipeline as a Hugging Face encoder, with its tokenizer.
    It isn't trained further: use it as the start of a student.

    pipeline (str): Name or path of a trained pipeline.
    output_path (Path): A folder, new or empty.
    n_layers (int): Number of layers to keep.
    first (bool): Keep the first layers, not layers that are spread evenly from first to last.
    head (bool): Also write the classifier.
    component (Optional[str]): Name of the `bert_ner`, if there are several.
    force (bool): Replace a folder that isn't empty.
    RAISES (ValueError): For a pipeline without one of our encoders, for more layers than it has,
        and, with `head`, for a classifier that Hugging Face has no model for.
    """
    check_folder(output_path, force, pipeline)
    nlp = load_pipeline(pipeline)
    name, ner = find_component(nlp, component)
    found = find_encoder(nlp, name, ner.model)
    if found.shim.encoder is None:
        raise UserError(f"'{name}' of the pipeline '{pipeline}' has no weights: train it first.")
    small = keep_blocks(found.shim.encoder, n_layers, first=first)
    model, tokenizer = small.model, small.tokenizer
    if head:
        found.shim.encoder = small
        model, tokenizer = make_model(name, ner, found, dropout=get_dropout(nlp, name))
    with write_folder(output_path, force=force) as folder, quiet(), without_bars():
        model.save_pretrained(folder, safe_serialization=True)
        tokenizer.save_pretrained(folder, legacy_format=False)
