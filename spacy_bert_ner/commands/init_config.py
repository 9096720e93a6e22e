"""A config to start from: a template that ships with the package, set for a language, an encoder,
a machine, and the data to train on."""

import re
from pathlib import Path
from shlex import quote
from typing import Any, List, Optional

import spacy
import srsly
from spacy.util import load_config_from_str
from thinc.api import Config

from ..errors import UserError, warn
from ..formats.output import check_target, replace_file
from ..pipeline.lang import check_lang
from .checks import check_input, iter_settings
from .plan import FINE_TUNING, FROM_NOTHING, plan_training
from .similarity import HEAD_FACTOR, LAYERED_ADAM, ONE_WAY, measure_similarity

PACKAGE = Path(__file__).parents[1]
# A wheel has configs/ in the package, a checkout next to it: setup.cfg maps the one to the other.
TEMPLATES = next(
    folder for folder in (PACKAGE / "configs", PACKAGE.parent / "configs") if folder.is_dir()
)
# Learning rates for encoders up to a width, the last for all that are wider. Small ones have
# 256 or 384, BERT-base and its like 768, large ones 1024.
LEARN_RATES = {767: 0.0002, 1023: 0.00005}
LARGE_LEARN_RATE = 0.00002
UNKNOWN_LEARN_RATE = 0.00005
# What a GPU does at once: more wordpieces.
GPU_SETTINGS = {"batch_pieces": 16384}
# The recipe that learns from soft labels, and the head of the block that says so.
STUDENT, LOSS = "student", "[components.bert_ner.loss]"
ENCODERS = ("spacy-bert-ner.TransformerModel.v1", "spacy-bert-ner.Tok2VecTransformer.v1")


def init_config(
    *,
    lang: str = "en",
    encoder: Optional[str] = None,
    gpu: bool = False,
    recipe: str = "bert_ner",
    distill: bool = False,
    train: Optional[Path] = None,
    dev: Optional[Path] = None,
    name: str = "config.cfg",
) -> str:
    """Make a config that `spacy train` runs as it is. If the width of the encoder can't be found
    out, that is logged, and the learning rate is that of BERT-base.

    lang (str): Code of the language.
    encoder (Optional[str]): A folder, an installed Python package that holds an encoder, or a name
        on the Hugging Face hub; None for that of the template. For a recipe without a transformer,
        the registered name of a token-to-vector architecture.
    gpu (bool): Whether to train on a GPU.
    recipe (str): Name of a template.
    distill (bool): Learn from soft labels as well: the loss of the recipe becomes that of tags in
        `spacy-bert-ner.Distillation.v1`.
    train (Optional[Path]): A file of training data in any of the formats. It is read once, for the
        number of steps and the size of a batch. If an encoder is given too, it reads the first
        texts: where its vectors all point one way, the head gets a rate of its own.
    dev (Optional[Path]): A file of development data.
    name (str): The file's name, for its head to show.
    RETURNS (str): The config, with the comments of the template.
    RAISES (UserError): For a language, a recipe, an encoder or an architecture that doesn't exist,
        and for data that can't be read.
    """
    for data in (train, dev):
        if data is not None:
            check_input(data)
    text = get_template(recipe).replace(f"configs/{recipe}.cfg", name)
    if distill:
        text = _put_distillation(text, recipe)
    text = _set(text, "nlp", "lang", check_lang(lang))
    if encoder is not None:
        text = _set(text, "vars", "encoder", encoder)
    config = load_config_from_str(text)
    blocks = [
        name.removesuffix(".@architectures")
        for name, value in iter_settings(config)
        if name.endswith(".@architectures") and value in ENCODERS
    ]
    if encoder is not None and not blocks:
        _check_architecture(config, recipe, encoder)
    schedule = config["training"]["optimizer"].get("learn_rate")
    if encoder is not None and blocks and isinstance(schedule, dict):
        rate = get_learn_rate(encoder)
        text = _set(text, "training.optimizer.learn_rate", "initial_rate", rate)
    for path in blocks if gpu else ():
        for key, value in GPU_SETTINGS.items():
            text = _set(text, path, key, value)
    for key, data in (("train", train), ("dev", dev)):
        if data is not None:
            text = _set(text, "paths", key, str(data))
    if train is not None and encoder is not None and blocks:
        similarity = measure_similarity(encoder, train, lang)
        if similarity is not None and similarity > ONE_WAY:
            text = _set_head_factor(text)
    if train is not None:
        plan = plan_training(train, lang, FINE_TUNING if blocks else FROM_NOTHING)
        text = _set(text, "training.batcher", "size", plan.batch_size)
        text = _set(text, "training", "max_steps", plan.max_steps)
        text = _set(text, "training", "eval_frequency", plan.eval_frequency)
        if isinstance(schedule, dict):
            text = _set(text, "training.optimizer.learn_rate", "warmup_steps", plan.warmup_steps)
    return text


def write_config(
    path: Path,
    *,
    train: Optional[Path] = None,
    dev: Optional[Path] = None,
    force: bool = False,
    **settings: Any,
) -> None:
    """Write what `init_config` makes.

    path (Path): The file.
    train, dev (Optional[Path]): Files of data.
    force (bool): Whether to replace an existing file.
    settings (Any): Others of `init_config`.
    RAISES (UserError): For a file that exists or can't be written, and see `init_config`.
    """
    if path.exists() and not force:
        raise UserError(f"{path} exists already. Use --force to overwrite it.")
    check_target(path, [data for data in (train, dev) if data is not None])
    text = init_config(train=train, dev=dev, name=str(path), **settings)
    with replace_file(path) as file:
        file.write(text.encode("utf-8"))


def make_train_command(
    path: Path, train: Optional[Path], dev: Optional[Path], *, gpu: bool = False
) -> str:
    """RETURNS (str): What to run to train with a config.

    path (Path): The config.
    train, dev (Optional[Path]): The files of data that it names, None for none.
    gpu (bool): Whether to train on a GPU.
    """
    command = ["python -m spacy train", quote(str(path))]
    for split, data in (("train", train), ("dev", dev)):
        if data is None:
            command.append(f"--paths.{split} {split}.spacy")
    command.append("--output training" + " --gpu-id 0" * gpu)
    return " ".join(command)


def _put_distillation(text: str, recipe: str) -> str:
    """Put the loss of soft labels, as the template of students has it, around that of a recipe."""
    if recipe == STUDENT:
        raise UserError(
            f"The recipe '{STUDENT}' learns from soft labels as it is. Leave out --distill, or "
            "take another recipe."
        )
    outer = _find_loss(get_template(STUDENT))
    # Its own loss of tags is null, in a line with a comment above.
    lines = re.sub(r"(#.*\n)?loss = null\n", "", outer)
    inner = _find_loss(text)
    return text.replace(inner, f"{lines}\n{inner.replace(LOSS, f'{LOSS[:-1]}.loss]', 1)}")


def _find_loss(text: str) -> str:
    """RETURNS (str): The block of the loss."""
    start = text.index(LOSS)
    return text[start : text.index("\n[", start)]


def _set_head_factor(text: str) -> str:
    """Give the head a rate of its own, as encoders need whose vectors all point one way."""
    pattern = r'^@optimizers = "(Adam\.v1|spacy-bert-ner\.LayeredAdam\.v1)"$'
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        return text  # a recipe with another optimizer has its own rates
    if found[1] == "Adam.v1":
        settings = f'@optimizers = "{LAYERED_ADAM}"\nhead_factor = 1.0\nlayer_decay = 1.0'
        text = re.sub(pattern, settings, text, flags=re.MULTILINE)
    text = _set(text, "training.optimizer", "head_factor", HEAD_FACTOR)
    comment = "# The vectors of this encoder all point one way: a new head needs a higher rate.\n"
    return text.replace("\nhead_factor =", f"\n{comment}head_factor =")


def _check_architecture(config: Config, recipe: str, name: str) -> None:
    """RAISES (ValueError): For what can't be the architecture of a recipe without a transformer."""
    way_out = "Leave the encoder out, or use another recipe."
    if not spacy.registry.has("architectures", name):
        raise UserError(
            f"The recipe '{recipe}' has no transformer, and '{name}' is no registered name of a "
            f"token-to-vector architecture. {way_out}"
        )
    block = config.interpolate()["components"]["bert_ner"]["model"]
    try:
        spacy.registry.resolve({"model": block})
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"'{name}' can't be the encoder of the recipe '{recipe}', as it doesn't take the "
            f"settings there: {reason}. {way_out}"
        ) from error


def get_recipes() -> List[str]:
    """RETURNS (List[str]): The names of the templates."""
    return sorted(path.stem for path in TEMPLATES.glob("*.cfg"))


def get_template(recipe: str) -> str:
    """RETURNS (str): The template of that name.

    recipe (str): The name.
    RAISES (UserError): If there is none.
    """
    if recipe not in get_recipes():
        raise UserError(f"There is no recipe '{recipe}': use one of {', '.join(get_recipes())}.")
    return (TEMPLATES / f"{recipe}.cfg").read_text(encoding="utf-8")


def get_learn_rate(encoder: str) -> float:
    """Choose a learning rate by the width of an encoder. If it can't be found, that is logged.

    encoder (str): See `init_config`.
    RETURNS (float): The rate to begin with; that of BERT-base for an unknown width.
    RAISES (UserError): If there is no such encoder, or none that transformers knows.
    """
    width = _find_width(encoder)
    if width is None:
        return UNKNOWN_LEARN_RATE
    return next((rate for most, rate in LEARN_RATES.items() if width <= most), LARGE_LEARN_RATE)


def _find_width(encoder: str) -> Optional[int]:
    """The width that the encoder's config.json states. None, which is logged, without one.

    RAISES (ValueError): If there is no such encoder, or none that transformers knows.
    """
    from ..model.encoder.huggingface import find_pretrained
    from ..model.encoder.lookup import check_pretrained
    from ..model.encoder.pretrained import read_config

    source = find_pretrained(encoder)
    check_pretrained(encoder, source)
    try:
        config = read_config(source)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"Can't read the config of the encoder '{encoder}': {reason}") from error
    width = getattr(config, "hidden_size", None)
    if width is None:
        rates = UNKNOWN_LEARN_RATE, LEARN_RATES[767], LARGE_LEARN_RATE
        default, small, large = map(_dump, rates)
        warn(
            f"The config of the encoder '{encoder}' doesn't state its width, so the learning rate "
            f"is that of BERT-base, {default}. Set initial_rate in "
            f"[training.optimizer.learn_rate] to {small} for a small encoder, to {large} for a "
            "large one."
        )
    return width


def _set(text: str, section: str, key: str, value: Any) -> str:
    """Set a value of a config and leave everything else as it is."""
    line = f"{key} = {_dump(value)}"
    head = rf"^\[{re.escape(section)}\]\n(?:(?!\[).*\n)*?"
    pattern = re.compile(rf"({head}){re.escape(key)} = .*$", re.MULTILINE)
    text, n = pattern.subn(lambda match: match[1] + line, text)
    if n != 1:
        raise UserError(
            f"The template should have one line '{key} = …' in [{section}], and has {n}: install "
            "the package again."
        )
    return text


def _dump(value: Any) -> str:
    """As JSON, but for floats, which it would write as 5e-05."""
    if not isinstance(value, float):
        return srsly.json_dumps(value)
    text = f"{value:f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text
