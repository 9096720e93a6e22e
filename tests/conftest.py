"""One thread in every test, and the pipelines that many tests read with."""

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

# Before torch and NumPy are imported, and for the processes that tests start: several processes
# that fight over the cores with several threads each take many times as long.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import pytest  # noqa: E402
import spacy  # noqa: E402
import torch  # noqa: E402
from spacy.tokens import Doc, DocBin  # noqa: E402
from thinc.api import fix_random_seed  # noqa: E402

from spacy_bert_ner.commands import train_process  # noqa: E402
from spacy_bert_ner.commands.exporting import make_exported  # noqa: E402
from spacy_bert_ner.commands.quantize import STEPS  # noqa: E402
from spacy_bert_ner.model.encoder.onnx_export import export_encoder  # noqa: E402
from spacy_bert_ner.model.onnx.layer import set_export  # noqa: E402
from spacy_bert_ner.model.onnx.quantizing import quantize_graph  # noqa: E402

from .toy import save_encoder  # noqa: E402
from .util import TAGS, WORDS, make_example, make_nlp, run_command  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def trained_path(tmp_path_factory):
    """A pipeline of sentencizer, transformer and bert_ner that has learned one text, on disk."""
    fix_random_seed(0)
    nlp = make_nlp()
    nlp.add_pipe("sentencizer", first=True)
    examples = [make_example(nlp)]
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 1e-2
    for _ in range(40):
        losses = nlp.update(examples, sgd=optimizer, annotates=["sentencizer"])
    assert losses["bert_ner"] < 0.05
    path = tmp_path_factory.mktemp("pipeline") / "trained"
    nlp.to_disk(path)
    return path


@pytest.fixture
def trained(trained_path):
    return spacy.load(trained_path)


@pytest.fixture(scope="session")
def exported_paths(trained_path, tmp_path_factory):
    """Exports of the trained pipeline by precision, on disk, not scored as `quantize` does."""
    made = make_exported(spacy.load(trained_path))
    exported = export_encoder(made.found.shim, "small")
    folder = tmp_path_factory.mktemp("exported")
    graphs = {"fp32": exported.graph, "int8": quantize_graph(exported.graph, STEPS[0])}
    for precision, graph in graphs.items():
        for layer in made.layers:
            set_export(layer, graph, exported.tokenizer, exported.facts)
        made.nlp.to_disk(folder / precision)
    return {precision: folder / precision for precision in graphs}


@pytest.fixture(params=["torch", "fp32", "int8"])
def predicting(request):
    """The trained pipeline, and its exports to onnxruntime: for tests that only predict."""
    if request.param == "torch":
        return spacy.load(request.getfixturevalue("trained_path"))
    return spacy.load(request.getfixturevalue("exported_paths")[request.param])


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory):
    """The folder of a tiny random encoder."""
    return save_encoder(tmp_path_factory.mktemp("encoder"), "bert")


@pytest.fixture(scope="session")
def tiny_pipeline(tiny_encoder, tmp_path_factory):
    """A pipeline of the tiny encoder that has learned one text, on disk."""
    fix_random_seed(0)
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    nlp = make_nlp({"name": tiny_encoder, "window": 0, "transformer_config": no_dropout})
    nlp.add_pipe("doc_cleaner", config={"attrs": {"_.trf_data": None}})
    examples = [make_example(nlp)]
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 1e-2
    for _ in range(80):
        losses = nlp.update(examples, sgd=sgd, drop=0.0)
    assert losses["bert_ner"] < 0.05
    path = tmp_path_factory.mktemp("pipeline") / "tiny"
    nlp.to_disk(path)
    return path


@pytest.fixture
def tiny(tiny_pipeline):
    return spacy.load(tiny_pipeline)


@pytest.fixture
def copied(tiny_pipeline, monkeypatch):
    """Instead of trainings, copies of a trained pipeline. The commands of the trainings."""
    commands = []

    def run(command, **settings):
        commands.append(command)
        folder = Path(command[command.index("--output") + 1])
        shutil.copytree(tiny_pipeline, folder / "model-last")
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(train_process, "subprocess", SimpleNamespace(run=run))
    return commands


@pytest.fixture(scope="session")
def ruler_path(tmp_path_factory):
    """A pipeline that knows one word, on disk."""
    nlp = spacy.blank("xx")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "LOC", "pattern": "Oslo"}])
    path = tmp_path_factory.mktemp("pipeline") / "ruler"
    nlp.to_disk(path)
    return path


@pytest.fixture
def project_in_process(monkeypatch):
    """`spacy project run` has its commands run in this process. `make test` and `make demo` start
    processes, as users do."""

    def run_here(command, **settings):
        result = run_command(command)
        sys.stdout.write(result.stdout)
        sys.stderr.write(result.stderr)
        if result.returncode:
            sys.exit(result.returncode)
        return result

    monkeypatch.setattr("weasel.cli.run.run_command", run_here)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """Paths of a small corpus with entities and tags: train.spacy and dev.spacy."""
    folder = tmp_path_factory.mktemp("corpus")
    vocab = spacy.blank("en").vocab
    tags = ["NN" if word[0].isupper() else "XX" for word in WORDS]
    for split in ("train", "dev"):
        docs = [Doc(vocab, words=WORDS, ents=TAGS, tags=tags) for _ in range(4)]
        DocBin(docs=docs).to_disk(folder / f"{split}.spacy")
    return folder
