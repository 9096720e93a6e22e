"""Make a config from a template of the package, for a language, an encoder, a machine, and training
data."""

import re
from pathlib import Path
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
# In a wheel, configs/ is in the package, in a checkout in its parent folder: see setup.cfg.
TEMPLATES = next(
    folder for folder in (PACKAGE / "configs", PACKAGE.parent / "configs") if folder.is_dir()
)
# Learning rates for encoders up to a width, the last one for all wider ones. Small encoders have a
# width of 256 or 384, BERT-base and similar ones 768, large ones 1024.
LEARN_RATES = {767: 0.0002, 1023: 0.00005}
LARGE_LEARN_RATE = 0.00002
UNKNOWN_LEARN_RATE = 0.00005
# Documents that a component gets at once in prediction on a GPU: enough to fill a micro-batch.
GPU_BATCH_SIZE = 512
# The recipe that learns from soft labels, and the header of the block that sets it.
STUDENT, LOSS = "student", "[components.bert_ner.loss]"
ENCODERS = ("spacy-bert-ner.TransformerModel.v1", "spacy-bert-ner.Tok2VecTransformer.v1")


def init_config(
    *,
    lang: str = "en",
    encoder: Optional[str] = None,
    gpu: bool = False,
    recipe: str = "accurate",
    distill: bool = False,
    train: Optional[Path] = None,
    dev: Optional[Path] = None,
    name: str = "config.cfg",
) -> str:
    """Make a config that is ready for `spacy train`. If the width of the encoder is unknown, this
    is logged, and the learning rate is that of BERT-base.

    lang (str): Language code.
    encoder (Optional[str]): A folder, an installed Python package that contains an encoder, or a
        name on the Hugging Face hub; None for the template's. For a recipe without a transformer,
        the registered name of a token-to-vector architecture.
    gpu (bool): Whether to train on a GPU.
    recipe (str): Name of a template.
    distill (bool): Also learn from soft labels: the loss of the recipe becomes the loss of tags in
        `spacy-bert-ner.Distillation.v1`.
    train (Optional[Path]): A file of training data in any of the formats, or a folder of such
        files. It is read once, to set the number of steps and the batch size. If an encoder is also
        given, it reads the first texts: if its vectors are nearly parallel, the head gets its own
        learning rate.
    dev (Optional[Path]): A file or folder of development data.
    name (str): Name of the file, for the comment at its beginning.
    RETURNS (str): The config, with the comments of the template.
    RAISES (UserError): For a language, a recipe, an encoder or an architecture that doesn't exist,
        and for data that can't be read.
    """
    for data in (train, dev):
        if data is not None:
            check_input(data, or_folder=True)
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
    if gpu and blocks:
        text = _set(text, "nlp", "batch_size", GPU_BATCH_SIZE)
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
) -> str:
    """Write the config that `init_config` makes.

    path (Path): The file.
    train, dev (Optional[Path]): Files or folders of data.
    force (bool): Whether to replace an existing file.
    settings (Any): Other settings of `init_config`.
    RETURNS (str): The config.
    RAISES (UserError): For a file that exists or can't be written, and see `init_config`.
    """
    if path.exists() and not force:
        raise UserError(f"{path} already exists. Use --force to overwrite it.")
    check_target(path, [data for data in (train, dev) if data is not None])
    text = init_config(train=train, dev=dev, name=str(path), **settings)
    with replace_file(path) as file:
        file.write(text.encode("utf-8"))
    return text


def _put_distillation(text: str, recipe: str) -> str:
    """Wrap the loss of a recipe in the loss of soft labels from the student template."""
    if recipe == STUDENT:
        raise UserError(
            f"The recipe '{STUDENT}' already learns from soft labels. Leave out --distill, or "
            "use another recipe."
        )
    outer = _find_loss(get_template(STUDENT))
    # The template's loss of tags is null, in a line after a comment.
    lines = re.sub(r"(#.*\n)?loss = null\n", "", outer)
    inner = _find_loss(text)
    return text.replace(inner, f"{lines}\n{inner.replace(LOSS, f'{LOSS[:-1]}.loss]', 1)}")


def _find_loss(text: str) -> str:
    """RETURNS (str): The block of the loss."""
    start = text.index(LOSS)
    return text[start : text.index("\n[", start)]


def _set_head_factor(text: str) -> str:
    """Set a learning rate for the head, for encoders whose vectors are nearly parallel."""
    pattern = r'^@optimizers = "(Adam\.v1|spacy-bert-ner\.LayeredAdam\.v1)"$'
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        return text  # a recipe with another optimizer has its own learning rates
    if found[1] == "Adam.v1":
        settings = f'@optimizers = "{LAYERED_ADAM}"\nhead_factor = 1.0\nlayer_decay = 1.0'
        text = re.sub(pattern, settings, text, flags=re.MULTILINE)
    text = _set(text, "training.optimizer", "head_factor", HEAD_FACTOR)
    comment = "# The vectors of this encoder are nearly parallel, so a new head learns slowly.\n"
    return text.replace("\nhead_factor =", f"\n{comment}head_factor =")


def _check_architecture(config: Config, recipe: str, name: str) -> None:
    """RAISES (ValueError): For a name that can't be the architecture of a recipe without a
    transformer."""
    way_out = "Leave the encoder out, or use another recipe."
    if not spacy.registry.has("architectures", name):
        raise UserError(
            f"The recipe '{recipe}' has no transformer, and '{name}' isn't a registered name of a "
            f"token-to-vector architecture. {way_out}"
        )
    block = config.interpolate()["components"]["bert_ner"]["model"]
    try:
        spacy.registry.resolve({"model": block})
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"'{name}' can't be the encoder of the recipe '{recipe}', because it doesn't accept "
            f"its settings: {reason}. {way_out}"
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
    """Choose a learning rate by the width of an encoder. An unknown width is logged.

    encoder (str): See `init_config`.
    RETURNS (float): The initial learning rate; that of BERT-base for an unknown width.
    RAISES (UserError): If there is no such encoder, or transformers doesn't support it.
    """
    width = _find_width(encoder)
    if width is None:
        return UNKNOWN_LEARN_RATE
    return next((rate for most, rate in LEARN_RATES.items() if width <= most), LARGE_LEARN_RATE)


def _find_width(encoder: str) -> Optional[int]:
    """The width in the encoder's config.json. None if there is none, which is logged.

    RAISES (ValueError): If there is no such encoder, or transformers doesn't support it.
    """
    from ..model.encoder.lookup import check_pretrained, find_pretrained
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
            f"The config of the encoder '{encoder}' has no width, so the learning rate is that of "
            f"BERT-base, {default}. Set initial_rate in [training.optimizer.learn_rate] to "
            f"{small} for a small encoder, or to {large} for a large one."
        )
    return width


def _set(text: str, section: str, key: str, value: Any) -> str:
    """Set a value of a config, and keep everything else."""
    line = f"{key} = {_dump(value)}"
    head = rf"^\[{re.escape(section)}\]\n(?:(?!\[).*\n)*?"
    pattern = re.compile(rf"({head}){re.escape(key)} = .*$", re.MULTILINE)
    text, n = pattern.subn(lambda match: match[1] + line, text)
    if n != 1:
        raise UserError(
            f"The template should have one line '{key} = …' in [{section}], but has {n}: install "
            "the package again."
        )
    return text


def _dump(value: Any) -> str:
    """Write a value as JSON, but floats without exponents (not as 5e-05)."""
    if not isinstance(value, float):
        return srsly.json_dumps(value)
    text = f"{value:f}".rstrip("0")
    return f"{text}0" if text.endswith(".") else text
