"""Saved pipelines that are damaged in one part, in every way that copying and mixing folders has:
each either loads and predicts what it did, or says what is damaged.

    python tests/soak/damaged_pipelines.py [--per-part 60] [--seed 0]
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import spacy
import srsly
import typer

sys.path.insert(0, str(Path(__file__).parents[2]))

from spacy_bert_ner.damage import CHECKSUMS, DamagedPipelineError
from tests.soak.util import TEXTS, get_output, make_pipeline

# A part of `transformer/model`, behind the path. With "old", the pipeline is as it was saved before
# there were checksums, where a change that leaves all shapes as they are can't be seen.
PARTS = {
    "bert_ner/cfg": False,
    "bert_ner/model": False,
    "transformer/cfg": False,
    "transformer/model": False,
    "transformer/model config": False,
    "transformer/model weights": False,
    "transformer/model tokenizer.json": False,
    "transformer/model tokenizer_config.json": False,
    "transformer/model special_tokens_map.json": False,
    "inlined bert_ner/model": False,
    "old bert_ner/cfg": True,
    "old bert_ner/model": True,
    "old transformer/model config": True,
    "old transformer/model weights": True,
    "old transformer/model tokenizer.json": True,
    "old transformer/model tokenizer_config.json": True,
    "old transformer/model special_tokens_map.json": True,
}
# What spacy-transformers reads itself raises errors of its own, which name the file or the value.
SPACY_PARTS = {
    "transformer/cfg": (ValueError, TypeError),
    "transformer/model": (FileNotFoundError,),
}
# A pipeline gives a head no means to tell one encoder from another of the same width.
FITTING = {("transformer/model", "swapped")}


class Saved:
    """A saved pipeline.

    path (Path): Its folder.
    """

    def __init__(self, path):
        self.path = path

    def read(self, part):
        """RETURNS (bytes): A file, or what is in it."""
        file, _, inner = part.partition(" ")
        data = (self.path / file).read_bytes()
        if not inner:
            return data
        encoder = self._read_encoder(srsly.msgpack_loads(data))
        content = encoder["tokenizer"][inner] if inner.endswith(".json") else encoder[inner]
        return content.encode("utf-8") if isinstance(content, str) else content

    def write(self, part, content):
        """Change a part, and nothing else. None deletes it."""
        file, _, inner = part.partition(" ")
        path = self.path / file
        if inner:
            msg = srsly.msgpack_loads(path.read_bytes())
            encoder = self._read_encoder(msg)
            where = encoder["tokenizer"] if inner.endswith(".json") else encoder
            if content is None:
                del where[inner]
            elif isinstance(where[inner], str):
                where[inner] = content.decode("utf-8", errors="replace")
            else:
                where[inner] = content
            msg["shims"][0][0] = srsly.msgpack_dumps(encoder)
            content = srsly.msgpack_dumps(msg)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)

    def drop_checksums(self):
        """Make it one that an earlier version has saved."""
        path = self.path / "transformer" / "model"
        msg = srsly.msgpack_loads(path.read_bytes())
        encoder = self._read_encoder(msg)
        del encoder[CHECKSUMS]
        msg["shims"][0][0] = srsly.msgpack_dumps(encoder)
        path.write_bytes(srsly.msgpack_dumps(msg))
        cfg = srsly.read_json(self.path / "bert_ner" / "cfg")
        del cfg[CHECKSUMS]
        srsly.write_json(self.path / "bert_ner" / "cfg", cfg)

    def load(self):
        """RETURNS (List): What it predicts."""
        nlp = spacy.load(self.path)
        return [get_output(doc) for doc in nlp.pipe(TEXTS)]

    @staticmethod
    def _read_encoder(msg):
        return srsly.msgpack_loads(msg["shims"][0][0])


def truncate(content, rng):
    return content[: rng.randrange(len(content))]


def flip_bits(content, rng):
    changed = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 8])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def blank_block(content, rng):
    start = rng.randrange(len(content))
    length = min(rng.choice([1, 16, 512]), len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


def repeat_block(content, rng):
    start, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
    return content[:end] + content[start:]


def change_value(content, rng):
    """Of JSON: another value, another type, or none. Other files: as `flip_bits`."""
    try:
        data = where = json.loads(content)  # srsly's reads no large numbers
    except ValueError:
        return flip_bits(content, rng)
    while True:
        keys = list(where) if isinstance(where, dict) else list(range(len(where)))
        key = rng.choice(keys)
        if not isinstance(where[key], (dict, list)) or not where[key] or rng.random() < 0.3:
            break
        where = where[key]
    if rng.random() < 0.2:
        del where[key]
    else:
        where[key] = rng.choice([None, True, -1, 0, 3, 10**6, 0.5, "", "other", [], {}, ["x"]])
    return json.dumps(data).encode("utf-8")


def damage(saved, part, others, rng):
    """Damage a part.

    others (List[Saved]): Pipelines to take another one from.
    RETURNS (str): How.
    """
    content = saved.read(part)
    ways = [truncate, flip_bits, flip_bits, blank_block, repeat_block, change_value, change_value]
    way = rng.choice([*ways, "swapped", "swapped", "emptied", "deleted"])
    if way == "swapped":
        saved.write(part, rng.choice(others).read(part))
    elif way in ("emptied", "deleted"):
        saved.write(part, b"" if way == "emptied" else None)
    else:
        saved.write(part, way(content, rng))
        way = way.__name__
    return way


def judge(saved, part, may_differ, expected):
    """Load a damaged pipeline.

    may_differ (bool): Whether the damage can't be seen.
    RETURNS (Tuple[str, str]): What loading a pipeline comes to, and details if that is wrong."""
    try:
        output = saved.load()
    except DamagedPipelineError:
        return "refused", ""
    except Exception as error:
        if isinstance(error, SPACY_PARTS.get(part, ())):
            return "refused by spaCy", ""
        return "wrong", f"{type(error).__name__}: {error}"
    if output == expected:
        return "the same", ""
    return ("other predictions", "") if may_differ else ("wrong", "other predictions")


def damage_pipelines(n_per_part, seed, folder):
    """Damage pipelines and load them.

    folder (Path): For pipelines.
    RETURNS (Tuple[Dict[str, Counter], List[str]]): By part, how many came to what; and all that
        went wrong.
    """
    make_pipeline(folder / "one")
    other_tokenizer = {"lowercase": False}
    make_pipeline(
        folder / "labels", labels=("PER", "GPE"), seed=1, tokenizer_settings=other_tokenizer
    )
    make_pipeline(folder / "width", seed=2, hidden_size=24)
    for name in ("one", "labels", "width"):
        nlp = spacy.load(folder / name / "pipeline")
        nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
        nlp.remove_pipe("transformer")
        nlp.to_disk(folder / f"{name} inlined")
    expected = Saved(folder / "one" / "pipeline").load()
    rng = random.Random(seed)
    counts = {}
    failures = []
    for part, is_old in PARTS.items():
        counts[part] = Counter()
        place = part.removeprefix("inlined ").removeprefix("old ")
        places = "{} inlined" if part.startswith("inlined") else "{}/pipeline"
        one, *others = (folder / places.format(name) for name in ("one", "labels", "width"))
        for _ in range(n_per_part):
            path = folder / "damaged"
            shutil.copytree(one, path)
            saved = Saved(path)
            if is_old:
                saved.drop_checksums()
            way = damage(saved, place, [Saved(other) for other in others], rng)
            may_differ = is_old or (place, way) in FITTING
            outcome, details = judge(saved, place, may_differ, expected)
            counts[part][outcome] += 1
            if outcome == "wrong":
                failures.append(f"{part}, {way}: {details}")
            shutil.rmtree(path)
    return counts, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--per-part", type=int, default=60, help="damaged pipelines of each part")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts, failures = damage_pipelines(args.per_part, args.seed, Path(folder))
    for part, counter in counts.items():
        figures = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counter.items()))
        typer.echo(f"{part}: {figures}")
    typer.echo("\n".join([f"{len(failures)} wrong", *failures]))
    return min(len(failures), 1)


if __name__ == "__main__":
    sys.exit(main())
