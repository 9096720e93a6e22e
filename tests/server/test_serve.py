"""How a server is started, and when it isn't."""

import socket
import sys

import pytest
import spacy

from spacy_bert_ner.errors import UserError
from spacy_bert_ner.server.serve import check_token, serve

from ..util import plain, run_cli

TOKEN = "a-token-of-the-tests"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_loopback_needs_no_token(host):
    check_token(host, None)
    check_token(host, TOKEN)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "127.0.0.1.example", ""])
def test_others_need_a_token(host):
    check_token(host, TOKEN)
    with pytest.raises(UserError, match="Without a token, .* SPACY_BERT_NER_TOKEN"):
        check_token(host, None)


@pytest.mark.parametrize("token", ["", "a" * 15, "a" * 15 + " b", "é" * 16, "a" * 16 + "\n"])
def test_weak_tokens(token):
    with pytest.raises(UserError, match=f"at least 16 characters.*not {len(token)} characters"):
        check_token("127.0.0.1", token)


def test_token_of_the_environment(monkeypatch):
    monkeypatch.setenv("SPACY_BERT_NER_TOKEN", "short")
    result = run_cli("serve", "none")
    assert (result.exit_code, "at least 16" in plain(result)) == (1, True)
    assert "short" not in result.output


def test_no_pipeline(ruler_path, tmp_path):
    result = run_cli("serve", tmp_path / "none", "--port", 0)
    assert (result.exit_code, "There is no pipeline" in plain(result)) == (1, True)


def test_no_entities(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path)
    result = run_cli("serve", tmp_path, "--port", 0)
    assert (result.exit_code, "sets no entities" in plain(result)) == (1, True)


def test_a_port_that_is_in_use(ruler_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run_cli("serve", ruler_path, "--port", port)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"Can't listen on 127.0.0.1, port {port}: " in plain(result)


@pytest.mark.parametrize("host", ["a..b", "LOCALHOST", "[::1]"])
def test_forms_of_hosts(host, ruler_path, monkeypatch):
    """Without a pipeline, the server ends when it has an address."""
    monkeypatch.setenv("SPACY_BERT_NER_TOKEN", TOKEN) if host == "a..b" else None
    result = run_cli("serve", "none", "--host", host, "--port", 0)
    expected = "Can't listen on a..b: it isn't" if host == "a..b" else "There is no pipeline"
    assert (result.exit_code, expected in plain(result)) == (1, True), plain(result)


@pytest.mark.parametrize("package", ["fastapi", "uvicorn", "prometheus_client"])
def test_a_package_that_is_missing(package, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("spacy_bert_ner.server.")]:
        if not name.endswith(".serve"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        UserError, match=f"{package} isn't installed: python -m pip install fastapi"
    ):
        serve("none")
