"""What several commands have."""

from enum import Enum

FORMATS = "spacy, jsonl (Prodigy), doccano, label-studio, conll, biluo, text, lines"
READ_ONLY = "csv, tsv"


class OnError(str, Enum):
    """What becomes of a record that can't be read."""

    stop = "stop"
    skip = "skip"
