from pathlib import Path

from typer import Argument, Option, echo

# fmt: off


def set_lang_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    output_path: Path = Argument(..., readable=False, help="Where to write the pipeline: a new folder"),
    lang: str = Option(..., "--lang", "-l", help="Code of the other language"),
    force: bool = Option(False, "--force", "-F", help="Replace a folder that isn't empty"),
) -> None:
    # fmt: on
    """
    Make a pipeline of another language, with the same weights: of one whose encoder reads both.

    The tokenizer is that of the other language; components and their settings stay as they are.
    Pipelines with components that depend on the language, such as a lemmatizer, are refused.
    """
    from ..commands.set_lang import set_lang
    from ..errors import wrap

    echo(wrap(set_lang(pipeline, output_path, lang, force=force)))
