"""The sizes of the package's files and functions, and that docstrings tell what they have to."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parent.parent / "spacy_bert_ner"
MAX_FILE, MAX_FUNCTION, MAX_PARAMS = 300, 50, 8
# Functions with a parameter for each setting of a block in a config, or each option of a command.
MADE_BY_CONFIGS = re.compile(r"(make|build|create)_\w+$")
COMMANDS = re.compile(r"\w+_cli$")
MORE_PARAMS = {
    "commands/annotate.py: annotate": "an argument for each option of the command",
    "commands/audit.py: audit": "an argument for each option of the command",
    "commands/label.py: label": "an argument for each option of the command",
    "commands/learning_curve.py: learning_curve": "an argument for each option of the command",
    "commands/select.py: select": "an argument for each option of the command",
    "pipeline/bert_ner.py: BertNER.__init__": "an argument for each setting of the factory",
}
LONGER = {
    "model/architectures.py: build_transformer_model_v1": "a line for each setting, twice",
}


class Function(NamedTuple):
    """A function or method.

    name (str): With the file and the class it is in.
    node (ast.FunctionDef): What it is made of.
    is_public (bool): Whether it, its class and its modules are for others.
    """

    name: str
    node: ast.FunctionDef
    is_public: bool

    @property
    def args(self):
        """RETURNS (List[str]): Its parameters, without self and cls."""
        args = self.node.args
        names = [arg.arg for arg in [*args.posonlyargs, *args.args, *args.kwonlyargs]]
        names += [arg.arg for arg in (args.vararg, args.kwarg) if arg is not None]
        return [name for name in names if name not in ("self", "cls")]

    @property
    def doc(self):
        return ast.get_docstring(self.node) or ""

    @property
    def n_lines(self):
        """RETURNS (int): Its lines, without those of its docstring."""
        doc = ast.get_docstring(self.node, clean=False) or ""
        return self.node.end_lineno - self.node.lineno + 1 - len(doc.splitlines())


def iter_functions(path):
    """YIELDS (Function): Those of a file, without functions within functions."""
    place = path.relative_to(PACKAGE).as_posix()
    is_open = not any(part.startswith("_") and part != "__init__.py" for part in place.split("/"))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield Function(f"{place}: {node.name}", node, is_open and node.name[0] != "_")
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef):
                    is_public = is_open and "_" not in (node.name[0], part.name[0])
                    yield Function(f"{place}: {node.name}.{part.name}", part, is_public)


@pytest.fixture(scope="module")
def paths():
    found = sorted(PACKAGE.rglob("*.py"))
    assert len(found) > 100
    return found


@pytest.fixture(scope="module")
def functions(paths):
    return [function for path in paths for function in iter_functions(path)]


def test_files_are_short(paths):
    sizes = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    assert {name: n for name, n in sizes.items() if n > MAX_FILE} == {}


def test_functions_are_short(functions):
    long = {function.name: function.n_lines for function in functions}
    assert {name: n for name, n in long.items() if n > MAX_FUNCTION and name not in LONGER} == {}
    assert all(long[name] > MAX_FUNCTION for name in LONGER), "an exception that isn't needed"


def test_functions_take_few_parameters(functions):
    many = {
        function.name: len(function.args)
        for function in functions
        if len(function.args) > MAX_PARAMS
        and not MADE_BY_CONFIGS.match(function.node.name)
        and not COMMANDS.match(function.node.name)
    }
    assert set(many) == set(MORE_PARAMS), many


def lists_it(doc, name):
    """Whether a docstring has `name (Type): text`, also of several at once: `a, b (Type): text`."""
    return re.search(rf"^\s*(?:\w+, )*{name}(?:, \w+)*(?: \(|: )", doc, re.MULTILINE) is not None


def find_gaps(function):
    """RETURNS (List[str]): What the docstring of a function lacks; nothing if it is "See …".
    Parameters may be listed where it says that the other settings are."""
    if function.doc.startswith("See `"):
        return []
    returns = function.node.returns
    nothing = ("None", "NoReturn", "Iterator[None]")  # the last of context managers
    has_value = returns is not None and ast.unparse(returns) not in nothing
    gaps = [name for name in function.args if not lists_it(function.doc, name)]
    if re.search(r"^\s*The other settings are those of `[\w.]+`\.$", function.doc, re.MULTILINE):
        gaps = []
    if has_value and not re.search(r"^\s*(RETURNS|YIELDS) \(", function.doc, re.MULTILINE):
        gaps.append("RETURNS")
    return gaps if function.doc else ["docstring"]


def test_docstrings_list_parameters_and_results(functions):
    gaps = {
        function.name: ", ".join(find_gaps(function))
        for function in functions
        if function.is_public and not COMMANDS.match(function.node.name)
    }
    assert {name: missing for name, missing in gaps.items() if missing} == {}
