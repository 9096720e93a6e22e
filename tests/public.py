"""The public surface of the package, as lines of text: what users name in configs, on the command
line and in Python. Two files in fixtures/public keep it: `current.txt`, the surface of this
checkout, and `released.txt`, that of the last release.

After you changed something public, name it in CHANGELOG.md and run, in the root of the repository:

    python -m tests.public

For a release, see docs/releasing.md.
"""

import argparse
import inspect
import json
import re
import sys
import types
import typing
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Set, Tuple

from spacy.language import Language

import spacy_bert_ner
from spacy_bert_ner.cli import COMMANDS, WITH_OVERRIDES
from spacy_bert_ner.formats import FORMATS

from .util import ROOT, read_setup

FOLDER = ROOT / "tests" / "fixtures" / "public"
CURRENT, RELEASED = FOLDER / "current.txt", FOLDER / "released.txt"
CHANGELOG = ROOT / "CHANGELOG.md"
UPDATE = "python -m tests.public"
# Of each group of entry points, what to call a name in it. spacy_cli is the group of commands.
KINDS = {
    "spacy_factories": "component",
    "spacy_architectures": "architecture",
    "thinc_layers": "layer",
    "thinc_optimizers": "optimizer",
    "thinc_losses": "loss",
    "spacy_batchers": "batcher",
    "spacy_scorers": "scorer",
    "spacy_readers": "reader",
    "spacy_loggers": "logger",
    "spacy_callbacks": "callback",
    "spacy_misc": "function",
}
# In Python: what the package exports, what the documentation imports, and these: errors to catch,
# and the contract of heads that users write.
MORE_PYTHON = {
    "UserError": "spacy_bert_ner.errors",
    "MissingFileError": "spacy_bert_ner.errors",
    "DamagedPipelineError": "spacy_bert_ner.damage",
    "Head": "spacy_bert_ner.model.heads",
}
CONTAINERS = (list, tuple, dict, set, type)

# A name, or a name and a part of it, such as ("command annotate", "--batch-size"): a description.
Surface = Dict[Tuple[str, str], str]


def collect() -> Surface:
    """RETURNS (Surface): All that is public."""
    surface: Surface = {}
    for add in (add_registered, add_commands, add_formats, add_recipes, add_python):
        add(surface)
    return surface


def add_registered(surface: Surface) -> None:
    """The names of the table in setup.cfg, with the parameters of their functions."""
    for group, lines in read_setup()["options.entry_points"].items():
        for line in lines.strip().splitlines():
            name, place = line.split(" = ")
            module, function = place.split(":")
            if group != "spacy_cli":  # whose commands have lines of their own
                made_by = getattr(import_module(module), function)
                add = add_settings if group == "spacy_factories" else add_parameters
                add(surface, f"{KINDS[group]} {name}", made_by)


def add_parameters(surface: Surface, owner: str, function: Any) -> None:
    """A line for a function, and one for each of its parameters. Where it is called from Python,
    with their order and with what it returns; configs give all by name."""
    signature, is_called = inspect.signature(function), owner.startswith("python ")
    returns = signature.return_annotation
    has_value = is_called and returns not in (signature.empty, None)
    surface[owner, ""] = f"returns {show_type(returns)}" if has_value else ""
    parameters = [value for name, value in signature.parameters.items() if name != "self"]
    for i, parameter in enumerate(parameters, start=1):
        words = [show_type(parameter.annotation)]
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            words.insert(0, "any number")
        elif is_called:
            by_name = parameter.kind == parameter.KEYWORD_ONLY
            words.insert(0, "by name" if by_name else f"argument {i}")
        if parameter.default is not parameter.empty:
            words.append(f"default {show_value(parameter.default)}")
        surface[owner, parameter.name] = ", ".join(words)


def add_settings(surface: Surface, owner: str, factory: Any) -> None:
    """What a component sets, and its settings, with the block of its default model."""
    meta = Language.get_factory_meta(owner.split(" ")[1])
    kinds = inspect.signature(factory).parameters
    surface[owner, ""] = f"sets {', '.join(meta.assigns)}"
    for key, value in flatten(meta.default_config).items():
        words = [show_type(kinds[key].annotation)] if key in kinds else []
        surface[owner, key] = ", ".join([*words, f"default {show_value(value)}"])
    for key, value in meta.default_score_weights.items():
        surface[owner, f"score_weights.{key}"] = f"default {show_value(value)}"


def flatten(block: Dict[str, Any], prefix: str = "") -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): The values of a block and the blocks in it, by dotted names."""
    flat = {}
    for key, value in block.items():
        name = f"{prefix}{key}"
        flat.update(flatten(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return flat


def add_commands(surface: Surface) -> None:
    """The commands, with their arguments in order and their options."""
    for name, context in COMMANDS.items():
        module = name.replace("-", "_")
        command = getattr(import_module(f"spacy_bert_ner.cli.{module}"), f"{module}_cli")
        owner = f"command {name}"
        takes_settings = context == WITH_OVERRIDES
        surface[owner, ""] = "and settings of the config, such as --paths.train" * takes_settings
        n_arguments = 0
        for parameter in inspect.signature(command).parameters.values():
            if parameter.default is parameter.empty:
                continue  # the context, which is no argument
            info, kind = parameter.default, show_type(parameter.annotation)
            words = [info.metavar] if info.metavar else []
            if info.min is not None:
                kind += f" from {info.min:g}" + (f" to {info.max:g}" if info.max else "")
            if info.param_decls:
                part, *short = info.param_decls
                words = [*short, *words, kind]
            else:
                n_arguments += 1
                part = parameter.name.upper()
                words = [f"argument {n_arguments}", *words, kind]
            is_needed = info.default is ...
            words.append("required" if is_needed else f"default {show_value(info.default)}")
            surface[owner, part] = ", ".join(words)


def add_formats(surface: Surface) -> None:
    """The formats of files, with what they are recognized by."""
    for name, entry in FORMATS.items():
        ways = [("read", entry.reader), ("written", entry.writer)]
        use = " and ".join(way for way, function in ways if function is not None)
        surface[f"format {name}", ""] = ", ".join([use, *entry.suffixes])


def add_recipes(surface: Surface) -> None:
    """The configs that `init-config` starts from, and the extras of `pip install`."""
    for path in (ROOT / "configs").glob("*.cfg"):
        surface[f"recipe {path.stem}", ""] = f"configs/{path.name}"
    for name in read_setup()["options.extras_require"]:
        if name != "dev":
            surface[f"extra {name}", ""] = f'pip install "spacy-bert-ner[{name}]"'


def add_python(surface: Surface) -> None:
    """Functions and classes, with parameters, and public methods of classes."""
    exports = {name: f"spacy_bert_ner.{module}" for name, module in spacy_bert_ner._EXPORTS.items()}
    named = {(module, name) for name, module in {**MORE_PYTHON, **exports}.items()}
    for module, name in sorted(named | find_imports()):
        value = getattr(import_module(module), name)
        where = "spacy_bert_ner" if name in exports else module
        owner = f"python {where}.{name}"
        add_parameters(surface, owner, value)
        if inspect.isclass(value):
            bases = [base.__name__ for base in value.__mro__[1:-1] if base in (ValueError, OSError)]
            surface[owner, ""] = ", ".join(["class", *bases])
            add_members(surface, owner, value)


def find_imports() -> Set[Tuple[str, str]]:
    """RETURNS (Set[Tuple[str, str]]): What the README and the pages of docs/ import: modules and
    names. The pages of docs/concepts show how the package works inside, and promise nothing."""
    found = set()
    pages = {*(ROOT / "docs").rglob("*.md")} - {*(ROOT / "docs" / "concepts").rglob("*.md")}
    for path in [ROOT / "README.md", *sorted(pages)]:
        pattern = r"^ *from (spacy_bert_ner[\w.]*) import ([\w, ]+)$"
        for module, names in re.findall(pattern, path.read_text("utf-8"), re.M):
            found.update((module, name) for name in names.replace(" ", "").split(","))
    return found


def add_members(surface: Surface, owner: str, kind: type) -> None:
    """Public methods and properties that a class has from this package, not from another's."""
    own = [base for base in kind.__mro__ if base.__module__.startswith("spacy_bert_ner")]
    members = {name: value for base in reversed(own) for name, value in vars(base).items()}
    for name, value in members.items():
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            returns = inspect.signature(value.fget).return_annotation  # type: ignore[arg-type]
            surface[f"{owner}.{name}", ""] = f"property, {show_type(returns)}"
        elif inspect.isfunction(value):
            add_parameters(surface, f"{owner}.{name}", value)


def show_type(kind: Any) -> str:
    """RETURNS (str): A type, the same with all versions of Python and of libraries: of a generic
    type that isn't one of Python's containers, its name alone."""
    if kind is inspect.Parameter.empty:
        return "any"
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return " or ".join(show_value(choice) for choice in kind)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return " or ".join(map(show_value, args))
    if origin in (typing.Union, types.UnionType):
        # Python caches unions: their order is that of the package which was imported first.
        return " or ".join(sorted(map(show_type, args), key=lambda name: (name == "null", name)))
    if origin in CONTAINERS:
        return f"{origin.__name__}[{', '.join(map(show_type, args))}]"
    if kind in (None, types.NoneType):
        return "null"
    if kind is ...:
        return "..."
    return getattr(origin or kind, "__name__", None) or str(kind).removeprefix("typing.")


def show_value(value: Any) -> str:
    """RETURNS (str): A default, as configs write it."""
    if isinstance(value, Enum):
        return show_value(value.value)
    if callable(value):
        return value.__name__ if hasattr(value, "__name__") else type(value).__name__
    return json.dumps(value)


def to_lines(surface: Surface) -> List[str]:
    """RETURNS (List[str]): A line for each fact, in order."""
    return sorted(
        f"{owner} {part}".rstrip() + (f": {description}" if description else "")
        for (owner, part), description in surface.items()
    )


def from_lines(lines: List[str]) -> Surface:
    """RETURNS (Surface): What the lines say that `to_lines` makes."""
    surface: Surface = {}
    for line in lines:
        names, _, description = line.partition(": ")
        kind, name, *part = names.split(" ")
        surface[f"{kind} {name}", "".join(part)] = description
    return surface


def list_differences(before: Surface, after: Surface) -> List[str]:
    """RETURNS (List[str]): Lines that were removed (-) and added (+), those of a name together."""
    old, new = to_lines(before), to_lines(after)
    removed = [("- ", line) for line in {*old} - {*new}]
    added = [("+ ", line) for line in {*new} - {*old}]
    lines = sorted([*removed, *added], key=lambda pair: (pair[1].split(": ")[0], pair[0] == "+ "))
    return [sign + line for sign, line in lines]


class Change(NamedTuple):
    """What became of a line of the surface.

    what (str): "added", "removed" or "changed".
    owner (str): The kind and name, such as "command annotate".
    part (str): The parameter, setting or option; empty for all of the owner.
    """

    what: str
    owner: str
    part: str

    def __str__(self) -> str:
        return f"{self.what}: {self.owner} {self.part}".rstrip()

    @property
    def names(self) -> List[str]:
        """RETURNS (List[str]): What an entry of the changelog must have, without prefixes."""
        kind, name = self.owner.split(" ")
        name = name.removeprefix("spacy-bert-ner.").removeprefix("spacy_bert_ner.")
        return [name.split(".")[-1] if kind == "python" else name, *([self.part] * bool(self.part))]


def compare(before: Surface, after: Surface) -> List[Change]:
    """RETURNS (List[Change]): What differs. Of a name that was added or removed, neither its parts
    nor, of a class, its members.

    before, after (Surface): Two surfaces.
    """
    changes = []
    for owner, part in sorted(before.keys() | after.keys()):
        old, new = before.get((owner, part)), after.get((owner, part))
        above = (owner if part else owner.rpartition(".")[0], "")
        if old != new and (above in before) == (above in after):
            what = "added" if old is None else "removed" if new is None else "changed"
            changes.append(Change(what, owner, part))
    return changes


def read_news(path: Path, version: str) -> List[str]:
    """RETURNS (List[str]): The entries that are newer than a version: those of "Unreleased", and
    of a version that is about to be released.

    path (Path): The changelog.
    version (str): The last release.
    RAISES (ValueError): If the version has no section.
    """
    text = path.read_text("utf-8")
    match = re.search(rf"^## {re.escape(version)}(?![\w.])", text, re.M)
    if match is None:
        raise ValueError(f"{path.name} has no section of version {version}")
    return re.split(r"^ *- ", text[: match.start()], flags=re.M)[1:]


def find_unnamed(changes: List[Change], entries: List[str]) -> List[Change]:
    """RETURNS (List[Change]): Changes that no entry names.

    changes (List[Change]): What differs from the release.
    entries (List[str]): Of the changelog. An entry names a change if all of its names are in the
        entry's `code`.
    """
    named = [find_words(entry) for entry in entries]
    return [change for change in changes if not any({*change.names} <= words for words in named)]


def find_words(entry: str) -> Set[str]:
    """RETURNS (Set[str]): The words in the code of an entry: `a.b`, and `b` without `a`;
    `configs/c.cfg`, and `c`."""
    code = " ".join(re.findall(r"`([^`]+)`", entry)).replace("spacy-bert-ner.", "")
    words = re.findall(r"[\w@./-]+", code)
    ends = [word.rpartition(".")[2] for word in words]
    return {*words, *ends, *(Path(word).stem for word in words if word.endswith(".cfg"))}


def read(path: Path) -> Tuple[str, Surface]:
    """RETURNS (Tuple[str, Surface]): The version that a file is of, and the surface."""
    title, *lines = path.read_text("utf-8").splitlines()
    return title.removeprefix("# "), from_lines(lines)


def write(path: Path, surface: Surface) -> None:
    path.parent.mkdir(exist_ok=True)
    lines = [f"# {spacy_bert_ner.__version__}", *to_lines(surface)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def main(is_release: bool = False) -> str:
    """RETURNS (str): What was written.

    is_release (bool): Write the surface of the last release, too.
    RAISES (SystemExit): For a release whose changelog doesn't name all changes.
    """
    surface = collect()
    write(CURRENT, surface)
    if not is_release:
        return f"Wrote {CURRENT.name}.\n"
    version, released = read(RELEASED)
    unnamed = find_unnamed(compare(released, surface), read_news(CHANGELOG, version))
    if unnamed:
        lines = "\n".join(map(str, unnamed))
        raise SystemExit(f"CHANGELOG.md doesn't name these changes since {version}:\n{lines}")
    write(RELEASED, surface)
    return f"Wrote {CURRENT.name} and {RELEASED.name}.\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the snapshots of the public surface.")
    parser.add_argument("--release", action="store_true", help="that of the last release, too")
    sys.stdout.write(main(parser.parse_args().release))
