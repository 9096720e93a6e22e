import ast
import json
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import spacy
import srsly
import transformers
from transformers import AutoTokenizer

import spacy_bert_ner
from spacy_bert_ner import from_huggingface, to_huggingface
from spacy_bert_ner.commands.describe import describe
from spacy_bert_ner.commands.init_config import get_learn_rate
from spacy_bert_ner.damage import CHECKSUMS, DamagedPipelineError
from spacy_bert_ner.model.encoder.huggingface import (
    encoder_from_bytes,
    encoder_to_bytes,
    load_pretrained,
)
from spacy_bert_ner.model.encoder.pretrained import (
    tokenizer_from_files,
    tokenizer_to_files,
    without_bars,
)

from ... import toy
from ...hf.util import make_checkpoint
from ...util import TRANSFORMERS_5

# What would run if anything did.
CODE = "from pathlib import Path\nPath(r'{marker}').touch()\nclass Own: pass\n"
AUTO_MAP = {
    "AutoConfig": "own.Own",
    "AutoModel": "own.Own",
    "AutoModelForTokenClassification": "own.Own",
    "AutoTokenizer": ["own.Own", "own.Own"],
}
NAMES = [
    "/{folder}/written",
    "../written",
    "..",
    "",
    "a/b",
    "own.py",
    "tokenizer.json/../../written",
    "tokenizer.json ",
    "..\\written",
]


def add_code(folder, marker, file, **settings):
    """Have the files of a checkpoint ask for code of its own."""
    Path(folder, "own.py").write_text(CODE.format(marker=marker), encoding="utf-8")
    path = Path(folder, file)
    data = {**json.loads(path.read_text(encoding="utf-8")), "auto_map": AUTO_MAP, **settings}
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.fixture
def no_prompt(monkeypatch):
    def fail(*args):
        raise AssertionError("asked to run code")

    monkeypatch.setattr("builtins.input", fail)


# File names


@pytest.mark.parametrize("name", NAMES)
def test_file_names(name, tmp_path):
    name = name.format(folder=tmp_path)
    files = {**tokenizer_to_files(toy.wordpiece()), name: b"x"}
    with pytest.raises(DamagedPipelineError, match="its files can only be") as error:
        tokenizer_from_files(files)
    assert repr(name) in str(error.value)
    assert not list(tmp_path.iterdir())


def test_file_names_in_pipeline(tiny_pipeline, tmp_path):
    """With checksums that fit, as someone would make them who means harm."""
    path = shutil.copytree(tiny_pipeline, tmp_path / "pipeline") / "transformer" / "model"
    msg = srsly.msgpack_loads(path.read_bytes())
    encoder = srsly.msgpack_loads(msg["shims"][0][0])
    encoder["tokenizer"][str(tmp_path / "written.pth")] = b"import os"
    del encoder[CHECKSUMS]
    msg["shims"][0][0] = srsly.msgpack_dumps(encoder)
    path.write_bytes(srsly.msgpack_dumps(msg))
    with pytest.raises(DamagedPipelineError, match="written.pth"):
        spacy.load(tmp_path / "pipeline")
    assert [path.name for path in tmp_path.iterdir()] == ["pipeline"]


def test_saved_config_reads_no_other_file(tmp_path):
    """A file that the config of a tokenizer names."""
    other = toy.byte_level(False, False)
    other.backend_tokenizer.save(str(tmp_path / "other.json"))
    tokenizer = toy.wordpiece()
    files = tokenizer_to_files(tokenizer)
    settings = json.loads(files["tokenizer_config.json"])
    settings["tokenizer_file"] = str(tmp_path / "other.json")
    changed = {**files, "tokenizer_config.json": json.dumps(settings).encode()}
    assert tokenizer_from_files(changed).get_vocab() == tokenizer.get_vocab()


def test_file_names_of_templates(tmp_path, monkeypatch):
    """A tokenizer may have several templates for chats, which transformers saves by their names."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    files = tokenizer_to_files(toy.wordpiece())
    settings = json.loads(files["tokenizer_config.json"])
    names = ["default", "../../written", str(tmp_path / "written")]
    settings["chat_template"] = [{"name": name, "template": "x"} for name in names]
    changed = {**files, "tokenizer_config.json": json.dumps(settings).encode()}
    tokenizer = tokenizer_from_files(changed)
    again = tokenizer_to_files(tokenizer)
    tokenizer.save_pretrained(tmp_path / "a" / "b" / "c")  # as to-hf does
    assert tokenizer_to_files(tokenizer_from_files(again)) == again
    assert not list(tmp_path.rglob("*written*"))


# Code


def test_one_place():
    """No other module asks transformers to load something."""
    names = {"AutoConfig", "AutoModel", "AutoTokenizer", "from_pretrained", "hf_hub_download"}
    package = Path(spacy_bert_ner.__file__).parent
    for path in package.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        used |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if path.name != "pretrained.py":
            assert not names & used, path


def test_every_load_runs_no_code():
    path = Path(spacy_bert_ner.__file__).parent / "model" / "encoder" / "pretrained.py"
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("from_pretrained", "from_config")
    ]
    assert len(calls) == 4
    for call in calls:
        (value,) = [key.value for key in call.keywords if key.arg == "trust_remote_code"]
        assert isinstance(value, ast.Constant)
        assert value.value is False


@pytest.mark.parametrize("block", ["tokenizer_config", "transformer_config"])
@pytest.mark.parametrize(
    "setting",
    [
        {"trust_remote_code": True},
        {"code_revision": "main"},
        {"auto_map": {"AutoModel": "a.B"}},
        {"attn_implementation": "someone/own:attend"},
    ],
)
def test_settings_refused(block, setting, tiny_encoder):
    settings = {"tokenizer_config": {}, "transformer_config": {}, block: setting}
    (key,) = setting
    with pytest.raises(ValueError, match=f"Can't use {key} = .* in {block}: it would run"):
        load_pretrained(tiny_encoder, **settings)


def test_setting_not_to_run_code(tiny_encoder):
    off = {"trust_remote_code": False}
    assert load_pretrained(tiny_encoder, off, off).tokenizer.is_fast


@pytest.fixture
def kernels(monkeypatch):
    """Names of the repositories that code for attention is downloaded from."""
    names = []
    if not hasattr(transformers.modeling_utils, "is_kernels_available"):
        pytest.skip("this transformers knows no kernels")
    monkeypatch.setattr("transformers.modeling_utils.is_kernels_available", lambda: True)
    monkeypatch.setattr(
        "transformers.modeling_utils.get_kernel", lambda name: names.append(name), raising=False
    )
    return names


@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation"])
def test_attention_of_the_hub(key, tmp_path, kernels):
    """Where transformers finds the package `kernels`, it runs what a config names."""
    folder = make_checkpoint(tmp_path / "checkpoint")
    path = Path(folder, "config.json")
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**config, key: "someone/own:attend"}), encoding="utf-8")
    for read in (from_huggingface, lambda folder: load_pretrained(folder, {}, {})):
        with suppress(ValueError):
            read(folder)
    data = encoder_to_bytes(toy.make_encoder("bert"))
    del data[CHECKSUMS]
    with pytest.raises(DamagedPipelineError, match="Can't use attn_implementation"):
        encoder_from_bytes(data, {"attn_implementation": "someone/own:attend"})
    data["config"] = json.dumps({**json.loads(data["config"]), key: "someone/own:attend"})
    encoder_from_bytes(data, {})
    assert kernels == []


def test_attention_of_the_hub_refused(tmp_path):
    folder = make_checkpoint(tmp_path / "checkpoint")
    path = Path(folder, "config.json")
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(
        json.dumps({**config, "_attn_implementation": "a/own:attend"}), encoding="utf-8"
    )
    for read in (from_huggingface, lambda folder: load_pretrained(folder, {}, {})):
        with pytest.raises(ValueError, match="Can't use attn_implementation = 'a/own:attend' in"):
            read(folder)


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("config.json", {"model_type": "own"}),
        ("tokenizer_config.json", {"tokenizer_class": "OwnTokenizer"}),
    ],
)
def test_code_of_checkpoint_isnt_run(file, settings, tmp_path, no_prompt):
    folder = make_checkpoint(tmp_path / "checkpoint")
    add_code(folder, tmp_path / "ran", file, **settings)
    if file == "tokenizer_config.json" and TRANSFORMERS_5:
        # It reads tokenizer.json, which is all that is needed.
        assert load_pretrained(folder, {}, {}).tokenizer.is_fast
        assert from_huggingface(folder).has_pipe("bert_ner")
        assert not (tmp_path / "ran").exists()
        return
    with pytest.raises(ValueError, match="needs Python code that comes with it .*is never run"):
        load_pretrained(folder, {}, {})
    readers = [from_huggingface, describe]
    if file == "config.json":
        readers.append(get_learn_rate)
    else:
        get_learn_rate(folder)
    for read in readers:
        with pytest.raises(ValueError, match="^Can't load .*: it needs Python code that"):
            read(folder)
    assert not (tmp_path / "ran").exists()


def test_reading_and_writing_show_no_progress(tmp_path, capfd):
    folder = make_checkpoint(tmp_path / "checkpoint")
    capfd.readouterr()
    nlp = from_huggingface(folder)
    to_huggingface(nlp, tmp_path / "exported")
    assert capfd.readouterr() == ("", "")
    assert transformers.utils.logging.is_progress_bar_enabled()


def test_bars_that_are_asked_for(monkeypatch):
    shown = transformers.utils.logging.is_progress_bar_enabled
    assert shown()
    with without_bars():
        assert not shown()
    assert shown()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS", False)
    with without_bars():
        assert shown()


def test_code_that_isnt_needed(tmp_path, no_prompt):
    """Where transformers has the code itself, that of the checkpoint is left alone."""
    folder = make_checkpoint(tmp_path / "checkpoint")
    for file in ("config.json", "tokenizer_config.json"):
        add_code(folder, tmp_path / "ran", file)
    nlp = from_huggingface(folder)
    nlp.to_disk(tmp_path / "pipeline")
    spacy.load(tmp_path / "pipeline").to_disk(tmp_path / "again")
    parts = [tmp_path / name / "transformer" / "model" for name in ("pipeline", "again")]
    assert parts[0].read_bytes() == parts[1].read_bytes()
    assert load_pretrained(folder, {}, {}).tokenizer.is_fast
    assert not (tmp_path / "ran").exists()


LOAD = """
import os, sys
from pathlib import Path
import srsly
from spacy_bert_ner.damage import DamagedPipelineError
from spacy_bert_ner.model.encoder.huggingface import encoder_from_bytes

for stdin in ("open", "closed"):
    if stdin == "closed":
        os.close(0)
    try:
        encoder_from_bytes(srsly.msgpack_loads(Path(sys.argv[1]).read_bytes()), {})
    except DamagedPipelineError as error:
        print(stdin, error)
"""


def test_saved_code_isnt_asked_for(tmp_path):
    """In a service, where nobody answers, nor closes the input."""
    data = encoder_to_bytes(toy.make_encoder("bert"))
    del data[CHECKSUMS]
    settings = json.loads(data["tokenizer"]["tokenizer_config.json"])
    settings.update(tokenizer_class="OwnTokenizer", auto_map={"AutoTokenizer": ["a--own.Own"] * 2})
    data["tokenizer"]["tokenizer_config.json"] = json.dumps(settings).encode()
    (tmp_path / "encoder").write_bytes(srsly.msgpack_dumps(data))
    command = [sys.executable, "-c", LOAD, str(tmp_path / "encoder")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.wait(timeout=900) == 0
        output = process.stdout.read()
    lines = [line for line in output.splitlines() if "needs Python code" in line]
    assert [line.split()[0] for line in lines] == ["open", "closed"]
    assert "Do you wish to run" not in output


def test_saved_encoder_is_local(monkeypatch):
    """Whatever it holds, the hub isn't asked."""
    calls = []
    load = AutoTokenizer.from_pretrained

    def record(*args, **settings):
        calls.append(settings)
        return load(*args, **settings)

    data = encoder_to_bytes(toy.make_encoder("bert"))
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", record)
    encoder_from_bytes(data, {})
    (settings,) = calls
    assert settings["local_files_only"] is True
    assert settings["trust_remote_code"] is False
