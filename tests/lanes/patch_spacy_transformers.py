"""Let the installed spacy-transformers import with transformers 5, for the lane of the tests that
uses it: `python -m tests.lanes.patch_spacy_transformers`.

spacy-transformers 1.4.0 imports BatchEncoding from a module that transformers 5 doesn't have. In
both 4 and 5, transformers itself has it. This changes installed files: use an environment made for
this lane.
"""

import importlib.util
import sys
from pathlib import Path

OLD = "from transformers.tokenization_utils import BatchEncoding"
NEW = "from transformers import BatchEncoding"


def patch(folder):
    """RETURNS (List[str]): The files that were changed, or had been before.

    folder (Path): The package.
    """
    changed = []
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if OLD in text or NEW in text:
            path.write_text(text.replace(OLD, NEW), encoding="utf-8")
            changed.append(path.relative_to(folder).as_posix())
    return changed


if __name__ == "__main__":
    spec = importlib.util.find_spec("spacy_transformers")
    if spec is None:
        sys.exit("spacy-transformers isn't installed: pip install it first.")
    found = patch(Path(spec.origin).parent)
    if not found:
        sys.exit(f"No file of {spec.origin} imports BatchEncoding: is the patch still needed?")
    sys.stdout.write("\n".join(found) + "\n")
