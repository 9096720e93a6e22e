from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import REPLACE, SOURCE

# fmt: off


def calibrate_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    dev_path: Path = Argument(..., readable=False, help="Documents with gold entities that the pipeline wasn't trained on"),
    output_path: Path = Argument(..., readable=False, help="Output folder for the pipeline"),
    target_recall: Optional[float] = Option(None, "--target-recall", metavar="SHARE", help="Also write candidates, which have this share of the entities of a document in expectation"),
    target_precision: Optional[float] = Option(None, "--target-precision", metavar="SHARE", help="Set a threshold, so that this share of the entities is right with a probability of at least 0.9"),
    component: Optional[str] = Option(None, "--component", "-c", metavar="NAME", help="Name of the bert_ner component, if there are several"),
    source: Optional[str] = SOURCE,
    force: bool = REPLACE,
) -> None:
    # fmt: on
    """
    Write a pipeline with calibrated scores: of the entities with a score of 0.9,
    about nine out of ten are right.

    The pipeline finds the same entities, unless --target-precision is given.
    Shown are the mean score, the share of right entities and the calibration
    error before and after, the latter by cross-validation.
    """
    import math

    from ..commands.calibrate import calibrate, format_rows
    from ..errors import wrap
    from ..findings import number
    from ..terminal import printable

    report = calibrate(
        pipeline,
        dev_path,
        output_path,
        target_recall=target_recall,
        target_precision=target_precision,
        component=component,
        source=source,
        force=force,
    )
    echo(format_rows(report.rows))
    if report.threshold is not None:
        echo(wrap(f"threshold = {report.threshold}: a precision of {target_precision} or more."))
    if report.log_lowest is not None:
        echo(wrap(
            f"{number(report.n_candidates, 'candidate')} with a probability of at least "
            f"{math.exp(report.log_lowest):.2g}: a recall of {target_recall} or more."
        ))
    docs, ents = number(report.n_docs, "document"), number(report.n_ents, "entity", "entities")
    echo(printable(f"Wrote {output_path}: calibrated on {docs} with {ents}."), err=True)
