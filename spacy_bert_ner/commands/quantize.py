"""Export a pipeline to onnxruntime, quantized as far as its scores allow."""

from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Tuple, Union

import numpy
from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import logger
from wasabi import table

from ..errors import UserError
from ..formats import read_docs
from ..hf.folders import check_folder, write_folder
from ..hf.loader import from_huggingface
from ..model.encoder.lookup import find_pretrained
from ..model.encoder.onnx_export import Exported, export_encoder
from ..model.onnx.layer import set_export
from ..model.onnx.quantizing import Step, find_layers, quantize_graph, require_packages
from ..training.callbacks import META_KEY
from .checks import check_input
from .exporting import Made, make_exported
from .fidelity import Measured, measure
from .pipelines import explain_pipeline, load_pipeline

PRECISIONS = ("int8", "fp32")
# From the smallest and fastest to the most exact. Later steps also keep the most sensitive layers
# in float32: these shares of them.
STEPS = (
    Step("blocks of 128 weights", 128),
    Step("blocks of 32 weights", 32),
    Step("blocks of 32 weights, embeddings in fp32", 32, has_embeddings=False),
)
KEPT_SHARES = (0.25, 0.5)
# Documents that sensitive layers are found with.
N_SAMPLE = 100


@dataclass
class Quantization:
    """The result of `quantize`.

    Attributes
    ----------
    original, export (Measured): What was exported, and the export.
    precision (str): "int8" or "fp32".
    step (str): How it was quantized.
    tried (List[Tuple[str, float]]): Steps that were tried before, and how much they lost, in
        points.
    original_precision (str): The precision in which the original was computed.
    """

    original: Measured
    export: Measured
    precision: str
    step: str
    tried: List[Tuple[str, float]] = field(default_factory=list)
    original_precision: str = "fp32"


def quantize(
    pipeline: Union[str, Path],
    output_path: Union[str, Path],
    dev_path: Union[str, Path],
    *,
    precision: str = "int8",
    max_loss: float = 0.3,
    force: bool = False,
    notify: Callable[[str], None] = logger.info,
) -> Quantization:
    """Export a trained pipeline to one that predicts with onnxruntime, without torch. Its encoder
    becomes an `OnnxEncoder.v1`; everything else stays. The original and the export are scored on
    the same documents, and an export that loses too much isn't written.

    pipeline (Union[str, Path]): Name or path of the pipeline, or the folder of a Hugging Face token
        classifier, which is read as English (see `from_huggingface` for other languages).
    output_path (Union[str, Path]): The folder to write, new or empty.
    dev_path (Union[str, Path]): Documents with gold entities, in any format that `convert` reads.
    precision (str): "int8" for weights of 8 bits: several ways to quantize are tried until one
        loses little enough. "fp32" for the same weights.
    max_loss (float): How much a score may fall, in points of 0 to 100.
    force (bool): Replace a folder that isn't empty.
    notify (Callable[[str], None]): Gets a message for each step.
    RETURNS (Quantization): Scores, sizes and speeds.
    RAISES (ValueError): For a pipeline that can't be exported, if all exports lose more than
        `max_loss`, and if a package is missing.
    """
    output_path, dev_path = Path(output_path), Path(dev_path)
    _check(precision, max_loss)
    require_packages()
    check_folder(output_path, force, pipeline)
    check_input(dev_path)
    nlp = _load(str(pipeline))
    made = make_exported(nlp)
    exported = export_encoder(made.found.shim, made.found.node.attrs["settings"].name)
    gold = list(read_docs(dev_path, nlp))
    with explain_pipeline(str(pipeline)):
        original, docs = measure(nlp, gold, made.users)
    if not original.scores:
        raise UserError(
            f"Can't compare scores on {dev_path}: it has no entities. Name a file with gold "
            "annotation."
        )
    notify(f"original: {_show(original)}")
    result = _climb(made, exported, gold, docs, original, precision, max_loss, notify)
    shim = made.found.shim
    result.original_precision = shim.used_precision
    made.nlp.meta.setdefault(META_KEY, {})["export"] = {
        "source": str(pipeline),
        "precision": precision,
        "step": result.step,
        "dev": str(dev_path),
        "scores": result.export.scores,
        "scores_of_source": original.scores,
        "agreement": result.export.agreement,
    }
    with write_folder(output_path, force=force) as folder:
        made.nlp.to_disk(folder)
        size = _get_size(folder)
    result.export = result.export._replace(n_bytes=size)
    result.original = original._replace(n_bytes=_get_size(nlp.path))
    return result


def _check(precision: str, max_loss: float) -> None:
    if precision not in PRECISIONS:
        raise UserError(
            f"Can't export with precision = '{precision}': use one of {', '.join(PRECISIONS)}."
        )
    if not max_loss >= 0:
        raise UserError(
            f"Can't compare with max_loss = {max_loss}: set it to 0 or more, in points of F1."
        )


def _load(pipeline: str) -> Language:
    path = Path(find_pretrained(pipeline))
    if (path / "config.json").exists() and not (path / "config.cfg").exists():
        return from_huggingface(pipeline)
    return load_pipeline(pipeline)


def _climb(
    made: Made,
    exported: Exported,
    gold: List[Doc],
    docs: List[Doc],
    original: Measured,
    precision: str,
    max_loss: float,
    notify: Callable[[str], None],
) -> Quantization:
    """Try the steps, and leave the pipeline with the first that loses little enough."""
    tried: List[Tuple[str, float]] = []
    for step in _iter_steps(made, exported, docs, precision):
        _set(made, exported, step)
        export, _ = measure(made.nlp, gold, made.users, docs)
        loss = max(original.scores[key] - export.scores[key] for key in original.scores)
        name = "same weights" if step is None else step.name
        notify(f"{precision}, {name}: {_show(export)}")
        if loss <= max_loss:
            return Quantization(original, export, precision, name, tried)
        tried.append((name, loss))
    losses = "; ".join(f"{name}: {loss:.2f}" for name, loss in tried)
    other = "--precision fp32, or " if precision == "int8" else ""
    raise UserError(
        f"Can't export to {precision} with a loss of at most {max_loss} points, so nothing was "
        f"written. Points lost by each step: {losses}. Use {other}a higher --max-loss."
    )


def _iter_steps(
    made: Made, exported: Exported, docs: List[Doc], precision: str
) -> Iterator[Optional[Step]]:
    """YIELDS (Optional[Step]): The steps, None for no quantization."""
    if precision == "fp32":
        yield None
        return
    yield from STEPS
    layers = _sort_layers(made, exported, docs[:N_SAMPLE])
    for share in KEPT_SHARES:
        kept = layers[: ceil(share * len(layers))]
        name = f"{STEPS[-1].name}, and {len(kept)} of {len(layers)} layers in fp32"
        yield STEPS[-1]._replace(name=name, kept=kept)


def _sort_layers(made: Made, exported: Exported, docs: List[Doc]) -> List[str]:
    """RETURNS (List[str]): The layers of the encoder, the most sensitive first: those that change
    the vectors of the tokens most if they alone are quantized."""
    layers = list(find_layers(exported.graph))
    layer = made.layers[0]
    _set(made, exported, None)
    expected = numpy.concatenate(layer.predict(docs))
    changes: Dict[str, float] = {}
    for name in layers:
        kept = [other for other in layers if other != name]
        _set(made, exported, STEPS[-1]._replace(kept=kept))
        found = numpy.concatenate(layer.predict(docs))
        changes[name] = float(numpy.square(found - expected).mean())
    return sorted(layers, key=lambda name: -changes[name])


def _set(made: Made, exported: Exported, step: Optional[Step]) -> None:
    graph, facts = exported.graph, exported.facts
    if step is not None:
        graph, facts = quantize_graph(graph, step), replace(facts, precision="int8")
    for layer in made.layers:
        set_export(layer, graph, exported.tokenizer, facts)


def _get_size(path: Optional[Path]) -> int:
    """RETURNS (int): Bytes of all files of a folder, 0 for none."""
    files = [] if path is None else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _show(measured: Measured) -> str:
    scores = ", ".join(f"{key} {score:.2f}" for key, score in measured.scores.items())
    return (
        f"{scores}, agreement {measured.agreement:.2f} %, {measured.words_per_second:.0f} words/s"
    )


def format_quantization(result: Quantization) -> str:
    """RETURNS (str): The comparison as a table.

    result (Quantization): The result of `quantize`.
    """
    columns = (result.original, result.export)
    rows = [
        (key, *(f"{column.scores[key]:.2f}" for column in columns))
        for key in result.original.scores
    ]
    rows.append(("entities as of the original", "", f"{result.export.agreement:.2f} %"))
    sizes = [f"{column.n_bytes / 1e6:.1f} MB" if column.n_bytes else "-" for column in columns]
    rows.append(("folder", *sizes))
    rows.append(("words per second", *(f"{column.words_per_second:.0f}" for column in columns)))
    header = ("", f"original ({result.original_precision})", f"export ({result.precision})")
    text = table(rows, header=header, divider=True, aligns=["l", "r", "r"]).strip("\n")
    steps = "".join(
        f"\nTried before: {name} ({loss:.2f} points lost)." for name, loss in result.tried
    )
    return f"{text}\nQuantized by: {result.step}.{steps}"
