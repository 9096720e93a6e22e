from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import BATCH_SIZE, SOURCE, USE_GPU, notify

# fmt: off


def evaluate_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    gold_path: Path = Argument(..., readable=False, help="File of documents with gold entities"),
    pipeline2: Optional[str] = Argument(None, help="A second pipeline, to compare with the first"),
    report_path: Optional[Path] = Option(None, "--report", "-r", metavar="FILE", readable=False, help="Also write a page with scores, errors and plots (.html)"),
    json_path: Optional[Path] = Option(None, "--json", metavar="FILE", readable=False, help="Also write everything that is on the page as JSON"),
    train_path: Optional[Path] = Option(None, "--train", metavar="FILE", readable=False, help="Training data, to score entities by whether they were seen in it"),
    source: Optional[str] = SOURCE,
    batch_size: Optional[int] = BATCH_SIZE,
    use_gpu: int = USE_GPU,
) -> None:
    # fmt: on
    """
    Score the entities of a pipeline by label, with 95 % intervals, and show what
    it gets wrong.

    Entities are predicted from the words of the gold documents. Intervals are
    by the bootstrap over documents; for two pipelines, those of the differences
    are paired.
    """
    from ..commands.checks import require_gpu
    from ..commands.evaluate import evaluate_file
    from ..commands.evaluate_table import format_evaluation
    from ..findings import number

    require_gpu(use_gpu)
    result, report = evaluate_file(
        pipeline,
        gold_path,
        pipeline2,
        train_path=train_path,
        source=source,
        batch_size=batch_size,
        report_path=report_path,
        json_path=json_path,
    )
    echo(format_evaluation(result), nl=False)
    if result["documents_left_out"]:
        count = number(result["documents_left_out"], "document")
        notify(f"{count} without entity annotation left out.")
    if report.message():
        notify(report.message())
    for path in (report_path, json_path):
        if path is not None:
            notify(f"Wrote {path}.")
