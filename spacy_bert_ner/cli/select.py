from pathlib import Path
from typing import Optional

from typer import Argument, Option

from ._util import BATCH_SIZE, COLUMN, ON_ERROR, SOURCE, TARGET, USE_GPU, OnError, notify

# fmt: off


def select_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    pool_path: Path = Argument(..., metavar="POOL", readable=False, help="Texts to select from: a file, or a folder of .txt files"),
    output_path: Path = Argument(..., readable=False, help="Output file, of any format"),
    n: int = Option(200, "--n", min=1, help="How many texts to select"),
    labeled_path: Optional[Path] = Option(None, "--labeled", metavar="FILE", readable=False, help="Labeled documents: near-duplicates of these aren't selected"),
    sentences: bool = Option(False, "--sentences", help="Select sentences instead of whole documents"),
    seed: int = Option(0, "--seed", min=0, help="Random seed of the clustering"),
    source: Optional[str] = SOURCE,
    target: Optional[str] = TARGET,
    column: Optional[str] = COLUMN,
    batch_size: Optional[int] = BATCH_SIZE,
    use_gpu: int = USE_GPU,
    on_error: OnError = ON_ERROR,
    restart: bool = Option(False, "--restart", help="Start from the beginning, and delete what an interrupted run has measured"),
    force: bool = Option(False, "--force", "-F", help="Replace an existing output"),
) -> None:
    # fmt: on
    """
    Select the texts of a pool that are worth labeling next, and write them with
    the entities that the pipeline finds.

    Selected are texts in which the scores of the pipeline let expect many
    errors, which differ from each other and from labeled texts. Correct their
    entities in Prodigy (.jsonl), doccano (--to doccano) or Label Studio (.json).

    If a run is interrupted, run the same command to resume. Needs scikit-learn.
    """
    from ..commands.checks import require_gpu
    from ..commands.select import select

    require_gpu(use_gpu)
    report = select(
        pipeline,
        pool_path,
        output_path,
        n=n,
        labeled_path=labeled_path,
        sentences=sentences,
        seed=seed,
        source=source,
        target=target,
        column=column,
        batch_size=batch_size,
        skip_broken=on_error == OnError.skip,
        restart=restart,
        force=force,
        notify=notify,
    )
    notify(f"{output_path}: {report.written.summary()}")
    notify(report.describe())
    for counts in (report.pool, report.written):
        if counts.message():
            notify(counts.message())
