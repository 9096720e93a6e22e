"""The README and the pages of docs/: what a reader copies runs, and prints what they show.

They are read as a session, from top to bottom: a ```python block goes on where the one before it
ended, and a block without a language behind it is what it prints. Of ```bash blocks, all but those
that set up an environment are run, with training cut short. The pipeline of `make demo` is at hand.
"""

import json
import re
import shlex
import subprocess
from importlib.metadata import EntryPoint
from inspect import Parameter, signature
from typing import NamedTuple

import pytest
import spacy
import srsly
from spacy.cli._util import parse_config_overrides
from spacy.language import Language
from weasel.util.config import load_project_config

from spacy_bert_ner.pipeline.bert_ner import BertNER

from .toy import save_encoder
from .util import ROOT, read_setup, run_spacy

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SETTINGS = ROOT / "docs" / "reference" / "settings.md"
# Trained by `make test`: by `make demo` too, and with configs/bert_ner.cfg.
PIPELINES = ("training/sample/model-last", "training/plain/model-last")
# Scores differ a little from one processor to the next.
TOLERANCE = 0.15
# An encoder of the hub, for which a tiny one stands in.
HUB_ENCODER = "intfloat/multilingual-e5-small"
# In a block of output, it stands for what isn't shown.
CUT = "[…]"


def get_name(path):
    return path.relative_to(ROOT).as_posix()


class Block(NamedTuple):
    language: str
    text: str
    line: int


def read_blocks(path):
    blocks, opened = [], None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.startswith("```"):
            if opened is None:
                opened = Block(line[3:].strip(), "", number)
            else:
                blocks.append(opened)
                opened = None
        elif opened is not None:
            opened = opened._replace(text=opened.text + line + "\n")
    assert opened is None, f"{path}: a block without an end"
    return blocks


@pytest.fixture
def project(tmp_path, monkeypatch, project_in_process):
    """A folder that looks like a checkout in which both pipelines were trained."""
    for name in ("assets", "configs", "project.yml"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in PIPELINES:
        assert (ROOT / name).exists(), f"there is no {name}: run `make test`, which trains it"
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    settings = {"max_position_embeddings": 128, "num_hidden_layers": 4}
    return save_encoder(tmp_path_factory.mktemp("encoder"), "bert", **settings)


def assert_printed(output, shown, where):
    """The same words in the same order, and numbers that are nearly the same."""
    words = re.sub(r"\x1b\[[\d;]*m", "", output).split()
    start, *others = [part.split() for part in shown.split(CUT)]
    if not others:
        assert len(words) == len(start), (where, output)
    assert are_like(words, start), (where, output)
    at = len(start)
    for part in others:
        while at < len(words) and not are_like(words[at:], part):
            at += 1
        assert at < len(words) or not part, (where, part, output)
        at += len(part)


def are_like(words, expected):
    """RETURNS (bool): Whether words begin with those that are expected."""
    return len(words) >= len(expected) and all(map(is_like, words, expected))


def is_like(word, expected):
    if re.fullmatch(r"[01]\.\d+", word) and re.fullmatch(r"[01]\.\d+", expected):
        return float(word) == pytest.approx(float(expected), abs=TOLERANCE)
    return word == expected


def makes_demo(words):
    """RETURNS (bool): Whether a training writes to the folder of `make demo`: then its settings are
    the same, and what it makes is at hand."""
    if words[3] != "train" or "training/sample" not in words:
        return False
    commands = load_project_config(ROOT)["commands"]
    demo = next(command for command in commands if command["name"] == "train")
    assert get_config(words[4:]) == get_config(shlex.split(demo["script"][0])[4:])
    return True


def get_config(words):
    """RETURNS (Config): The config of a training, of its arguments."""
    path, option, folder, *overrides = words
    assert (option, folder) == ("--output", "training/sample")
    return spacy.util.load_config(path, parse_config_overrides(overrides), interpolate=True)


def run_python(block, scope, where, capsys):
    capsys.readouterr()
    exec(compile(block.text, where, "exec"), scope)
    return capsys.readouterr().out


def run_bash(block, where, encoder):
    """RETURNS (str): What all its commands print."""
    output = ""
    for command in block.text.replace("\\\n", " ").strip().splitlines():
        words = shlex.split(command, comments=True)
        words = [str(encoder) if word == HUB_ENCODER else word for word in words]
        if not words or makes_demo(words):
            continue
        if "train" in words[:4] and "--training.max_steps" not in words:
            words += ["--training.max_steps", "2"]
        elif "--training.max_steps" in words:
            words[words.index("--training.max_steps") + 1] = "2"
        assert words[:3] == ["python", "-m", "spacy"], (where, command)
        result = run_spacy(*words[3:])
        assert result.exit_code == 0, (where, command, result.output, result.exception)
        output += result.stdout or result.stderr
    return output


def is_setup(block):
    return re.match(r"(pip|make|git|cd) ", block.text) is not None


@pytest.mark.parametrize("path", PAGES, ids=get_name)
def test_page_runs(path, project, encoder, capsys):
    scope = {}
    printed = None
    for block in read_blocks(path):
        where = f"{get_name(path)}:{block.line}"
        if block.language == "python":
            printed = run_python(block, scope, where, capsys)
        elif block.language == "bash" and not is_setup(block):
            printed = run_bash(block, where, encoder)
        elif block.language == "":
            assert printed is not None, f"{where}: a block of output behind nothing that runs"
            assert_printed(printed, block.text, where)
            printed = None
        elif block.language == "ini":
            check_settings(block, where)


def parse_settings(block, section="components"):
    """RETURNS (Dict): The components of a block of a config, by name, or another section."""
    config = spacy.util.load_config_from_str(re.sub(r"\s+# .*", "", block.text))
    return dict(config.get(section, {}))


def check_settings(block, where):
    """They make components, and what training takes."""
    for name, settings in parse_settings(block, "training").items():
        if isinstance(settings, dict):
            made = spacy.util.registry.resolve({name: settings})
            assert callable(made[name]), (where, name)
    for name, settings in parse_settings(block).items():
        settings = dict(settings)
        if "source" in settings:
            made = spacy.load(settings["source"]).get_pipe(name)
        else:
            made = spacy.blank("en").add_pipe(settings.pop("factory"), config=settings)
        assert made, (where, name)


def test_all_settings_are_shown():
    """Blocks of the page have every setting of the two components, with its default."""
    shown = {}
    for block in read_blocks(SETTINGS):
        if block.language == "ini":
            shown.update(parse_settings(block))
    nlp = spacy.blank("en")
    named = ("@architectures", "name")
    model = {key: shown["transformer"]["model"][key] for key in named}
    # The factory's own number is too small, as the page says.
    nlp.add_pipe("transformer", config={"model": model, "max_batch_items": 100000})
    nlp.add_pipe("bert_ner")
    for name, made in nlp.config["components"].items():
        expected = {key: made[key] for key in made if key != "set_extra_annotations"}
        assert shown[name] == expected


def read_setting_tables():
    """RETURNS (Dict[str, Dict[str, str]]): The defaults that the page of settings shows, by setting
    and by what has it: the name in the heading of the table, or one in a table of names.
    """
    shown, name, columns = {}, None, []
    for line in SETTINGS.read_text(encoding="utf-8").splitlines():
        heading = re.match(r"#+ (.*)", line)
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if heading:
            code = re.fullmatch(r"`(.*)`", heading[1])
            name = code[1] if code else None
            if name:
                shown[name] = {}
        elif not line.startswith("|"):
            columns = []
        elif not columns:
            columns = cells
        elif columns[0] == "name" and cells[0].startswith("`"):
            shown[cells[0].strip("`")] = {}
        elif columns[0] == "setting" and name and cells[0].startswith("all of"):
            shown[name].update(shown[re.search(r"`(.*)`", cells[0])[1]])
        elif columns[0] == "setting" and name and cells[0].startswith("`"):
            assert len(cells) == len(columns) == 4 and all(cells), (name, line)
            shown[name][cells[0].strip("`")] = re.sub(r"\[(.*)\]\(.*\)", r"\1", cells[2]).strip("`")
    return shown


def show_default(value):
    """RETURNS (Any): A default as the page has it: registered functions by name, else in JSON."""
    if value is Parameter.empty:
        return "required"
    if isinstance(value, dict):
        return next((value[key] for key in value if key.startswith("@")), dict(value))
    return value


def read_default(text):
    """RETURNS (Any): What a cell of the page means."""
    is_name = text == "required" or text.startswith("spacy-bert-ner.")
    return text if is_name else json.loads(text)


def get_parameters(function):
    return {
        "*" if parameter.kind is Parameter.VAR_POSITIONAL else name: parameter.default
        for name, parameter in signature(function).parameters.items()
    }


def list_functions():
    """RETURNS (List[EntryPoint]): All that setup.cfg registers, but for commands."""
    return [
        EntryPoint(*line.split(" = "), group)
        for group, lines in read_setup()["options.entry_points"].items()
        if group != "spacy_cli"
        for line in lines.strip().splitlines()
    ]


@pytest.mark.parametrize("entry", list_functions(), ids=lambda entry: entry.name)
def test_setting_is_in_a_table(entry):
    """The page has each parameter of each registered function, with its default."""
    expected = get_parameters(entry.load())
    if entry.group == "spacy_factories":
        expected = {key: expected[key] for key in expected if key not in ("nlp", "name")}
        defaults = Language.get_factory_meta(entry.name).default_config
        assert set(defaults) == set(expected)
        expected = {key: defaults[key] for key in expected}
    shown = read_setting_tables()[entry.name]
    assert {key: read_default(text) for key, text in shown.items()} == {
        key: show_default(value) for key, value in expected.items()
    }


def test_settings_of_initialization_are_in_a_table():
    parameters = get_parameters(BertNER.initialize)
    expected = {k: v for k, v in parameters.items() if k not in ("self", "get_examples", "nlp")}
    shown = read_setting_tables()["[initialize.components.bert_ner]"]
    assert {key: read_default(text) for key, text in shown.items()} == expected


def test_what_the_tables_name_is_registered():
    shown = set(read_setting_tables()) - {"[initialize.components.bert_ner]"}
    assert shown == {entry.name for entry in list_functions()}


def get_slugs(text):
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("path", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=get_name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]+))?\)", text):
        if target.startswith("http"):
            continue
        page = path.parent / target if target else path
        assert page.exists(), (get_name(path), target)
        if anchor and page.suffix == ".md":
            slugs = get_slugs(page.read_text(encoding="utf-8"))
            assert anchor in slugs, (get_name(path), target, anchor)


def test_exports_of_labeling_tools(tmp_path):
    """The records that the tutorial shows are read as they are, with both of their entities."""
    blocks = read_blocks(ROOT / "docs" / "tutorials" / "own-labels.md")
    records = [block.text for block in blocks if block.language == "json"]
    for name, text in zip(["a.jsonl", "b.json", "c.jsonl"], records, strict=True):
        (tmp_path / name).write_text(text.replace("\n", "") + "\n", encoding="utf-8")
        result = run_spacy(
            "bert-ner", "convert", tmp_path / name, tmp_path / "out.spacy", "-l", "en"
        )
        assert result.exit_code == 0, result.output
        assert "1 document, 7 tokens, 2 entities" in result.stderr, result.output


def test_make_targets():
    targets = set(re.findall(r"^([a-z0-9]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^make ([a-z0-9]+)$", text, re.M))
    assert {"demo", "test"} <= shown <= targets


def test_examples_for_schedulers():
    """Their syntax: they can't be run here."""
    blocks = read_blocks(ROOT / "docs" / "scale.md")
    (script,) = [block.text for block in blocks if block.text.startswith("#!/bin/bash\n#SBATCH")]
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    (job,) = [srsly.yaml_loads(block.text) for block in blocks if block.language == "yaml"]
    (container,) = job["spec"]["template"]["spec"]["containers"]
    subprocess.run(["bash", "-n"], input=container["args"][0], text=True, check=True)
    assert f"/{job['spec']['completions']}" in container["args"][0]
