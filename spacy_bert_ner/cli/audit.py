from pathlib import Path
from typing import Optional

from typer import Argument, Context, Option, echo

from ._util import REPLACE, SOURCE, USE_GPU, notify, read_overrides

# fmt: off


def audit_cli(
    ctx: Context,  # with settings that override the config's
    corpus_path: Path = Argument(..., readable=False, help="Documents with gold entities"),
    output_path: Path = Argument(..., readable=False, help="Output folder; that of an interrupted audit is resumed"),
    config_path: Optional[Path] = Option(None, "--config", "-c", metavar="FILE", readable=False, help="Config of the trainings; default: what init-config makes for the corpus, in English"),
    folds: int = Option(5, "--folds", "-k", min=2, help="Number of folds: as many pipelines are trained"),
    seed: int = Option(0, "--seed", "-s", help="Seed of the folds and of the trainings"),
    top: Optional[int] = Option(None, "--top", "-t", min=1, help="How many suspects the files to correct have; default: a tenth of the number of gold entities"),
    source: Optional[str] = SOURCE,
    use_gpu: int = USE_GPU,
    force: bool = REPLACE,
) -> None:
    # fmt: on
    """
    Find label errors in a corpus: places where pipelines that were trained on
    the rest of the corpus contradict the annotation.

    Writes OUTPUT_PATH/audit.html, a page with the most suspicious places;
    suspects.jsonl and inconsistencies.jsonl; and prodigy.jsonl, doccano.jsonl
    and label-studio.json, to correct the annotation.

    Override settings of the config as in spacy train: --training.max_steps 200.
    Finished folds are kept: run the same command to resume.
    """
    from ..commands.audit import audit, format_audit
    from ..findings import number
    from ..terminal import printable

    result = audit(
        corpus_path,
        output_path,
        config=config_path,
        overrides=read_overrides(ctx),
        folds=folds,
        seed=seed,
        top=top,
        source=source,
        use_gpu=use_gpu,
        force=force,
        notify=notify,
    )
    echo(format_audit(result))
    strings = number(len(result.inconsistencies), "string")
    echo(f"Annotated in several ways: {strings}.")
    if result.n_left_out:
        notify(f"{number(result.n_left_out, 'document')} without entity annotation left out.")
    notify(printable(f"Wrote {output_path}: see audit.html."))
