"""The changelog has the form of Keep a Changelog, and is that of this version."""

import re
from datetime import date

import pytest

from spacy_bert_ner import __version__

from .util import ROOT

SECTIONS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
UNRELEASED = "Unreleased"


def read_versions(text):
    """RETURNS (List[Tuple[str, str, str]]): Version, date and text of each, from the newest.

    text (str): A changelog.
    """
    parts = re.split(r"^## (.*)\n", text, flags=re.M)[1:]
    heads = [(*head.split(" - "), "")[:2] for head in parts[::2]]
    return [(*head, body) for head, body in zip(heads, parts[1::2])]


def find_mistakes(text):
    """RETURNS (List[str]): What isn't as Keep a Changelog has it.

    text (str): A changelog.
    """
    versions = read_versions(text)
    mistakes = [] if versions and versions[0][0] == UNRELEASED else ["no Unreleased at the head"]
    numbers, days = [], []
    for version, day, body in versions:
        if version != UNRELEASED:
            numbers.append(tuple(map(int, version.split("."))))
            days.append(date.fromisoformat(day))
        names = re.findall(r"^### (.*)$", body, re.M)
        is_upgrade = names and re.fullmatch(r"Coming from \d+\.\d+", names[0])
        sections = names[1:] if is_upgrade else names
        if [name for name in SECTIONS if name in sections] != sections:
            mistakes.append(f"{version}: {', '.join(names)} aren't in the order {SECTIONS}")
        lines = [line for line in body.splitlines() if line.strip()]
        for line, following in zip(lines, [*lines[1:], ""]):
            starts = ("- ", "#### ") if line.startswith("### ") else ("- ",)
            if line.startswith("###") and not following.startswith(starts):
                mistakes.append(f"{version}: no entries under {line.lstrip('# ')}")
    if numbers != sorted(set(numbers), reverse=True) or days != sorted(days, reverse=True):
        mistakes.append("versions aren't in order, the newest first")
    return mistakes


@pytest.fixture(scope="module")
def changelog():
    return (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_form(changelog):
    assert find_mistakes(changelog) == []


def test_newest_version_is_that_of_the_package(changelog):
    versions = [version for version, _, _ in read_versions(changelog)]
    assert versions[:2] == [UNRELEASED, __version__]


def test_a_minor_version_begins_with_how_to_get_there(changelog):
    versions = [version for version in read_versions(changelog) if version[0] != UNRELEASED]
    for (version, _, body), (before, _, _) in zip(versions, versions[1:]):
        if version.endswith(".0"):
            assert body.lstrip().startswith(f"### Coming from {before.rpartition('.')[0]}\n")


ENTRY = "\n\n- An entry.\n\n"


@pytest.mark.parametrize(
    "text,mistake",
    [
        (f"## Unreleased\n\n### Added{ENTRY}## 1.0.0 - 2026-01-02\n\n### Fixed{ENTRY}", None),
        (f"## Unreleased\n\n### Added\n\n#### Group{ENTRY}", None),
        (f"## 1.1.0 - 2026-01-02\n\n### Coming from 1.0{ENTRY}", "no Unreleased at the head"),
        (f"## Unreleased\n\n### News{ENTRY}", "Unreleased: News aren't"),
        (f"## Unreleased\n\n### Fixed{ENTRY}### Added{ENTRY}", "Fixed, Added aren't"),
        (f"## Unreleased\n\n### Added{ENTRY}### Added{ENTRY}", "Added, Added aren't"),
        (f"## Unreleased\n\n### Added{ENTRY}### Coming from 1.0{ENTRY}", "Coming from 1.0 aren't"),
        ("## Unreleased\n\n### Added\n\n## 1.0.0 - 2026-01-01\n", "no entries under Added"),
        (f"## Unreleased\n\n### Added\n\n#### Group\n\n#### Other{ENTRY}", "under Group"),
        ("## Unreleased\n\n## 1.9.0 - 2026-01-01\n\n## 1.10.0 - 2026-01-01\n", "in order"),
        ("## Unreleased\n\n## 1.1.0 - 2026-01-01\n\n## 1.0.0 - 2026-01-02\n", "in order"),
    ],
)
def test_mistakes_are_found(text, mistake):
    found = find_mistakes(f"# Changelog\n\n{text}")
    assert found == [] if mistake is None else mistake in found[0]
