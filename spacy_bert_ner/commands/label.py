"""Label texts with the predictions of teachers, to train a student."""

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Generator, Iterable, Optional, Sequence

import numpy
from spacy.tokens import Doc
from spacy.util import logger

from .. import __version__
from ..errors import UserError
from ..formats import check_column, check_format, get_writer, read_docs
from ..formats.progress import Progress
from ..types import Floats1d
from ..zones import take_at_most, take_batches
from .checks import check_input, check_soft_output
from .labeling import Labeling, LabelReport, label_docs
from .resumable import describe_input, digest_files, get_precisions, write_batches
from .teachers import School, check_weights, load_teacher, make_school


def label(
    pipelines: Sequence[str],
    input_path: Path,
    output_path: Path,
    *,
    weights: Optional[Sequence[float]] = None,
    vote: bool = False,
    keep_ents: bool = False,
    source: Optional[str] = None,
    column: Optional[str] = None,
    batch_size: Optional[int] = None,
    skip_broken: bool = False,
    restart: bool = False,
    notify: Callable[[str], None] = logger.info,
) -> LabelReport:
    """Write the mean of the teachers' predictions for each token of a file, and the entities that
    they find, in spaCy's format. A progress bar is shown on terminals.

    As in `annotate`, the same call resumes an interrupted one.

    pipelines (Sequence[str]): Names or paths of the teachers.
    input_path (Path): Text, a folder of .txt files, or a file of documents.
    output_path (Path): Where to write the documents, a .spacy file.
    weights (Optional[Sequence[float]]): Weights of the teachers in the mean; None for equal ones.
    vote (bool): Keep the entities that more than half of the teachers find, by weight; other
        entities that a teacher finds become missing annotation. If false, the entities are those
        of the mean.
    keep_ents (bool): Keep the entities of the input, as gold annotation.
    source, column, batch_size, skip_broken, restart, notify: See `annotate`.
    RETURNS (LabelReport): The counts of what was read and what didn't fit, and the agreement of the
        teachers.
    RAISES (ValueError): For files and pipelines that can't be read, loaded or written, and for
        teachers that can't be averaged. OSError: If a pipeline doesn't exist.
    """
    check_input(input_path, or_folder=True)
    source = check_format(input_path, source)
    check_column(source, column)
    check_soft_output(output_path, input_path)
    if vote and keep_ents:
        raise UserError("Can't both vote on entities and keep those of the input: leave one out.")
    shares = _make_shares([1.0] * len(pipelines) if weights is None else weights, len(pipelines))
    school = make_school([load_teacher(name) for name in pipelines])
    _tell_partly_known(school, notify)
    labeling = Labeling(school, shares, vote, keep_ents)
    report = LabelReport(skip_broken=skip_broken)
    nlp, *others = [teacher.nlp for teacher in school.teachers]
    size = nlp.batch_size if batch_size is None else batch_size

    def label_batches() -> Generator[Iterable[Doc], None, None]:
        with Progress(input_path, source, report) as progress:
            docs = read_docs(progress.path, nlp, source, report, column=column, skip=report.n_read)
            for batch in take_batches([nlp, *others], progress.follow(docs), take_at_most(size)):
                yield report.count(label_docs(labeling, batch, size, report))
                progress.update()

    with closing(label_batches()) as batches:
        describe = partial(_describe, labeling, input_path, source, column)
        write_batches(
            batches,
            get_writer(output_path, "spacy"),
            input_path,
            output_path,
            report,
            describe,
            restart=restart,
            notify=notify,
        )
    return report


def _make_shares(weights: Sequence[float], n_teachers: int) -> Floats1d:
    """RETURNS (Floats1d): Weights that add up to 1, float64, (n_teachers,).
    RAISES (UserError): See `check_weights`.
    """
    check_weights(weights, n_teachers)
    shares = numpy.array(weights, dtype="float64")
    shares /= shares.max()  # the sum of large ones is infinite
    total: Floats1d = shares / shares.sum()
    return total


def _tell_partly_known(school: School, notify: Callable[[str], None]) -> None:
    for name, knowing in school.find_partly_known().items():
        notify(
            f"The label {name!r} is only known by {', '.join(knowing)}: only their probabilities "
            "of it are used."
        )


def _describe(
    labeling: Labeling, input_path: Path, source: str, column: Optional[str]
) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): Everything that the output depends on, see `annotate`."""
    pipelines = [teacher.nlp for teacher in labeling.school.teachers]
    paths = [nlp.path for nlp in pipelines]
    return {
        "spacy-bert-ner": __version__,
        "teachers": [str(path.resolve()) for path in paths],
        "the digests of their files": [digest_files(path) for path in paths],
        "the precision of their encoders": [get_precisions(nlp) for nlp in pipelines],
        **describe_input(input_path),
        "--weights": labeling.weights.tolist(),
        "--vote": labeling.vote,
        "--keep-ents": labeling.keep_ents,
        "--from": source,
        "--column": column,
    }
