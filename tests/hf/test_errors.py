"""What can't be read: one clear error, exit code 1 and nothing written."""

import errno
import json
import os
import pickle
import shutil

import pytest
import safetensors.torch
import spacy
import torch
from safetensors import SafetensorError
from transformers import (
    CanineConfig,
    CanineForTokenClassification,
    CanineTokenizer,
    FNetConfig,
    LayoutLMConfig,
    T5Config,
)

from spacy_bert_ner import describe, from_huggingface
from spacy_bert_ner.hf import checkpoint as checkpoint_module
from spacy_bert_ner.hf.folders import check_folder

from .. import toy
from ..util import TRANSFORMERS_5, plain, run_cli
from .util import NAMES, make_checkpoint


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("good"))


@pytest.fixture
def folder(good, tmp_path):
    """A checkpoint to spoil."""
    return shutil.copytree(good, tmp_path / "checkpoint")


def run(*args):
    result = run_cli(*args)
    return result.exit_code, plain(result)


def change_config(folder, **settings):
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config.update(settings)
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))


def change_weights(folder, change):
    path = folder / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    change(weights)
    safetensors.torch.save_file(weights, path, metadata={"format": "pt"})


def truncate(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def truncate_header(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:40])


def save_slow(folder):
    shutil.rmtree(folder)
    config = CanineConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_hash_buckets=16,
        id2label=dict(enumerate(NAMES)),
        label2id={name: i for i, name in enumerate(NAMES)},
    )
    CanineForTokenClassification(config).save_pretrained(folder)
    CanineTokenizer().save_pretrained(folder)


def remove_tokenizer(folder):
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        # transformers 5 saves no special_tokens_map.json.
        (folder / name).unlink(missing_ok=TRANSFORMERS_5)


SPOILED = {
    "no config": (
        lambda folder: (folder / "config.json").unlink(),
        "the folder has no config.json",
    ),
    "config is no JSON": (
        lambda folder: (folder / "config.json").write_text("{"),
        "Can't read the model",
    ),
    "unknown type": (
        lambda folder: change_config(folder, model_type="nothing-like-it"),
        "of a kind that the installed transformers doesn't know",
    ),
    "truncated": (truncate, "Can't read the weights of"),
    "truncated in the header": (truncate_header, "Can't read the weights of"),
    "no weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "Can't read the weights of",
    ),
    "wrong hidden size": (
        lambda folder: change_config(folder, hidden_size=24),
        r"config.json, which states hidden_size = 24: .* \(.*24.*\)",
    ),
    "fewer labels than rows": (
        lambda folder: change_config(folder, id2label={"0": "O", "1": "B-X", "2": "I-X"}),
        r"which states 3 labels: classifier\.(weight|bias) doesn't have the shape \(3,",
    ),
    "no encoder": (
        lambda folder: change_weights(
            folder, lambda weights: weights.pop("bert.encoder.layer.1.output.dense.weight")
        ),
        r"lack 1 of the encoder's, such as bert.encoder.layer.1.output.dense.weight",
    ),
    "half a classifier": (
        lambda folder: change_weights(folder, lambda weights: weights.pop("classifier.bias")),
        r"have a classifier that lacks \['classifier.bias'\]",
    ),
    "no tokenizer": (remove_tokenizer, "Can't read the tokenizer of"),
    "no vocabulary": (
        lambda folder: (folder / "tokenizer.json").unlink(),
        "Can't read the tokenizer of",
    ),
    "slow tokenizer": (save_slow, "CanineTokenizer is a slow tokenizer"),
    "tokenizer of another": (
        lambda folder: toy.byte_level(True, False).save_pretrained(folder),
        "it belongs to another model",
    ),
    "labels that tell nothing": (
        lambda folder: change_config(
            folder, id2label={str(i): f"LABEL_{i}" for i in range(len(NAMES))}
        ),
        "LABEL_0 doesn't name an entity",
    ),
    "labels numbered from 1": (
        lambda folder: change_config(
            folder, id2label={str(i + 1): name for i, name in enumerate(NAMES)}
        ),
        "has the numbers 1, 2, 3, 4, 5 for its 5 labels. They must be those .* rows, 0 to 4",
    ),
    "labels with gaps": (
        lambda folder: change_config(
            folder, id2label={str(i * 2): name for i, name in enumerate(NAMES)}
        ),
        "has the numbers 0, 2, 4, 6, 8 for its 5 labels",
    ),
    "labels that are numbers": (
        lambda folder: change_config(folder, id2label={str(i): i for i in range(len(NAMES))}),
        "none of them is O, for tokens outside of entities",
    ),
    "labels that are null": (
        lambda folder: change_config(folder, id2label={str(i): None for i in range(len(NAMES))}),
        "none of them is O, for tokens outside of entities",
    ),
    "labels numbered by letters": (
        lambda folder: change_config(folder, id2label=dict(zip("abcde", NAMES))),
        "invalid literal for int",
    ),
    "labels in a list": (
        lambda folder: change_config(folder, id2label=NAMES),
        "Can't read the model",
    ),
}


@pytest.mark.parametrize("spoil,message", SPOILED.values(), ids=SPOILED)
def test_spoiled(spoil, message, folder, tmp_path):
    spoil(folder)
    with pytest.raises(ValueError, match=message) as error:
        from_huggingface(str(folder))
    assert "checkpoint" in str(error.value)
    code, text = run("from-hf", folder, tmp_path / "out" / "pipeline")
    assert code == 1
    assert text.startswith("Error: ")
    assert "Usage" not in text
    assert "Invalid value" not in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint"]


class Executed:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_pickle_with_code(folder, tmp_path):
    (folder / "model.safetensors").unlink()
    marker = str(tmp_path / "executed")
    torch.save({"bert": Executed(marker)}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="files with code in them are not opened"):
        from_huggingface(str(folder))
    code, _ = run("from-hf", folder, tmp_path / "out")
    assert code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint"]
    pickle.loads(pickle.dumps(Executed(marker)))  # it would have
    assert os.path.isdir(marker)


def test_weights_in_a_bin(folder):
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    expected = from_huggingface(str(folder)).get_pipe("bert_ner").model.to_bytes()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert from_huggingface(str(folder)).get_pipe("bert_ner").model.to_bytes() == expected


@pytest.mark.parametrize(
    "config,message",
    [
        (FNetConfig(), "model of type 'fnet': it can't ignore padding"),
        (LayoutLMConfig(), "model of type 'layoutlm': it needs the positions of words on a page"),
        (T5Config(), "model of type 't5': its encoder is only a part"),
    ],
)
def test_families_that_are_refused(config, message, tmp_path):
    config.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=message):
        from_huggingface(str(tmp_path))


def test_no_class_for_it(folder):
    change_config(folder, model_type="bart")
    with pytest.raises(ValueError, match="no class for token classification with it"):
        from_huggingface(str(folder))


def test_name_of_nothing(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match="no model of the Hugging Face hub can have it"):
        from_huggingface("/nothing/here")


def test_model_card_of_the_hub(monkeypatch, caplog):
    """What the hub doesn't give is reported; mistakes are errors."""

    def fail(error):
        def find_file(source, name):
            raise error

        monkeypatch.setattr(checkpoint_module, "find_file", find_file)

    fail(OSError("503 Server Error"))
    assert checkpoint_module._read_card("someone/something") == ""
    assert "Can't read the model card of 'someone/something' (503 Server Error)" in caplog.text
    fail(TypeError("unexpected argument"))
    with pytest.raises(TypeError, match="unexpected argument"):
        checkpoint_module._read_card("someone/something")


@pytest.mark.parametrize("model_class", ["SequenceClassification", "MaskedLM"])
def test_without_a_token_classifier(model_class, tmp_path, caplog):
    path = make_checkpoint(tmp_path, model_class=model_class)
    with pytest.raises(ValueError, match=rf"BertFor{model_class}\) has no token classifier"):
        from_huggingface(path)
    with pytest.raises(ValueError, match="Give the labels to train"):
        from_huggingface(path, labels={"LABEL_0": "O"})
    with pytest.raises(ValueError, match="give each one once"):
        from_huggingface(path, labels=["PER", "PER"])
    nlp = from_huggingface(path, labels=["PER", "LOC"], scheme="BILUO")
    assert "which has to be trained" in caplog.text
    assert nlp.get_pipe("bert_ner").tag_set.tags[1] == "B-PER"
    assert len(nlp.get_pipe("bert_ner").tag_set) == 9
    nlp("Anna lives in Oslo")


def test_plain_encoder(tmp_path):
    path = toy.save_encoder(tmp_path, "roberta")
    with pytest.raises(ValueError, match=r"\(RobertaModel\) has no token classifier"):
        from_huggingface(path)
    assert from_huggingface(path, labels=["PER"]).get_pipe("bert_ner").labels == ("PER",)


# The command line


def test_commands(good, tmp_path):
    code, text = run("from-hf", good, tmp_path / "in", "--lang", "de", "--window", 16)
    assert (code, "which finds LOC, PER" in text) == (0, True)
    assert spacy.load(tmp_path / "in").lang == "de"
    code, text = run("to-hf", tmp_path / "in", tmp_path / "out")
    assert code == 0, text
    assert (tmp_path / "out" / "README.md").exists()
    code, text = run("describe", tmp_path / "in")
    assert (code, "Linear(16 -> 5): 85 parameters (W [5, 16], b [5])" in text) == (0, True)
    result = run_cli("describe", tmp_path / "in", "--json")
    assert json.loads(result.output) == describe(str(tmp_path / "in"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


@pytest.mark.parametrize("lang", ["zz", "tokenizer_exceptions"])
def test_no_such_language(good, tmp_path, lang):
    code, text = run("from-hf", good, tmp_path / "out", "--lang", lang)
    assert (code, f"spaCy has no language with the code '{lang}'" in text) == (1, True)


def test_labels_from_a_file(folder, tmp_path):
    change_config(folder, id2label={str(i): f"LABEL_{i}" for i in range(len(NAMES))})
    labels = tmp_path / "map.json"
    labels.write_text(json.dumps({f"LABEL_{i}": name for i, name in enumerate(NAMES)}))
    code, text = run("from-hf", folder, tmp_path / "out", "--labels", labels)
    assert (code, "which finds LOC, PER" in text) == (0, True)
    for content in ("3", "{"):
        labels.write_text(content)
        code, text = run("from-hf", folder, tmp_path / "other", "--labels", labels)
        assert (code, "Can't read labels from" in text, "map.json" in text) == (1, True, True)
    assert not (tmp_path / "other").exists()


def test_numbers_for_names(folder, tmp_path):
    """A map gives them names, as it does for LABEL_0."""
    change_config(folder, id2label={str(i): i for i in range(len(NAMES))})
    nlp = from_huggingface(str(folder), labels=dict(enumerate(NAMES)))
    assert set(nlp.get_pipe("bert_ner").labels) == {"LOC", "PER"}


def refuse(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def refuse_in_rust(*args, **kwargs):
    raise SafetensorError(
        "Error while serializing: I/O error: No space left on device (os error 28)"
    )


@pytest.mark.parametrize(
    "command,place,error",
    [
        ("from-hf", "spacy.language.Language.to_disk", refuse),
        ("to-hf", "transformers.PreTrainedModel.save_pretrained", refuse_in_rust),
        ("to-hf", "transformers.PreTrainedTokenizerFast.save_pretrained", refuse),
    ],
)
def test_full_disk(command, place, error, good, tmp_path, tiny_pipeline, monkeypatch):
    """One line, and what is there stays."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").touch()
    source = {"from-hf": good, "to-hf": tiny_pipeline}[command]
    if place.endswith("Fast.save_pretrained"):  # also used to read a tokenizer
        from spacy_bert_ner.hf import export

        read = export.tokenizer_from_files

        def read_and_refuse(files):
            tokenizer = read(files)
            tokenizer.save_pretrained = error
            return tokenizer

        monkeypatch.setattr(export, "tokenizer_from_files", read_and_refuse)
    else:
        monkeypatch.setattr(place, error)
    code, text = run(command, source, out, "--force")
    assert code == 1
    assert f"Error: Can't write {out}: No space left on device" in text
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_read_only(good, tmp_path, monkeypatch):
    """It is reported before anything is loaded."""
    monkeypatch.setattr(os, "access", lambda *args: False)
    for command in ("from-hf", "to-hf"):
        code, text = run(command, "nothing", tmp_path / "out")
        assert (code, f"{tmp_path} is read-only for you" in text) == (1, True)


def test_output_that_is_there(good, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").touch()
    for command, source in (("from-hf", good), ("to-hf", "nothing")):
        code, text = run(command, source, out)
        assert code == 1
        assert "isn't empty" in text
    assert [path.name for path in out.iterdir()] == ["mine"]
    code, text = run("from-hf", good, out, "--force")
    assert code == 0, text
    assert "mine" not in [path.name for path in out.iterdir()]
    (tmp_path / "file").touch()
    code, text = run("from-hf", good, tmp_path / "file", "--force")
    assert (code, "it is a file" in text) == (1, True)


def test_pipelines_that_are_not_there(tmp_path):
    for command in (
        ["to-hf", tmp_path / "none", tmp_path / "out"],
        ["describe", tmp_path / "none"],
    ):
        code, text = run(*command)
        assert (code, "Traceback" in text) == (1, False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["", "inside"])
def test_output_that_is_the_input(tmp_path, place):
    """It would be gone before anything is read from it again."""
    source = tmp_path / "pipeline" / place
    source.mkdir(parents=True)
    (source / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="it is the input, or contains it"):
        check_folder(tmp_path / "pipeline", True, str(source))
    check_folder(tmp_path / "pipeline", True, "en_core_web_sm")
    for command in ("to-hf", "from-hf"):
        result = run_cli(command, source, tmp_path / "pipeline", "--force")
        assert result.exit_code == 1 and "it is the input" in result.stderr
    assert (source / "config.json").exists()
