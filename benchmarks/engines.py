"""Ray Data and Spark against `annotate --jobs 2`: two workers of one thread each, on the same
Parquet file.

    make engines
    python benchmarks/engines.py [--words 1000000] [--repeats 3]
    python benchmarks/engines.py --pipeline training/sample/model-last --words 100000

Without a pipeline, one with a tiny random encoder is made: what is measured is mostly what happens
around the encoder. The engines run already, and `annotate` is started in each round. All load the
pipeline in each round, except for Spark, which keeps its workers. Further rows show how fast one
process reads, skips and writes files without an encoder, and how large they are. To skip is what a
shard of a single file does with the records of others.

Writes results/engines_NAME.md, .json and .png. NAME is the folder of the pipeline, or `tiny`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy
import pyarrow as pa
import ray
import spacy
import torch
from annotate import make_tiny
from harness import measure, plot_bars, report, to_rows
from pyarrow import parquet as pq
from pyspark.sql import SparkSession
from systems import read_sentences

from spacy_bert_ner.engines.ray import annotate as annotate_ray
from spacy_bert_ner.engines.spark import annotate as annotate_spark
from spacy_bert_ner.formats import read_docs, write_docs
from spacy_bert_ner.formats.arrow_rows import make_schema
from spacy_bert_ner.formats.source import Shard

N_WORKERS = 2
REFERENCE = "annotate --jobs 2"
# Blocks and partitions for each worker.
N_PARTS = 8
MOST_SENTENCES = 12
# What the systems write.
OUTPUTS = ("out.parquet", "ray", "spark")


def write_texts(path, n_words):
    """Documents of 1 to 12 sentences of the sample corpus, each with its words in another order:
    files of repeated sentences would be much smaller.

    RETURNS (int): The number of their words.
    """
    rng, nlp = numpy.random.default_rng(0), spacy.blank("en")
    sentences = read_sentences()
    texts, n = [], 0
    while n < n_words:
        drawn = rng.integers(len(sentences), size=int(rng.integers(1, MOST_SENTENCES + 1)))
        mixed = [" ".join(rng.permutation(sentences[i][:-1])) for i in drawn]
        texts.append(". ".join(mixed) + ".")
        n += len(nlp.make_doc(texts[-1]))
    table = pa.table({"id": range(len(texts)), "text": texts})
    pq.write_table(table, path, row_group_size=max(1, len(texts) // (N_WORKERS * N_PARTS)))
    return n


def make_systems(folder, pipeline, spark, source):
    def run_annotate():
        """As users do: processes that this one starts would import all of its modules."""
        command = [sys.executable, "-m", "spacy", "bert-ner", "annotate", pipeline, source]
        options = [folder / "out.parquet", "--jobs", N_WORKERS, "--restart"]
        subprocess.run(list(map(str, [*command, *options])), check=True)

    def run_ray():
        shutil.rmtree(folder / "ray", ignore_errors=True)
        ds = ray.data.read_parquet(str(source)).repartition(N_WORKERS * N_PARTS)
        annotate_ray(ds, pipeline, workers=N_WORKERS).write_parquet(str(folder / "ray"))

    def run_spark():
        df = spark.read.parquet(str(source)).repartition(N_WORKERS * N_PARTS)
        written = annotate_spark(df, pipeline).write.mode("overwrite")
        written.parquet(str(folder / "spark"))

    return {REFERENCE: run_annotate, "Ray Data, 2 workers": run_ray, "Spark, 2 workers": run_spark}


def measure_files(folder, n_words):
    """RETURNS (list): Rows for files: how fast a process reads and writes them, and their size."""
    nlp = spacy.blank("en")
    docs = list(read_docs(folder / "out.parquet", nlp))
    rows = []
    for name in ("parquet", "jsonl"):
        path = folder / f"copy.{name}"
        steps = {
            "write": lambda path=path: write_docs(path, docs),
            "read": lambda path=path: list(read_docs(path, nlp)),
            "skip": lambda path=path: list(read_docs(path, nlp, shard=Shard(1, len(docs)))),
        }
        for step, run in steps.items():
            start = time.perf_counter()
            run()
            seconds = time.perf_counter() - start
            row = {"system": f"{name}: {step}", "words_per_second": round(n_words / seconds)}
            rows.append({**row, "bytes_per_word": round(get_size(path) / n_words, 1)})
    size = get_size(folder / "in.parquet")
    return [*rows, {"system": "parquet: texts alone", "bytes_per_word": round(size / n_words, 1)}]


def get_size(path):
    """RETURNS (int): Bytes of a file, or of the files in a folder."""
    paths = [path] if path.is_file() else path.rglob("*.parquet")
    return sum(part.stat().st_size for part in paths)


def compare_rows(folder):
    """Check that all systems have written the same texts.

    RETURNS (Tuple[int, float]): The number of texts, and the share of them in which all have found
        the same entities. In half precision, other batches may change a few.
    """
    texts, ents, keys = [], [], ("start", "end", "label")
    for name in OUTPUTS:
        rows = pq.read_table(folder / name, schema=make_schema()).to_pylist()
        rows.sort(key=lambda row: int(row["id"]))
        texts.append([row["text"] for row in rows])
        ents.append([[[span[key] for key in keys] for span in row["spans"]] for row in rows])
    assert texts[0] == texts[1] == texts[2], "the texts differ"
    return len(texts[0]), sum(a == b == c for a, b, c in zip(*ents)) / len(texts[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pipeline", type=Path)
    parser.add_argument("--words", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    ray.init(num_cpus=N_WORKERS, include_dashboard=False, log_to_driver=False)
    builder = SparkSession.builder.master(f"local[{N_WORKERS}]").config("spark.ui.enabled", False)
    spark = builder.config("spark.driver.memory", "2g").getOrCreate()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pipeline = str((args.pipeline or make_tiny(folder)).resolve())
        n_words = write_texts(folder / "in.parquet", args.words)
        write_texts(folder / "small.parquet", args.words // 50)
        for run in make_systems(folder, pipeline, spark, folder / "small.parquet").values():
            run()
        systems = make_systems(folder, pipeline, spark, folder / "in.parquet")
        rows = to_rows(measure(systems, args.repeats), n_words, REFERENCE)
        n_docs, share = compare_rows(folder)
        for row, name in zip(rows, OUTPUTS):
            row["bytes_per_word"] = round(get_size(folder / name) / n_words, 1)
        rows += measure_files(folder, n_words)
    spark.stop()
    ray.shutdown()
    kind = "tiny" if args.pipeline is None else args.pipeline.parent.name
    title = f"Engines: {n_words:,} words in {n_docs:,} documents, pipeline: {kind}"
    notes = (
        f"The same entities in {share:.1%} of the documents.",
        f"Ray {ray.__version__}, Spark {spark.version}, pyarrow {pa.__version__}.",
    )
    measured = [row for row in rows if "median_s" in row]
    report(f"engines_{kind}", title, rows, notes=notes, plot=lambda axes: plot_bars(axes, measured))


if __name__ == "__main__":
    main()
