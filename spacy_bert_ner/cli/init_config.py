from pathlib import Path
from typing import Any, Optional

from typer import Argument, Option, echo

# fmt: off


def init_config_cli(
    output_path: Path = Argument(..., readable=False, help="Where to write the config, or - for standard output"),
    lang: str = Option("en", "--lang", "-l", help="Code of the language"),
    encoder: Optional[str] = Option(None, "--encoder", "-e", metavar="NAME", help="A folder, an installed Python package that holds an encoder, or a name on the Hugging Face hub; without it, that of the template"),
    gpu: bool = Option(False, "--gpu/--cpu", "-G/-C", help="The machine to train on"),
    recipe: str = Option("bert_ner", "--recipe", "-r", metavar="NAME", help="The template: bert_ner, accurate (the same with what gains F1, and takes longer), crf, multitask (a tagger shares the encoder), zero_shot (for other languages than that of the data), student (learns from what label writes), cnn (without a transformer)"),
    distill: bool = Option(False, "--distill", help="Learn from what label writes as well, with the loss of the recipe inside spacy-bert-ner.Distillation.v1"),
    train: Optional[Path] = Option(None, "--train", "-t", readable=False, help="Training data in any format, written to [paths]; its size sets the number of steps"),
    dev: Optional[Path] = Option(None, "--dev", "-d", readable=False, help="Development data, written to [paths]"),
    force: bool = Option(False, "--force", "-F", help="Overwrite the output"),
) -> None:
    # fmt: on
    """
    Make a config for a language, an encoder and a machine, which spacy train runs as it is.

    The learning rate goes by the size of the encoder, the number of steps by that of the training
    data, if it is given. With --encoder, too, the encoder reads some of the data: where its vectors
    all point one way, the head gets a rate of its own. Comments in the file tell what to change.
    """
    from ..commands.init_config import init_config, make_train_command, write_config

    settings: Any = {"lang": lang, "encoder": encoder, "gpu": gpu, "recipe": recipe}
    settings["distill"] = distill
    if str(output_path) == "-":
        echo(init_config(train=train, dev=dev, **settings), nl=False)
        return
    write_config(output_path, train=train, dev=dev, force=force, **settings)
    echo(f"Wrote {output_path}. Train with:")
    echo(make_train_command(output_path, train, dev, gpu=gpu))
