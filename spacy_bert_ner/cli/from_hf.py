from pathlib import Path
from typing import Any, Optional

from typer import Argument, Option, echo

# fmt: off


def from_hf_cli(
    source: str = Argument(..., help="A folder, an installed Python package that holds a model, or a name on the Hugging Face hub"),  # noqa: E501
    output_path: Path = Argument(..., help="Where to write the pipeline: a new folder"),  # noqa: B008
    lang: str = Option("en", "--lang", "-l", help="Code of the language"),
    labels: Optional[Path] = Option(None, "--labels", exists=True, dir_okay=False, help="JSON file: an object with other names for the labels, by their names or numbers; or, for a model without a token classifier, an array of labels for a new one"),  # noqa: B008, E501
    scheme: Optional[str] = Option(None, "--scheme", metavar="NAME", help="BIO or IOB1, where the labels don't tell"),  # noqa: E501
    align: Optional[str] = Option(None, "--align", metavar="NAME", help="token or word: what gets a tag; else as exported, or token"),  # noqa: E501
    decoder: Optional[str] = Option(None, "--decoder", metavar="NAME", help="greedy, as Hugging Face's pipeline, or constrained; else as exported, or greedy"),  # noqa: E501
    window: Optional[int] = Option(None, "--window", min=0, help="Wordpieces read at once, 0 for a sentence; else as exported, or as many as the encoder reads, at most 512"),  # noqa: E501
    force: bool = Option(False, "--force", "-F", help="Replace a folder that isn't empty"),
) -> None:
    # fmt: on
    """
    Make a pipeline of a Hugging Face token classifier.

    It predicts as it is, and can be trained further: source its components in a config, or name the
    checkpoint in [initialize.components.bert_ner].
    """
    from ..errors import wrap
    from ..hf.folders import check_output, write_folder
    from ..hf.loader import from_huggingface

    check_output(output_path, force, source)
    nlp = from_huggingface(
        source,
        lang,
        labels=_read_labels(labels),
        scheme=scheme,
        align=align,
        decoder=decoder,
        window=window,
    )
    with write_folder(output_path, force=force) as folder:
        nlp.to_disk(folder)
    found = ", ".join(nlp.get_pipe("bert_ner").labels)  # type: ignore[attr-defined]
    echo(wrap(f"Wrote {output_path}, which finds {found}."))


def _read_labels(path: Optional[Path]) -> Any:
    import srsly

    from ..errors import UserError

    if path is None:
        return None
    try:
        labels = srsly.read_json(path)
    except ValueError as error:
        raise UserError(f"Can't read labels from {path}: it is no JSON ({error}).") from error
    if not isinstance(labels, (dict, list)):
        raise UserError(f"Can't read labels from {path}: it is neither an object nor an array.")
    return labels
