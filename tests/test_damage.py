import json
import shutil
import zlib

import pytest
import spacy
import srsly

from spacy_bert_ner.damage import (
    CHECKSUMS,
    DamagedPipelineError,
    check_checksums,
    get_checksums,
    reading,
)

from .toy import save_encoder
from .util import EXPECTED, TEXT, get_ents, make_example, make_nlp

PLACES = {"a": "the a", "b": "the b", "cfg": "the cfg"}


@pytest.fixture
def folder(tiny_pipeline, tmp_path):
    """A copy of the tiny pipeline on disk."""
    return shutil.copytree(tiny_pipeline, tmp_path / "pipeline")


@pytest.fixture(scope="module")
def loaded(tiny_pipeline):
    """The tiny pipeline, to load parts into."""
    return spacy.load(tiny_pipeline)


def change_cfg(folder, change, *, name="bert_ner", old=True):
    """Change what a component has saved.

    old (bool): Without checksums, as an earlier version saved it.
    """
    path = folder / name / "cfg"
    cfg = srsly.read_json(path)
    if old:
        cfg.pop(CHECKSUMS, None)
    change(cfg)
    path.write_text(json.dumps(cfg), encoding="utf-8")


# Checksums


def test_checksums():
    parts = {"a": b"one", "b": b"two"}
    checksums = get_checksums(parts)
    assert checksums == {"a": zlib.crc32(b"one"), "b": zlib.crc32(b"onetwo")}
    check_checksums(checksums, parts, PLACES)
    check_checksums(None, parts, PLACES)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (get_checksums({"a": b"other", "b": b"two"}), "Can't use the a: it was changed"),
        (get_checksums({"a": b"one", "b": b"other"}), "Can't use the b: it was changed"),
        ({**get_checksums({"a": b"other", "b": b"two"}), "a": zlib.crc32(b"one")}, "use the b:"),
        ({}, "Can't use the a:"),
        ("", "Can't use the a:"),
    ],
)
def test_checksums_of_others(saved, message):
    with pytest.raises(DamagedPipelineError, match=message):
        check_checksums(saved, {"a": b"one", "b": b"two"}, PLACES)


@pytest.mark.parametrize("error", [KeyError("x"), TypeError(), RecursionError("a\nb"), OSError(2)])
def test_reading(error):
    expected = f"read the a .{type(error).__name__}"
    with pytest.raises(DamagedPipelineError, match=expected) as info, reading("the a"):
        raise error
    assert info.value.__cause__ is error
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("error", [DamagedPipelineError("x"), MemoryError(), KeyboardInterrupt()])
def test_reading_lets_through(error):
    with pytest.raises(type(error)) as info, reading("the a"):
        raise error
    assert info.value is error


# Pipelines


def test_checksums_are_not_settings(folder, tmp_path):
    nlp = spacy.load(folder)
    assert CHECKSUMS not in nlp.get_pipe("bert_ner").cfg
    assert CHECKSUMS in srsly.read_json(folder / "bert_ner" / "cfg")
    nlp(TEXT)
    nlp.to_disk(tmp_path / "again")
    for file in ("bert_ner/cfg", "bert_ner/model", "transformer/model", "transformer/cfg"):
        assert (tmp_path / "again" / file).read_bytes() == (folder / file).read_bytes()
    assert nlp.from_bytes(nlp.to_bytes()).to_bytes() == nlp.to_bytes()


def test_pipelines_without_checksums(folder):
    """As they were saved before."""
    change_cfg(folder, lambda cfg: None)
    path = folder / "transformer" / "model"
    msg = srsly.msgpack_loads(path.read_bytes())
    encoder = srsly.msgpack_loads(msg["shims"][0][0])
    del encoder[CHECKSUMS]
    msg["shims"][0][0] = srsly.msgpack_dumps(encoder)
    path.write_bytes(srsly.msgpack_dumps(msg))
    assert get_ents(spacy.load(folder)(TEXT)) == EXPECTED


def test_changed_behind_loading(folder, tmp_path):
    """Settings, labels and weights of a loaded pipeline may change, and are saved as they are."""
    nlp = spacy.load(folder)
    pipe = nlp.get_pipe("bert_ner")
    pipe.add_label("NEW")
    pipe.cfg["threshold"] = 0.1 + 0.2
    nlp.update([make_example(nlp)], sgd=nlp.resume_training())
    nlp.to_disk(tmp_path / "again")
    loaded = spacy.load(tmp_path / "again").get_pipe("bert_ner")
    assert loaded.labels == ("LOC", "PER", "NEW")
    assert loaded.cfg["threshold"] == pytest.approx(0.3)


def test_part_of_a_component(tiny):
    """As much of it as was saved."""
    pipe = tiny.get_pipe("bert_ner")
    for exclude in (["model"], ["cfg"], ["model", "cfg"]):
        data = pipe.to_bytes(exclude=["vocab", *exclude])
        assert pipe.from_bytes(data, exclude=["vocab"]) is pipe
        pipe.from_bytes(pipe.to_bytes(exclude=["vocab"]), exclude=["vocab", *exclude])
    assert get_ents(tiny(TEXT)) == EXPECTED


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": ["PER", "LOC", "X"]}, "has 5 outputs, but 3 labels in .*cfg need 7"),
        ({"labels": ["PER"]}, "has 5 outputs, but 1 label in .*cfg needs 3"),
        ({"scheme": "BILUO"}, "has 5 outputs, but 2 labels in .*cfg need 9"),
        ({"labels": "PER"}, "labels = 'PER' must be a list of strings"),
        ({"labels": ["PER", 3]}, "labels = .* must be a list of strings"),
        ({"labels": ["PER", "PER"]}, "labels = .* must differ from each other"),
        ({"scheme": "BIOES"}, "has an unknown scheme = 'BIOES'"),
        ({"scheme": ["BIO"]}, r"scheme = \['BIO'\] must be a string"),
        ({"align": None}, "align = None must be a string"),
        ({"threshold": "0.5"}, "threshold = '0.5' must be a number"),
        ({"threshold": True}, "threshold = True must be a number"),
        ({"threshold": 2}, "can't use threshold = 2"),
        ({"annotate_ents": 1}, "annotate_ents = 1 must be true or false"),
        ({"overwrite_ents": "no"}, "overwrite_ents = 'no' must be true or false"),
        ({"spans_key": None}, "spans_key = None must be a string"),
        ({"incorrect_spans_key": 3}, "incorrect_spans_key = 3 must be a string or null"),
        ({"configured": []}, "configured = .* must be an object"),
    ],
)
def test_bad_cfg(change, message, folder, loaded):
    """Without checksums, which would see any change."""
    change_cfg(folder, lambda cfg: cfg.update(change))
    pipe = loaded.get_pipe("bert_ner")
    with pytest.raises(DamagedPipelineError, match=message) as error:
        pipe.from_disk(folder / "bert_ner", exclude=["vocab"])
    assert str(folder / "bert_ner") in str(error.value)


def test_changed_cfg(folder):
    change_cfg(folder, lambda cfg: cfg.update(threshold=0.5), old=False)
    with pytest.raises(DamagedPipelineError, match="bert_ner/cfg: it was changed .*config.cfg"):
        spacy.load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b"null"])
@pytest.mark.parametrize("file", ["bert_ner/cfg", "bert_ner/model", "transformer/model"])
def test_unreadable_files(file, content, folder, loaded):
    (folder / file).write_bytes(content)
    part = "bert_ner/" if file.startswith("bert_ner") else "file 'model' of a transformer component"
    name = file.split("/")[0]
    with pytest.raises(DamagedPipelineError, match=part):
        loaded.get_pipe(name).from_disk(folder / name, exclude=["vocab"])


@pytest.mark.parametrize("file", ["bert_ner/cfg", "bert_ner/model"])
def test_missing_files(file, folder):
    (folder / file).unlink()
    with pytest.raises(DamagedPipelineError, match=f"Can't load a pipeline without .*{file}"):
        spacy.load(folder)


@pytest.mark.filterwarnings("ignore:Automatically converting a transformer component")
def test_folder_in_place_of_a_file(folder):
    (folder / "transformer" / "model").unlink()
    (folder / "transformer" / "model").mkdir()
    with pytest.raises(DamagedPipelineError, match="it is a folder, or you have no permission"):
        spacy.load(folder)


@pytest.mark.parametrize("file", ["bert_ner/cfg", "bert_ner/model"])
def test_mixed_files(file, folder, tiny, tmp_path):
    """Of a pipeline that was trained on, and has everything in the same shape."""
    tiny.update([make_example(tiny)], sgd=tiny.resume_training())
    tiny.get_pipe("bert_ner").cfg["labels"] = ["LOC", "PER"]
    tiny.to_disk(tmp_path / "other")
    shutil.copy(tmp_path / "other" / file, folder / file)
    with pytest.raises(DamagedPipelineError, match="bert_ner/model: it was changed after"):
        spacy.load(folder)


@pytest.mark.parametrize("old", [False, True])
def test_encoder_of_another_width(old, folder, tmp_path):
    other = make_nlp({"name": save_encoder(tmp_path / "wide", "bert", hidden_size=24), "window": 0})
    other.initialize(lambda: [make_example(other)])
    other.to_disk(tmp_path / "other")
    if old:
        change_cfg(folder, lambda cfg: None)
    shutil.copy(tmp_path / "other" / "transformer" / "model", folder / "transformer" / "model")
    with pytest.raises(
        DamagedPipelineError, match="has 16 inputs, but 'transformer' gives 24: one"
    ):
        spacy.load(folder)


def test_head_of_another_structure(folder, tiny, tmp_path):
    """That of an inlined encoder."""
    tiny.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    tiny.to_disk(tmp_path / "other")
    for file in ("cfg", "model"):
        shutil.copy(tmp_path / "other" / "bert_ner" / file, folder / "bert_ner" / file)
    with pytest.raises(DamagedPipelineError, match="bert_ner/model .*mismatched structure"):
        spacy.load(folder)


def test_sourced_component(tiny, folder, tmp_path):
    """A head, and the encoder that it came with, in another pipeline."""
    nlp = spacy.blank("en")
    for name in ("transformer", "bert_ner"):
        nlp.add_pipe(name, source=tiny)
    nlp.to_disk(tmp_path / "other")
    assert get_ents(spacy.load(tmp_path / "other")(TEXT)) == EXPECTED
