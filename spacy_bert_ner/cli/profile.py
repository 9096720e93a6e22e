from itertools import islice
from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from .convert import FORMATS, READ_ONLY

# fmt: off


def profile_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    input_path: Path = Argument(..., help="Text, or a file of documents", exists=True, dir_okay=False),  # noqa: B008, E501
    source: Optional[str] = Option(None, "--from", metavar="NAME", help=f"Format of the input, if its name doesn't tell: {FORMATS}, {READ_ONLY}"),  # noqa: E501
    batch_size: Optional[int] = Option(None, "--batch-size", "-n", min=1, help="Documents read at once, else as the pipeline says"),  # noqa: E501
    limit: int = Option(1000, "--limit", "-l", min=1, help="Documents read at most"),
) -> None:
    # fmt: on
    """
    Show where the time of a pipeline goes, and which settings cost some.

    Reads the texts of a file as nlp.pipe does: time by component, and in the encoder and in
    bert_ner by what they do.
    """
    from ..commands.pipelines import explain_no_ents, explain_pipeline, load_pipeline
    from ..commands.profile import format_profile, profile
    from ..errors import UserError, wrap
    from ..formats import read_docs

    nlp = load_pipeline(pipeline)
    texts = [doc.text for doc in islice(read_docs(input_path, nlp, source), limit)]
    first = next((text.strip() for text in texts if text.strip()), None)
    if first is None:
        raise UserError(f"{input_path} has no text to read: name a file that has.")
    no_ents = explain_no_ents(nlp, pipeline)
    if no_ents is not None:
        echo(wrap(f"Warning: {no_ents}"), err=True)
    with explain_pipeline(pipeline):
        nlp(first[:1000])
        result = profile(nlp, texts, batch_size=batch_size or nlp.batch_size)
    echo(wrap(format_profile(result)))
