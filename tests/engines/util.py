"""What the tests of engines share: documents, and a pipeline one of whose processes is killed."""

import json
import os
import re
from pathlib import Path

import pyarrow as pa
import pytest
import spacy
from pyarrow import parquet as pq
from spacy.language import Language

from spacy_bert_ner.commands.annotate import annotate

from ..util import ROOT

WORDS = ["Anna", "Berg", "lives", "in", "Oslo", "She", "met", "Karl", "York", "."]
# A component, found by spaCy in any process by the entry point of a package on the path.
KILLER = """
import os, signal
from spacy.language import Language

@Language.factory("kill_once")
def make_killer(nlp, name, marker: str):
    def kill(doc):
        if doc[-1].text == "deadly":
            try:
                os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return doc
            os.kill(os.getpid(), signal.SIGKILL)
        return doc
    return kill
"""


def write_texts(path, n, last=None):
    """Distinct texts of 3 to 11 words, with ids, some of which are missing.

    last (Optional[str]): Last word of one more text, in the middle.
    """
    texts = [
        " ".join([*(WORDS[(i * k) % 10] for k in range(1, 4 + i % 9)), f"x{i}"]) for i in range(n)
    ]
    if last is not None:
        texts.insert(n // 2, f"Anna Berg met {last}")
        n += 1
    ids = pa.array([None if i % 7 == 3 else i for i in range(n)], pa.int64())
    even = pa.array([None if i % 2 else "even" for i in range(n)])
    table = pa.table({"text": texts, "id": ids, "even": even})
    pq.write_table(table, path, row_group_size=max(1, n // 8))
    return path


def add_killer(pipeline, folder):
    """RETURNS (Path): A copy of a pipeline that kills its process at the text that ends with the
    word "deadly", once. Processes find its component if the folder is on their path."""
    (folder / "kill_once.py").write_text(KILLER, encoding="utf-8")
    facts = folder / "kill_once-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: kill-once\nVersion: 1.0\n")
    entry = "[spacy_factories]\nkill_once = kill_once:make_killer\n"
    (facts / "entry_points.txt").write_text(entry)
    if not Language.has_factory("kill_once"):
        exec(KILLER, {})
    nlp = spacy.load(pipeline)
    nlp.add_pipe("kill_once", config={"marker": str(folder / "marker")})
    nlp.to_disk(folder / "killing")
    return folder / "killing"


def add_to_path(monkeypatch, *folders):
    """Processes that are started find modules there."""
    paths = [*map(str, folders), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))


def annotate_file(pipeline, path, batch_size=None):
    """RETURNS (List[str]): What the command `annotate` writes, see `sort_rows`."""
    target = Path(path).with_suffix(".annotated.parquet")
    annotate(str(pipeline), Path(path), target, batch_size=batch_size, restart=True)
    return sort_rows(pq.read_table(target).to_pylist())


def sort_rows(rows):
    """RETURNS (List[str]): Rows as text, with all their values, in order."""
    return sorted(json.dumps(row, ensure_ascii=False) for row in rows)


def assert_alike(rows, expected, most=1e-5):
    """Of the output of `sort_rows`, all but scores are the same, which differ a little: batches are
    of other documents.

    most (float): How much: more in half precision.
    """
    (rows, scores), (others, expected_scores) = take_scores(rows), take_scores(expected)
    assert rows == others
    assert scores == pytest.approx(expected_scores, abs=most)


def take_scores(rows):
    """RETURNS (Tuple[List[dict], List[float]]): The rows without scores, and the scores."""
    read = [json.loads(row) for row in rows]
    return read, [span.pop("score") for row in read for span in row["spans"]]


def read_code(section):
    """RETURNS (str): The Python of a section of docs/scale.md, which its own test doesn't run."""
    text = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    (part,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return "\n".join(re.findall(r"^```py\n(.*?)^```", part, re.M | re.S))


def read_output(folder):
    """RETURNS (List[str]): The rows of the Parquet files in a folder, see `sort_rows`."""
    paths = sorted(Path(folder).rglob("*.parquet"))
    return sort_rows([row for path in paths for row in pq.read_table(path).to_pylist()])
