"""Who may import whom. A room is a folder or a module of the package, as docs/architecture.md has
them; what a module imports is read from its source, also within functions."""

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parent.parent / "spacy_bert_ner"
NO_ROOMS = {"__init__.py", "__pycache__", "py.typed"}  # the version and lazy names; not code
MAX_ROOMS = 19
GROUND = {"types", "errors", "damage", "findings", "characters", "terminal", "zones"}
# Pages are texts from templates and know nothing of NER, so whoever writes one may import them.
MAY_IMPORT = {
    **dict.fromkeys(GROUND, GROUND),
    "pages": GROUND,
    "tagging": GROUND,
    "model": GROUND,
    "formats": GROUND | {"pages", "tagging.entity_scores", "tagging.soft_labels"},
    "training": GROUND | {"tagging", "model", "formats"},
    "pipeline": GROUND | {"tagging", "model", "training"},
    "hf": GROUND | {"tagging", "model", "training", "pipeline", "pages"},
    "commands": GROUND | {"tagging", "model", "formats", "training", "pipeline", "hf", "pages"},
    "presidio": GROUND | {"tagging", "commands"},
    "server": GROUND | {"commands", "pages", "tagging"},
    "engines": GROUND | {"commands", "formats", "pipeline"},
    # It prints what a command returns, or writes it to the file that is named.
    "cli": GROUND | {"commands", "formats.output", "server"},
}
HEAVY = {"torch", "transformers", "spacy_transformers"}
# The encoder is a module of torch; Hugging Face's token classifiers are, too.
HEAVY_ROOMS = ("model.encoder", "hf")
# Within functions: the first asks for the number of threads, the second starts processes of torch.
HEAVY_IN_FUNCTIONS = ("commands.profile", "commands.parallel_training")
# What a pipeline with an exported encoder needs: these modules, and all that they import, run
# without torch.
LIGHT = (
    "model.onnx",
    "model.architectures",
    "model.layers",
    "pipeline",
    "tagging",
    "training",
    "formats",
    "commands.annotate",
    "commands.calibrate",
    "commands.convert",
    "commands.debug_data",
    "commands.describe",
    "commands.evaluate",
    "commands.filter",
    "commands.init_config",
    "commands.label",
    "commands.profile",
    "commands.push",
    "commands.translate",
    "presidio",
    "server",
    "engines",
    "cli",
)


class Import(NamedTuple):
    module: str  # that imports, within the package
    name: str  # what it imports, in whole
    in_function: bool
    line: int

    def __str__(self):
        return f"{self.module}, line {self.line}: {self.name}"


def read_imports(path):
    module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
    parents = (PACKAGE.name, *path.relative_to(PACKAGE).parent.parts)
    for node, in_function in walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            within = parents[: len(parents) - node.level + 1] if node.level else ()
            base = [*within, *([node.module] if node.module else [])]
            names = [".".join([*base, alias.name]) for alias in node.names]
        for name in names:
            yield Import(module, name, in_function, node.lineno)


def walk(node, in_function=False):
    """YIELDS (Tuple[ast.stmt, bool]): Imports, and whether they wait until they are needed."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, in_function
        is_type_checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        waits = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) or is_type_checking
        yield from walk(child, in_function or waits)


@pytest.fixture(scope="module")
def imports():
    found = [item for path in sorted(PACKAGE.rglob("*.py")) for item in read_imports(path)]
    assert len(found) > 500
    return found


def is_within(name, places):
    return any(name == place or name.startswith(f"{place}.") for place in places)


def split(item):
    """RETURNS (Tuple[str, str]): The room of a module, and what of ours it imports."""
    _, _, name = item.name.partition(f"{PACKAGE.name}.")
    return item.module.split(".")[0], name if item.name.startswith(f"{PACKAGE.name}.") else ""


def test_rooms():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.name not in NO_ROOMS}
    assert rooms == set(MAY_IMPORT)
    assert len(rooms) <= MAX_ROOMS


def test_who_imports_whom(imports):
    wrong = []
    for item in imports:
        room, name = split(item)
        if name and not is_within(name, {*MAY_IMPORT.get(room, ()), room, "__version__"}):
            wrong.append(str(item))
    assert wrong == []


def test_no_circles(imports):
    """Of rooms, and of the modules of each: names that import each other, however far round."""
    arrows = {}
    modules = {item.module.removesuffix(".__init__") for item in imports}
    for item in imports:
        room, name = split(item)
        if name and room != name.split(".")[0]:
            arrows.setdefault(room, set()).add(name.split(".")[0])
        target = name if name in modules else name.rpartition(".")[0]
        if target and target in modules and not item.in_function:
            module = item.module.removesuffix(".__init__")
            arrows.setdefault(f"{module}.py", set()).add(f"{target}.py")
    for start in arrows:
        seen, ahead = set(), list(arrows[start])
        while ahead:
            name = ahead.pop()
            assert name != start, f"{start} imports itself, by way of {sorted(seen)}"
            if name not in seen:
                seen.add(name)
                ahead.extend(arrows.get(name, ()))


def test_heavy_libraries_have_few_rooms(imports):
    wrong = []
    for item in imports:
        places = HEAVY_ROOMS + HEAVY_IN_FUNCTIONS * item.in_function
        if item.name.split(".")[0] in HEAVY and not is_within(item.module, places):
            wrong.append(str(item))
    assert wrong == []
    needed = {item.module for item in imports if item.name.split(".")[0] in HEAVY}
    for place in HEAVY_ROOMS + HEAVY_IN_FUNCTIONS:
        assert any(is_within(module, [place]) for module in needed), f"{place} needs none any more"


def test_exported_encoders_need_no_heavy_library(imports):
    """However far round, as long as an import doesn't wait within a function."""
    modules = {item.module.removesuffix(".__init__") for item in imports}
    arrows = {}
    for item in imports:
        if not item.in_function:
            _, name = split(item)
            targets = {name, name.rpartition(".")[0]} & modules if name else {item.name}
            arrows.setdefault(item.module.removesuffix(".__init__"), set()).update(targets)
    seen, ahead = set(), [module for module in modules if is_within(module, LIGHT)]
    assert len(ahead) > 60
    while ahead:
        module = ahead.pop()
        if module not in seen:
            seen.add(module)
            ahead.extend(arrows.get(module, ()))
    assert "model.encoder.windows" in seen
    assert {name for name in seen if name.split(".")[0] in {*HEAVY, "safetensors", "onnx"}} == set()


def test_commands_are_imported_when_they_run(imports):
    """spaCy loads the modules of `cli` with every command of its own."""
    wrong = [
        str(item)
        for item in imports
        if item.module.split(".")[0] == "cli" and not item.in_function
        if not is_within(split(item)[1] or "cli", ["cli"])
    ]
    assert wrong == []


def test_commands_of_the_command_line_stand_alone(imports):
    """What two of them share is in `cli._util`."""
    wrong = [
        str(item)
        for item in imports
        if is_within(item.module, ["cli"]) and split(item)[1].startswith("cli.")
        if not is_within(split(item)[1], ["cli._util", "cli.app"])
    ]
    assert wrong == []
