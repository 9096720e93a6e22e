from pathlib import Path

from typer import Argument, Option, echo

# fmt: off


def set_lang_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    output_path: Path = Argument(..., help="Where to write the pipeline: a new folder"),  # noqa: B008
    lang: str = Option(..., "--lang", "-l", help="Code of the other language"),
    force: bool = Option(False, "--force", "-F", help="Replace a folder that isn't empty"),
) -> None:
    # fmt: on
    """
    Make a pipeline of another language, with the same weights: of one whose encoder reads both.

    The tokenizer is that of the other language; components and their settings stay as they are.
    Pipelines with components that depend on the language, such as a lemmatizer, are refused.
    """
    from ..commands.pipelines import load_pipeline
    from ..commands.set_lang import set_lang
    from ..errors import wrap
    from ..hf.folders import check_output, write_folder

    check_output(output_path, force, pipeline)
    source = load_pipeline(pipeline)
    nlp = set_lang(source, lang)
    with write_folder(output_path, force=force) as folder:
        nlp.to_disk(folder)
    echo(wrap(f"Wrote {output_path}: '{source.lang}' is now '{nlp.lang}'."))
