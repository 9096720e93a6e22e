"""What does an export to onnxruntime cost and gain?

    OMP_NUM_THREADS=1 python benchmarks/quantized.py PIPELINE DEV TEST --name NAME [--repeats 5]

PIPELINE is a trained pipeline, DEV and TEST are documents with gold entities. The systems: torch in
float32; torch as the pipeline is set, with bf16 where the processor has it; the exports of
`quantize` to fp32 and int8; and the usual one-call quantization, `quantize_dynamic` of onnxruntime.
The peers are transformers' pipeline on the same weights, with torch in float32, and the same with
optimum's ORTModelForTokenClassification, if that is installed. It isn't a dependency:

    pip install --no-deps --target peer optimum==2.1.0 optimum-onnx==0.1.0
    PYTHONPATH=peer OMP_NUM_THREADS=1 python benchmarks/quantized.py ...

Speeds are measured in turn, on one thread: long documents of 40 sentences, and short texts of one
sentence, all of TEST. The peers only read the short ones: they cut off what is longer than a
window. The start is a fresh process, up to the entities of a first text. Writes
results/quantized_NAME.md, .json and .png.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import spacy
import torch
from harness import measure, name_corpus, report, to_rows
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from spacy_bert_ner import to_huggingface
from spacy_bert_ner.commands.exporting import make_exported
from spacy_bert_ner.commands.fidelity import measure as score
from spacy_bert_ner.commands.quantize import quantize
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import read_docs
from spacy_bert_ner.model.encoder.onnx_export import export_encoder
from spacy_bert_ner.model.onnx.layer import set_export

FP32 = {"components.transformer.model.precision": "fp32"}
PEER = {"aggregation_strategy": "first", "device": "cpu"}
N_LONG = 40
START = """
import time
start = time.perf_counter()
import spacy
nlp = spacy.load(r"{path}", config={config})
assert nlp("Anna Berg lives in Oslo.") is not None
print(time.perf_counter() - start)
"""
REFERENCE = "torch fp32"


def export_all(path, dev, folder):
    """Export to folders. RETURNS (dict): The results of `quantize`."""
    results = {
        precision: quantize(path, folder / precision, dev, precision=precision)
        for precision in ("fp32", "int8")
    }
    made = make_exported(spacy.load(path))
    exported = export_encoder(made.found.shim, "naive")
    (folder / "fp32.onnx").write_bytes(exported.graph)
    from onnxruntime.quantization import quantize_dynamic  # after telemetry is off

    quantize_dynamic(folder / "fp32.onnx", folder / "naive.onnx")
    graph = (folder / "naive.onnx").read_bytes()
    for layer in made.layers:
        set_export(layer, graph, exported.tokenizer, exported.facts)
    made.nlp.to_disk(folder / "naive")
    return results


def get_size(path):
    return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file()) / 1e6


def get_systems(path, folder):
    """RETURNS (dict): Pipelines, their folders and the settings that they are loaded with."""
    paths = {
        REFERENCE: (path, FP32),
        "torch as set": (path, {}),
        "onnxruntime fp32": (folder / "fp32", {}),
        "onnxruntime int8": (folder / "int8", {}),
        "quantize_dynamic": (folder / "naive", {}),
    }
    return {
        name: (spacy.load(path, config=config), path, config)
        for name, (path, config) in paths.items()
    }


def make_checkpoint(nlp, path):
    """Write the encoder and classifier of a pipeline as a Hugging Face checkpoint. Where those have
    no place for all of its layers, the classifier isn't trained: it only counts in the time."""
    try:
        to_huggingface(nlp, path)
        return
    except UserError as error:
        sys.stderr.write(f"The classifier of the peers isn't trained: {error}\n")
    encoder = nlp.get_pipe("transformer").model.shims[0].encoder
    encoder.model.save_pretrained(path)
    encoder.tokenizer.save_pretrained(path)
    n_tags = len(nlp.get_pipe("bert_ner").tag_set)
    model = AutoModelForTokenClassification.from_pretrained(path, num_labels=n_tags)
    with torch.no_grad():
        model.classifier.weight.zero_()
    model.save_pretrained(path)


def make_peers(nlp, path):
    """RETURNS (Dict[str, Callable]): Functions that take texts, by name."""
    make_checkpoint(nlp, path)
    models = {"transformers' pipeline": AutoModelForTokenClassification.from_pretrained(path)}
    try:
        from onnxruntime import SessionOptions
        from optimum.onnxruntime import ORTModelForTokenClassification
    except ImportError as error:
        sys.stderr.write(f"optimum isn't measured ({error}).\n")
    else:
        options = SessionOptions()
        options.intra_op_num_threads = 1
        models["optimum onnxruntime fp32"] = ORTModelForTokenClassification.from_pretrained(
            path, export=True, session_options=options
        )
    tokenizer = AutoTokenizer.from_pretrained(path)
    peers = {
        name: pipeline("token-classification", model, tokenizer=tokenizer, **PEER)
        for name, model in models.items()
    }
    return {name: partial(peer, batch_size=16) for name, peer in peers.items()}


def join(docs, size):
    """RETURNS (List[str]): Texts of so many documents each."""
    texts = [doc.text for doc in docs]
    return [" ".join(texts[i : i + size]) for i in range(0, len(texts), size)]


def read(nlp, texts):
    return list(nlp.pipe(texts))


def time_start(path, config, repeats):
    program = START.format(path=path, config=config)
    times = []
    for _ in range(repeats):
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            capture_output=True,
            text=True,
            check=True,
        )
        times.append(float(result.stdout.split()[-1]))
    return round(statistics.median(times), 2)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pipeline", type=Path)
    parser.add_argument("dev", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = export_all(args.pipeline, args.dev, folder)
        systems = get_systems(args.pipeline, folder)
        reference = systems[REFERENCE][0]
        gold = list(read_docs(args.test, reference))
        expected = None
        rows = {}
        for name, (nlp, path, config) in systems.items():
            found, docs = score(nlp, gold, ["bert_ner"], expected)
            expected = expected or docs
            rows[name] = {
                "system": name,
                "F1": round(found.scores["ents_f"], 2),
                "agreement_%": round(found.agreement, 2),
                "folder_MB": round(get_size(path), 1),
                "start_s": time_start(path, config, args.repeats),
            }
        peers = make_peers(reference, folder / "checkpoint")
        for kind, size in (("long", N_LONG), ("short", 1)):
            texts = join(gold, size)
            n_words = sum(len(reference.make_doc(text)) for text in texts)
            runs = {name: partial(read, nlp, texts) for name, (nlp, _, _) in systems.items()}
            if kind == "short":
                runs |= {name: partial(peer, texts) for name, peer in peers.items()}
            for row in to_rows(measure(runs, args.repeats), n_words, REFERENCE):
                own = rows.setdefault(row["system"], {"system": row["system"]})
                own[f"{kind}_words/s"] = row["words_per_second"]
                own[f"{kind}_ratio"] = row["of_torch_fp32"]
    report(
        f"quantized_{args.name}",
        f"Exports of {args.name}, {name_corpus(args.test)}",
        list(rows.values()),
        notes=[
            f"int8 by: {results['int8'].step}. F1 and agreement with torch fp32 on TEST; ratios of "
            "words per second to torch fp32.",
            "",
        ],
        plot=lambda axes: axes.barh(
            list(rows), [row.get("short_words/s", 0) for row in rows.values()]
        ),
    )


if __name__ == "__main__":
    main()
