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
