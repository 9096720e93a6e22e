from pathlib import Path
from typing import Optional

from typer import Argument, BadParameter, Option, echo

from .convert import FORMATS

# fmt: off


def profile_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    input_path: Path = Argument(..., help="Text, or a file of documents", exists=True, dir_okay=False),  # noqa: B008, E501
    source: Optional[str] = Option(None, "--from", metavar="NAME", help=f"Format of the input, if its name doesn't tell: {FORMATS}"),  # noqa: E501
    batch_size: Optional[int] = Option(None, "--batch-size", "-n", min=1, help="Documents read at once, else as the pipeline says"),  # noqa: E501
    limit: int = Option(1000, "--limit", "-l", min=1, help="Documents read at most"),
) -> None:
    # fmt: on
    """
    Show where the time of a pipeline goes, and which settings cost some.

    Reads the texts of a file as nlp.pipe does: time by component, and in the encoder and in
    bert_ner by what they do.
    """
    import spacy

    from ..formats import FormatError, read_docs
    from ..profile import format_profile, profile

    try:
        nlp = spacy.load(pipeline)
        texts = [doc.text for doc in read_docs(input_path, nlp, source)][:limit]
    except (FormatError, OSError) as error:
        raise BadParameter(str(error)) from error
    if not any(text.strip() for text in texts):
        raise BadParameter(f"{input_path} has no text to read: name a file that has.")
    nlp(texts[0][:1000])
    echo(format_profile(profile(nlp, texts, batch_size=batch_size or nlp.batch_size)))
