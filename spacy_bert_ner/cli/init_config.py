from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

# fmt: off


def init_config_cli(
    output_path: Path = Argument(..., help="Where to write the config, or - for standard output", dir_okay=False, allow_dash=True),  # noqa: B008, E501
    lang: str = Option("en", "--lang", "-l", help="Code of the language"),
    encoder: Optional[str] = Option(None, "--encoder", "-e", metavar="NAME", help="A folder, an installed Python package that holds an encoder, or a name on the Hugging Face hub; without it, that of the template"),  # noqa: E501
    gpu: bool = Option(False, "--gpu/--cpu", "-G/-C", help="The machine to train on"),
    recipe: str = Option("bert_ner", "--recipe", "-r", metavar="NAME", help="The template: bert_ner, accurate (the same with what gains F1, and takes longer), crf, multitask (a tagger shares the encoder), cnn (without a transformer)"),  # noqa: E501
    train: Optional[Path] = Option(None, "--train", "-t", help="Training data in any format, written to [paths]; its size sets the number of steps", exists=True, dir_okay=False),  # noqa: B008, E501
    dev: Optional[Path] = Option(None, "--dev", "-d", help="Development data, written to [paths]", exists=True, dir_okay=False),  # noqa: B008, E501
    force: bool = Option(False, "--force", "-F", help="Overwrite the output"),
) -> None:
    # fmt: on
    """
    Make a config for a language, an encoder and a machine, which spacy train runs as it is.

    The learning rate goes by the size of the encoder, the number of steps by that of the training
    data, if it is given. Comments in the file tell what to change.
    """
    from shlex import quote

    from ..commands.init_config import init_config
    from ..errors import UserError
    from ..formats.output import check_target, replace_file

    is_stdout = str(output_path) == "-"
    if not is_stdout and output_path.exists() and not force:
        raise UserError(f"{output_path} exists already. Use --force to overwrite it.")
    name = "config.cfg" if is_stdout else str(output_path)
    if not is_stdout:
        check_target(output_path, [path for path in (train, dev) if path is not None])
    text = init_config(
        lang=lang, encoder=encoder, gpu=gpu, recipe=recipe, train=train, dev=dev, name=name
    )
    if is_stdout:
        echo(text, nl=False)
        return
    with replace_file(output_path) as file:
        file.write(text.encode("utf-8"))
    command = ["python -m spacy train", quote(str(output_path))]
    for split, path in (("train", train), ("dev", dev)):
        if path is None:
            command.append(f"--paths.{split} {split}.spacy")
    command.append("--output training" + " --gpu-id 0" * gpu)
    echo(f"Wrote {output_path}. Train with:")
    echo(" ".join(command))
