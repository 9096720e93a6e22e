"""Pipelines, and an export, that were saved when `Tok2VecTransformer.v1` had the settings of its
encoder beside its own: they load as they are, and predict what they did."""

from pathlib import Path

import pytest
import spacy
import srsly

from spacy_bert_ner.hf.loader import from_huggingface

SAVED = Path(__file__).parent.parent / "fixtures" / "saved"
PREDICTIONS = srsly.read_json(SAVED / "predictions.json")
NAMES = ["shared_softmax", "inlined_crf", "imported"]


def check_predictions(nlp, name):
    assert sum(len(record["ents"]) for record in PREDICTIONS[name]) >= 20
    for record in PREDICTIONS[name]:
        doc = nlp(record["text"])
        found = doc.spans["bert_ner"]
        ents = [[ent.start_char, ent.end_char, ent.label_] for ent in found]
        assert ents == [ent[:3] for ent in record["ents"]]
        scores = [ent._.score for ent in found]
        assert scores == pytest.approx([ent[3] for ent in record["ents"]], abs=1e-6, rel=0)


@pytest.mark.parametrize("name", NAMES)
def test_pipeline_loads_and_predicts_as_before(name):
    check_predictions(spacy.load(SAVED / name), name)


@pytest.mark.parametrize("name", NAMES)
def test_saved_again(name, tmp_path):
    spacy.load(SAVED / name).to_disk(tmp_path)
    check_predictions(spacy.load(tmp_path), name)


def test_export_reads_as_before():
    nlp = from_huggingface(SAVED / "exported", "xx")
    nlp.tokenizer = spacy.load(SAVED / "imported").tokenizer
    check_predictions(nlp, "exported")


def get_tok2vec(nlp):
    return nlp.config["components"]["bert_ner"]["model"]["tok2vec"]


def test_flat_settings_stay_as_they_are():
    """Nothing is filled into a config that was saved, and nothing is lost."""
    nlp = spacy.load(SAVED / "inlined_crf")
    saved = spacy.util.load_config(SAVED / "inlined_crf" / "config.cfg")
    assert nlp.config.interpolate() == saved.interpolate()
    assert get_tok2vec(nlp)["@architectures"] == "spacy-bert-ner.Tok2VecTransformer.v1"
    filled = spacy.util.load_model_from_config(saved, auto_fill=True)
    assert get_tok2vec(filled) == get_tok2vec(nlp)


def test_the_same_encoder_as_a_block(tmp_path):
    """The layers of v1 and v2 are the same: the weights of one fit the other."""
    nlp = spacy.load(SAVED / "inlined_crf")
    config = nlp.config.copy()
    settings = dict(get_tok2vec(nlp))
    outer = {key: settings.pop(key) for key in ("pooling", "grad_factor")}
    settings["@architectures"] = "spacy-bert-ner.TransformerModel.v1"
    config["components"]["bert_ner"]["model"]["tok2vec"] = {
        "@architectures": "spacy-bert-ner.Tok2VecTransformer.v2",
        "transformer": settings,
        **outer,
    }
    block = spacy.util.load_model_from_config(config, auto_fill=True)
    assert set(get_tok2vec(block)) == {"@architectures", "transformer", *outer}
    block.from_bytes(nlp.to_bytes())
    check_predictions(block, "inlined_crf")
    block.to_disk(tmp_path)
    check_predictions(spacy.load(tmp_path), "inlined_crf")


def test_listener_replaced_by_a_block(tmp_path):
    nlp = spacy.load(SAVED / "shared_softmax")
    nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    assert get_tok2vec(nlp)["transformer"]["window"] == 16
    nlp.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert get_tok2vec(loaded) == get_tok2vec(nlp)
    check_predictions(loaded, "shared_softmax")


@pytest.mark.parametrize(
    "settings,error",
    [
        ({"window": 16}, "window"),
        ({"transformer": {"@layers": "Linear.v1"}}, "use spacy-bert-ner.TransformerModel"),
    ],
)
def test_block_errors(settings, error):
    tok2vec = {
        "@architectures": "spacy-bert-ner.Tok2VecTransformer.v2",
        "transformer": {"@architectures": "spacy-bert-ner.TransformerModel.v1", "name": "encoder"},
        "pooling": {"@layers": "spacy-bert-ner.reduce_first.v1"},
        **settings,
    }
    with pytest.raises(ValueError, match=error):
        spacy.blank("xx").add_pipe("bert_ner", config={"model": {"tok2vec": tok2vec}})
