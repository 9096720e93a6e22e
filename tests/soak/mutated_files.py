"""Mutated files of every readable format: each is read, or refused in one line that names it.

python tests/soak/mutated_files.py [--n 6000] [--seed 1]

Samples are damaged as bytes (bits, cuts, swaps, copies), as JSON (types of values, missing keys,
deep nesting), and, for .spacy, as the message before it is compressed. Each is converted and read
as training data. Anything but documents or a ValueError of one line with the name of the file is a
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
from pathlib import Path
from typing import Counter, Dict, Optional, Tuple

from spacy.language import Language
from spacy.tokenizer import Tokenizer
from typer import echo

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from spacy_bert_ner.commands.convert import convert
from spacy_bert_ner.formats import Report, read_docs, write_docs
from spacy_bert_ner.training.corpus import Corpus
from tests.soak.mutations import mutate
from tests.soak.samples import NLP, Sample, make_samples

# So many files share a process: one that dies takes the rest of them with it.
SHARE = 1000


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
    """By the function itself now and then, since to make a pipeline takes longest by far; else by
    what it consists of."""
    output = path.with_name(f"output{'.spacy' if len(path.name) % 2 else '.jsonl'}")
    if path.name.startswith("0-"):
        report = convert(path, output, source=sample.format, skip_broken=skip_broken)
    else:
        report = Report(skip_broken=skip_broken)
        docs = read_docs(path, make_nlp(path), sample.format, report)
        write_docs(output, docs, report=report)
    report.message()
    if report.n_broken:
        return "read in part"
    return "read"


def make_nlp(path: Path) -> Language:
    """RETURNS (Language): One whose vocabulary is new where a file may miss strings."""
    if path.suffix != ".spacy":
        return NLP
    return Language(create_tokenizer=lambda nlp: Tokenizer(nlp.vocab))


def read_as_corpus(path: Path, sample: Sample, skip_broken: bool) -> str:
    """As training does, with all that it asks of a document."""
    for example in Corpus(path, format=sample.format, max_length=4)(make_nlp(path)):
        example.get_aligned_ner()
        [(ent.text, ent.label_) for ent in example.reference.ents]
        [(span.text, span.label_) for group in example.reference.spans.values() for span in group]
    return "read"


def run_one(number: int, seed: int, folder: Path) -> Tuple[Sample, str, Optional[str]]:
    """Make the mutated file of a number, and read it."""
    rng = random.Random(f"{seed} {number}")
    samples = make_samples()
    sample = samples[number % len(samples)]
    path = folder / f"{number % 20}-{number}-{sample.name}"
    path.write_bytes(mutate(sample, rng))
    outcome, fault = check(path, sample, skip_broken=rng.random() < 0.5)
    if fault is None:
        path.unlink()
    return sample, outcome, fault


def run(start: int, end: int, seed: int, folder: Path) -> Tuple[Counter, Dict[int, str]]:
    """RETURNS (Tuple[Counter, Dict[int, str]]): How many files of each suffix were read, and so on;
    and the faults by their numbers."""
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
        logging.getLogger("spacy").setLevel(logging.ERROR)
        echo(json.dumps(run(args.start, args.start + args.n, args.seed, args.share)))
        return
    folder = Path(tempfile.mkdtemp())
    if args.only is not None:
        _, outcome, fault = run_one(args.only, args.seed, folder)
        echo(f"{args.only}: {outcome}\n{fault or ''}\nFiles are in {folder}.")
        return
    begun = time.monotonic()
    counts: Counter = collections.Counter()
    faults: Dict[int, str] = {}
    for start in range(args.start, args.start + args.n, SHARE):
        end = min(start + SHARE, args.start + args.n)
        more, others = run_share(start, end, args.seed, folder)
        counts, faults = counts + more, {**faults, **others}
        passed = time.monotonic() - begun
        echo(f"{end - args.start} of {args.n} files, {len(faults)} faults, {passed:.0f} s")
    for name in sorted(counts):
        echo(f"{counts[name]:6} {name}")
    for number, fault in faults.items():
        echo(f"{number}: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
