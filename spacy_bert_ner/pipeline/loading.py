"""Load the parts of a saved component, and check that settings, weights and encoder fit each
other."""

from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

import srsly

from ..damage import (
    CHECKSUMS,
    WAY_OUT,
    DamagedPipelineError,
    check_checksums,
    get_checksums,
    reading,
)
from ..findings import number
from ..model.heads import get_head, is_initialized
from .encoders import iter_encoders
from .listeners import find_upstream, get_listeners
from .owners import get_pipeline
from .settings import check_types


def add_checksums(cfg: Dict[str, Any], model: Optional[bytes]) -> Dict[str, Any]:
    """Add checksums to what is saved.

    cfg (Dict[str, Any]): Settings and labels of a component.
    model (Optional[bytes]): Its model, None if that isn't saved.
    RETURNS (Dict[str, Any]): What to save as its settings.
    """
    if model is None:
        return cfg
    return {**cfg, CHECKSUMS: get_checksums({"cfg": _canonical(cfg), "model": model})}


def read_file(path: Path) -> bytes:
    """Read a file of a saved component.

    path (Path): The file.
    RETURNS (bytes): Its content.
    RAISES (DamagedPipelineError): If it is missing.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedPipelineError(f"Can't load a pipeline without {path}. {WAY_OUT}") from error


def read_cfg(data: Any, model: Optional[bytes], places: Mapping[str, str]) -> Dict[str, Any]:
    """Read settings, and check that they are as they were saved, with this model.

    data (Union[bytes, str]): JSON.
    model (Optional[bytes]): The model, None if it isn't loaded.
    places (Mapping[str, str]): What to call "cfg" and "model".
    RETURNS (Dict[str, Any]): Settings and labels, without the checksums.
    RAISES (DamagedPipelineError): If they aren't.
    """
    with reading(places["cfg"]):
        cfg = srsly.json_loads(data)
        if not isinstance(cfg, dict):
            raise TypeError(f"expected an object, got {type(cfg).__name__}")
        saved = cfg.pop(CHECKSUMS, None)
        if model is not None:
            check_checksums(saved, {"cfg": _canonical(cfg), "model": model}, places)
        check_types(cfg)
    return cfg


def check_fit(component: Any, places: Mapping[str, str]) -> None:
    """Check that the labels of a component fit its weights, and these the encoder.

    component (Any): A component with `model`, `cfg` and `tag_set`.
    places (Mapping[str, str]): What to call "cfg" and "model".
    RAISES (DamagedPipelineError): If they don't.
    """
    for what, found, source, expected in _get_sizes(component, places):
        if None not in (found, expected) and found != expected:
            raise DamagedPipelineError(
                f"Can't use {places['model']}: it has {found} {what}, but {source} {expected}: one "
                f"of them belongs to another pipeline. {WAY_OUT}"
            )


def _get_sizes(component: Any, places: Mapping[str, str]) -> Iterator[Tuple[str, Any, str, Any]]:
    """YIELDS (Tuple[str, Any, str, Any]): What is counted, how many of it the weights have, what
    determines the right number, and that number. None for unknown numbers."""
    model, cfg = component.model, component.cfg
    layer = model.maybe_get_ref("output_layer")
    if layer is not None and is_initialized(layer):
        n_tags = len(component.tag_set)
        n_labels = len(cfg["labels"])
        verb = "needs" if n_labels == 1 else "need"
        source = f"{number(n_labels, 'label')} in {places['cfg']} {verb}"
        for param in get_head(model).rows:
            if layer.has_param(param):
                yield "outputs", len(layer.get_param(param)), source, n_tags
    for encoder in iter_encoders(model):
        yield "inputs", encoder.node.maybe_get_dim("nO"), "its encoder gives", encoder.width
    nlp = get_pipeline(component)
    if nlp is not None:
        for listener in get_listeners(model):
            upstream = find_upstream(nlp, listener)
            pipe: Any = None if upstream is None else nlp.get_pipe(upstream)
            width = None if pipe is None else pipe.model.maybe_get_dim("nO")
            yield "inputs", listener.maybe_get_dim("nO"), f"'{upstream}' gives", width


def _canonical(cfg: Dict[str, Any]) -> bytes:
    """A form of settings that is the same before saving and after loading."""
    text: str = srsly.json_dumps(srsly.json_loads(srsly.json_dumps(cfg)), sort_keys=True)
    return text.encode("utf-8")
