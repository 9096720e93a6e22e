"""What saved pipelines call the code they need: by registered names, which setup.cfg leads to
modules, so that modules can move."""

import re
from pathlib import Path

import pytest
import spacy
from thinc.api import fix_random_seed

from ..util import make_example, make_nlp, read_setup

ROOT = Path(__file__).parents[2]
CRF = {
    "model": {
        "@architectures": "spacy-bert-ner.LinearCRF.v1",
        "tok2vec": {
            "@architectures": "spacy-transformers.TransformerListener.v1",
            "grad_factor": 1.0,
            "pooling": {"@layers": "spacy-bert-ner.reduce_mean.v1"},
        },
    },
    "loss": {"@losses": "spacy-bert-ner.CRFLikelihood.v1"},
}


@pytest.fixture
def crf_pipeline(tiny_encoder, tmp_path):
    """One with a CRF, and its encoder inside of it."""
    fix_random_seed(0)
    nlp = make_nlp({"name": tiny_encoder, "window": 0})
    nlp.remove_pipe("bert_ner")
    nlp.add_pipe("bert_ner", config=CRF)
    nlp.initialize(lambda: [make_example(nlp)])
    nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    nlp.to_disk(tmp_path)
    return tmp_path


@pytest.mark.parametrize("fixture", ["tiny_pipeline", "crf_pipeline"])
def test_saved_pipelines_name_no_module(fixture, request):
    folder = request.getfixturevalue(fixture)
    parser = read_setup()
    table = " ".join(parser["options.entry_points"].values())
    names = set()
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert b"spacy_bert_ner" not in data, path
        names |= set(re.findall(rb"spacy-bert-ner\.\w+\.v\d+", data))
    assert len(names) >= 4
    for name in names:
        assert f"{name.decode()} = " in table
    assert "bert_ner" in spacy.load(folder).pipe_names
