"""Presidio's own analyzer, recognizers and anonymizer with a pipeline."""

import builtins
import importlib
import logging
import sys

import pytest
import spacy
from presidio_analyzer import (
    AnalyzerEngine,
    BatchAnalyzerEngine,
    Pattern,
    PatternRecognizer,
    RecognizerRegistry,
)
from presidio_analyzer.nlp_engine import (
    NerModelConfiguration,
    NlpEngineProvider,
    SpacyNlpEngine,
)
from presidio_analyzer.predefined_recognizers import SpacyRecognizer
from presidio_anonymizer import AnonymizerEngine

from spacy_bert_ner.errors import MissingFileError, UserError
from spacy_bert_ner.presidio import BertNerEngine

from .util import EXPECTED, TEXT

NAMES = {"PER": "PERSON", "LOC": "LOCATION"}


def configure(**settings):
    return NerModelConfiguration(
        **{
            "model_to_presidio_entity_mapping": NAMES,
            "labels_to_ignore": [],
            "low_score_entity_names": [],
            **settings,
        }
    )


def make_engine(path, **settings):
    models = [{"lang_code": "en", "model_name": str(path)}]
    made = BertNerEngine(models, configure(**settings))
    made.load()
    return made


def make_analyzer(engine):
    """An analyzer with the recognizer of the engine, and one that is surer near a word."""
    pattern = Pattern("number", r"\b\d{4}\b", 0.1)
    number = PatternRecognizer("PIN", patterns=[pattern], context=["code"])
    registry = RecognizerRegistry(recognizers=[number])
    registry.add_nlp_recognizer(engine)
    return AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])


@pytest.fixture(scope="module")
def engine(tiny_pipeline):
    return make_engine(tiny_pipeline)


@pytest.fixture(scope="module")
def analyzer(engine):
    return make_analyzer(engine)


def find(text, results):
    """RETURNS (List): Texts, types and scores, in the order of the text."""
    found = sorted((r.start, text[r.start : r.end], r.entity_type, r.score) for r in results)
    return [rest for _, *rest in found]


def expect(nlp, text):
    """RETURNS (List): The same, by the pipeline alone."""
    return [[e.text, NAMES[e.label_], pytest.approx(e._.score)] for e in nlp(text).ents]


def test_scores(analyzer, tiny):
    expected = expect(tiny, TEXT)
    assert [(text, name) for text, name, _ in expected] == [
        (text, NAMES[label]) for text, label in EXPECTED
    ]
    assert find(TEXT, analyzer.analyze(TEXT, "en")) == expected
    assert len({score.expected for *_, score in expected} | {0.85}) > 2


def test_recognizer(analyzer):
    (recognizer,) = [r for r in analyzer.registry.recognizers if isinstance(r, SpacyRecognizer)]
    assert {*recognizer.supported_entities} == {"PERSON", "LOCATION"}
    found = analyzer.analyze(TEXT, "en", entities=["PERSON"])
    assert {result.entity_type for result in found} == {"PERSON"}


def test_long_text(analyzer, tiny):
    """Many windows: nothing is lost, to the end."""
    text = " ".join([TEXT] * 60)
    results = analyzer.analyze(text, "en")
    assert find(text, results) == expect(tiny, text)
    for start in range(0, len(text), len(TEXT) + 1):
        assert any(start <= result.start < start + len(TEXT) for result in results)


@pytest.mark.parametrize("word", ["code", "Code", "thing"])
def test_other_recognizers(word, analyzer):
    """They find the words around a number among lemmas, which the pipeline doesn't have."""
    text = f"Anna said the {word} was 1234 ."
    (found,) = [r for r in analyzer.analyze(text, "en") if r.entity_type == "PIN"]
    assert (found.score > 0.3) == (word.lower() == "code")


def test_artifacts(engine):
    artifacts = engine.process_text("Anna was in Oslo .", "en")
    assert artifacts.lemmas == ["anna", "was", "in", "oslo", "."]
    assert artifacts.keywords == ["anna", "oslo"]
    assert artifacts.tokens_indices == [0, 5, 9, 12, 17]
    assert engine.is_stopword("in", "en") and engine.is_punct(".", "en")


def test_lemmas_of_the_pipeline(tiny_pipeline, tmp_path):
    nlp = spacy.load(tiny_pipeline)
    nlp.add_pipe("attribute_ruler").add([[{"ORTH": "was"}]], {"LEMMA": "be"})
    nlp.to_disk(tmp_path)
    made = make_engine(tmp_path)
    assert made.process_text("Anna was", "en").lemmas == ["anna", "be"]


def test_batches(analyzer):
    texts = [TEXT, "", "Karl in Oslo .", 7]
    batch = BatchAnalyzerEngine(analyzer)
    found = batch.analyze_iterator(texts, "en")
    assert [find(str(text), one) for text, one in zip(texts, found)] == [
        find(str(text), analyzer.analyze(str(text), "en")) if text != "" else [] for text in texts
    ]
    (column,) = batch.analyze_dict({"texts": [TEXT]}, "en")
    assert find(TEXT, column.recognizer_results[0]) == find(TEXT, found[0])


def test_anonymizer(analyzer):
    found = analyzer.analyze(TEXT, "en")
    text = AnonymizerEngine().anonymize(TEXT, found).text
    assert text.startswith("<PERSON> lives in <LOCATION> . She met <PERSON> in <LOCATION> .")


def test_configuration(tiny_pipeline, tiny):
    """Of Presidio: names, labels that are left out, and scores that are lowered."""
    made = make_engine(
        tiny_pipeline,
        model_to_presidio_entity_mapping={"LOC": "PLACE"},
        labels_to_ignore=["PER"],
        low_score_entity_names=["PLACE"],
        low_confidence_score_multiplier=0.5,
    )
    found = find(TEXT, make_analyzer(made).analyze(TEXT, "en"))
    ents = [ent for ent in tiny(TEXT).ents if ent.label_ == "LOC"]
    assert found == [[e.text, "PLACE", pytest.approx(0.5 * e._.score)] for e in ents]


@pytest.mark.parametrize("name", ["labels_to_ignore", "low_score_entity_names"])
def test_empty_settings(name, tiny_pipeline, tiny):
    """As in a YAML file with a key that has no value."""
    found = make_analyzer(make_engine(tiny_pipeline, **{name: None})).analyze(TEXT, "en")
    assert find(TEXT, found) == expect(tiny, TEXT)


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        (configure(model_to_presidio_entity_mapping=None), "has no names of labels. Set"),
        (configure(model_to_presidio_entity_mapping={}), "has no names of labels. Set"),
        ({"labels_to_ignore": []}, "has a dict as its configuration. Make"),
    ],
)
def test_configurations_that_cant_be_used(configuration, message):
    with pytest.raises(UserError, match=message):
        BertNerEngine([{"lang_code": "en", "model_name": "x"}], configuration)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([], "has no models. Name"),
        (["en", "de", "en"], "has several models of 'en'. Name one"),
        ([None], '"lang_code" is None. Use a code'),
    ],
)
def test_models_that_cant_be_used(codes, message):
    with pytest.raises(UserError, match=message):
        BertNerEngine([{"lang_code": code, "model_name": "x"} for code in codes])


def test_language_without_a_pipeline(engine):
    message = "no pipeline of the language 'de', only of en. Name one"
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en", "de"])
    with pytest.raises(UserError, match=message):
        analyzer.analyze(TEXT, "de")
    with pytest.raises(UserError, match=message):
        list(engine.process_batch([TEXT], "de"))


def test_provider(tiny_pipeline):
    """A configuration, as in a YAML file."""
    settings = {
        "nlp_engine_name": "bert_ner",
        "models": [{"lang_code": "en", "model_name": str(tiny_pipeline)}],
        "ner_model_configuration": {"model_to_presidio_entity_mapping": NAMES},
    }
    provider = NlpEngineProvider((BertNerEngine,), nlp_configuration=settings)
    made = provider.create_engine()
    assert isinstance(made, BertNerEngine)
    assert made.get_supported_languages() == ["en"]


def test_other_components(tiny_pipeline, tmp_path):
    """An entity of a ruler has no score: it has Presidio's default."""
    nlp = spacy.load(tiny_pipeline)
    nlp.add_pipe("entity_ruler", before="bert_ner").add_patterns(
        [{"label": "LOC", "pattern": "Atlantis"}]
    )
    nlp.to_disk(tmp_path)
    made = make_engine(tmp_path, default_score=0.7)
    artifacts = made.process_text("Atlantis . Anna lives in Oslo .", "en")
    assert [ent.text for ent in artifacts.entities][0] == "Atlantis"
    assert artifacts.scores[0] == 0.7
    assert 0.7 not in artifacts.scores[1:] and len(artifacts.scores) > 1


def test_labels_without_a_name(tiny_pipeline, caplog):
    """Presidio drops their entities."""
    caplog.set_level(logging.WARNING, "spacy")
    made = make_engine(tiny_pipeline, model_to_presidio_entity_mapping={"PER": "PERSON"})
    found = make_analyzer(made).analyze(TEXT, "en")
    assert {result.entity_type for result in found} == {"PERSON"}
    (message,) = [r.getMessage() for r in caplog.records if r.name == "spacy"]
    assert "Presidio drops these entities" in message and ": LOC. Map them in" in message
    caplog.clear()
    make_engine(tiny_pipeline, labels_to_ignore=["LOC"])
    assert not [r for r in caplog.records if r.name == "spacy"]


def test_pipelines_that_cant_be_used(tmp_path):
    with pytest.raises(MissingFileError, match="There is no pipeline"):
        make_engine(tmp_path / "nothing")
    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(UserError, match="sets no entities"):
        make_engine(tmp_path / "blank")


def test_what_presidio_calls():
    """Methods that aren't documented, and that the engine replaces."""
    names = {"_doc_to_nlp_artifact", "_get_scores_for_entities"}
    for name in names | {"_enable_gpu", "_validate_model_params"}:
        assert hasattr(SpacyNlpEngine, name), f"presidio-analyzer changed: no {name}"


def test_without_presidio(monkeypatch):
    load = builtins.__import__

    def fail(name, *args):
        if name.startswith("presidio"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return load(name, *args)

    monkeypatch.setattr(builtins, "__import__", fail)
    monkeypatch.delitem(sys.modules, "spacy_bert_ner.presidio")
    with pytest.raises(UserError, match="presidio-analyzer isn't installed: python -m pip install"):
        importlib.import_module("spacy_bert_ner.presidio")
