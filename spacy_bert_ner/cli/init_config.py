from pathlib import Path
from typing import Any, Optional

from typer import Argument, Option, echo

# fmt: off


def init_config_cli(
    output_path: Path = Argument(..., readable=False, help="Output file for the config, or - for standard output"),
    lang: str = Option("en", "--lang", "-l", help="Language code"),
    encoder: Optional[str] = Option(None, "--encoder", "-e", metavar="NAME", help="A folder, an installed Python package that contains an encoder, or a name on the Hugging Face hub; default: the template's encoder"),
    gpu: bool = Option(False, "--gpu/--cpu", "-G/-C", help="Train on a GPU or on the CPU"),
    recipe: str = Option("accurate", "--recipe", "-r", metavar="NAME", help="Template: accurate (the highest F1), bert_ner (plain, as Hugging Face trains), crf, multitask (a tagger shares the encoder), zero_shot (for other languages than the data's), student (learns from the output of label), cnn (without a transformer)"),
    distill: bool = Option(False, "--distill", help="Also learn from the output of label, with the recipe's loss inside spacy-bert-ner.Distillation.v1"),
    train: Optional[Path] = Option(None, "--train", "-t", readable=False, help="Training data in any format, a file or a folder, written to the config's paths block; its size sets the number of steps"),
    dev: Optional[Path] = Option(None, "--dev", "-d", readable=False, help="Development data, a file or a folder, written to the config's paths block"),
    force: bool = Option(False, "--force", "-F", help="Overwrite the output"),
) -> None:
    # fmt: on
    """
    Make a config for a language, an encoder and a machine, ready for spacy
    train.

    The learning rate depends on the size of the encoder, the number of steps on
    the size of the training data, if given. With --encoder and --train, the
    encoder also reads some of the data: if its vectors are nearly parallel, the
    head gets its own learning rate. Comments in the file show what to change.
    """
    from ..commands.init_config import init_config, write_config
    from ..commands.next_steps import get_choices, make_commands

    settings: Any = {"lang": lang, "encoder": encoder, "gpu": gpu, "recipe": recipe}
    settings["distill"] = distill
    if str(output_path) == "-":
        echo(init_config(train=train, dev=dev, **settings), nl=False)
        return
    text = write_config(output_path, train=train, dev=dev, force=force, **settings)
    echo(f"Wrote {output_path}:")
    for name, value in get_choices(text, recipe).items():
        echo(f"  {name}: {value}")
    for purpose, command in make_commands(output_path, train, dev, gpu=gpu).items():
        echo(f"{purpose}:\n  {command}")
