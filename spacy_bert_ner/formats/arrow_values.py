"""Values of tables of Arrow, as those of JSON records."""

import json
import math
from contextlib import suppress
from datetime import date, time
from typing import Any

from .spans import looks_like_spans


def to_python(pa: Any, scalar: Any) -> Any:
    """RETURNS (Any): A value in Python's types, with maps as dicts; times that Python's types can't
    have, such as nanoseconds, as text.

    pa (module): pyarrow.
    scalar (pyarrow.Scalar): The value.
    """
    types, kind = pa.types, scalar.type
    try:
        # In nanoseconds, they would have types of pandas if it is installed.
        if types.is_timestamp(kind):
            scalar = scalar.cast(pa.timestamp("us", kind.tz))
        elif types.is_duration(kind):
            scalar = scalar.cast(pa.duration("us"))
        elif types.is_time64(kind):
            scalar = scalar.cast(pa.time64("us"))
        value = scalar.as_py()
        return dict(value) if types.is_map(kind) and value is not None else value
    except (ValueError, OverflowError):
        if not types.is_temporal(kind):
            raise
    text = scalar.cast(pa.string()).as_py()
    return f"{text} {scalar.type.unit}" if types.is_duration(kind) else text.replace(" ", "T")


def has_bytes(value: Any) -> bool:
    """RETURNS (bool): Whether a value is or contains bytes.

    value (Any): The value, in Python's types.
    """
    parts = value.values() if isinstance(value, dict) else value
    is_nested = isinstance(value, (dict, list, tuple))
    return isinstance(value, bytes) or (is_nested and any(map(has_bytes, parts)))


def to_json(value: Any) -> Any:
    """Convert a value of a table to JSON types. Dates become strings in ISO format. Bytes, and
    numbers that JSON doesn't have, become null.

    value (Any): The value, in Python's types.
    RETURNS (Any): The value in JSON types.
    """
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        value = dict(value)  # a map
    if isinstance(value, dict):
        return {str(key): to_json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [to_json(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value)  # such as Decimal, UUID and timedelta


def parse_json(value: Any) -> Any:
    """RETURNS (Any): The object or list that a text contains as JSON, in JSON types; any other
    value as it is.

    value (Any): The value.
    """
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        with suppress(ValueError, RecursionError):
            return to_json(json.loads(value))
    return value


def read_spans(value: Any) -> Any:
    """Convert entities to a list of objects: from an object of lists, which Hugging Face datasets
    store so, and from JSON as text, for tables in which each column has a simple type.

    value (Any): The value of a column of entities, in JSON types.
    RETURNS (Any): The list; a value that contains no entities as it is.
    """
    parsed = _zip_spans(parse_json(value))
    is_list = isinstance(value, (dict, list)) or parsed == [] or looks_like_spans(parsed)
    return parsed if is_list else value


def _zip_spans(value: Any) -> Any:
    if not isinstance(value, dict) or not {"start", "end", "label"} <= value.keys():
        return value
    lists = list(value.values())
    if not all(isinstance(part, list) and len(part) == len(lists[0]) for part in lists):
        return value
    return [dict(zip(value, parts)) for parts in zip(*lists)]
