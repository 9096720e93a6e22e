"""What users name stays as it was, unless the changelog says so. See tests/public.py."""

from pathlib import Path
from typing import Any, Callable, Dict, List, Literal, Optional, Union

import numpy
import pytest
import typer
from numpy.typing import NDArray
from thinc.api import Model

import spacy_bert_ner
from spacy_bert_ner.cli import COMMANDS
from spacy_bert_ner.cli._util import OnError
from spacy_bert_ner.formats import FORMATS

from . import public
from .public import Change, compare, find_unnamed, find_words, list_differences
from .util import run_cli

BEFORE = {
    ("command convert", ""): "",
    ("command convert", "--from"): "NAME, str or null, default null",
    ("command convert", "--lang"): '-l, str, default "xx"',
    ("command describe", ""): "",
    ("command describe", "--json"): "bool, default false",
    ("loss spacy-bert-ner.RDrop.v1", ""): "",
    ("loss spacy-bert-ner.RDrop.v1", "weight"): "float, default 1.0",
}
CHANGELOG = """# Changelog

## Unreleased

### Added

- One entry about `convert`,
  of two lines.
- Another.

## 1.2.0 - 2026-01-01

- An entry of the release.

## 1.2 - 2025-01-01
"""


@pytest.fixture(scope="module")
def surface():
    return public.collect()


def test_surface_is_that_of_the_snapshot(surface):
    lines = list_differences(public.read(public.CURRENT)[1], surface)
    assert not lines, (
        f"The public surface changed. Name the changes in CHANGELOG.md, run `{public.UPDATE}`, and "
        f"commit {public.CURRENT.name}:\n" + "\n".join(lines)
    )


def test_changelog_names_what_changed(surface):
    version, released = public.read(public.RELEASED)
    entries = public.read_news(public.CHANGELOG, version)
    unnamed = find_unnamed(compare(released, surface), entries)
    assert not unnamed, (
        f'The public surface changed since {version}. In the section "Unreleased" of CHANGELOG.md, '
        "write an entry with these names in `code`:\n" + "\n".join(map(str, unnamed))
    )


def test_last_release():
    version = public.read(public.RELEASED)[0]
    assert version == spacy_bert_ner.__version__, (
        f"{public.RELEASED.name} is of {version}. For a release, run `{public.UPDATE} --release`."
    )


def test_surface_has_what_users_name(surface):
    """All names of setup.cfg, all commands and formats, and what the package exports."""
    owners = {owner for owner, _ in surface}
    names = {
        line.split(" = ")[0]
        for group, lines in public.read_setup()["options.entry_points"].items()
        if group != "spacy_cli"
        for line in lines.strip().splitlines()
    }
    assert names <= {owner.split(" ")[1] for owner in owners}
    assert {f"command {name}" for name in COMMANDS} <= owners
    assert {f"format {name}" for name in FORMATS} <= owners
    assert {f"python spacy_bert_ner.{name}" for name in spacy_bert_ner._EXPORTS} <= owners
    assert surface["component bert_ner", "threshold"] == "float, default 0.0"
    assert surface["recipe bert_ner", ""] == "configs/bert_ner.cfg"


def test_lines_are_read_as_they_were_written(surface):
    lines = public.to_lines(surface)
    assert len(lines) == len(surface) > 300
    assert public.from_lines(lines) == surface


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_the_options(name, surface):
    shown = run_cli(name, "--help").output.replace(",", " ").split()
    parts = [part for owner, part in surface if owner == f"command {name}" and part[:1] == "-"]
    for part in parts:
        assert {*part.split("/")} <= {*shown}


@pytest.mark.parametrize(
    "change,expected,lines",
    [
        ({}, [], []),
        (
            {("command convert", "--to"): "NAME"},
            [Change("added", "command convert", "--to")],
            ["+ command convert --to: NAME"],
        ),
        (
            {("command convert", "--from"): None},
            [Change("removed", "command convert", "--from")],
            ["- command convert --from: NAME, str or null, default null"],
        ),
        (
            {("command convert", "--lang"): '-l, str, default "en"'},
            [Change("changed", "command convert", "--lang")],
            [
                '- command convert --lang: -l, str, default "xx"',
                '+ command convert --lang: -l, str, default "en"',
            ],
        ),
        # Of a name that is new or gone, the name alone.
        (
            {("command describe", ""): None, ("command describe", "--json"): None},
            [Change("removed", "command describe", "")],
            ["- command describe", "- command describe --json: bool, default false"],
        ),
        (
            {
                ("python spacy_bert_ner.damage.Error", ""): "class",
                ("python spacy_bert_ner.damage.Error", "name"): "str",
                ("python spacy_bert_ner.damage.Error.show", ""): "returns str",
            },
            [Change("added", "python spacy_bert_ner.damage.Error", "")],
            [
                "+ python spacy_bert_ner.damage.Error: class",
                "+ python spacy_bert_ner.damage.Error name: str",
                "+ python spacy_bert_ner.damage.Error.show: returns str",
            ],
        ),
    ],
)
def test_compare(change, expected, lines):
    after = {key: value for key, value in {**BEFORE, **change}.items() if value is not None}
    assert compare(BEFORE, after) == expected
    assert sorted(list_differences(BEFORE, after)) == sorted(lines)


@pytest.mark.parametrize(
    "entry,names_it",
    [
        ("`convert` has an option `--to`.", True),
        ("`convert --to NAME` writes\n  any format.", True),
        ("`spacy bert-ner convert in out --to=jsonl`", True),
        ("`convert` has an option more.", False),
        ("`annotate` has an option `--to`.", False),
        ("`convert --to-lang`", False),
        ("convert has an option --to.", False),  # words that aren't code may mean anything
        ("`to_convert` and `--to`", False),
    ],
)
def test_entries_name_options(entry, names_it):
    change = Change("added", "command convert", "--to")
    assert find_unnamed([change], ["About `other`.", entry]) == ([] if names_it else [change])


def test_names_of_one_change_are_in_one_entry():
    change = Change("added", "command convert", "--to")
    assert find_unnamed([change], ["`convert` is faster.", "`annotate --to`"]) == [change]


@pytest.mark.parametrize(
    "owner,part,names",
    [
        ("loss spacy-bert-ner.RDrop.v1", "weight", ["RDrop.v1", "weight"]),
        ("format label-studio", "", ["label-studio"]),
        ("python spacy_bert_ner.BertNER.update", "sgd", ["update", "sgd"]),
        ("python spacy_bert_ner.damage.DamagedPipelineError", "", ["DamagedPipelineError"]),
        ("component bert_ner", "model.tok2vec.upstream", ["bert_ner", "model.tok2vec.upstream"]),
        ("command init-config", "--gpu/--cpu", ["init-config", "--gpu/--cpu"]),
    ],
)
def test_names_of_a_change(owner, part, names):
    assert Change("added", owner, part).names == names
    assert {*names} <= find_words(f"An entry: `{' '.join(names)}`.")


def test_words_of_an_entry():
    entry = "`spacy-bert-ner.RDrop.v1` and `configs/crf.cfg`, `BertNER.update(sgd=None)`; no `code"
    expected = {"RDrop.v1", "crf", "configs/crf.cfg", "BertNER.update", "update", "sgd", "None"}
    assert expected <= find_words(entry)
    assert "code" not in find_words(entry)


def test_news_are_those_since_a_version(tmp_path):
    path = tmp_path / "CHANGELOG.md"
    path.write_text(CHANGELOG, encoding="utf-8")
    one, other = public.read_news(path, "1.2.0")
    assert "`convert`" in one and "two lines" in one and "Another" in other
    assert len(public.read_news(path, "1.2")) == 3
    with pytest.raises(ValueError, match="no section of version 1.1"):
        public.read_news(path, "1.1")


@pytest.mark.parametrize(
    "kind,shown",
    [
        (str, "str"),
        (Optional[int], "int or null"),
        (Union[str, Path], "Path or str"),
        (Union[Path, str, None], "Path or str or null"),
        (int | None, "int or null"),
        (Literal["a", 1], '"a" or 1'),
        (Dict[str, List[int]], "dict[str, list[int]]"),
        (Model[List[str], Any], "Model"),
        (Callable[[int], str], "Callable"),
        (NDArray[numpy.float32], "ndarray"),
        (Any, "Any"),
        (None, "null"),
        (OnError, '"stop" or "skip"'),
    ],
)
def test_types(kind, shown):
    assert public.show_type(kind) == shown


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Snapshots and a changelog that a test can write."""
    for name in ("current.txt", "released.txt"):
        (tmp_path / name).write_bytes((public.FOLDER / name).read_bytes())
    # As it is: it may already name changes.
    (tmp_path / "CHANGELOG.md").write_bytes(public.CHANGELOG.read_bytes())
    monkeypatch.setattr(public, "CURRENT", tmp_path / "current.txt")
    monkeypatch.setattr(public, "RELEASED", tmp_path / "released.txt")
    monkeypatch.setattr(public, "CHANGELOG", tmp_path / "CHANGELOG.md")
    return tmp_path


def test_a_change_on_its_way(files, monkeypatch):
    """An option, a format and a default: the tests above fail until snapshot and changelog have
    them, and a release isn't written before."""
    public.main(is_release=True)
    test_surface_is_that_of_the_snapshot(public.collect())
    test_changelog_names_what_changed(public.collect())
    monkeypatch.setitem(FORMATS, "xml", FORMATS["html"]._replace(suffixes=(".xml",)))
    option = typer.Option("yyyy", "--dates", "-d")

    def describe_cli(dates: str = option) -> None:
        """Not called."""

    monkeypatch.setattr("spacy_bert_ner.cli.describe.describe_cli", describe_cli)
    surface = public.collect()
    with pytest.raises(AssertionError) as failure:
        test_surface_is_that_of_the_snapshot(surface)
    assert "+ format xml: written, .xml" in str(failure.value)
    assert '+ command describe --dates: -d, str, default "yyyy"' in str(failure.value)
    assert "- command describe --json: bool, default false" in str(failure.value)
    public.main()
    test_surface_is_that_of_the_snapshot(surface)
    with pytest.raises(AssertionError, match="added: format xml"):
        test_changelog_names_what_changed(surface)
    with pytest.raises(SystemExit, match="removed: command describe --json"):
        public.main(is_release=True)
    text = public.CHANGELOG.read_text("utf-8")
    entries = "## Unreleased\n\n- `xml`.\n- `describe` has `--dates`, and no PIPELINE or `--json`."
    text = text.replace("## Unreleased", entries)
    public.CHANGELOG.write_text(text, encoding="utf-8")
    with pytest.raises(AssertionError, match="removed: command describe PIPELINE"):
        test_changelog_names_what_changed(surface)
    public.CHANGELOG.write_text(text.replace("PIPELINE", "`PIPELINE`"), encoding="utf-8")
    test_changelog_names_what_changed(surface)
    assert "released.txt" in public.main(is_release=True)
    assert compare(public.read(files / "released.txt")[1], surface) == []


def test_what_the_documentation_imports_is_public(tmp_path, monkeypatch):
    assert ("spacy_bert_ner", "from_huggingface") in public.find_imports()
    (tmp_path / "docs" / "concepts").mkdir(parents=True)
    (tmp_path / "README.md").write_text("from spacy_bert_ner import a, b\n", encoding="utf-8")
    page = "```python\nfrom spacy_bert_ner.tagging.crf import Chain\n```\n"
    (tmp_path / "docs" / "page.md").write_text(page, encoding="utf-8")
    (tmp_path / "docs" / "concepts" / "page.md").write_text(
        page.replace("Chain", "Inside"), encoding="utf-8"
    )
    monkeypatch.setattr(public, "ROOT", tmp_path)
    here = "spacy_bert_ner"
    assert public.find_imports() == {(here, "a"), (here, "b"), (f"{here}.tagging.crf", "Chain")}
