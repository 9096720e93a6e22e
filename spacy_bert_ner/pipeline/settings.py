"""Settings of the component: what they can be, and which of them hold when it is loaded."""

from typing import Any, Dict, Optional, Tuple

from ..errors import UserError
from ..tagging.schemes import SCHEMES
from ..tagging.settings import Settings

CHOICES = {
    "scheme": tuple(SCHEMES),
    "align": ("token", "word"),
    "decoder": ("constrained", "greedy"),
    "decode_scope": ("doc", "sentence"),
}
# In `cfg`: the settings as the config has them, next to those that hold.
CONFIGURED = "configured"
# Of all that `cfg` can have, and what to call them.
TYPES: Dict[str, Tuple[Tuple[type, ...], str]] = {
    **dict.fromkeys((*CHOICES, "spans_key"), ((str,), "a string")),
    "annotate_ents": ((bool,), "true or false"),
    "overwrite_ents": ((bool,), "true or false"),
    "threshold": ((int, float), "a number"),
    "incorrect_spans_key": ((str, type(None)), "a string or null"),
    CONFIGURED: ((dict,), "an object"),
}


def check_types(cfg: Dict[str, Any]) -> None:
    """Check what was read from a file.

    cfg (Dict[str, Any]): Settings and labels. Some may be missing.
    RAISES (ValueError): For a value of another type, and for labels that can't be.
    """
    for key, value in cfg.items():
        types, description = TYPES.get(key, ((object,), ""))
        if not isinstance(value, types) or (type(value) is bool and {int} & set(types)):
            raise UserError(f"{key} = {value!r} must be {description}")
    labels = cfg.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise UserError(f"labels = {labels!r} must be a list of strings")
    if len(set(labels)) < len(labels):
        raise UserError(f"labels = {labels!r} must differ from each other")


def check_settings(name: str, settings: Settings) -> None:
    """Check settings for what no component can have.

    name (str): Of the component.
    settings (Settings): Its settings.
    RAISES (ValueError): For an unknown choice, for a threshold outside of 0 to 1, and for wrong
        entities in a scheme that can't mark where an entity begins.
    """
    for key, choices in CHOICES.items():
        value = getattr(settings, key)
        if value not in choices:
            names = " or ".join(f'"{choice}"' for choice in choices)
            raise UserError(f"'{name}' doesn't know {key} = {value!r}: set it to {names}.")
    if not 0.0 <= settings.threshold <= 1.0:
        raise UserError(
            f"'{name}' can't have the threshold {settings.threshold}: set it to a score from 0 "
            "(all entities) to 1."
        )
    scheme = SCHEMES[settings.scheme]
    if settings.incorrect_spans_key is not None and scheme.begin in scheme.inside:
        raise UserError(
            f"'{name}' can't learn from incorrect_spans_key = {settings.incorrect_spans_key!r} "
            f'with scheme = "{settings.scheme}", whose tags don\'t say where an entity begins: set '
            'scheme to "BIO" or "BILUO", or incorrect_spans_key to null.'
        )


def check_outputs(name: str, n_tags: int, n_outputs: Optional[int]) -> None:
    """Check that a model gives as many tags as there are.

    name (str): Of the component.
    n_tags (int): Number of tags.
    n_outputs (Optional[int]): Number of outputs of the model, None if it takes what is needed.
    RAISES (ValueError): If they differ.
    """
    if n_outputs not in (None, n_tags):
        raise UserError(
            f"'{name}' has labels that make {n_tags} tags, and a model with nO = {n_outputs}: set "
            f"nO to {n_tags}, or to null, so that it is counted."
        )


def settle_settings(name: str, cfg: Dict[str, Any], configured: Dict[str, Any]) -> None:
    """Decide between the settings that a component was saved with, which may have been changed in
    `cfg`, and those of the config that it is loaded by, which may have been changed in config.cfg
    or be overridden: a setting of the config that isn't what it was when saved holds.

    name (str): Of the component.
    cfg (Dict[str, Any]): Of the component, as it was saved. Updated.
    configured (Dict[str, Any]): The settings of the config.
    RAISES (ValueError): For another scheme, which the weights don't have.
    """
    before = cfg.get(CONFIGURED, {})
    changed = {key: value for key, value in configured.items() if value != before.get(key, value)}
    if "scheme" in changed:
        raise UserError(
            f"'{name}' was trained with scheme = \"{before['scheme']}\", and the config has "
            f'scheme = "{configured["scheme"]}": set it back, or train again.'
        )
    cfg.update(changed)
    cfg[CONFIGURED] = configured
