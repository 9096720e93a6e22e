from pathlib import Path

from typer import Argument, Option, echo

# fmt: off


def set_lang_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    output_path: Path = Argument(..., readable=False, help="Output folder for the pipeline"),
    lang: str = Option(..., "--lang", "-l", help="Code of the new language"),
    force: bool = Option(False, "--force", "-F", help="Replace a folder that isn't empty"),
) -> None:
    # fmt: on
    """
    Make a pipeline for another language with the same weights, if the encoder
    knows both languages.

    The tokenizer becomes that of the other language; components and their
    settings stay the same. Pipelines with components that depend on the
    language, such as a lemmatizer, are refused.
    """
    from ..commands.set_lang import set_lang
    from ..errors import wrap

    echo(wrap(set_lang(pipeline, output_path, lang, force=force)))
