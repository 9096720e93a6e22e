"""Mutated files of every readable format: each is read, or refused in one line that names it.

python tests/soak/mutated_files.py [--n 6000] [--seed 1]

Samples are damaged as bytes (bits, cuts, swaps, copies), as JSON (types of values, missing keys,
deep nesting), and, for .spacy, as the message before it is compressed. Each is converted and read as
training data. Anything but documents or a ValueError of one line with the name of the file is a
fault, and so is a process that dies. The mutations of a number are always the same: --only reads
one again, and keeps the file.
"""

import argparse
import collections
import json
import logging
import random
import subprocess
import sys
import tempfile
import time
import traceback
import zlib
from pathlib import Path
from typing import Any, Counter, Dict, List, NamedTuple, Optional, Tuple

import spacy
import srsly
from spacy.tokens import Doc, DocBin, Span

from spacy_bert_ner.convert import convert
from spacy_bert_ner.corpus import Corpus

# So many files share a process: one that dies takes the rest of them with it.
SHARE = 500
NLP = spacy.blank("xx")
TEXT = "Anna Berg joined Acme in \U0001f600 Oslo."
SPAN = {"start": 0, "end": 9, "label": "PER"}


class Sample(NamedTuple):
    """A good file.

    format (Optional[str]): Its format, None to have it guessed.
    """

    name: str
    format: Optional[str]
    data: bytes


def make_samples() -> List[Sample]:
    """RETURNS (List[Sample]): Files of every format and of its dialects."""
    columns = "Anna\tB-PER\nBerg\tI-PER\nin\tO\nOslo\tB-LOC\n\nx\t-\n"
    numbered = "# newdoc id = a\n1\tAnna\tB-PER\t-\n2\tin\tO\t-\n3\tOslo\tB-LOC\t-\n\n"
    german = "#\thttp://de.wikipedia.org/wiki/A [2009-10-17]\n1\tAnna\tB-PER\tO\n2\tB\tI-PER\tO\n\n"
    region = {"start": 0, "end": 9, "text": "Anna Berg", "labels": ["PER"]}
    result = {"value": region, "id": "a", "from_name": "label", "to_name": "text", "type": "labels"}
    task = {"id": 1, "data": {"text": TEXT}, "annotations": [{"id": 2, "result": [result]}]}
    small = {"text": TEXT, "id": 1, "people": [region], "places": [region], "annotation_id": 3}
    prodigy = {
        "text": "Anna in Oslo",
        "meta": {"source": ["x", {"page": 3}]},
        "tokens": [
            {"text": "Anna", "start": 0, "end": 4, "id": 0, "ws": True},
            {"text": "in", "start": 5, "end": 7, "id": 1, "ws": True},
            {"text": "Oslo", "start": 8, "end": 12, "id": 2, "ws": False},
        ],
        "spans": [{"start": 0, "end": 4, "token_start": 0, "token_end": 0, "label": "PER"}],
        "answer": "accept",
    }
    wide = {"id": 1, "label": "PER", "start_offset": 0, "end_offset": 9}
    return [
        Sample("a.spacy", None, make_docbin()),
        Sample("b.spacy", None, DocBin(docs=make_docs()[:1]).to_bytes()),
        Sample("a.jsonl", None, dump_lines([prodigy, {**prodigy, "_view_id": "ner"}, prodigy])),
        Sample("b.jsonl", None, dump_lines([{"text": TEXT, "entities": [[0, 9, "PER"]]}] * 3)),
        Sample("c.jsonl", None, dump_lines([[TEXT, {"entities": [[0, 9, "PER"]]}]] * 3)),
        Sample("d.jsonl", None, dump_lines([{"tokens": ["a", "b"], "ner_tags": ["B-X", "O"]}] * 3)),
        Sample("e.json", None, dump_lines([{"annotations": [[TEXT, {"entities": [SPAN]}], None]}])),
        Sample("f.json", None, dump_lines([make_docs()[0].to_json()] * 2)),
        Sample("g.jsonl", None, dump_lines([{"text": TEXT, "label": [[0, 9, "PER"]]}] * 3)),
        Sample("h.jsonl", "doccano", dump_lines([{"text": TEXT, "entities": [wide]}] * 3)),
        Sample("i.json", None, json.dumps([task, task, small]).encode()),
        Sample("j.json", "label-studio", json.dumps([small, task], indent=1).encode()),
        Sample("a.conll", None, columns.encode() * 3),
        Sample("b.conll", None, numbered.encode() * 3),
        Sample("c.biluo", None, german.encode() * 3),
        Sample("a.csv", "csv", ('id,text,n\n1,"Anna, ""B""\nBerg",2\n2,b,3\n' * 2).encode()),
        Sample("a.tsv", "tsv", b"text\tid\nAnna\t1\nBerg\t2\n"),
        Sample("a.txt", None, TEXT.encode() * 5),
        Sample("b.txt", "lines", f"{TEXT}\n\n{TEXT}\r\nb\n".encode()),
    ]


def make_docs() -> List[Doc]:
    """RETURNS (List[Doc]): Documents with all that a DocBin can hold."""
    words = ["Anna", "Berg", "in", "Oslo", "."]
    doc = Doc(
        NLP.vocab,
        words=words,
        ents=["B-PER", "I-PER", "O", "B-LOC", "O"],
        tags=["N"] * 5,
        pos=["NOUN"] * 5,
        lemmas=words,
        heads=[1, 2, 2, 2, 2],
        deps=["dep"] * 5,
        morphs=["Case=Nom"] * 5,
    )
    doc.spans["sc"] = [Span(doc, 0, 2, label="X"), Span(doc, 3, 5, label="Y")]
    doc.cats["news"] = 0.5
    doc.user_data["key"] = [1, "a", {"b": None}]
    return [doc, Doc(NLP.vocab, words=["a", " ", "b"], spaces=[True, False, False]), doc]


def make_docbin() -> bytes:
    return DocBin(store_user_data=True, docs=make_docs()).to_bytes()


def dump_lines(values: List[Any]) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


# Bytes


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 20])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def drop(data: bytes, rng: random.Random) -> bytes:
    i, j = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:i] + data[j:]


def swap(data: bytes, rng: random.Random) -> bytes:
    i, j, k = sorted(rng.randrange(len(data) + 1) for _ in range(3))
    return data[:i] + data[j:k] + data[i:j] + data[k:]


def double(data: bytes, rng: random.Random) -> bytes:
    i, j = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:j] + data[i:j] * rng.choice([1, 2, 50]) + data[j:]


INSERTED = [
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\r", b"\n", b"\t", b'"', b"\\", b"{", b"[", b"]", b"}"),
    *(b",", b" ", b"#\t", b"# ", b"-DOCSTART- O\n", b"\\ud83d", b"NaN", b"-1", b"1e999", b"null"),
    *("\u3000".encode(), "\u00a0".encode(), "\u2028".encode(), b"%PDF-1.7\n", b"PK\x03\x04"),
]


def insert(data: bytes, rng: random.Random) -> bytes:
    i = rng.choice([0, len(data), rng.randrange(len(data) + 1)])
    return data[:i] + rng.choice(INSERTED) * rng.choice([1, 1, 2, 300]) + data[i:]


BYTE_MUTATIONS = (flip, cut, drop, swap, double, insert)

# Values


def nest(depth: int) -> Any:
    value: Any = 0
    for i in range(depth):
        value = [value] if i % 2 else {"a": value}
    return value


OTHERS = [
    *(None, True, -1, 0, 3, 10**30, 1.5, -0.0, float("inf"), float("nan"), "", " ", "x", "\ud83d"),
    *([], {}, [None], [[]], {"": {}}, [0, 1, "X"], ["a", {}], b"x", b"", "\u3000", "0", "PER" * 99),
]


def change(value: Any, rng: random.Random) -> Any:
    """A value in which one, at any depth, is another, or is missing, or there twice."""
    if isinstance(value, (dict, list)) and value and rng.random() < 0.85:
        key = rng.choice(list(value) if isinstance(value, dict) else range(len(value)))
        copy = value.copy()
        if rng.random() < 0.1:
            del copy[key]
        elif isinstance(copy, list) and rng.random() < 0.1:
            copy.insert(key, copy[key])
        else:
            copy[key] = change(value[key], rng)
        return copy
    if isinstance(value, bytes) and value and rng.random() < 0.8:
        return rng.choice(BYTE_MUTATIONS)(value, rng)
    if rng.random() < 0.1:
        return nest(rng.choice([3, 90, 300, 900]))
    return rng.choice(OTHERS)


def write_json(value: Any) -> str:
    """JSON of any depth: the module's own writer ends at Python's limit."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)}: {write_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write_json, value)) + "]"
    return json.dumps(value, ensure_ascii=has_half_pair(value), default=repr)


def has_half_pair(value: Any) -> bool:
    """Half of a pair can't be written but as an escape."""
    return isinstance(value, str) and any(0xD800 <= ord(char) < 0xE000 for char in value)


def change_json(data: bytes, rng: random.Random) -> bytes:
    """Of a file of JSON, one line or one value of the array with another value in it."""
    if data.startswith(b'["') or not data.startswith(b"["):
        lines = data.decode().splitlines()
        i = rng.randrange(len(lines))
        lines[i] = deepen(write_json(change(json.loads(lines[i]), rng)), rng)
        return "\n".join(lines).encode()
    return deepen(write_json(change(json.loads(data), rng)), rng).encode()


def deepen(text: str, rng: random.Random) -> str:
    """Put a value around a number that is nested near to, or beyond, what Python can read."""
    if rng.random() < 0.9 or "0" not in text:
        return text
    depth = rng.choice([50, 200, 700, 900, 960, 985, 995, 1100, 100_000])
    return text.replace("0", "[" * depth + "0" + "]" * depth, 1)


def change_message(data: bytes, rng: random.Random) -> bytes:
    """Of a DocBin, what is compressed: values of the message, or its bytes."""
    packed = zlib.decompress(data)
    try:
        message = srsly.msgpack_loads(packed)
        if rng.random() < 0.5:
            return zlib.compress(srsly.msgpack_dumps(change(message, rng)))
    except (OverflowError, ValueError):  # it is broken already, or has what MessagePack can't say
        pass
    return zlib.compress(rng.choice(BYTE_MUTATIONS)(packed, rng))


def mutate(sample: Sample, rng: random.Random) -> bytes:
    """RETURNS (bytes): The damaged file."""
    data = sample.data
    if sample.name.endswith(".spacy") and rng.random() < 0.8:
        for _ in range(rng.choice([1, 1, 2])):
            data = change_message(data, rng)
        return data
    if ".json" in sample.name and rng.random() < 0.6:
        return change_json(data, rng)
    for _ in range(rng.choice([1, 1, 2, 4])):
        data = rng.choice(BYTE_MUTATIONS)(data, rng) if data else data
    return data


# Reading


def check(path: Path, sample: Sample, skip_broken: bool) -> Tuple[str, Optional[str]]:
    """Read a file on both roads.

    RETURNS (Tuple[str, Optional[str]]): What became of it, and what is wrong with that.
    """
    outcomes = []
    for road in (read_by_convert, read_as_corpus):
        try:
            outcomes.append(road(path, sample, skip_broken))
        except ValueError as error:
            message = str(error)
            outcomes.append("refused")
            if str(path) not in message or len(message.splitlines()) != 1:
                return "fault", f"{road.__name__}: the message is {message!r}"
        except Exception:
            return "fault", f"{road.__name__}: {traceback.format_exc()}"
    return outcomes[0], None


def read_by_convert(path: Path, sample: Sample, skip_broken: bool) -> str:
    output = path.with_name(f"output{'.spacy' if len(path.name) % 2 else '.jsonl'}")
    report = convert(path, output, source=sample.format, skip_broken=skip_broken)
    report.message()
    if report.n_broken:
        return "read in part"
    return "read"


def read_as_corpus(path: Path, sample: Sample, skip_broken: bool) -> str:
    """As training does, with all that it asks of a document."""
    for example in Corpus(path, format=sample.format, max_length=4)(NLP):
        example.get_aligned_ner()
        [(ent.text, ent.label_) for ent in example.reference.ents]
        [(span.text, span.label_) for group in example.reference.spans.values() for span in group]
    return "read"


def run_one(number: int, seed: int, folder: Path) -> Tuple[Sample, str, Optional[str]]:
    """Make the mutated file of a number, and read it."""
    rng = random.Random(f"{seed} {number}")
    samples = make_samples()
    sample = samples[number % len(samples)]
    path = folder / f"{number}-{sample.name}"
    path.write_bytes(mutate(sample, rng))
    outcome, fault = check(path, sample, skip_broken=rng.random() < 0.5)
    if fault is None:
        path.unlink()
    return sample, outcome, fault


def run(start: int, end: int, seed: int, folder: Path) -> Tuple[Counter, Dict[int, str]]:
    """RETURNS (Tuple[Counter, Dict[int, str]]): How many files of each suffix were read, and so on;
    and the faults by their numbers."""
    logging.getLogger("spacy").setLevel(logging.ERROR)
    counts: Counter = collections.Counter()
    faults = {}
    for number in range(start, end):
        (folder / "last").write_text(str(number), encoding="utf-8")
        sample, outcome, fault = run_one(number, seed, folder)
        counts[f"{Path(sample.name).suffix} {outcome}"] += 1
        if fault is not None:
            faults[number] = fault
    return counts, faults


def run_share(start: int, end: int, seed: int, folder: Path) -> Tuple[Counter, Dict[int, str]]:
    """The same, in a process of its own."""
    arguments = ["--start", str(start), "--n", str(end - start), "--seed", str(seed)]
    command = [sys.executable, __file__, *arguments, "--share", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        result = json.loads(done.stdout.splitlines()[-1])
        return collections.Counter(result[0]), {int(k): v for k, v in result[1].items()}
    last = int((folder / "last").read_text(encoding="utf-8"))
    problem = f"the process died with {done.returncode}: {done.stderr[-2000:]}"
    counts, faults = collections.Counter({"died": 1}), {last: problem}
    if last + 1 < end:
        more, others = run_share(last + 1, end, seed, folder)
        counts, faults = counts + more, {**faults, **others}
    return counts, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=6000, help="How many files")
    parser.add_argument("--start", type=int, default=0, help="The number of the first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="The number of one to read again")
    parser.add_argument("--share", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.share:
        print(json.dumps(run(args.start, args.start + args.n, args.seed, args.share)))
        return
    folder = Path(tempfile.mkdtemp())
    if args.only is not None:
        _, outcome, fault = run_one(args.only, args.seed, folder)
        print(f"{args.only}: {outcome}\n{fault or ''}\nFiles are in {folder}.")
        return
    begun = time.monotonic()
    counts: Counter = collections.Counter()
    faults: Dict[int, str] = {}
    for start in range(args.start, args.start + args.n, SHARE):
        end = min(start + SHARE, args.start + args.n)
        more, others = run_share(start, end, args.seed, folder)
        counts, faults = counts + more, {**faults, **others}
        passed = time.monotonic() - begun
        print(
            f"{end - args.start} of {args.n} files, {len(faults)} faults, {passed:.0f} s",
            flush=True,
        )
    for name in sorted(counts):
        print(f"{counts[name]:6} {name}")
    for number, fault in faults.items():
        print(f"{number}: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
