"""Describe the parts of a pipeline or a checkpoint."""

from math import prod
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

from spacy.language import Language

from ..model.encoder.lookup import find_pretrained
from ..model.encoder.tokenizer import get_kind
from ..pipeline.bert_ner import BertNER
from ..pipeline.encoders import Found, get_pooling, iter_encoders
from ..pipeline.listener_kinds import KINDS
from ..pipeline.listeners import find_upstream, get_listeners
from ..pipeline.settings import CONFIGURED, get_dropout
from ..training.callbacks import META_KEY
from .pipelines import load_pipeline


def describe(source: Union[Language, str, Path]) -> Dict[str, Any]:
    """Describe a pipeline, or the folder of a Hugging Face checkpoint: its encoders, and the
    components that use them.

    source (Union[Language, str, Path]): A pipeline, its name or path, or a checkpoint.
    RETURNS (Dict[str, Any]): "source" and "kind", and, as far as they are known, "encoders" and
        "components", with plain values.
    RAISES (ValueError): For a source that can't be read. OSError: If it doesn't exist.
    """
    if isinstance(source, Language):
        return _describe_pipeline(source, "pipeline")
    path = Path(find_pretrained(str(source)))
    if (path / "config.json").exists() and not (path / "config.cfg").exists():
        from .describe_checkpoint import describe_checkpoint  # which needs torch

        return describe_checkpoint(str(source))
    return _describe_pipeline(load_pipeline(str(source)), str(source))


def _describe_pipeline(nlp: Language, source: str) -> Dict[str, Any]:
    components = []
    encoders = []
    for name, pipe in nlp.pipeline:
        model = getattr(pipe, "model", None)
        if not hasattr(model, "walk"):
            continue
        for found in iter_encoders(model, name):
            if found.module is not None:
                encoders.append(_describe_encoder(nlp, found))
            elif found.pieces is not None:
                encoders.append(_describe_exported(found))
        if nlp.get_pipe_meta(name).factory not in {kind.factory for kind in KINDS.values()}:
            components.append(_describe_component(nlp, name, pipe))
    info = {
        "source": source,
        "kind": "spaCy pipeline",
        "lang": nlp.lang,
        "pipeline": nlp.pipe_names,
        "encoders": encoders,
        "components": components,
    }
    noted = nlp.meta.get(META_KEY)
    training = noted.get("training") if isinstance(noted, dict) else None
    return {**info, "training": training} if isinstance(training, dict) else info


def _describe_component(nlp: Language, name: str, pipe: Any) -> Dict[str, Any]:
    """Describe a component that isn't just an encoder."""
    info: Dict[str, Any] = {
        "name": name,
        "factory": nlp.get_pipe_meta(name).factory,
        "reads": _find_reads(nlp, name, pipe.model),
        "pooling": get_pooling(pipe.model),
        "labels": list(getattr(pipe, "labels", ())),
        "parameters": _count_thinc(pipe.model),
    }
    if isinstance(pipe, BertNER):
        others = ("labels", CONFIGURED)
        info.update({key: value for key, value in pipe.cfg.items() if key not in others})
        info["tags"] = len(pipe.tag_set)
        info["dropout"] = get_dropout(nlp, name)
        info["layers"] = _describe_head(pipe.model)
        info["parameters"] = sum(layer["parameters"] for layer in info["layers"])
    return info


def _find_reads(nlp: Language, name: str, model: Any) -> Optional[str]:
    """The component with the encoder that a model uses; our encoders come before others."""
    encoders = iter_encoders(model, name, nlp)
    found = [item.component for item in encoders if item.is_ours or item.is_exported]
    heard = (find_upstream(nlp, listener) for listener in get_listeners(model))
    return next((upstream for upstream in (*found, *heard) if upstream is not None), None)


def _describe_head(model: Any) -> List[Dict[str, Any]]:
    layers = []
    beside = _count_thinc(model.get_ref("tok2vec"))
    if beside:
        layers.append({"layer": "Additional vectors", "shapes": {}, "parameters": beside})
    for ref in ("dense_norm", "output_layer"):
        node = model.get_ref(ref) if model.has_ref(ref) else None
        if node is None:
            continue
        shapes = {
            name: list(node.get_param(name).shape)
            for name in node.param_names
            if node.has_param(name)
        }
        n_in = node.maybe_get_dim("nI")
        n_out = n_in if ref == "dense_norm" else node.maybe_get_dim("nO")
        layers.append(describe_layer("Linear", n_in, n_out, shapes))
    return layers


def describe_layer(
    kind: str, n_in: Any, n_out: Any, shapes: Dict[str, List[int]]
) -> Dict[str, Any]:
    """Describe a layer of a head.

    kind (str): Name of its kind.
    n_in, n_out (Optional[int]): Widths of its inputs and outputs, None if they are unknown.
    shapes (Dict[str, List[int]]): Shapes of its parameters, by name.
    RETURNS (Dict[str, Any]): Plain values.
    """
    sizes = [prod(shape) for shape in shapes.values()]
    n_in, n_out = ("?" if width is None else width for width in (n_in, n_out))
    return {"layer": f"{kind}({n_in} -> {n_out})", "shapes": shapes, "parameters": sum(sizes)}


def _describe_encoder(nlp: Language, found: Found) -> Dict[str, Any]:
    """Describe an initialized encoder."""
    info: Dict[str, Any] = {"component": found.component}
    if found.tokenizer is None:
        return {
            **info,
            "class": type(found.module).__name__,
            "parameters": _count(found.module),
            "precision": _get_precision(nlp, found.component),
        }
    info.update(describe_transformer(found.module, found.tokenizer))
    if not found.is_ours:
        from ..model.encoder.huggingface import Encoder, get_limit  # which needs torch

        limit = get_limit(Encoder(found.module, found.tokenizer))
        return {**info, "limit": limit, "precision": _get_precision(nlp, found.component)}
    return {**info, **_describe_windows(found), "precision": found.shim.precision}


def _describe_exported(found: Found) -> Dict[str, Any]:
    """Describe an encoder that was exported to ONNX."""
    export = found.shim.export
    return {
        "component": found.component,
        "class": f"OnnxEncoder ({export.facts.name})",
        "family": export.facts.family,
        "parameters": export.facts.n_parameters,
        "layers": export.facts.n_layers,
        "width": export.facts.width,
        "tokenizer": get_kind(found.shim.pieces.backend),
        "vocabulary": found.shim.pieces.backend.get_vocab_size(with_added_tokens=True),
        "size": f"{len(export.graph.data) / 1e6:.1f} MB",
        **_describe_windows(found),
        "precision": export.facts.precision,
    }


def _describe_windows(found: Found) -> Dict[str, Any]:
    settings = found.node.attrs["settings"]
    return {
        "limit": found.shim.limit,
        "window": settings.window,
        "stride": settings.stride,
        "context": settings.context,
        "batch_pieces": settings.batch_pieces,
    }


def _get_precision(nlp: Language, component: str) -> str:
    """The precision in the block of a component, for an encoder that isn't ours."""
    blocks = [nlp.get_pipe_config(component).get("model", {})]
    while blocks:
        block = blocks.pop()
        if block.get("mixed_precision"):
            return "mixed"
        blocks += [value for value in block.values() if isinstance(value, dict)]
    return "fp32"


def describe_transformer(model: Any, tokenizer: Any) -> Dict[str, Any]:
    """Describe an encoder of Hugging Face.

    model (PreTrainedModel): The encoder.
    tokenizer (PreTrainedTokenizerBase): Its tokenizer.
    RETURNS (Dict[str, Any]): Plain values.
    """
    config = model.config
    return {
        "family": config.model_type,
        "class": type(model).__name__,
        "parameters": _count(model),
        "layers": getattr(config, "num_hidden_layers", None),
        "width": config.hidden_size,
        "tokenizer": get_kind(tokenizer.backend_tokenizer)
        if tokenizer.is_fast
        else f"slow ({type(tokenizer).__name__})",
        "vocabulary": len(tokenizer),
        "dropout": _get_rates(config),
    }


def _get_rates(config: Any) -> Dict[str, float]:
    return {
        key: float(value)
        for key, value in sorted(config.to_dict().items())
        if ("dropout" in key or "pdrop" in key) and isinstance(value, (int, float))
    }


def _count(model: Any) -> int:
    return sum(param.numel() for param in model.parameters())


def _count_thinc(model: Any) -> int:
    """Number of parameters of thinc's layers, without those of encoders."""
    return sum(
        int(node.get_param(name).size)
        for node in model.walk()
        for name in node.param_names
        if node.has_param(name)
    )


def format_description(info: Dict[str, Any]) -> str:
    """RETURNS (str): A description, as text.

    info (Dict[str, Any]): The output of `describe`.
    """
    lines = [f"{info['kind']}: {info['source']}"]
    if "pipeline" in info:
        lines.append(f"  language {info['lang']}, components {', '.join(info['pipeline'])}")
    if "training" in info:
        lines.append(f"  {_format_training(info['training'])}")
    for part, title in (("encoders", "Encoder"), ("components", "Component")):
        for entry in info[part]:
            lines.append("")
            name = entry.get("component") or entry.get("name")
            lines.append(f"{title} {name}" if name else title)
            lines += _format_entry(entry)
    if "note" in info:
        lines += ["", info["note"]]
    return "\n".join(lines)


def _format_training(training: Dict[str, Any]) -> str:
    """RETURNS (str): The training data of a pipeline, and the data by which it was chosen."""
    train, dev = training.get("train"), training.get("dev")
    if training.get("selection") == "best":
        return f"trained on {train}; chosen by its score on {dev}, the best of all evaluations"
    text = f"trained on {train}; the model after the last step"
    if training.get("patience"):
        end = f"{training['patience']} steps after the best score on {dev}"
        return f"{text}, at most {end}"
    return f"{text}, not chosen by its score on {dev}"


def _format_entry(entry: Dict[str, Any]) -> List[str]:
    lines = []
    for key, value in entry.items():
        if key in ("component", "name") or value is None:
            continue
        if key == "layers" and isinstance(value, list):
            for layer in value:
                shapes = ", ".join(f"{name} {shape}" for name, shape in layer["shapes"].items())
                count = f"{layer['parameters']:,} parameters" if layer["parameters"] else "empty"
                lines.append(f"  {layer['layer']}: {count}" + (f" ({shapes})" if shapes else ""))
        elif isinstance(value, dict):
            lines += [f"  {name}: {rate}" for name, rate in value.items()]
        elif isinstance(value, list):
            lines.append(f"  {key}: {', '.join(map(str, value)) or '-'}")
        else:
            shown = f"{value:,}" if key in ("parameters", "vocabulary") else value
            lines.append(f"  {key.replace('_', ' ')}: {shown}")
    return lines
