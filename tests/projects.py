"""Workflows of projects, run on a small corpus with a tiny encoder."""

import srsly

from .util import ROOT, TAGS, WORDS, run_spacy

TOKENS = "".join(f"{i}\t{word}\t{TAGS[i - 1]}\t-\t-\n" for i, word in enumerate(WORDS, start=1))
# As many documents as a language can be told by.
IOB2 = "\n".join(f"# newdoc id = {i}\n# sent_id = {i}\n{TOKENS}" for i in range(10))


def read_project(name):
    """RETURNS (dict): What a project's file holds."""
    return srsly.read_yaml(ROOT / "projects" / name / "project.yml")


def copy_project(name, folder, **values):
    """Copy a project, with other values of its variables, and files that its assets may be."""
    config = read_project(name)
    assert set(values) <= set(config["vars"])
    config["vars"].update(values)
    srsly.write_yaml(folder / "project.yml", config)
    for asset in config["assets"]:
        path = folder / asset["dest"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(IOB2, encoding="utf-8")


def run_workflow(name, **values):
    """Run a workflow of the project in the current folder.

    RETURNS (str): What it printed.
    """
    options = [word for key, value in values.items() for word in (f"--vars.{key}", str(value))]
    result = run_spacy("project", "run", name, *options)
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.stdout


def check_project(name):
    """Check that assets can be checked, that a finished step is skipped, and that workflows name
    what there is, and are told about."""
    config = read_project(name)
    assert all(asset["url"].startswith("https://") for asset in config["assets"])
    assert all(len(asset["checksum"]) == 32 for asset in config["assets"])
    commands = {command["name"]: command for command in config["commands"]}
    readme = (ROOT / "projects" / name / "README.md").read_text(encoding="utf-8")
    for workflow, steps in config["workflows"].items():
        assert set(steps) <= set(commands)
        assert f"`{workflow}`" in readme
    for command in commands.values():
        assert command["outputs"], command["name"]
