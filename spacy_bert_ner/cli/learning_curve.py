from pathlib import Path
from typing import List, Optional

from typer import Argument, BadParameter, Context, Option, echo

from ._util import USE_GPU, notify, read_overrides

# fmt: off


def learning_curve_cli(
    ctx: Context,
    corpus_path: Path = Argument(..., metavar="CORPUS", readable=False, help="Training data, of which growing parts are used"),
    dev_path: Path = Argument(..., metavar="DEV", readable=False, help="Documents with gold entities to score on"),
    output_path: Path = Argument(..., readable=False, help="Folder for learning_curve.html, learning_curve.json and results.jsonl"),
    config_path: Optional[Path] = Option(None, "--config", "-c", metavar="FILE", readable=False, help="Config to train; default: that of init-config for CORPUS"),
    parts: str = Option("0.1,0.2,0.4,0.7,1", "--parts", metavar="SHARES", help="Shares of the documents to train on"),
    n_seeds: int = Option(3, "--seeds", min=1, help="Number of trainings with each part"),
    use_gpu: int = USE_GPU,
    force: bool = Option(False, "--force", "-F", help="Replace the curve of other data or settings in the folder"),
) -> None:
    # fmt: on
    """
    Train on growing parts of a corpus, and show what F1 twice the data would
    give, with a 95 % interval, or that the scores don't allow a conclusion.

    Override settings of the config as in spacy train: --training.max_steps 500.
    Finished trainings are kept: run the same command to resume an interrupted
    one, or with more --parts or --seeds.
    """
    from ..commands.curve_result import format_result
    from ..commands.learning_curve import learning_curve

    result = learning_curve(
        corpus_path,
        dev_path,
        output_path,
        config_path=config_path,
        overrides=read_overrides(ctx),
        parts=_read_parts(parts),
        n_seeds=n_seeds,
        use_gpu=use_gpu,
        force=force,
        notify=notify,
    )
    echo(format_result(result))
    echo(result["conclusion"]["text"])


def _read_parts(text: str) -> List[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise BadParameter(
            f"--parts must be numbers separated by commas, for example 0.1,0.4,1, not {text!r}."
        ) from error
