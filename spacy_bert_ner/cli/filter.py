from pathlib import Path
from typing import Optional

from typer import Argument, Option

from ._util import notify

# fmt: off


def filter_cli(
    input_path: Path = Argument(..., readable=False, help="What `label` wrote, a .spacy file"),
    output_path: Path = Argument(..., readable=False, help="Where to write what is kept, a .spacy file"),
    agreed: bool = Option(False, "--agreed", help="Keep sentences in which all teachers have the same best tag for each token"),
    min_entities: int = Option(0, "--min-entities", min=0, help="Keep sentences with so many entities or more"),
    top: Optional[float] = Option(None, "--top", metavar="SHARE", min=0, max=1, help="Of these, keep the share with the highest mean probability of the best tags, as 0.8"),
    mixture: Optional[float] = Option(None, "--mixture", metavar="POSTERIOR", min=0, max=1, help="Of these, keep those that belong to the lower of two Gaussians of losses with a higher probability than this, as 0.5 (needs scikit-learn)"),
) -> None:
    # fmt: on
    """
    Keep of soft labels what is worth learning from: sentences, or documents without sentences.

    What isn't kept of a document stays as text around the rest, and teaches nothing: it has no soft
    labels, and its entities are missing. Documents of which nothing is kept are left out.
    """
    from ..commands.filter import filter_labels

    report = filter_labels(
        input_path, output_path, agreed=agreed, min_entities=min_entities, top=top, mixture=mixture
    )
    notify(f"{output_path}: {report.summary()}")
    notify(report.describe_kept())
    if report.message():
        notify(report.message())
