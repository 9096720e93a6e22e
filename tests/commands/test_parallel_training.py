"""Training in several processes, on the CPU."""

import io

import pytest
import spacy
from numpy.testing import assert_allclose
from spacy.tokens import Doc, DocBin
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as train_nlp
from spacy.util import load_config, load_model_from_config
from thinc.api import Config

from spacy_bert_ner.commands.parallel_training import TrainSettings, _run_rank, train
from tests.util import TAGS, WORDS, run_cli

CONFIG = """
[paths]
train = null
encoder = ""

[nlp]
lang = "en"
pipeline = ["sentencizer", "transformer", "bert_ner"]

[components]

[components.sentencizer]
factory = "sentencizer"

[components.transformer]
factory = "transformer"

[components.transformer.model]
@architectures = "spacy-bert-ner.TransformerModel.v1"
name = ${paths.encoder}
window = 0
transformer_config = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}

[components.bert_ner]
factory = "bert_ner"

[corpora]

[corpora.train]
@readers = "spacy.Corpus.v1"
path = ${paths.train}

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = ${paths.train}

[training]
max_steps = 3
eval_frequency = 2
dropout = 0.0
annotating_components = ["sentencizer"]

[training.batcher]
@batchers = "spacy.batch_by_sequence.v1"
size = 3

[training.optimizer]
@optimizers = "Adam.v1"
learn_rate = 0.001
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.cfg"
    filled = load_model_from_config(Config().from_str(CONFIG, interpolate=False), auto_fill=True)
    filled.config.to_disk(path)
    return path


@pytest.fixture
def overrides(tmp_path, tiny_encoder):
    vocab = spacy.blank("en").vocab
    docs = [Doc(vocab, words=WORDS[:n], ents=TAGS[:n]) for n in range(4, len(WORDS))]
    DocBin(docs=docs).to_disk(tmp_path / "train.spacy")
    return {"paths.train": str(tmp_path / "train.spacy"), "paths.encoder": str(tiny_encoder)}


def get_weights(nlp):
    module = nlp.get_pipe("transformer").model.shims[0]._model
    head = nlp.get_pipe("bert_ner").model.get_ref("output_layer")
    weights = {name: param.detach().numpy() for name, param in module.named_parameters()}
    return {**weights, **{name: head.get_param(name) for name in head.param_names}}


def test_learns_as_one_process_from_all_parts(config, overrides, tmp_path):
    train(config, tmp_path / "both", overrides=overrides, n_cpu=2)
    nlp = init_nlp(load_config(config, overrides, interpolate=False))
    update = nlp.update

    def update_parts(examples, losses, **settings):
        ordered = sorted(examples, key=lambda example: len(example.predicted))
        for rank in (0, 1):
            part = [example for i, example in enumerate(ordered) if i // 2 % 2 == rank]
            if part:
                update(part, losses=losses, **settings)

    nlp.update = update_parts
    train_nlp(nlp, stdout=io.StringIO(), stderr=io.StringIO())
    weights = get_weights(nlp)
    for name, value in get_weights(spacy.load(tmp_path / "both" / "model-last")).items():
        assert_allclose(value, weights[name], atol=1e-6, err_msg=name)


def test_errors_that_can_be_fixed_are_passed_on(config, overrides, tmp_path):
    overrides["components.transformer.model.context"] = -1
    settings = TrainSettings(config, tmp_path / "out", overrides, None, 1, False)
    with pytest.raises(SystemExit):
        _run_rank(0, settings, str(tmp_path))
    assert "context" in (tmp_path / "error-0").read_text(encoding="utf-8")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [[], ["--n-gpu", "1", "--n-cpu", "2"]])
def test_number_of_processes(config, options):
    result = run_cli("train", config, *options)
    assert result.exit_code == 1
    assert "set either --n-gpu or --n-cpu" in result.output


def test_gpu_that_does_not_exist(config):
    result = run_cli("train", config, "--n-gpu", "99")
    assert result.exit_code == 1
    assert "GPU" in result.output
