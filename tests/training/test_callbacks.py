import json
from pathlib import Path

import numpy
import pytest
import spacy
from spacy.cli.package import get_meta
from spacy.kb import InMemoryLookupKB
from spacy.training import Example
from spacy.util import load_config, load_model_from_config

from spacy_bert_ner import from_huggingface
from spacy_bert_ner.commands.describe import describe, format_description
from spacy_bert_ner.commands.set_lang import set_lang
from spacy_bert_ner.training.callbacks import make_before_to_disk, make_set_max_length

from ..hf.util import make_checkpoint
from ..util import CONFIG_FOLDER, run_spacy

NAME = "spacy-bert-ner.set_max_length.v1"


def make_nlp(max_length):
    callback = {"@callbacks": NAME, "max_length": max_length}
    config = {"nlp": {"lang": "en", "pipeline": [], "after_pipeline_creation": callback}}
    return load_model_from_config(config, auto_fill=True)


@pytest.mark.parametrize("max_length", [1, 12, 2_000_000, 10**12])
def test_max_length_is_set_and_kept(tmp_path, max_length):
    nlp = make_nlp(max_length)
    assert nlp.max_length == max_length
    nlp.to_disk(tmp_path / "first")
    again = spacy.load(tmp_path / "first")
    assert again.max_length == max_length
    again.to_disk(tmp_path / "second")
    assert spacy.load(tmp_path / "second").max_length == max_length


def test_max_length_is_lost_without():
    """What the callback is for: the limit is no part of what spaCy saves."""
    nlp = spacy.blank("en")
    nlp.max_length = 2_000_000
    assert load_model_from_config(nlp.config).max_length == 1_000_000


def test_max_length_counts():
    text = "word " * 220_000  # over spaCy's limit of 1,000,000 characters
    with pytest.raises(ValueError, match="E088"):
        spacy.blank("en").make_doc(text)
    assert len(make_nlp(2_000_000).make_doc(text)) == 220_000
    with pytest.raises(ValueError, match="E088"):
        make_nlp(12)("thirteen chars")


@pytest.mark.parametrize("max_length", [0, -1])
def test_limit_that_no_text_meets(max_length):
    with pytest.raises(ValueError, match=f"at most {max_length} characters: set max_length to 1"):
        make_set_max_length(max_length)


def test_limit_of_another_type():
    with pytest.raises(ValueError, match="max_length"):
        make_nlp("long")


CONFIGS = [
    path
    for path in sorted((Path(__file__).parents[2] / "configs").glob("*.cfg"))
    if "doc_cleaner" in load_config(path)["nlp"]["pipeline"]
]


def make_cleaned_doc(nlp, text="Anna lives in Oslo. She met Karl."):
    doc = nlp.make_doc(text)
    for i in (0, 5):
        doc[i].is_sent_start = True
    return nlp.get_pipe("doc_cleaner")(doc)


def check_tensor(doc):
    assert doc.tensor.shape == (0,)
    assert len(doc[0:3].as_doc()) == 3
    assert next(doc.sents).as_doc().tensor.shape == (0,)
    assert not numpy.any(doc.vector)
    assert not numpy.any(doc[1].vector)
    assert not numpy.any(doc[1:3].vector)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_cleaned_documents_have_an_empty_tensor(path):
    nlp = load_model_from_config(load_config(path), auto_fill=True)
    doc = make_cleaned_doc(nlp)
    check_tensor(doc)
    with pytest.warns(UserWarning, match="W007|W008"):
        assert doc.similarity(make_cleaned_doc(nlp, "Oslo is a town. It rained.")) == 0.0


def make_cleaning_nlp():
    """As the configs of 0.1.0 made it: spaCy adds "tensor" to the settings."""
    cleaner = {"factory": "doc_cleaner", "attrs": {"_.trf_data": None}}
    callback = {"@callbacks": NAME, "max_length": 10**8}
    config = {
        "nlp": {
            "lang": "en",
            "pipeline": ["doc_cleaner"],
            "after_pipeline_creation": callback,
        },
        "components": {"doc_cleaner": cleaner},
    }
    return load_model_from_config(config, auto_fill=True)


def test_saved_before(tmp_path):
    make_cleaning_nlp().to_disk(tmp_path)
    cfg = json.loads((tmp_path / "doc_cleaner" / "cfg").read_text())
    assert cfg["attrs"] == {"_.trf_data": None, "tensor": None}
    nlp = spacy.load(tmp_path)
    check_tensor(make_cleaned_doc(nlp))
    check_tensor(make_cleaned_doc(type(nlp).from_config(nlp.config).from_bytes(nlp.to_bytes())))


def test_entity_linker_behind():
    """It makes a Doc of every sentence with an entity."""
    nlp = make_cleaning_nlp()
    linker = nlp.add_pipe("entity_linker")
    kb = InMemoryLookupKB(nlp.vocab, entity_vector_length=4)
    for number in (1, 2):
        kb.add_entity(entity=f"Q{number}", freq=1, entity_vector=[0.5 * number] * 4)
    kb.add_alias(alias="Oslo", entities=["Q1", "Q2"], probabilities=[0.5, 0.5])
    linker.set_kb(lambda vocab: kb)
    doc = make_cleaned_doc(nlp)
    doc.set_ents([doc.char_span(14, 18, label="LOC")])
    reference = doc.copy()
    reference.set_ents([reference.char_span(14, 18, label="LOC", kb_id="Q1")])
    linker.initialize(lambda: [Example(doc, reference)], nlp=nlp, kb_loader=lambda vocab: kb)
    assert linker(doc).ents[0].kb_id_ in ("Q1", "Q2")


def test_from_huggingface(tmp_path):
    check_tensor(make_cleaned_doc(from_huggingface(make_checkpoint(tmp_path))))


@pytest.fixture(scope="module")
def output(corpus, tiny_encoder, tmp_path_factory):
    """What a training has written that was given relative paths."""
    folder = tmp_path_factory.mktemp("noted")
    for name in ("train", "dev"):
        (folder / f"{name}.spacy").symlink_to(corpus / f"{name}.spacy")
    words = ["--paths.train", "train.spacy", "--paths.dev", "./dev.spacy"]
    words += ["--vars.encoder", tiny_encoder, "--components.transformer.model.window", "0"]
    words += ["--training.max_steps", "3", "--training.eval_frequency", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        config = CONFIG_FOLDER / "student.cfg"
        result = run_spacy("train", config, "--output", "output", *words)
    assert result.exit_code == 0, (result.output, result.exception)
    return folder / "output"


NOTED = {"train": "train.spacy", "dev": "./dev.spacy", "patience": 0}


def read_noted(folder):
    return json.loads((folder / "meta.json").read_text("utf-8"))["spacy_bert_ner"]["training"]


def test_what_chose_a_pipeline_is_noted(output):
    best, last = output / "model-best", output / "model-last"
    assert read_noted(best) == {**NOTED, "selection": "best"}
    assert read_noted(last) == {**NOTED, "selection": "last"}
    assert describe(str(best))["training"] == read_noted(best)
    assert (
        "trained on train.spacy; chosen by its score on ./dev.spacy, the best of all evaluations"
        in format_description(describe(str(best)))
    )
    info = describe(str(last))
    end = "the model after the last step"
    assert f"{end}, not chosen by its score on ./dev.spacy\n" in format_description(info)
    info["training"]["patience"] = 30
    text = f"{end}, at most 30 steps after the best score on ./dev.spacy"
    assert text in format_description(info)


def test_what_is_noted_stays(output, tmp_path):
    """After loading, for a package and in another language."""
    expected = read_noted(output / "model-best")
    spacy.load(output / "model-best").to_disk(tmp_path / "again")
    assert read_noted(tmp_path / "again") == expected
    set_lang(str(output / "model-best"), tmp_path / "danish", "da")
    assert read_noted(tmp_path / "danish") == expected
    meta = get_meta(tmp_path / "danish", {"name": "packaged"})
    assert meta["spacy_bert_ner"]["training"] == expected


def test_optimizer_can_be_made_of_what_training_saved(output):
    """Its total_steps was ${training.max_steps}."""
    nlp = spacy.load(output / "model-last")
    assert nlp.config["training"]["optimizer"]["learn_rate"]["total_steps"] == 3
    assert nlp.create_optimizer() is not None


def test_best_is_what_spacy_takes_for_it():
    """Of the same score, too. After the last evaluation, there is one more call."""
    nlp = spacy.blank("en")
    nlp.config["training"]["score_weights"] = {"f": 0.5, "g": 0.5, "h": None}
    callback = make_before_to_disk()
    found = []
    for score in (0.5, 0.7, 0.6, 0.7, None):
        if score is not None:
            nlp.meta["performance"] = {"f": score, "g": 0.0, "h": {}}
        assert callback(nlp) is nlp
        found.append(nlp.meta["spacy_bert_ner"]["training"]["selection"])
    assert found == ["best", "best", "last", "best", "last"]
    nlp = spacy.blank("en")
    assert make_before_to_disk()(nlp).meta["spacy_bert_ner"]["training"]["selection"] == "last"


def test_corpora_without_a_path():
    nlp = spacy.blank("en")
    nlp.config["corpora"] = {"mine": {"@readers": "my_reader.v1"}, "dev": {"path": "dev.txt"}}
    nlp.config["training"]["train_corpus"] = "corpora.mine"
    noted = make_before_to_disk()(nlp).meta["spacy_bert_ner"]["training"]
    assert (noted["train"], noted["dev"]) == ("my_reader.v1", "dev.txt")


def test_pipelines_without_a_note():
    nlp = spacy.blank("en")
    for meta in ({}, {"spacy_bert_ner": 1}, {"spacy_bert_ner": {"training": "x"}}):
        nlp.meta.update(meta)
        assert "training" not in describe(nlp)
        assert "trained" not in format_description(describe(nlp))
