from pathlib import Path
from typing import Optional

from typer import Argument, Option

from ._util import notify

# fmt: off


def filter_cli(
    input_path: Path = Argument(..., readable=False, help="Output of `label`, a .spacy file"),
    output_path: Path = Argument(..., readable=False, help="Output file (.spacy)"),
    agreed: bool = Option(False, "--agreed", help="Keep only sentences in which all teachers have the same best tag for each token"),
    min_entities: int = Option(0, "--min-entities", min=0, help="Keep only sentences with at least this many entities"),
    top: Optional[float] = Option(None, "--top", metavar="SHARE", min=0, max=1, help="Share of these sentences to keep, those with the highest mean probability of the best tags, for example 0.8"),
    mixture: Optional[float] = Option(None, "--mixture", metavar="POSTERIOR", min=0, max=1, help="Fit two Gaussians to the losses of these sentences, and keep those that belong to the lower one with a higher probability than this, for example 0.5 (needs scikit-learn)"),
) -> None:
    # fmt: on
    """
    Keep the soft labels that are worth learning from, by sentence (or by
    document, if there are no sentence boundaries).

    The other sentences of a document stay as context, without soft labels and
    with missing entity annotation, so nothing is learned from them. Documents
    without a sentence to keep are left out.
    """
    from ..commands.filter import filter_labels

    report = filter_labels(
        input_path, output_path, agreed=agreed, min_entities=min_entities, top=top, mixture=mixture
    )
    notify(f"{output_path}: {report.summary()}")
    notify(report.describe_kept())
    if report.message():
        notify(report.message())
