"""Hostile texts through tiny pipelines that find many entities: what is promised of any text holds.

python tests/soak/hostile_texts.py [--n 20000] [--seed 1]

Texts of all of Unicode go through a WordPiece, a byte-level and a SentencePiece tokenizer, at three
batch sizes. Of each document: its text is the same; entities are valid, apart, and neither begin
nor end with white space; every token is annotated; scores are from 0 to 1; entities and scores
don't depend on the batch; and a DocBin keeps them.
"""

import argparse
import collections
import random
import sys
import tempfile
import time
import unicodedata
from pathlib import Path
from typing import Any, Callable, Counter, Dict, List, Tuple

from spacy.language import Language
from spacy.tokens import Doc, DocBin
from typer import echo

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from spacy_bert_ner import from_huggingface
from tests.hf.util import make_checkpoint

# A family of each kind of tokenizer.
FAMILIES = {"WordPiece": "bert", "bytes": "roberta", "SentencePiece": "xlm-roberta"}
BATCH_SIZES = (1, 7, 64)
SHARE = 500
# Sums are ordered otherwise in other batches.
TOLERANCE = 1e-5
WORDS = [
    "Anna",
    "Berg",
    "lives",
    "in",
    "Oslo",
    "ab",
    "cd",
    "New",
    "York",
    "'s",
    "a",
    "don't",
    "U.S.",
]
SPACES = [
    *(
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "\r",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x1f",
        "\x85",
        "\xa0",
        "\u2003",
    ),
    *("\u1680", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"),
]
INVISIBLE = [
    *("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\xad", "\u034f", "\u115f", "\u180e"),
    *("\u2800", "\ufe0f", "\ufe0e", "\U000e0041", "\U000e007f", "\U000e0100"),
]
BIDI = [*"\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c"]
DROPPED = [*"\ufffd\uf0b7\ue000\uf8ff\ufffc\ufffe\uffff", "\U000f0000", "\U0010ffff", "\ufdd0"]
EMOJI = [
    *(
        "\U0001f600",
        "\U0001f468\U0001f3fb\u200d\U0001f692",
        "\U0001f1f3\U0001f1f4",
        "1\ufe0f\u20e3",
    ),
    *(
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0001f3f4\U000e0067\U000e007f",
        "\u2764\ufe0f",
    ),
]
CONTROL = [chr(i) for i in (*range(1, 32), *range(127, 160))] + ["\0"]
MARKS = ["\u0301", "\u0300", "\u0345", "\u05b0", "\u064b", "\u0e31", "\u20dd", "\u302a", "\u094d"]
SPECIALS = ["[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]", "<s>", "</s>", "<unk>", "<pad>", "▁", "Ġ"]
RANGES = [
    *((0x41, 0x24F), (0x370, 0x58F), (0x590, 0x6FF), (0x900, 0xDFF), (0xE00, 0xFFF)),
    *((0x1100, 0x11FF), (0x2000, 0x2BFF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3)),
    *((0xFB00, 0xFFEF), (0x10000, 0x1FFFF), (0x20000, 0x2A6DF), (0, 0xD7FF), (0xE000, 0x10FFFF)),
]


def make_letters(rng: random.Random) -> str:
    """Some of one script, or of any."""
    first, last = rng.choice(RANGES)
    return "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 6)))


def make_zalgo(rng: random.Random) -> str:
    return rng.choice("abcdeA") + "".join(rng.choices(MARKS, k=rng.randint(1, 30)))


def make_long(rng: random.Random) -> str:
    """A token of hundreds of pieces; rarely."""
    if rng.random() < 0.93:
        return rng.choice(WORDS)
    part = rng.choice(["a", "ab", "!", "1", "\ue000", "\u200b", "\u0301", "北", "é", "."])
    return part * rng.randint(50, 600)


KINDS: List[Tuple[int, Callable[[random.Random], str]]] = [
    (12, lambda rng: rng.choice(WORDS)),
    (6, lambda rng: rng.choice(SPACES)),
    (4, lambda rng: rng.choice(INVISIBLE)),
    (3, lambda rng: rng.choice(BIDI)),
    (5, lambda rng: rng.choice(DROPPED)),
    (3, lambda rng: rng.choice(EMOJI)),
    (2, lambda rng: rng.choice(CONTROL)),
    (2, lambda rng: rng.choice(MARKS)),
    (2, lambda rng: rng.choice(SPECIALS)),
    (4, make_letters),
    (1, make_zalgo),
    (1, make_long),
]


def make_text(rng: random.Random) -> str:
    """RETURNS (str): A text of parts of a few kinds, with or without spaces between them."""
    weights, makers = zip(*KINDS)
    some = rng.choices(makers, weights, k=rng.choice([1, 2, 3, 6, 12]))
    between = rng.choice(["", " ", " ", "", rng.choice(SPACES), rng.choice(DROPPED)])
    text = between.join(rng.choice(some)(rng) for _ in range(rng.choice([1, 2, 5, 10, 20, 40])))
    return unicodedata.normalize("NFD", text) if rng.random() < 0.1 else text


def make_pipelines(folder: Path) -> Dict[str, Language]:
    """RETURNS (Dict[str, Language]): A pipeline of each tokenizer, with a head of strong opinions.
    One reads sentence by sentence."""
    pipelines = {}
    for name, family in FAMILIES.items():
        pipelines[name] = from_huggingface(make_checkpoint(folder / family, family))
    pipelines["bytes"].add_pipe("sentencizer", first=True)
    return pipelines


def get_entities(doc: Doc) -> List[Tuple[int, int, str]]:
    return [(ent.start, ent.end, ent.label_) for ent in doc.ents]


def get_scores(doc: Doc) -> List[Any]:
    return [ent._.score for ent in doc.ents]


def check(text: str, docs: List[Doc], labels: List[str]) -> List[str]:
    """Check the documents of a text, one of each batch size, the last one from a DocBin.

    RETURNS (List[str]): What doesn't hold.
    """
    doc = docs[0]
    faults = []
    if doc.text != text:
        faults.append(f"the text is {doc.text!r}")
    if any(token.ent_iob == 0 for token in doc):
        faults.append("tokens are not annotated")
    end = 0
    for ent in doc.ents:
        if not end <= ent.start < ent.end <= len(doc) or ent.label_ not in labels:
            faults.append(f"the entity {ent.start}–{ent.end} ({ent.label_}) is not valid")
        end = ent.end
        if not ent.text or ent.text != ent.text.strip() or ent[0].is_space or ent[-1].is_space:
            faults.append(f"the entity {ent.text!r} begins or ends with white space")
    scores = get_scores(doc)
    if not all(isinstance(score, float) and 0.0 <= score <= 1.0 for score in scores):
        faults.append(f"scores are {scores}")
    for other in docs[1:-1]:
        faults += compare(doc, other, "another batch size")
    return faults + compare(doc, docs[-1], "a DocBin")


def compare(doc: Doc, other: Doc, what: str) -> List[str]:
    """RETURNS (List[str]): Where another document of the same text differs."""
    ours, theirs = get_entities(doc), get_entities(other)
    if ours != theirs or doc.text != other.text:
        return [f"{what} gives {sorted(set(ours) ^ set(theirs))}"]
    pairs = zip(get_scores(doc), get_scores(other))
    apart = [(a, b) for a, b in pairs if a is None or b is None or abs(a - b) > TOLERANCE]
    return [f"{what} gives the scores {apart}"] if apart else []


def run(
    pipelines: Dict[str, Language], texts: List[str]
) -> Tuple[Counter, List[Tuple[str, str, str]]]:
    """RETURNS (Tuple[Counter, List[Tuple[str, str, str]]]): How many entities each found, and the
    faults: the tokenizer, the text, and what doesn't hold."""
    counts: Counter = collections.Counter()
    faults = []
    for name, nlp in pipelines.items():
        labels = list(nlp.get_pipe("bert_ner").labels)  # type: ignore[attr-defined]
        sized = [list(nlp.pipe(texts, batch_size=size)) for size in BATCH_SIZES]
        packed = DocBin(store_user_data=True, docs=sized[0]).to_bytes()
        read = DocBin().from_bytes(packed).get_docs(nlp.vocab)
        for text, *docs in zip(texts, *sized, read):
            counts[name] += len(docs[0].ents)
            counts["tokens"] += len(docs[0])
            faults += [(name, text, fault) for fault in check(text, docs, labels)]
    return counts, faults


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=20000, help="How many texts")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng, begun = random.Random(args.seed), time.monotonic()
    counts: Counter = collections.Counter()
    faults: List[Tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        pipelines = make_pipelines(Path(folder))
        for start in range(0, args.n, SHARE):
            texts = [make_text(rng) for _ in range(min(SHARE, args.n - start))]
            more, others = run(pipelines, texts)
            counts, faults = counts + more, faults + others
            done, passed = start + len(texts), time.monotonic() - begun
            echo(f"{done} of {args.n} texts, {len(faults)} faults, {passed:.0f} s")
    sizes = ", ".join(map(str, BATCH_SIZES))
    echo(f"{args.n} texts at the batch sizes {sizes}; {counts.pop('tokens')} tokens; entities:")
    for name, count in counts.items():
        echo(f"{count:8} {name}")
    for name, text, fault in faults:
        echo(f"{name}, {text[:200]!r}: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
