"""Settings of a component, for the code that encodes, decodes and writes entities."""

from dataclasses import dataclass, fields
from typing import Any, Mapping, Optional


@dataclass(frozen=True)
class Settings:
    """Settings of a `bert_ner`: how gold entities become tags, and how tag scores become entities,
    see `BertNER.__init__`.

    Attributes
    ----------
    scheme (str): Tag scheme, a name in SCHEMES.
    align (str): What gets a tag, "token" or "word".
    decoder (str): "constrained" or "greedy".
    decode_scope (str): Whether entities may cross sentence starts ("doc") or not ("sentence").
    threshold (float): The lowest score of an entity, 0 to 1.
    annotate_ents (bool): Whether entities are written to `doc.ents`, not only to `doc.spans`.
    overwrite_ents (bool): Whether entities that other components have set are replaced.
    spans_key (str): Key of `doc.spans` for entities with their scores.
    incorrect_spans_key (Optional[str]): Key of `doc.spans` of gold documents, with entities that
        are known to be wrong.
    """

    scheme: str = "BIO"
    align: str = "token"
    decoder: str = "constrained"
    decode_scope: str = "doc"
    threshold: float = 0.0
    annotate_ents: bool = True
    overwrite_ents: bool = False
    spans_key: str = "bert_ner"
    incorrect_spans_key: Optional[str] = None

    @classmethod
    def from_cfg(cls, cfg: Mapping[str, Any]) -> "Settings":
        """Get the settings from the `cfg` of a component.

        cfg (Mapping[str, Any]): Settings by name, and other entries.
        RETURNS (Settings): The settings as they are now.
        """
        return cls(**{field.name: cfg[field.name] for field in fields(cls)})

    @property
    def by_sentence(self) -> bool:
        """RETURNS (bool): Whether entities end with their sentence."""
        return self.decode_scope == "sentence"

    @property
    def keeps_ents(self) -> bool:
        """RETURNS (bool): Whether existing entities are kept, and nothing is predicted in their
        place."""
        return self.annotate_ents and not self.overwrite_ents
