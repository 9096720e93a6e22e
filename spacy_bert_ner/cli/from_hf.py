from pathlib import Path
from typing import Optional

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
    from ..commands.from_hf import from_hf
    from ..errors import wrap

    found = from_hf(
        source,
        output_path,
        labels_path=labels,
        force=force,
        lang=lang,
        scheme=scheme,
        align=align,
        decoder=decoder,
        window=window,
    )
    echo(wrap(f"Wrote {output_path}, which finds {', '.join(found)}."))
