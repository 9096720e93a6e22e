"""A pipeline with an exported encoder in an environment without torch: it finds what it finds here.

python tests/without_torch.py PIPELINE INPUT PYTHON ORIGINAL

PIPELINE is what `bert-ner quantize` wrote, INPUT is a .spacy file with entities, PYTHON is that of
an environment with requirements-onnx.txt and this package, and ORIGINAL is the pipeline with torch.
The wheel of `spacy package` is installed there, and loaded by its name. Commands that need torch
must say so. `make onnx` makes the environment and runs this.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, List, Tuple

import srsly
from typer import echo

HEAVY = ["torch", "transformers", "spacy_transformers", "safetensors", "onnx"]
ABSENT = "import importlib.util, sys; print(*filter(importlib.util.find_spec, sys.argv[1:]))"


def run(python: str, *words: Any) -> str:
    """RETURNS (str): What a command prints. If it fails, so does this program."""
    command = [python, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def check_refused(python: str, *words: Any) -> None:
    """Check that a command which needs torch says so in one line. If not, this program fails."""
    command = [python, "-m", "spacy", "bert-ner", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    is_one_line = done.stderr.startswith("Error: ") and done.stderr.count("\n") == 1
    if done.returncode != 1 or not is_one_line or "isn't installed: python -m" not in done.stderr:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def annotate(python: str, pipeline: str, input_path: Path, output_path: Path) -> List[Any]:
    """RETURNS (List[Any]): The text of each document, and its entities."""
    run(python, "-m", "spacy", "bert-ner", "annotate", pipeline, input_path, output_path)
    return [
        (record["text"], [(span["start"], span["end"], span["label"]) for span in record["spans"]])
        for record in srsly.read_jsonl(output_path)
    ]


def package(pipeline: Path, folder: Path) -> Tuple[str, Path]:
    """RETURNS (Tuple[str, Path]): The name of the package of a pipeline, and its wheel."""
    meta = srsly.read_json(pipeline / "meta.json")
    run(sys.executable, "-m", "spacy", "package", pipeline, folder, "--build", "wheel")
    (wheel,) = folder.rglob("*.whl")
    return f"{meta['lang']}_{meta['name']}", wheel


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("input", type=Path)
    parser.add_argument("python")
    parser.add_argument("original", type=Path)
    args = parser.parse_args()
    found = run(args.python, "-c", ABSENT, *HEAVY).split()
    if found:
        sys.exit(f"{args.python} has {', '.join(found)}: make an environment without them.")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package_name, wheel = package(args.pipeline, folder)
        run(args.python, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
        here = annotate(sys.executable, args.pipeline, args.input, folder / "here.jsonl")
        there = annotate(args.python, package_name, args.input, folder / "there.jsonl")
    n_ents = sum(len(ents) for _, ents in here)
    if here != there or not n_ents:
        differ = sum(one != other for one, other in zip(here, there))
        sys.exit(f"{differ} of {len(here)} documents differ without torch ({n_ents} entities).")
    run(args.python, "-m", "spacy", "bert-ner", "describe", package_name)
    run(args.python, "-m", "spacy", "evaluate", package_name, args.input)
    check_refused(args.python, "to-hf", package_name, "checkpoint")
    check_refused(args.python, "describe", args.original)
    echo(f"{n_ents} entities in {len(here)} documents, the same with and without torch")


if __name__ == "__main__":
    main()
