"""What `init-config` has chosen, and the commands to run next."""

from pathlib import Path
from shlex import quote
from typing import Dict, Optional

from spacy.util import load_config_from_str

from ..findings import number


def get_choices(text: str, recipe: str) -> Dict[str, str]:
    """Read from a config what users most often want to check or change.

    text (str): The config.
    recipe (str): Name of its template.
    RETURNS (Dict[str, str]): Values by what they are, as text.
    """
    config = load_config_from_str(text, interpolate=True)
    training = config["training"]
    optimizer = training["optimizer"]
    rate = optimizer.get("learn_rate")
    factor = optimizer.get("head_factor", 1.0)
    if isinstance(rate, dict):
        rate = rate["initial_rate"]
    shown_rate = f"{rate:f}".rstrip("0")
    if factor != 1:
        shown_rate += f" (head: {factor:g} times as high)"
    n_steps = number(training["max_steps"], "step")
    n_docs = number(training["batcher"]["size"], "document")
    choices = {
        "Recipe": recipe,
        "Language": config["nlp"]["lang"],
        "Encoder": config.get("vars", {}).get("encoder"),
        "Learning rate": shown_rate,
        "Training": f"{n_steps} of {n_docs}",
    }
    return {name: value for name, value in choices.items() if value is not None}


def make_commands(
    path: Path, train: Optional[Path], dev: Optional[Path], *, gpu: bool = False
) -> Dict[str, str]:
    """Make the commands to run with a config.

    path (Path): The config.
    train, dev (Optional[Path]): The data set in the config, None if they aren't set. A file that
        isn't set gets the suffix of the one that is.
    gpu (bool): Whether to train on a GPU.
    RETURNS (Dict[str, str]): By what they do, the command that checks the data, and the one that
        trains.
    """
    unset = [split for split, data in (("train", train), ("dev", dev)) if data is None]
    suffix = next((data.suffix for data in (train, dev) if data and data.suffix), ".spacy")
    paths = "".join(f" --paths.{split} {split}{quote(suffix)}" for split in unset)
    config = f"{quote(str(path))}{paths}"
    return {
        "Check the data": f"python -m spacy bert-ner debug-data {config}",
        "Train": f"python -m spacy train {config} --output training{' --gpu-id 0' * gpu}",
    }
