"""Settings of a component, as those who work by them take them."""

from dataclasses import dataclass, fields
from typing import Any, Mapping, Optional


@dataclass(frozen=True)
class Settings:
    """How gold entities become tags, and scores of tags become entities: what the config says of a
    `bert_ner`, see `BertNER.__init__`.

    Attributes
    ----------
    scheme (str): Tag scheme, a name in SCHEMES.
    align (str): What gets a tag, "token" or "word".
    decoder (str): "constrained" or "greedy".
    decode_scope (str): What entities stay within, "doc" or "sentence".
    threshold (float): The lowest score of an entity, 0 to 1.
    annotate_ents (bool): Whether entities are written to `doc.ents`, and not to `doc.spans` alone.
    overwrite_ents (bool): Whether those that other components have set are replaced.
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
        """Take the settings out of what a component has in `cfg`, and saves.

        cfg (Mapping[str, Any]): Settings by name, and other things.
        RETURNS (Settings): The settings as they are now.
        """
        return cls(**{field.name: cfg[field.name] for field in fields(cls)})

    @property
    def by_sentence(self) -> bool:
        """RETURNS (bool): Whether entities end with their sentence."""
        return self.decode_scope == "sentence"

    @property
    def keeps_ents(self) -> bool:
        """RETURNS (bool): Whether entities that are set stay, and nothing is predicted there."""
        return self.annotate_ents and not self.overwrite_ents
