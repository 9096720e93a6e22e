"""Settings of the component: their valid values, and which of them apply when it is loaded."""

from typing import Any, Dict, Optional, Tuple

from spacy.language import Language

from ..errors import UserError
from ..tagging.calibration import CALIBRATION, Calibration
from ..tagging.schemes import SCHEMES
from ..tagging.settings import Settings

CHOICES = {
    "scheme": tuple(SCHEMES),
    "align": ("token", "word"),
    "decoder": ("constrained", "greedy"),
    "decode_scope": ("doc", "sentence"),
}
# Key in `cfg` of the settings in the config, next to the current settings.
CONFIGURED = "configured"
# Types of the entries of `cfg`, and their names in messages.
TYPES: Dict[str, Tuple[Tuple[type, ...], str]] = {
    **dict.fromkeys((*CHOICES, "spans_key"), ((str,), "a string")),
    "annotate_ents": ((bool,), "true or false"),
    "overwrite_ents": ((bool,), "true or false"),
    "threshold": ((int, float), "a number"),
    "incorrect_spans_key": ((str, type(None)), "a string or null"),
    CONFIGURED: ((dict,), "an object"),
    CALIBRATION: ((dict,), "an object"),
}


def check_types(cfg: Dict[str, Any]) -> None:
    """Check what was read from a file.

    cfg (Dict[str, Any]): Settings and labels. Some may be missing.
    RAISES (ValueError): For a value of a wrong type, invalid labels, and a calibration that can't
        be used. KeyError, TypeError: For a calibration of another form.
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
    Calibration.from_cfg(cfg)


def check_settings(name: str, settings: Settings) -> None:
    """Check the values of settings.

    name (str): Name of the component.
    settings (Settings): Its settings.
    RAISES (ValueError): For an unknown choice, a threshold outside 0 to 1, or `incorrect_spans_key`
        with a scheme that can't mark entity starts.
    """
    for key, choices in CHOICES.items():
        value = getattr(settings, key)
        if value not in choices:
            names = " or ".join(f'"{choice}"' for choice in choices)
            raise UserError(f"'{name}' has an unknown {key} = {value!r}: set it to {names}.")
    if not 0.0 <= settings.threshold <= 1.0:
        raise UserError(
            f"'{name}' can't use threshold = {settings.threshold}: set it to a score from 0 (all "
            "entities) to 1."
        )
    scheme = SCHEMES[settings.scheme]
    if settings.incorrect_spans_key is not None and scheme.begin in scheme.inside:
        raise UserError(
            f"'{name}' can't learn from incorrect_spans_key = {settings.incorrect_spans_key!r} "
            f'with scheme = "{settings.scheme}", whose tags don\'t mark entity starts: set scheme '
            'to "BIO" or "BILUO", or incorrect_spans_key to null.'
        )


def check_outputs(name: str, n_tags: int, n_outputs: Optional[int]) -> None:
    """Check that a model has an output for each tag.

    name (str): Name of the component.
    n_tags (int): Number of tags.
    n_outputs (Optional[int]): Number of outputs of the model, None if it isn't set yet.
    RAISES (ValueError): If they differ.
    """
    if n_outputs not in (None, n_tags):
        raise UserError(
            f"'{name}' has labels with {n_tags} tags, but a model with nO = {n_outputs}: set nO to "
            f"{n_tags}, or to null to set it automatically."
        )


def settle_settings(name: str, cfg: Dict[str, Any], configured: Dict[str, Any]) -> None:
    """Decide between the saved settings of a component, which may have been changed in `cfg`, and
    those of the config, which may have been changed in config.cfg or overridden: if a setting of
    the config has changed since the component was saved, it applies; else the saved one does.

    name (str): Name of the component.
    cfg (Dict[str, Any]): The saved `cfg` of the component. Updated.
    configured (Dict[str, Any]): The settings of the config.
    RAISES (ValueError): For another scheme than that of the weights.
    """
    before = cfg.get(CONFIGURED, {})
    changed = {key: value for key, value in configured.items() if value != before.get(key, value)}
    if "scheme" in changed:
        raise UserError(
            f"'{name}' was trained with scheme = \"{before['scheme']}\", but the config has scheme "
            f'= "{configured["scheme"]}": set it back, or train again.'
        )
    cfg.update(changed)
    cfg[CONFIGURED] = configured


def get_dropout(nlp: Language, name: str) -> Optional[float]:
    """RETURNS (Optional[float]): The rate of dropout before the classifier, None for `[training]
    dropout`.

    nlp (Language): The pipeline.
    name (str): Name of the component.
    """
    rate = nlp.get_pipe_config(name).get("model", {}).get("dropout")
    return None if rate is None else float(rate)
