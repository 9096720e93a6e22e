"""How much disk do packages need, with all that they require?

    python benchmarks/environment.py NAME...

    python benchmarks/environment.py spacy-bert-ner
    python benchmarks/environment.py spacy typer onnxruntime tokenizers

Prints the size of their files in this environment, and the five largest packages. The second
command has the packages of requirements-onnx.txt.
"""

import argparse
import importlib.metadata
import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def find_required(names):
    """RETURNS (Dict[str, Distribution]): The packages, and all that they require, if installed."""
    found, missing = {}, list(names)
    while missing:
        name = canonicalize_name(missing.pop())
        try:
            dist = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # only for other systems, or not needed here
        if name not in found:
            found[name] = dist
            required = map(Requirement, dist.requires or [])
            missing += [
                item.name
                for item in required
                if item.marker is None or item.marker.evaluate({"extra": ""})
            ]
    return found


def get_size(dist):
    """RETURNS (int): Bytes of the files of a package."""
    paths = [file.locate() for file in dist.files or []]
    return sum(path.stat().st_size for path in paths if path.exists())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+")
    args = parser.parse_args()
    sizes = {name: get_size(dist) for name, dist in find_required(args.names).items()}
    absent = {canonicalize_name(name) for name in args.names} - set(sizes)
    if absent:
        sys.exit(f"{', '.join(sorted(absent))}: not installed here.")
    largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
    shown = ", ".join(f"{name} {sizes[name] / 1e6:.0f} MB" for name in largest)
    sys.stdout.write(f"{sum(sizes.values()) / 1e6:.0f} MB in {len(sizes)} packages: {shown}\n")


if __name__ == "__main__":
    main()
