"""Private names of other packages: which ones are used, where, and that they are what they were."""

import ast
from pathlib import Path

import pytest
import spacy.cli._util
import torch
from spacy.pipeline.tok2vec import Tok2VecListener
from spacy_transformers.layers import TransformerListener
from thinc.api import PyTorchWrapper
from transformers import BertConfig

import spacy_bert_ner
from spacy_bert_ner.model.encoder import precision
from spacy_bert_ner.model.encoder.pretrained import get_attention
from spacy_bert_ner.pipeline.encoders import iter_encoders
from spacy_bert_ner.pipeline.listener_kinds import KINDS, tells_received, wrap_callback

PACKAGE = Path(spacy_bert_ner.__file__).parent
# By module: what it takes from inside of other packages. Each has a test below, and where it is
# used, what is done without it.
PRIVATE = {
    "cli/_util.py": {"spacy.cli._util"},
    "cli/debug_data.py": {"spacy.cli._util"},
    "commands/jobs.py": {"_inheriting"},  # tests/commands/test_jobs.py
    # tests/hf/test_push.py
    "hf/hub.py": {"_GLOBAL_BACKEND_FACTORY", "_GLOBAL_CLIENT_FACTORY", "_http"},
    # Of tensors, in torch's notes on autograd; tests/model/encoder/test_halving.py
    "model/encoder/backward.py": {"_version"},
    "model/encoder/precision.py": {"_linear_pointwise"},
    "model/shims.py": {"_model"},
}
# Attributes that we set, on objects of other packages' classes: of these, only `self` may have it.
INHERITED = {"_model"}
# Of NamedTuple, which documents them, and of Prodigy's records.
DOCUMENTED = {"_asdict", "_replace", "_view_id"}


def is_private(name):
    return name.startswith("_") and not name.startswith("__") and name != "_"


def get_own(tree):
    """Names of attributes and methods that a module defines."""
    own = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            own.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own.add(node.attr)
        elif isinstance(node, ast.AnnAssign):
            own.add(ast.unparse(node.target))
    return own - INHERITED


def get_used(tree):
    """YIELDS (str): Private names that a module asks of something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and not node.level:
            if any(is_private(part) for part in node.module.split(".")):
                yield node.module
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("attr"):
            yield from (value.value for value in node.args if isinstance(value, ast.Constant))


def test_private_names_are_used_in_one_place_each():
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    known = DOCUMENTED.union(*map(get_own, trees.values()))
    found = {}
    for path, tree in trees.items():
        for name in get_used(tree):
            name = str(name)
            if "._" in name or (is_private(name) and name not in known):
                found.setdefault(path.relative_to(PACKAGE).as_posix(), set()).add(name)
    assert found == PRIVATE


@pytest.mark.parametrize(
    "name,make",
    [
        ("transformer-listener", lambda: TransformerListener("*")),
        ("tok2vec-listener", lambda: Tok2VecListener("*", width=2)),
    ],
)
def test_listeners(name, make):
    listener = make()
    assert listener.name == name
    listener.receive(1, ["output"], lambda gradient: ["callback", gradient])
    assert tells_received(listener), f"{type(listener)} changed: it has no `_outputs`"
    assert KINDS[name].get_received(listener) == [None]

    def receive(gradient, callback):
        return [*callback(gradient), "wrapped"]

    for _ in range(2):  # wrapped once
        wrap_callback(listener, receive)
    wrapped = getattr(listener, "_backprop", None)
    assert wrapped is not None, f"{type(listener)} changed: it has no `_backprop`"
    assert wrapped(2) == ["callback", 2, "wrapped"]


def test_listeners_without_the_names(monkeypatch):
    """Checks and balance are left out, and nothing fails."""
    listener = TransformerListener("*")
    del listener._outputs, listener._backprop
    assert not tells_received(listener)
    assert KINDS[listener.name].get_received(listener) is None
    wrap_callback(listener, print)
    assert not hasattr(listener, "_backprop")


def test_listeners_of_curated_transformers():
    models = pytest.importorskip("spacy_curated_transformers.models.listeners")
    utils = getattr(models, "ListenerStateUtils", None)
    assert utils is not None, "spacy-curated-transformers changed: no ListenerStateUtils"
    for name in ("is_listener", "get_upstream_name", "get_output", "get_backprop", "receive"):
        assert hasattr(utils, name), f"spacy-curated-transformers changed: no `{name}`"


def test_module_of_a_shim():
    module = torch.nn.Linear(2, 3)
    model = PyTorchWrapper(module)
    (found,) = iter_encoders(model)
    assert found.module is module, "thinc changed: PyTorchShim has no `_model`"
    del model.shims[0]._model
    (found,) = iter_encoders(model)
    assert found.module is None


def test_kernel_of_onednn(monkeypatch):
    if not torch.backends.mkldnn.is_available():
        pytest.skip("torch has no oneDNN")
    layer, X = torch.nn.Linear(6, 4), torch.randn(3, 6)
    expected = layer(X)
    if torch.backends.mkl.is_available():
        assert precision.find_onednn_linear() is not None, (
            "torch changed: no mkldnn._linear_pointwise"
        )
    with precision.OneDNN():
        torch.testing.assert_close(
            layer(X), expected, msg=lambda text: f"torch changed mkldnn._linear_pointwise: {text}"
        )
    monkeypatch.setattr(precision, "find_onednn_linear", lambda: None)
    with precision.OneDNN():
        torch.testing.assert_close(layer(X), expected)


def test_attention_of_a_config():
    config = BertConfig(attn_implementation="someone/own:attend")
    assert get_attention(config) == "someone/own:attend", (
        "transformers changed where a config has `attn_implementation`: code may be run"
    )
    assert get_attention(BertConfig()) in (None, "eager", "sdpa")


@pytest.mark.parametrize("name", ["import_code", "parse_config_overrides"])
def test_parsers_of_the_command_line(name):
    assert callable(getattr(spacy.cli._util, name, None)), f"spaCy changed: no cli._util.{name}"
    assert spacy.cli._util.parse_config_overrides(["--a.b", "1"]) == {"a.b": 1}
