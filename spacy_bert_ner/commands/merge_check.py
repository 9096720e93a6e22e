"""Check that the outputs of shards contain each record of the input once."""

from itertools import zip_longest
from pathlib import Path
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

from spacy.language import Language
from spacy.tokens import Doc

from ..errors import UserError
from ..findings import number, show
from ..formats import FORMATS, Report, check_format, conll, read_docs
from ..formats.arrow_rows import to_id
from ..formats.files import get_fields
from ..formats.folders import list_files
from ..formats.output import get_part
from ..zones import take_at_most, take_batches
from .checks import check_input
from .pipelines import load_pipeline
from .shards import Share, check_outputs, find_n_shards, is_pattern, plan_shares

# Formats that keep the id of a record, and documents without text.
EXACT = ("spacy", "jsonl", "doccano", "label-studio", "parquet")
TOKEN_PER_LINE = ("conll", "biluo")
# Documents compared at once.
BATCH = 256


class Key(NamedTuple):
    """What is compared of a document.

    id (Any): The id of its record; None if it has none, or the format of the output can't keep it.
    text (str): Its text without white space.
    """

    id: Any
    text: str


class Merged(NamedTuple):
    """What was compared.

    problems (List[str]): A line for each output that isn't complete or doesn't belong to the input.
    n_outputs, n_docs, n_broken (int): Number of outputs, of documents in them, and of records of
        the input that can't be read.
    """

    problems: List[str]
    n_outputs: int
    n_docs: int
    n_broken: int


def check_merged(
    pipeline: str,
    input_path: Path,
    folder: Optional[Path],
    *,
    source: Optional[str] = None,
    target: Optional[str] = None,
    column: Optional[str] = None,
) -> Merged:
    """Check that the outputs of `annotate` in a folder have all documents of the input, each once
    and in order. Both are read in parallel, so memory doesn't grow with them.

    pipeline (str): Name or path of the pipeline that annotated, whose tokenizer reads the texts.
    input_path (Path): The input: a file, a folder or a pattern of names.
    folder (Optional[Path]): The folder of the outputs.
    source, target, column (Optional[str]): See `annotate`.
    RETURNS (Merged): The problems, and counts.
    RAISES (UserError): If the input or the folder can't be read, and for outputs in a format that
        can't be read.
    """
    if not is_pattern(input_path):
        check_input(input_path, or_folder=True)
    suffix = check_outputs(folder, target)
    assert folder is not None and target is not None
    if FORMATS[target].reader is None:
        raise UserError(f"Can't check {folder}: the format '{target}' can only be written.")
    check_input(folder, or_folder=True)
    n_shards, present = 1, list_files(folder, [suffix])
    if not is_pattern(input_path) and not input_path.is_dir():
        n_shards, present = find_n_shards(input_path, folder, suffix)
    shares = plan_shares(input_path, folder, source, target, n_shards)
    others = sorted(set(present) - {share.output for share in shares})
    problems = [f"{path} isn't an output of this input: move or delete it." for path in others]
    nlp = load_pipeline(pipeline)
    report, written = Report(skip_broken=True), Report()
    for share in shares:
        problem = _explain_missing(share.output)
        if problem is None:
            options = (source, target, column)
            problem = _compare(nlp, share, options, report, written)
        if problem is not None:
            problems.append(problem)
    return Merged(problems, len(shares), written.n_docs, report.n_broken)


def _explain_missing(output: Path) -> Optional[str]:
    if output.exists():
        return None
    part = get_part(output)
    if part.exists():
        return f"{output} is missing: it isn't complete, see {part}. Run its shard again."
    return f"{output} is missing. Run its shard."


def _compare(
    nlp: Language,
    share: Share,
    options: Tuple[Optional[str], str, Optional[str]],
    report: Report,
    written: Report,
) -> Optional[str]:
    """RETURNS (Optional[str]): The first difference between an output and its input, if any."""
    path, output, shard = share
    source, target, column = options
    own = Report(skip_broken=True)
    try:
        source = check_format(path, source)
        docs = read_docs(path, nlp, source, own, column=column, shard=shard)
        expected = _make_keys(own.count(docs), target)
        found = _make_keys(written.count(read_docs(output, nlp, target)), target)
        pairs: Any = zip_longest(expected, found)
        batches: Any = take_batches([nlp], pairs, take_at_most(BATCH))
        at = 0
        for batch in batches:
            for wanted, key in batch:
                at += 1
                if wanted != key:
                    return (
                        f"{output} differs from its input {path}: its document {at} must be "
                        f"{_show(wanted)}, but is {_show(key)}. Delete it, and run its shard again."
                    )
    except UserError as error:
        return str(error)
    finally:
        report.merge(own)
    return None


def _make_keys(docs: Iterator[Doc], target: str) -> Iterator[Key]:
    """YIELDS (Key): What a format keeps of each document, as far as it keeps the document."""
    for doc in docs:
        if target in EXACT:
            number = get_fields(doc).get("id")
            number = to_id(number) if target == "parquet" else number
            yield Key(number, "".join(doc.text.split()))
            continue
        text = doc.text
        if target in TOKEN_PER_LINE:
            text = " ".join(token.text for token in doc if conll.is_writable(token, Report()))
        if text.strip():
            yield Key(None, "".join(text.split()))


def _show(key: Optional[Key]) -> str:
    if key is None:
        return "none"
    return show(key.text) if key.id is None else f"that with the id {show(str(key.id))}"


def describe_merged(merged: Merged) -> str:
    """RETURNS (str): What was compared, in one line.

    merged (Merged): The result.
    """
    broken = f"; {number(merged.n_broken, 'record')} can't be read" if merged.n_broken else ""
    return (
        f"{number(merged.n_outputs, 'output')} with {number(merged.n_docs, 'document')}: all "
        f"documents of the input, each once{broken}."
    )
