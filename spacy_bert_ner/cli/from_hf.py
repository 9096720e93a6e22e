from pathlib import Path
from typing import Any, Optional

from typer import Argument, Option, echo

from ._util import REPLACE

# fmt: off


def from_hf_cli(
    source: str = Argument(..., help="A folder, an installed Python package that contains a model, or a name on the Hugging Face hub"),
    output_path: Path = Argument(..., readable=False, help="Output folder for the pipeline"),
    lang: str = Option("en", "--lang", "-l", help="Language code"),
    labels: Optional[Path] = Option(None, "--labels", readable=False, help="JSON file: an object that renames labels, by their names or numbers; or, for a model without a token classifier, an array of labels for a new one"),
    scheme: Optional[str] = Option(None, "--scheme", metavar="NAME", help="Scheme of the labels, BIO or IOB1, if they don't show it"),
    align: Optional[str] = Option(None, "--align", metavar="NAME", help="What gets a tag: token or word; default: as exported, or token"),
    decoder: Optional[str] = Option(None, "--decoder", metavar="NAME", help="greedy, like Hugging Face's pipeline, or constrained; default: as exported, or greedy"),
    window: Optional[int] = Option(None, "--window", min=0, help="Wordpieces read at once, 0 for one sentence; default: as exported, or the encoder's maximum up to 512"),
    force: bool = REPLACE,
) -> None:
    # fmt: on
    """
    Make a pipeline from a Hugging Face token classifier.

    It can predict as it is, and can be trained further: source its components
    in a config, or name the checkpoint in the config's
    initialize.components.bert_ner block.
    """
    from ..commands.from_hf import from_hf
    from ..errors import wrap

    settings: Any = {"scheme": scheme, "align": align, "decoder": decoder, "window": window}
    found = from_hf(source, output_path, lang=lang, labels_path=labels, force=force, **settings)
    echo(wrap(f"Wrote {output_path}, which finds {', '.join(found)}."))
