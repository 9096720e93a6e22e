from pathlib import Path
from typing import List, Optional

from typer import Argument, BadParameter, Option

from ._util import COLUMN, ON_ERROR, SOURCE, USE_GPU, OnError, notify

# fmt: off


def label_cli(
    teachers: List[str] = Argument(..., metavar="TEACHER...", help="Names or paths of trained pipelines"),
    input_path: Path = Argument(..., readable=False, help="Text, a file of documents, or a folder of .txt files"),
    output_path: Path = Argument(..., readable=False, help="Output file (.spacy)"),
    weights: Optional[str] = Option(None, "--weights", metavar="NUMBERS", help="Weights of the teachers in the mean, for example 2,1,1, or the JSON file of weigh-sources with its sources in the order of the teachers; default: equal weights"),
    vote: bool = Option(False, "--vote", help="Keep the entities that more than half of the teachers find, by weight; default: the entities of the mean"),
    keep_ents: bool = Option(False, "--keep-ents", help="Keep the entities of the input as gold annotation, in addition to the soft labels"),
    source: Optional[str] = SOURCE,
    column: Optional[str] = COLUMN,
    batch_size: Optional[int] = Option(None, "--batch-size", "-n", min=1, help="Documents read at once; default: the batch size of the first pipeline"),
    use_gpu: int = USE_GPU,
    on_error: OnError = ON_ERROR,
    restart: bool = Option(False, "--restart", help="Start from the beginning, and delete the partial output of an interrupted run"),
) -> None:
    # fmt: on
    """
    Label texts with the predictions of trained pipelines (teachers), to train
    another one on them.

    Each token gets the mean of the teachers' tag probabilities (soft labels)
    and the share of the teachers that agree. The entities are those of the mean
    or, with --vote, those that most teachers find. Train on the output with the
    loss spacy-bert-ner.Distillation.v1, as in configs/student.cfg.

    All teachers read the same words: those of the documents, or, for plain
    texts, those of the first teacher's tokenizer. Labels that only some
    teachers know are learned from these.

    If a run is interrupted, run the same command to resume.
    """
    from ..commands.checks import require_gpu
    from ..commands.label import label

    require_gpu(use_gpu)
    report = label(
        teachers,
        input_path,
        output_path,
        weights=None if weights is None else _read_weights(weights, teachers),
        vote=vote,
        keep_ents=keep_ents,
        source=source,
        column=column,
        batch_size=batch_size,
        skip_broken=on_error == OnError.skip,
        restart=restart,
        notify=notify,
    )
    notify(f"{output_path}: {report.summary()}")
    if len(teachers) > 1:
        notify(report.describe_agreement())
    if report.message():
        notify(report.message())


def _read_weights(text: str, teachers: List[str]) -> List[float]:
    if text.lower().endswith(".json"):
        from ..commands.weigh_sources import read_weights

        entries = read_weights(Path(text), teachers)
        for teacher, entry in zip(teachers, entries):
            notify(f"Weight of {teacher}: {entry.weight:.3f} (of {entry.source} in {text}).")
        return [entry.weight for entry in entries]
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise BadParameter(
            f"--weights must be numbers separated by commas, for example 2,1, or a .json file, not "
            f"{text!r}."
        ) from error
