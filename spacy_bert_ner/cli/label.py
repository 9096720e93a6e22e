from pathlib import Path
from typing import List, Optional

from typer import Argument, BadParameter, Option

from ._util import COLUMN, ON_ERROR, SOURCE, USE_GPU, OnError, notify

# fmt: off


def label_cli(
    teachers: List[str] = Argument(..., metavar="TEACHER...", help="Names or paths of trained pipelines"),
    input_path: Path = Argument(..., readable=False, help="Text, a file of documents, or a folder of .txt files"),
    output_path: Path = Argument(..., readable=False, help="Where to write the documents, a .spacy file"),
    weights: Optional[str] = Option(None, "--weights", metavar="NUMBERS", help="What the teachers count in the mean, as 2,1,1, or the JSON file of weigh-sources, whose sources are in the order of the teachers; else all the same"),
    vote: bool = Option(False, "--vote", help="Keep the entities that more than half of the teachers find, by weight; else those of the mean"),
    keep_ents: bool = Option(False, "--keep-ents", help="Keep the entities of the input, as gold annotation next to the soft labels"),
    source: Optional[str] = SOURCE,
    column: Optional[str] = COLUMN,
    batch_size: Optional[int] = Option(None, "--batch-size", "-n", min=1, help="Documents read at once, else as the first pipeline says"),
    use_gpu: int = USE_GPU,
    on_error: OnError = ON_ERROR,
    restart: bool = Option(False, "--restart", help="Start again, and throw away what an interrupted run has left"),
) -> None:
    # fmt: on
    """
    Label texts with what trained pipelines think of them, for another one to learn from.

    The documents have the mean of the teachers' probabilities of tags for each token (soft labels),
    how many of them agree, and the entities of the mean, or those that most of them find. Train on
    them with the loss spacy-bert-ner.Distillation.v1, as configs/student.cfg does.

    All teachers read the same words: those of the documents, and of texts, those that the tokenizer
    of the first one makes. Labels that not all of them know are learned from those that do.

    If a run is interrupted, the same command resumes where it was.
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
            notify(f"{teacher} counts {entry.weight:.3f}, as {entry.source} in {text}.")
        return [entry.weight for entry in entries]
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise BadParameter(
            f"--weights has to be numbers with commas between them, as 2,1, or a .json file, not "
            f"{text!r}."
        ) from error
