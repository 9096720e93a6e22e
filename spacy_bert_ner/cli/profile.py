from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import BATCH_SIZE, SOURCE, USE_GPU, notify

# fmt: off


def profile_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    input_path: Path = Argument(..., readable=False, help="Text, or a file of documents"),
    source: Optional[str] = SOURCE,
    batch_size: Optional[int] = BATCH_SIZE,
    limit: int = Option(1000, "--limit", "-l", min=1, help="Maximum number of documents to read"),
    use_gpu: int = USE_GPU,
) -> None:
    # fmt: on
    """
    Show where a pipeline spends its time, and which settings make it slower.

    Reads the texts of a file with nlp.pipe, and shows the time of each
    component, and of the steps in the encoder and in bert_ner.
    """
    from ..commands.checks import require_gpu
    from ..commands.profile import format_profile, profile_file
    from ..errors import wrap

    require_gpu(use_gpu)
    result = profile_file(
        pipeline, input_path, source=source, batch_size=batch_size, limit=limit, notify=notify
    )
    echo(wrap(format_profile(result)))
