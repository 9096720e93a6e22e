"""The workflows of projects/crosslingual, with a tiny encoder on a small corpus."""

import pytest
import spacy
import srsly

from .language_models import save_masked_lm
from .projects import IOB2, check_project, copy_project, read_project, run_workflow
from .toy import save_encoder
from .util import ROOT, WORDS, run_spacy

VARS = {
    "batch_docs": 1,
    "steps": 2,
    "warmup": 1,
    "batch_sents": 2,
    "student_steps": 2,
    "student_warmup": 1,
    "joint_steps": 2,
    "joint_warmup": 1,
    "further_steps": 2,
    "further_warmup": 1,
    "eval_frequency": 1,
    "freeze_layers": 1,
    "layers": 1,
    "lexicon": "assets/lexicon.tsv",
}
# What each workflow makes that tells whether it was done, next to scores.
WORKFLOWS = {
    "zero-shot": "zero_shot/da",
    "teacher-student": "teacher_student/da/model-last",
    "joint": "joint/da/model-last",
    "ensemble": "ensemble/da/model-last",
    "multi-source": "multi_source/da/model-last",
    "other-source": "other_source/da/model-last",
    "unitrans": "unitrans/da/model-last",
    "uxla": "uxla/da/model-last",
    "compress": "small/da/model-last",
}


@pytest.fixture
def project(tmp_path, tmp_path_factory, monkeypatch, project_in_process):
    """A copy, with the files that its assets are, in the folder in which commands run."""
    encoder = save_encoder(tmp_path_factory.mktemp("encoder"), "bert", max_position_embeddings=128)
    copy_project("crosslingual", tmp_path, encoder=encoder, **VARS)
    lexicon = "".join(f"{word}\t{word}en\n" for word in WORDS)
    (tmp_path / "assets" / "lexicon.tsv").write_text(lexicon, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def get_times(project, pattern):
    return {path: path.stat().st_mtime_ns for path in project.glob(pattern)}


def get_scores(project, model):
    path = project / "training" / model.removesuffix("/model-last")
    return srsly.read_json(path.with_name(f"{path.name}.json"))


# Trained for longer, so that two models agree on something.
LONGER = {"steps": 40, "warmup": 4, "batch_docs": 4, "learn_rate": 0.01, "eval_frequency": 40}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_workflow(project, workflow):
    run_workflow(workflow, **(LONGER if workflow == "uxla" else {}))
    model = WORKFLOWS[workflow]
    assert 0.0 <= get_scores(project, model)["ents_f"] <= 1.0
    nlp = spacy.load(project / "training" / model)
    assert nlp.lang == "da"
    assert set(nlp.get_pipe("bert_ner").labels) == {"PER", "LOC"}


def test_another_round(project):
    """It goes on from the first one, and trains no model of the warm-up again."""
    settings = {**LONGER, "masked_model": save_masked_lm(project / "masked", "bert")}
    run_workflow("uxla-round", **settings)
    warm = get_times(project, "training/warm_*/**/*")
    first = get_times(project, "training/round1_*/**/*")
    run_workflow("uxla-round", **settings, round=2, before="training/round1")
    assert get_scores(project, "round2_a/da")
    assert get_times(project, "training/warm_*/**/*") == warm
    assert get_times(project, "training/round1_*/**/*") == first
    before = srsly.read_json(project / "training" / "round2_b" / "checkpoint" / "config.json")
    assert before["architectures"] == ["BertForTokenClassification"]


def test_for_another_language_nothing_is_trained_again(project):
    run_workflow("zero-shot")
    settings = spacy.load(project / "training" / "zero_shot" / "da").config
    assert settings["components"]["transformer"]["model"]["freeze_layers"] == 1
    assert settings["training"]["max_steps"] == 2
    trained = get_times(project, "training/zero_shot/model-last/**/*")
    assert len(trained) > 5
    assert "Skipping 'train'" in run_workflow("zero-shot", target="sv")
    assert get_times(project, "training/zero_shot/model-last/**/*") == trained
    assert spacy.load(project / "training" / "zero_shot" / "sv").lang == "sv"
    assert get_scores(project, "zero_shot/sv")


def test_six_commands(tmp_path, tmp_path_factory, monkeypatch):
    """Those of the page, on a small corpus, and with another encoder."""
    page = (ROOT / "docs" / "crosslingual.md").read_text(encoding="utf-8")
    block = next(part for part in page.split("```console\n") if "danish_texts" in part)
    commands = block.split("```")[0].splitlines()
    assert len(commands) == 6
    settings = {"max_position_embeddings": 128, "num_hidden_layers": 4}
    encoder = save_encoder(tmp_path_factory.mktemp("encoder"), "bert", **settings)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "danish_texts").mkdir()
    (tmp_path / "corpus").mkdir()
    for path in ("corpus/english.iob2", "dev.iob2"):
        (tmp_path / path).write_text(IOB2, encoding="utf-8")
    for number in range(2):
        path = tmp_path / "danish_texts" / f"{number}.txt"
        path.write_text(" ".join(WORDS), encoding="utf-8")
    for command in commands:
        words = command.replace("intfloat/multilingual-e5-small", str(encoder)).split()
        assert words[:3] == ["python", "-m", "spacy"]
        result = run_spacy(*words[3:])
        assert result.exit_code == 0, result.output + repr(result.exception)
    nlp = spacy.load(tmp_path / "training" / "danish" / "model-last")
    assert nlp.lang == "da" and set(nlp.get_pipe("bert_ner").labels) == {"PER", "LOC"}
    assert spacy.load(tmp_path / "training" / "zero_shot").lang == "da"
    facts = nlp.meta["spacy_bert_ner"]["training"]
    assert (facts["train"], facts["dev"]) == ("corpus", "dev.iob2")
    assert sorted(path.name for path in (tmp_path / "corpus").iterdir()) == [
        "danish.spacy",
        "english.iob2",
    ]


def test_no_step_but_the_score_reads_labels_of_the_other_language():
    config = read_project("crosslingual")
    names = [command["name"] for command in config["commands"]]
    lines = [line for command in config["commands"] for line in command["script"]]
    readers = {
        command["name"]
        for command in config["commands"]
        for line in command["script"]
        if "${vars.target}/test" in line
    }
    assert readers == {"target", *(name for name in names if name.startswith("evaluate"))}
    assert not [line for line in lines if "${vars.target}/dev" in line]


def test_project_is_complete():
    check_project("crosslingual")
