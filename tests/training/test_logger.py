"""What training prints."""

import io
from functools import partial

import pytest
import spacy
import srsly
from spacy.util import registry
from tqdm import tqdm

from spacy_bert_ner.training.logger import Progress, make_console_logger


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def size(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    every_step = partial(tqdm, mininterval=0.0, miniters=1)
    monkeypatch.setattr("spacy_bert_ner.training.logger.tqdm", every_step)


def make_nlp(max_steps=4):
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner")
    nlp.config["training"]["max_steps"] = max_steps
    nlp.config["training"]["score_weights"] = {"ents_f": 1.0, "ents_per_type": None}
    return nlp


def make_info(step):
    return {
        "epoch": 0,
        "step": step,
        "score": 0.5,
        "other_scores": {"ents_f": 0.5},
        "losses": {"bert_ner": 1.0},
        "words": 100 * (step + 1),
        "seconds": 1,
    }


def train(log_step, n_steps=5, every=2):
    for step in range(n_steps):
        log_step(None if step % every else make_info(step))


def shown(stream):
    """What is on a terminal, line by line."""
    return [line.split("\r")[-1].rstrip() for line in stream.getvalue().split("\n")]


def test_is_registered():
    assert registry.loggers.get("spacy-bert-ner.ConsoleLogger.v1") is make_console_logger


def test_the_table_is_spacys_and_begins_with_its_first_row():
    out, err = io.StringIO(), io.StringIO()
    log_step, close = make_console_logger()(make_nlp(), out, err)
    assert out.getvalue() == ""
    train(log_step)
    close()
    expected = io.StringIO()
    log_step, close = registry.loggers.get("spacy.ConsoleLogger.v3")()(make_nlp(), expected, err)
    train(log_step)
    close()
    assert out.getvalue() == expected.getvalue()
    assert out.getvalue().count("\n") == 5
    assert err.getvalue() == ""  # no terminal


def test_progress_in_a_terminal():
    out, err = io.StringIO(), Terminal()
    log_step, close = make_console_logger()(make_nlp(), out, err)
    for step in range(4):
        log_step(None if step % 2 else make_info(step))
    states = [state.strip() for state in err.getvalue().split("\r")]
    assert states[-1].startswith("3 of 4 steps |")
    assert " words/s, 00:0" in states[-1]
    assert states[-1].endswith(" left")
    assert max(map(len, states)) <= 80
    close()
    assert shown(err) == [""]  # taken away


def test_speed_is_that_of_training_alone(monkeypatch):
    """Evaluations take no part: 100 words in a step of 2 seconds, whatever they take."""
    times = iter([0.0, 10.0, 12.0, 14.0, 54.0, 56.0])
    monkeypatch.setattr("spacy_bert_ner.training.logger.perf_counter", lambda: next(times))
    err = Terminal()
    progress = Progress(8, err)
    for step in range(5):
        progress.add(make_info(step) if step in (0, 3) else None)
    assert "4 of 8 steps" in err.getvalue()
    assert "50 words/s" in err.getvalue().split("\r")[-1]
    progress.close()


def test_no_limit_of_steps():
    err = Terminal()
    progress = Progress(0, err)
    train(progress.add)
    assert "4 steps in 00:0" in err.getvalue()
    assert "left" not in err.getvalue()
    progress.close()


def test_without_progress(tmp_path):
    out, err = io.StringIO(), Terminal()
    logger = make_console_logger(progress_bar=False, output_file=tmp_path / "log.jsonl")
    log_step, close = logger(make_nlp(), out, err)
    train(log_step)
    close()
    assert err.getvalue() == ""
    steps = [record["step"] for record in srsly.read_jsonl(tmp_path / "log.jsonl")]
    assert steps == [0, 2, 4]
    assert "log.jsonl" in out.getvalue()
