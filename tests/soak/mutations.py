"""Damages of files: of bytes, of the values of JSON, and of what a DocBin has within."""

import json
import random
import zlib
from typing import Any

import srsly

from tests.soak.samples import Sample


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
        return nest(rng.choice([3, 90, 110, 200]))
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
    except (
        OverflowError,
        TypeError,
        ValueError,
    ):  # it is broken already, or has what MessagePack can't say
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
