from pathlib import Path

from typer import Argument, BadParameter, Option, echo

# fmt: off


def convert_cli(
    input_path: Path = Argument(..., help="File with one token a line (CoNLL, IOB2, BILUO, Universal NER)", exists=True, dir_okay=False),  # noqa: B008, E501
    output_path: Path = Argument(..., help="Where to write the documents (.spacy)"),  # noqa: B008
    lang: str = Option("xx", "--lang", "-l", help="Code of the language"),
) -> None:
    # fmt: on
    """
    Convert token-per-line files to spaCy's binary format.

    The tag stands in the last column, or, in files with a numbered first column (Universal NER),
    behind the token. Documents begin at lines -DOCSTART- or "# newdoc"; in a file that has none,
    every sentence is a document. Tags may be IOB1, IOB2 or BILUO (IOBES).
    """
    from ..conll import read_conll

    if output_path.suffix != ".spacy":
        raise BadParameter(f"Can't write {output_path}: give it a name that ends in .spacy.")
    import spacy
    from spacy.tokens import DocBin

    try:
        docs = list(read_conll(input_path, spacy.blank(lang).vocab))
    except (ImportError, ValueError) as error:  # spaCy's for an unknown language
        raise BadParameter(str(error)) from error
    output_path.parent.mkdir(parents=True, exist_ok=True)
    DocBin(docs=docs, store_user_data=True).to_disk(output_path)
    n_tokens = sum(len(doc) for doc in docs)
    n_ents = sum(len(doc.ents) for doc in docs)
    echo(f"{output_path}: {len(docs)} documents, {n_tokens} tokens, {n_ents} entities")
