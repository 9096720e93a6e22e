"""The component bert_ner in a pipeline."""

import subprocess
import sys

import numpy
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from thinc.api import ConfigValidationError

from spacy_bert_ner.pipeline.bert_ner import BertNER

from ..util import EXPECTED, TAGS, TEXT, WORDS, encoder_of, get_ents, make_example, make_nlp


@Language.component("test_merger")
def merge_first_tokens(doc):
    with doc.retokenize() as retokenizer:
        if len(doc) > 1:
            retokenizer.merge(doc[:2])
    return doc


def test_learns_and_survives_saving(trained, trained_path, tmp_path):
    doc = trained(TEXT)
    assert get_ents(doc) == EXPECTED
    scores = [ent._.score for ent in doc.ents]
    assert all(0.5 < score <= 1.0 for score in scores)
    trained.to_disk(tmp_path / "again")
    loaded = spacy.load(tmp_path / "again")
    loaded.to_disk(tmp_path / "third")
    # Byte-identical after use, and after loading once more.
    for name in ("transformer/model", "transformer/cfg", "bert_ner/model", "bert_ner/cfg"):
        for folder in ("again", "third"):
            assert (tmp_path / folder / name).read_bytes() == (trained_path / name).read_bytes()
    from_bytes = spacy.blank("en").from_config(loaded.config).from_bytes(loaded.to_bytes())
    for nlp in (loaded, from_bytes):
        again = nlp(TEXT)
        assert get_ents(again) == EXPECTED
        assert [ent._.score for ent in again.ents] == scores


def test_loads_offline_in_a_new_process(trained, trained_path, tmp_path):
    """No hub, an empty cache, and nothing left of the folder that the encoder came from."""
    program = (
        "import sys, spacy; doc = spacy.load(sys.argv[1])(sys.argv[2]);"
        "sys.stdout.write(repr([(e.text, e.label_, e._.score) for e in doc.ents]))"
    )
    config = (trained_path / "config.cfg").read_text(encoding="utf-8")
    moved = config.replace(
        str(make_nlp().config["components"]["transformer"]["model"]["name"]), "gone"
    )
    assert moved != config
    (trained_path / "config.cfg").write_text(moved, encoding="utf-8")
    try:
        result = subprocess.run(
            [sys.executable, "-c", program, str(trained_path), TEXT],
            env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        (trained_path / "config.cfg").write_text(config, encoding="utf-8")
    expected = [(ent.text, ent.label_, ent._.score) for ent in trained(TEXT).ents]
    assert result.stdout == repr(expected)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_dont_change_results(predicting, batch_size):
    texts = [TEXT, "", "Karl .", "   ", "\u200b\u200b", TEXT * 20, "Anna met Karl in Oslo"] * 3
    single = [predicting(text) for text in texts]
    batched = list(predicting.pipe(texts, batch_size=batch_size))
    for one, other in zip(single, batched, strict=True):
        assert get_ents(one) == get_ents(other)
        numpy.testing.assert_allclose(
            [ent._.score for ent in one.ents], [ent._.score for ent in other.ents], atol=1e-5
        )


@pytest.mark.parametrize(
    "texts",
    [["", TEXT], [TEXT, "", TEXT], [TEXT, ""], ["", ""], ["  \n "], ["\u200b", "\ufe0f\ufe0f"]],
)
def test_empty_documents_anywhere(predicting, texts):
    for text, doc in zip(texts, predicting.pipe(texts), strict=True):
        assert get_ents(doc) == (EXPECTED if text == TEXT else [])
        assert doc.has_annotation("ENT_IOB")


def test_ents_never_touch_invisible_tokens(predicting):
    words = ["Anna", "\u200b", "Berg", "\u00ad", " ", "lives", "in", "Oslo", "\ufe0f", "."]
    doc = Doc(predicting.vocab, words=words)
    for _, pipe in predicting.pipeline:
        doc = pipe(doc)
    assert [(ent.start, ent.end, ent.label_) for ent in doc.ents] == [(0, 3, "PER"), (7, 8, "LOC")]


def test_finds_entities_past_the_limit(predicting):
    """Planted behind position 512, in one sentence of 3,000 wordpieces and more."""
    filler = "and then it rained on the green hills " * 400
    doc = predicting(filler + "near the house of Anna Berg who lives in Oslo with Karl")
    sents = list(doc.sents)
    assert len(sents) == 1
    found = get_ents(doc)
    assert ("Anna Berg", "PER") in found
    assert ("Oslo", "LOC") in found


def test_one_endless_token(predicting):
    doc = Doc(predicting.vocab, words=["Anna", "Berg", "ab1-" * 12500, "in", "Oslo", "."])
    for name, pipe in predicting.pipeline:
        doc = pipe(doc)
        if name == "transformer":
            assert doc._.trf_data.align.lengths.tolist() == [1, 1, 510, 1, 1, 1]
    (vectors,) = predicting.get_pipe("bert_ner").model.get_ref("tok2vec").predict([doc])
    assert len(vectors) == 6
    assert (numpy.abs(vectors).sum(axis=1) > 0).all()
    assert doc.has_annotation("ENT_IOB")


def test_scores_survive_a_docbin(predicting):
    doc = predicting(TEXT)
    (copy,) = DocBin().from_bytes(DocBin(docs=[doc]).to_bytes()).get_docs(predicting.vocab)
    assert [ent._.score for ent in copy.ents] == [ent._.score for ent in doc.ents]
    assert list(doc.spans["bert_ner"]) == list(doc.ents)


class TestPresets:
    def run(self, nlp, preset=(), blocked=(), **settings):
        doc = nlp.make_doc(TEXT)
        spans = [Span(doc, start, end, label=label) for start, end, label in preset]
        doc.set_ents(spans, blocked=[doc[i : i + 1] for i in blocked], default="missing")
        nlp.get_pipe("bert_ner").cfg.update(settings)
        for _, pipe in nlp.pipeline:
            doc = pipe(doc)
        return doc

    def test_kept_and_predicted_around(self, predicting):
        doc = self.run(predicting, [(1, 3, "X"), (12, 14, "CROSSING")])
        found = [(ent.start, ent.end, ent.label_) for ent in doc.ents]
        assert (1, 3, "X") in found
        assert (12, 14, "CROSSING") in found
        assert (4, 5, "LOC") in found
        assert [ent._.score is None for ent in doc.ents] == [
            ent.label_ in ("X", "CROSSING") for ent in doc.ents
        ]

    def test_overwritten(self, predicting):
        doc = self.run(predicting, [(1, 3, "X")], overwrite_ents=True)
        assert get_ents(doc) == EXPECTED

    def test_blocked(self, predicting):
        doc = self.run(predicting, blocked=[4])
        assert get_ents(doc) == [ent for ent in EXPECTED if ent[0] != "Oslo"]
        assert doc[4].ent_iob_ == "B"
        assert doc[4].ent_type_ == ""

    def test_outside_is_free(self, predicting):
        """An entity_ruler leaves O on all other tokens."""
        ruler = predicting.add_pipe("entity_ruler", first=True)
        ruler.add_patterns([{"label": "GPE", "pattern": "Oslo"}])
        expected = [(text, "GPE" if text == "Oslo" else label) for text, label in EXPECTED]
        assert get_ents(predicting(TEXT)) == expected

    def test_second_run_keeps_all(self, predicting):
        doc = predicting(TEXT)
        for _, pipe in predicting.pipeline:
            doc = pipe(doc)
        assert get_ents(doc) == EXPECTED


def test_decode_scope(predicting):
    """The same probabilities: one entity across the sentence start, or one on each side."""
    pipe = predicting.get_pipe("bert_ner")
    doc = Doc(predicting.vocab, words=["a", "b", "c"], sent_starts=[True, False, True])
    tags = pipe.tag_set.tags
    probs = numpy.full((3, len(tags)), 1e-6, dtype="float32")
    for i, tag in enumerate(["O", "B-PER", "I-PER"]):
        probs[i, tags.index(tag)] = 1.0
    pipe.set_annotations([doc], [probs])
    assert [(ent.start, ent.end) for ent in doc.ents] == [(1, 3)]
    doc.set_ents([], default="missing")
    pipe.cfg["decode_scope"] = "sentence"
    pipe.set_annotations([doc], [probs])
    assert all(ent.end <= 2 or ent.start >= 2 for ent in doc.ents)
    with pytest.raises(ValueError, match='decode_scope = "doc"'):
        pipe.set_annotations([Doc(predicting.vocab, words=["a", "b", "c"])], [probs])


class TestLoss:
    def test_missing_annotation_has_no_gradient(self, trained):
        pipe = trained.get_pipe("bert_ner")
        gold = Doc(trained.vocab, words=WORDS)
        gold.set_ents([Span(gold, 0, 2, "PER")], outside=[gold[2:4]], default="missing")
        example = Example(Doc(trained.vocab, words=WORDS), gold)
        probs = numpy.full((len(WORDS), len(pipe.tag_set)), 0.2, dtype="float32")
        loss, (gradient,) = pipe.get_loss([example], [probs])
        assert (gradient[:4] != 0).any(axis=1).all()
        assert (gradient[4:] == 0).all()
        assert loss == pytest.approx(-numpy.log(0.2))
        assert gradient.dtype == numpy.float32

    def test_no_annotation_at_all(self, trained):
        blank = Doc(trained.vocab, words=WORDS)
        example = Example(Doc(trained.vocab, words=WORDS), blank)
        before = {name: p.clone() for name, p in encoder_of(trained).named_parameters()}
        losses = trained.update([example], sgd=trained.create_optimizer(), drop=0.0)
        assert losses["bert_ner"] == 0.0
        for name, param in encoder_of(trained).named_parameters():
            assert (param - before[name]).abs().max() < 1e-3  # weight decay at most

    def test_mean_over_labelled_tokens(self, trained):
        pipe = trained.get_pipe("bert_ner")
        examples = [make_example(trained), make_example(trained)]
        probs = numpy.full((len(WORDS), len(pipe.tag_set)), 0.25, dtype="float32")
        loss, _ = pipe.get_loss(examples, [probs, probs])
        assert loss == pytest.approx(-numpy.log(0.25))

    def test_not_finite(self, trained):
        pipe = trained.get_pipe("bert_ner")
        probs = numpy.full((len(WORDS), len(pipe.tag_set)), numpy.nan, dtype="float32")
        with pytest.raises(ValueError, match="E910"):
            pipe.get_loss([make_example(trained)], [probs])

    def test_empty_documents_in_a_batch(self, trained):
        empty = Example(Doc(trained.vocab), Doc(trained.vocab))
        sgd = trained.create_optimizer()
        assert trained.update([empty, empty], sgd=sgd)["bert_ner"] == 0.0
        losses = trained.update([empty, make_example(trained), empty], sgd=sgd)
        assert numpy.isfinite(losses["bert_ner"])


class TestLabels:
    def test_from_data_or_given(self):
        nlp = make_nlp()
        nlp.initialize(lambda: [make_example(nlp)])
        assert nlp.get_pipe("bert_ner").labels == ("LOC", "PER")
        nlp = make_nlp()
        nlp.config["initialize"]["components"] = {"bert_ner": {"labels": ["PER", "ORG", "LOC"]}}
        nlp.initialize(lambda: [make_example(nlp)])
        pipe = nlp.get_pipe("bert_ner")
        assert pipe.labels == ("PER", "ORG", "LOC")
        assert pipe.label_data == ["PER", "ORG", "LOC"]

    def test_add_label_keeps_rows(self, trained, tmp_path):
        pipe = trained.get_pipe("bert_ner")
        layer = pipe.model.get_ref("output_layer")
        W, b = layer.get_param("W").copy(), layer.get_param("b").copy()
        assert pipe.add_label("NEW-ish") == 1
        assert pipe.add_label("NEW-ish") == 0
        layer = pipe.model.get_ref("output_layer")
        assert layer.get_param("W").shape == (7, W.shape[1])
        numpy.testing.assert_array_equal(layer.get_param("W")[:5], W)
        numpy.testing.assert_array_equal(layer.get_param("b")[:5], b)
        assert get_ents(trained(TEXT)) == EXPECTED
        trained.to_disk(tmp_path)
        assert get_ents(spacy.load(tmp_path)(TEXT)) == EXPECTED
        tags = [tag.replace("LOC", "NEW-ish") for tag in TAGS]
        sgd = trained.create_optimizer()
        sgd.learn_rate = 1e-2
        for _ in range(25):
            trained.update([make_example(trained, tags=tags)], sgd=sgd, annotates=["sentencizer"])
        assert ("Oslo", "NEW-ish") in get_ents(trained(TEXT))

    def test_wrong_type(self, trained):
        with pytest.raises(ValueError, match="E187"):
            trained.get_pipe("bert_ner").add_label(3)

    def test_none(self):
        nlp = make_nlp()
        doc = Doc(nlp.vocab, words=["a"], ents=["O"])
        with pytest.raises(ValueError, match="no entities to learn"):
            nlp.initialize(lambda: [Example(doc.copy(), doc)])

    def test_fixed_nO_refuses(self):
        nlp = make_nlp(head={"nO": 3})
        pipe = nlp.get_pipe("bert_ner")
        pipe.add_label("PER")
        with pytest.raises(ValueError, match="E922"):
            pipe.add_label("LOC")

    @pytest.mark.parametrize("nO", [4, 9])
    def test_fixed_nO_that_does_not_fit(self, nO):
        nlp = make_nlp(head={"nO": nO})
        with pytest.raises(ValueError, match="E922" if nO == 4 else "5 tags.*nO = 9: set nO to 5"):
            nlp.initialize(lambda: [make_example(nlp)])

    def test_fixed_nO_that_fits(self, tiny_encoder, tmp_path):
        nlp = make_nlp({"name": tiny_encoder, "window": 0}, {"nO": 5})
        nlp.initialize(lambda: [make_example(nlp)])
        nlp.to_disk(tmp_path)
        assert spacy.load(tmp_path).get_pipe("bert_ner").labels == ("LOC", "PER")

    def test_first_examples_without_tokens(self, tiny_encoder):
        nlp = make_nlp({"name": tiny_encoder, "window": 0})
        empty = [make_example(nlp, [], []) for _ in range(12)]
        nlp.initialize(lambda: [*empty, make_example(nlp)])
        assert len(nlp("Anna").ents) <= 1

    def test_kept_out_of_memory_zones(self, trained):
        with trained.memory_zone():
            trained(TEXT)
        assert all(label in trained.vocab.strings for label in ("PER", "LOC"))
        assert get_ents(trained(TEXT)) == EXPECTED


class TestUpstream:
    def test_missing(self):
        nlp = spacy.blank("en")
        nlp.add_pipe("bert_ner")
        with pytest.raises(ValueError, match="pipeline has none.*Add a transformer"):
            nlp.initialize(lambda: [make_example(nlp)])

    def test_added_afterwards(self):
        nlp = spacy.blank("en")
        nlp.add_pipe("bert_ner")
        transformer = make_nlp().config["components"]["transformer"]
        config = {key: value for key, value in transformer.items() if key != "factory"}
        nlp.add_pipe("transformer", config=config, first=True)
        nlp.initialize(lambda: [make_example(nlp)])
        assert nlp.update([make_example(nlp)])["bert_ner"] > 0

    def test_wrong_name_or_order(self):
        nlp = make_nlp(
            head={
                "tok2vec": {
                    "@architectures": "spacy-transformers.TransformerListener.v1",
                    "upstream": "other",
                    "pooling": {"@layers": "spacy-bert-ner.reduce_first.v1"},
                }
            }
        )
        with pytest.raises(
            ValueError, match="named 'other', but \\['transformer'\\] can't be used"
        ):
            nlp.initialize(lambda: [make_example(nlp)])

    def test_renamed(self, tiny_encoder):
        """The listener asks for the old name: spaCy links it to nothing, without a word."""
        tok2vec = {
            "@architectures": "spacy-transformers.TransformerListener.v1",
            "upstream": "transformer",
            "pooling": {"@layers": "spacy-bert-ner.reduce_first.v1"},
        }
        nlp = make_nlp({"name": tiny_encoder, "window": 0}, head={"tok2vec": tok2vec})
        sgd = nlp.initialize(lambda: [make_example(nlp)])
        assert nlp.update([make_example(nlp)], sgd=sgd)["bert_ner"] > 0
        nlp.rename_pipe("transformer", "encoder")
        for batch in ([make_example(nlp)], [make_example(nlp, [], []), make_example(nlp)]):
            with pytest.raises(ValueError, match="nothing from a transformer named 'transformer'"):
                nlp.update(batch, sgd=sgd)
        assert nlp.update([make_example(nlp, [], [])], sgd=sgd)["bert_ner"] == 0
        nlp.rename_pipe("encoder", "transformer")
        assert nlp.update([make_example(nlp)], sgd=sgd)["bert_ner"] > 0

    def test_updated_without_its_encoder(self, tiny):
        with pytest.raises(ValueError, match="nothing from a transformer. It must"):
            tiny.update([make_example(tiny)], exclude=["transformer"])
        example = make_example(tiny)
        tiny.get_pipe("transformer")(example.predicted)  # as a frozen one that annotates
        assert tiny.update([example], exclude=["transformer"])["bert_ner"] > 0

    def test_tokens_merged_before(self, tiny):
        tiny.add_pipe("test_merger", after="transformer")
        with pytest.raises(ValueError, match="11 tokens, of which 'transformer' has read 12: a"):
            tiny("Anna Berg lives in Oslo . She met Karl in York .")
        assert get_ents(tiny("")) == []
        tiny.remove_pipe("test_merger")
        tiny.add_pipe("test_merger", before="transformer")
        assert len(tiny("Anna Berg lives in Oslo .")) == 5

    def test_disabled(self, trained):
        with trained.select_pipes(disable=["transformer"]):
            with pytest.raises(
                ValueError, match="without the output of 'transformer'.*enable_pipe"
            ):
                trained(TEXT)
            assert len(trained("")) == 0

    def test_frozen_without_annotating(self, trained):
        nlp = make_nlp()
        nlp.config["training"]["frozen_components"] = ["transformer"]
        with pytest.raises(ValueError, match='annotating_components = \\["transformer"\\]'):
            nlp.initialize(lambda: [make_example(nlp)])

    def test_not_initialized(self):
        nlp = make_nlp()
        with pytest.raises(ValueError, match="E109"):
            nlp.get_pipe("bert_ner").predict([nlp.make_doc("a")])

    def test_stock_transformer_model(self):
        """The stock encoder gives tokens without wordpieces no vector; the head stands that."""
        nlp = spacy.blank("en")
        name = make_nlp().config["components"]["transformer"]["model"]["name"]
        nlp.add_pipe("transformer", config={"model": {"name": name}})
        nlp.add_pipe("bert_ner")
        nlp.initialize(lambda: [make_example(nlp)])
        assert nlp.update([make_example(nlp)], sgd=nlp.create_optimizer())["bert_ner"] > 0
        doc = nlp("Anna  \u200b Berg")
        assert doc.has_annotation("ENT_IOB")


def test_report_names_what_does_not_fit(caplog):
    nlp = make_nlp()
    nlp.add_pipe("sentencizer", first=True)
    nlp.config["training"]["annotating_components"] = ["sentencizer"]
    nlp.config["initialize"]["components"] = {"bert_ner": {"labels": ["PER"]}}
    gold = Doc(nlp.vocab, words=["Mr", ".", "Berg", "in", "Oslo", " "])
    gold.set_ents([Span(gold, 0, 3, "PER"), Span(gold, 4, 6, "LOC")])
    example = Example(Doc(nlp.vocab, words=[token.text for token in gold]), gold)
    with caplog.at_level("WARNING", logger="spacy"):
        nlp.initialize(lambda: [example])
    (record,) = [r for r in caplog.records if "gold entities" in r.getMessage()]
    message = record.getMessage()
    assert "1 of 2 gold entities begin or end with white space" in message
    assert "1 of 2 gold entities have labels the model doesn't have" in message
    assert "1 of 2 gold entities cross a sentence start" in message
    assert "'Mr . Berg' (PER)" in message
    assert not example.predicted.has_annotation("SENT_START")


class TestSavedSettings:
    def test_changed_in_cfg(self, tiny, tmp_path):
        tiny.get_pipe("bert_ner").cfg["threshold"] = 0.25
        tiny.to_disk(tmp_path / "a")
        nlp = spacy.load(tmp_path / "a")
        nlp.to_disk(tmp_path / "b")
        for folder in ("a", "b"):
            assert spacy.load(tmp_path / folder).get_pipe("bert_ner").cfg["threshold"] == 0.25

    def test_changed_in_the_config(self, tiny, tmp_path):
        """The config wins over what was saved, if it was changed since, once and for all."""
        tiny.get_pipe("bert_ner").cfg.update(threshold=0.25, decoder="greedy")
        tiny.to_disk(tmp_path / "a")
        settings = {"threshold": 1.0, "spans_key": "found"}
        config = {f"components.bert_ner.{key}": value for key, value in settings.items()}
        nlp = spacy.load(tmp_path / "a", config=config)
        cfg = nlp.get_pipe("bert_ner").cfg
        assert (cfg["threshold"], cfg["spans_key"], cfg["decoder"]) == (1.0, "found", "greedy")
        assert "found" in nlp(TEXT).spans
        nlp.to_disk(tmp_path / "b")
        again = spacy.load(tmp_path / "b").get_pipe("bert_ner").cfg
        assert again == cfg
        path = tmp_path / "b" / "config.cfg"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("threshold = 1.0", "threshold = 0.5"), encoding="utf-8")
        assert spacy.load(tmp_path / "b").get_pipe("bert_ner").cfg["threshold"] == 0.5

    def test_another_scheme(self, tiny_pipeline):
        with pytest.raises(ValueError, match='trained with scheme = "BIO".*scheme = "BILUO"'):
            spacy.load(tiny_pipeline, config={"components.bert_ner.scheme": "BILUO"})

    def test_saved_before_there_was_a_record(self, tiny):
        data = tiny.get_pipe("bert_ner")
        data.cfg["threshold"] = 0.25
        del data.cfg["configured"]
        other = make_nlp(component={"threshold": 0.5}).get_pipe("bert_ner")
        other.from_bytes(data.to_bytes(), exclude=["model", "vocab"])
        assert other.cfg["threshold"] == 0.25


@pytest.mark.parametrize("setting", [{"decoder": "x"}, {"align": "tokens"}, {"threshold": 2}])
def test_bad_settings_of_cfg(tiny, setting):
    tiny.get_pipe("bert_ner").cfg.update(setting)
    with pytest.raises(ValueError, match=next(iter(setting))):
        tiny(TEXT)


def test_scheme_of_incorrect_spans():
    with pytest.raises(ValueError, match='scheme = "IOB1".*set scheme to "BIO" or "BILUO"'):
        make_nlp(component={"scheme": "IOB1", "incorrect_spans_key": "wrong"})


def test_scores_that_are_no_numbers(tiny):
    layer = tiny.get_pipe("bert_ner").model.get_ref("output_layer")
    layer.set_param("b", layer.get_param("b") * numpy.nan)
    with pytest.raises(ValueError, match="aren't finite numbers.*precision"):
        tiny(TEXT)


def test_second_run_keeps_scores(tiny):
    """Of entities that stay; and those of another component under the same key."""
    doc = tiny(TEXT)
    scores = [ent._.score for ent in doc.ents]
    doc.set_ents(list(doc.ents)[1:], default="outside")
    tiny.get_pipe("bert_ner").cfg["threshold"] = 1.0
    doc = tiny.get_pipe("bert_ner")(tiny.get_pipe("transformer")(doc))
    assert [ent._.score for ent in doc.ents] == scores[1:]
    tiny.get_pipe("bert_ner").cfg["threshold"] = 0.0
    doc = tiny.get_pipe("bert_ner")(tiny.get_pipe("transformer")(doc))
    assert get_ents(doc) == EXPECTED
    assert [ent._.score for ent in doc.ents] == pytest.approx(scores, abs=1e-6)
    group = doc.spans["bert_ner"]
    assert [(span.text, span.label_) for span in group] == EXPECTED


def test_evaluated_without_ents(tiny):
    """Entities that are in doc.spans alone are those that are scored."""
    tiny.get_pipe("bert_ner").cfg["annotate_ents"] = False
    example = make_example(tiny)
    assert tiny.evaluate([example])["ents_f"] == 1.0
    assert not example.predicted.ents
    tiny.get_pipe("bert_ner").cfg["spans_key"] = "found"
    assert tiny.evaluate([make_example(tiny)])["ents_f"] == 1.0
    tiny.get_pipe("bert_ner").cfg["threshold"] = 1.0
    assert tiny.evaluate([make_example(tiny)])["ents_f"] == 0.0


def test_frozen_by_a_variable(tiny_encoder):
    """Lists of [training] may be those of others."""
    nlp = make_nlp({"name": tiny_encoder, "window": 0})
    nlp.config["training"]["frozen_components"] = ["transformer"]
    nlp.config["training"]["annotating_components"] = "${training.frozen_components}"
    nlp.initialize(lambda: [make_example(nlp)])


def test_factory_meta():
    meta = spacy.blank("en").get_factory_meta("bert_ner")
    assert "doc.ents" in meta.assigns
    assert meta.default_score_weights["ents_f"] == 1.0
    assert isinstance(make_nlp().get_pipe("bert_ner"), BertNER)


@pytest.mark.parametrize(
    "setting", [{"scheme": "BIOX"}, {"decoder": "beam"}, {"decode_scope": "x"}]
)
def test_bad_settings_are_refused(setting):
    with pytest.raises(ConfigValidationError, match=next(iter(setting))):
        make_nlp(component=setting)


@pytest.mark.parametrize("scheme", ["BIO", "BILUO"])
@pytest.mark.parametrize("decoder", ["constrained", "greedy"])
def test_schemes_and_decoders_learn(scheme, decoder):
    nlp = make_nlp(component={"scheme": scheme, "decoder": decoder})
    optimizer = nlp.initialize(lambda: [make_example(nlp)])
    optimizer.learn_rate = 1e-2
    for _ in range(40):
        nlp.update([make_example(nlp)], sgd=optimizer)
    assert get_ents(nlp(TEXT)) == EXPECTED
