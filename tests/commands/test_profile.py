import re

import pytest
import spacy
import torch
from spacy.language import Language

from spacy_bert_ner.commands.profile import Profile, format_profile, get_hints, profile
from spacy_bert_ner.model.encoder import windows

from ..util import TEXT, plain, run_cli

TEXTS = [TEXT, "", "Karl .", TEXT]
# The tiny encoder reads each long text in two.
N_WINDOWS = 5


@pytest.fixture
def cores(monkeypatch):
    """As many cores as torch has threads, whatever machine this is."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(torch.get_num_threads()))


def test_profile(tiny, cores):
    expected = [doc.to_json() for doc in tiny.pipe(TEXTS)]
    before = windows.get_pieces
    result = profile(tiny, TEXTS, batch_size=3)
    assert list(result.seconds) == ["tokenizer", *tiny.pipe_names]
    assert list(result.inside) == ["transformer", "bert_ner"]
    assert set(result.inside["transformer"]) == {"wordpieces", "windows", "forward", "packing"}
    assert set(result.inside["bert_ner"]) == {"head", "decode", "writing"}
    for name, stages in result.inside.items():
        assert sum(stages.values()) == pytest.approx(result.seconds[name])
    assert result.n_docs == 4
    assert result.n_words == sum(len(tiny.make_doc(text)) for text in TEXTS)
    assert result.n_windows == N_WINDOWS
    assert 0 < result.n_pieces <= result.n_padded
    assert 0 <= result.padding < 1
    # It leaves everything as it was.
    assert windows.get_pieces is before
    assert "encode" not in vars(tiny.get_pipe("transformer").model.shims[0])
    assert "predict" not in vars(tiny.get_pipe("bert_ner"))
    assert [doc.to_json() for doc in tiny.pipe(TEXTS)] == expected


def test_restored_after_an_error(tiny):
    tiny.disable_pipe("transformer")
    with pytest.raises(ValueError, match="without the output of 'transformer'"):
        profile(tiny, TEXTS, batch_size=2)
    assert "predict" not in vars(tiny.get_pipe("bert_ner"))


def test_encoder_of_its_own(tiny, cores):
    tiny.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    tiny.remove_pipe("transformer")
    result = profile(tiny, TEXTS, batch_size=4)
    assert list(result.inside) == ["bert_ner"]
    assert "packing, head and writing" in result.inside["bert_ner"]
    assert result.n_windows == N_WINDOWS


def test_pipeline_without_an_encoder():
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    result = profile(nlp, TEXTS, batch_size=2)
    assert list(result.seconds) == ["tokenizer", "sentencizer"]
    assert (result.inside, result.hints, result.padding) == ({}, [], 0.0)


def test_hints(tiny, cores, monkeypatch):
    many = Profile(n_docs=1000, n_words=50_000, n_pieces=100, n_padded=110)
    assert get_hints(tiny, many, batch_size=64) == []
    (hint,) = get_hints(tiny, many, batch_size=1)
    assert hint.startswith("batch_size = 1 is too small")
    padded = Profile(n_docs=1000, n_words=50_000, n_pieces=100, n_padded=200)
    (hint,) = get_hints(tiny, padded, batch_size=64)
    assert hint.startswith("50% of the encoder's input is padding")
    tiny.get_pipe("transformer").cfg["max_batch_items"] = 4096
    (hint,) = get_hints(tiny, many, batch_size=64)
    assert hint.startswith("max_batch_items = 4096 is too small")
    assert hint.endswith("Set it to 100000 in [components.transformer]")
    few = Profile(n_docs=1, n_words=500)
    assert get_hints(tiny, few, batch_size=1) == []
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(torch.get_num_threads() + 2))
    (hint,) = get_hints(tiny, few, batch_size=1)
    assert f"uses {torch.get_num_threads()} of {torch.get_num_threads() + 2} cores" in hint


def test_format(tiny, cores):
    text = format_profile(profile(tiny, TEXTS, batch_size=1))
    lines = text.split("\n")
    assert re.fullmatch(r"tokenizer +\d+\.\d{3} s +\d+\.\d%", lines[0])
    assert any(re.fullmatch(r"  forward +\d+\.\d{3} s +\d+\.\d%", line) for line in lines)
    assert (
        "4 documents," in text
        and f"{N_WINDOWS} windows," in text
        and "Hint: batch_size = 1" in text
    )


def test_command(tiny_pipeline, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text(f"{TEXT}\nKarl .\n", encoding="utf-8")
    result = run_cli("profile", str(tiny_pipeline), str(path), "--from", "lines")
    assert result.exit_code == 0, result.output
    assert "transformer" in result.output and "2 documents," in result.output
    path.write_text("\n", encoding="utf-8")
    result = run_cli("profile", str(tiny_pipeline), str(path))
    assert result.exit_code == 1
    assert "has no text. Name" in plain(result.output)


def test_command_reads_no_further_than_the_limit(tiny_pipeline, tmp_path):
    """What is behind it may be broken, and what is blank says nothing of speed."""
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": " "}\n{"text": "Karl ."}\n{', encoding="utf-8")
    command = ["profile", str(tiny_pipeline), str(path), "--limit"]
    result = run_cli(*command, "2")
    assert result.exit_code == 0, result.output
    assert "2 documents," in result.output
    result = run_cli(*command, "3")
    assert result.exit_code == 1
    assert "Can't read line 3 of" in plain(result.output)


def test_command_warms_up_on_what_is_not_blank(tiny_pipeline, tmp_path, monkeypatch):
    path, read = tmp_path / "texts.txt", []
    path.write_text(" \nKarl .\n", encoding="utf-8")
    monkeypatch.setattr(Language, "__call__", lambda nlp, text: read.append(text))
    command = ["profile", str(tiny_pipeline), str(path)]
    assert run_cli(*command).exit_code == 0
    assert read == ["Karl ."]


def test_debug_log(tiny, caplog):
    with caplog.at_level("DEBUG", logger="spacy"):
        list(tiny.pipe(TEXTS))
    (line,) = [r.getMessage() for r in caplog.records if r.getMessage().startswith("Encoded")]
    assert re.match(
        r"Encoded 3 documents in \d\.\d{3} s: 5 windows, \d+ wordpieces, \d+\.\d % pad", line
    )
    caplog.clear()
    with caplog.at_level("INFO", logger="spacy"):
        list(tiny.pipe(TEXTS))
    assert not caplog.records
