"""Named entity recognition with fine-tuned transformers, for spaCy."""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

# Imported on first use: spaCy imports torch, where it is installed.
_EXPORTS = {
    "BertNER": "pipeline.bert_ner",
    "audit": "commands.audit",
    "calibrate": "commands.calibrate",
    "describe": "commands.describe",
    "from_huggingface": "hf.loader",
    "install_extensions": "tagging.entity_scores",
    "learning_curve": "commands.learning_curve",
    "push": "commands.push",
    "quantize": "commands.quantize",
    "select": "commands.select",
    "to_huggingface": "hf.export",
}


def __getattr__(name: str) -> Any:
    if name in _EXPORTS:
        return getattr(import_module(f".{_EXPORTS[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
