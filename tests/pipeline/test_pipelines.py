"""bert_ner among other components, in pipelines that are there already."""

import pickle
import re

import numpy
import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import load_config, load_config_from_str, load_model_from_config
from thinc.api import fix_random_seed

from spacy_bert_ner import to_huggingface
from spacy_bert_ner.commands.describe import describe
from spacy_bert_ner.pipeline.listeners import get_listeners, get_pieced

from ..toy import WIDTH
from ..util import (
    CONFIG_FOLDER,
    EXPECTED,
    TAGS,
    TEXT,
    WORDS,
    get_ents,
    make_curated,
    make_example,
    make_nlp,
)

LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "upstream": "*",
    "pooling": {"@layers": "spacy-bert-ner.reduce_first.v1"},
}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def make_tiny(encoder, **component):
    fix_random_seed(0)
    settings = {"name": encoder, "window": 0, "transformer_config": NO_DROPOUT}
    return make_nlp(settings, component=component)


def train(nlp, examples, steps=80, learn_rate=1e-2, **settings):
    """RETURNS (Dict[str, float]): The losses of the last step."""
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = learn_rate
    for _ in range(steps):
        losses = nlp.update(examples, sgd=sgd, **settings)
    return losses


def parse_way_out(message):
    """RETURNS (Dict): The settings of the model that an error shows."""
    block = message[message.index("[components.bert_ner.model.tok2vec]") :]
    parents = "[components]\n\n[components.bert_ner]\n\n[components.bert_ner.model]\n\n"
    return load_config_from_str(parents + block)["components"]["bert_ner"]["model"]


class TestVectorsBesideTheEncoder:
    """`configs/accurate.cfg` concatenates them."""

    @pytest.fixture
    def nlp(self, tiny_encoder):
        overrides = {"vars.encoder": tiny_encoder, "components.transformer.model.window": 0}
        path = CONFIG_FOLDER / "accurate.cfg"
        config = load_config(path, overrides=overrides, interpolate=True)
        nlp = load_model_from_config(config, auto_fill=True)
        examples = [make_example(nlp)]
        train(nlp, examples, learn_rate=2e-3, drop=0.0)
        return nlp

    def test_learns_and_loads(self, nlp, tmp_path):
        assert get_ents(nlp(TEXT)) == EXPECTED
        nlp.to_disk(tmp_path)
        assert get_ents(spacy.load(tmp_path)(TEXT)) == EXPECTED
        assert len(nlp("")) == 0
        assert [get_ents(doc) for doc in nlp.pipe(["", TEXT, " "])] == [[], EXPECTED, []]

    def test_described(self, nlp, tmp_path):
        nlp.to_disk(tmp_path)
        (component,) = describe(tmp_path)["components"]
        beside, linear = component["layers"]
        assert (beside["layer"], linear["layer"]) == (
            "Additional vectors",
            f"Linear({WIDTH + 64} -> 5)",
        )
        assert component["parameters"] == beside["parameters"] + linear["parameters"] > 100_000

    def test_no_place_in_a_checkpoint(self, nlp, tmp_path):
        with pytest.raises(ValueError, match="uses other vectors besides those of its encoder"):
            to_huggingface(nlp, tmp_path)

    def test_encoder_of_its_own(self, nlp, tmp_path):
        nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec.*.transformer"])
        nlp.to_disk(tmp_path)
        loaded = spacy.load(tmp_path)
        loaded.remove_pipe("transformer")
        assert get_ents(loaded(TEXT)) == EXPECTED

    def test_advice_to_rehearse(self, nlp, tmp_path):
        assert '["model.tok2vec.*.transformer"]' in follow_advice_to_rehearse(nlp, tmp_path)


def follow_advice_to_rehearse(nlp, path):
    """RETURNS (str): The advice of the error for a component that can't rehearse. Followed as it
    is written, it makes a pipeline that rehearses, and can be saved, loaded and used."""
    nlp.resume_training()
    with pytest.raises(ValueError, match="can't rehearse, since it listens to 'transformer'") as e:
        nlp.rehearse([make_example(nlp)])
    advice = re.search(r"nlp\.replace_listeners\(.*?\]\)", str(e.value))[0]
    exec(advice, {"nlp": nlp})
    nlp.remove_pipe("transformer")
    sgd = nlp.resume_training()
    assert nlp.rehearse([make_example(nlp)], sgd=sgd)["bert_ner"] == pytest.approx(0.0, abs=1e-3)
    nlp.to_disk(path)
    assert get_ents(spacy.load(path)(TEXT)) == EXPECTED
    return advice


class TestAdviceToRehearse:
    def test_plain(self, tiny, tmp_path):
        assert '["model.tok2vec"]' in follow_advice_to_rehearse(tiny, tmp_path)

    def test_sourced(self, tiny, tmp_path):
        nlp = spacy.blank("en")
        for name in ("transformer", "bert_ner"):
            nlp.add_pipe(name, source=tiny)
        assert '["model.tok2vec"]' in follow_advice_to_rehearse(nlp, tmp_path)

    def test_without_its_pipeline(self, tiny):
        """The paths are those of its config, which it doesn't know."""
        pipe = tiny.get_pipe("bert_ner")
        tiny.resume_training()
        example = make_example(tiny)
        pipe = pickle.loads(pickle.dumps(pipe))
        with pytest.raises(ValueError, match=r'"bert_ner", PATHS\), with the paths of all list'):
            pipe.rehearse([example])


class TestSourced:
    def test_into_a_pipeline_and_back(self, tiny, tmp_path):
        nlp = spacy.blank("en")
        for name in ("transformer", "bert_ner"):
            nlp.add_pipe(name, source=tiny)
        nlp.add_pipe("entity_ruler").add_patterns([{"label": "VERB", "pattern": "lives"}])
        expected = [*EXPECTED[:1], ("lives", "VERB"), *EXPECTED[1:]]
        assert get_ents(nlp(TEXT)) == expected
        nlp.to_disk(tmp_path)
        back = spacy.blank("en")
        loaded = spacy.load(tmp_path)
        for name in ("transformer", "bert_ner"):
            back.add_pipe(name, source=loaded)
        assert get_ents(back(TEXT)) == EXPECTED

    def test_goes_on_learning(self, tiny):
        nlp = spacy.blank("en")
        for name in ("transformer", "bert_ner"):
            nlp.add_pipe(name, source=tiny)
        sgd = nlp.resume_training()
        sgd.learn_rate = 1e-3
        losses = [nlp.update([make_example(nlp)], sgd=sgd)["bert_ner"] for _ in range(10)]
        assert losses[-1] < losses[0]

    def test_without_its_encoder(self, tiny):
        nlp = spacy.blank("en")
        nlp.add_pipe("bert_ner", source=tiny)
        with pytest.raises(ValueError, match="output of 'transformer'.*Add a transformer"):
            nlp(TEXT)

    def test_under_another_name(self, tiny, tmp_path):
        tiny.rename_pipe("bert_ner", "entities")
        assert get_ents(tiny(TEXT)) == EXPECTED
        tiny.to_disk(tmp_path)
        assert get_ents(spacy.load(tmp_path)(TEXT)) == EXPECTED


class TestReplaceListeners:
    def test_same_predictions(self, tiny, tmp_path):
        tiny.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
        tiny.remove_pipe("transformer")
        doc = tiny(TEXT)
        assert get_ents(doc) == EXPECTED
        tiny.to_disk(tmp_path)
        loaded = spacy.load(tmp_path)
        assert get_ents(loaded(TEXT)) == EXPECTED
        model = loaded.config["components"]["bert_ner"]["model"]
        assert model["tok2vec"]["@architectures"] == "spacy-bert-ner.Tok2VecTransformer.v2"

    def test_sourced_with_it(self, tiny, tmp_path):
        """As `spacy train` and `assemble` do with `replace_listeners` in a component's block."""
        tiny.to_disk(tmp_path / "source")
        config = load_config_from_str(
            '[nlp]\nlang = "en"\npipeline = ["bert_ner"]\n\n[components]\n\n[components.bert_ner]\n'
            f'source = "{tmp_path / "source"}"\nreplace_listeners = ["model.tok2vec"]\n'
        )
        nlp = spacy.util.load_model_from_config(config, auto_fill=True)
        assert get_ents(nlp(TEXT)) == EXPECTED


class TestFrozenTransformer:
    def test_trains_the_head_alone(self, tiny_encoder):
        nlp = make_tiny(tiny_encoder)
        nlp.config["training"]["frozen_components"] = ["transformer"]
        nlp.config["training"]["annotating_components"] = ["transformer"]
        examples = [make_example(nlp)]
        sgd = nlp.initialize(lambda: examples)
        sgd.learn_rate = 1e-2
        before = nlp.get_pipe("transformer").to_bytes()
        losses = [
            nlp.update(examples, sgd=sgd, exclude=["transformer"], annotates=["transformer"])
            for _ in range(10)
        ]
        assert losses[-1]["bert_ner"] < losses[0]["bert_ner"]
        assert nlp.get_pipe("transformer").to_bytes() == before

    def test_error_names_the_setting(self, tiny_encoder):
        nlp = make_tiny(tiny_encoder)
        nlp.config["training"]["frozen_components"] = ["transformer"]
        with pytest.raises(ValueError, match=r'Set annotating_components = \["transformer"\]'):
            nlp.initialize(lambda: [make_example(nlp)])

    @pytest.mark.parametrize("kind", ["own", "stock", "tok2vec"])
    def test_without_weights(self, tiny_encoder, kind):
        """spaCy initializes no frozen component: one that isn't sourced has no weights."""
        nlp = spacy.blank("en")
        model = {"@architectures": "spacy-bert-ner.LinearSoftmax.v1"}
        if kind == "tok2vec":
            upstream = "tok2vec"
            nlp.add_pipe("tok2vec")
            listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 96}
            nlp.add_pipe("bert_ner", config={"model": {**model, "tok2vec": listener}})
        else:
            upstream = "transformer"
            nlp = make_tiny(tiny_encoder)
            if kind == "stock":
                nlp.remove_pipe("transformer")
                config = {"model": {"name": str(tiny_encoder)}}
                nlp.add_pipe("transformer", config=config, before="bert_ner")
        training = nlp.config["training"]
        training["frozen_components"] = training["annotating_components"] = [upstream]
        nlp.disable_pipe(upstream)  # as `spacy train` does
        message = f"can't train on the frozen '{upstream}', which has no weights"
        with pytest.raises(ValueError, match=message):
            nlp.initialize(lambda: [make_example(nlp)])


class TestOtherListeners:
    """Listeners of different kinds, trained together."""

    def make_example(self, nlp):
        tags = ["NN" if word[0].isupper() else "XX" for word in WORDS]
        reference = Doc(nlp.vocab, words=WORDS, ents=TAGS, tags=tags)
        return Example(Doc(nlp.vocab, words=WORDS), reference)

    def check(self, nlp):
        losses = train(nlp, [self.make_example(nlp)])
        assert losses["bert_ner"] < 0.05
        doc = nlp(TEXT)
        assert get_ents(doc) == EXPECTED
        assert [token.tag_ for token in doc[:3]] == ["NN", "NN", "XX"]

    def test_a_tagger_on_the_same_encoder(self, tiny_encoder):
        nlp = make_tiny(tiny_encoder)
        pooling = {"@layers": "reduce_mean.v1"}
        model = {"@architectures": "spacy.Tagger.v2", "tok2vec": {**LISTENER, "pooling": pooling}}
        nlp.add_pipe("tagger", before="bert_ner", config={"model": model})
        self.check(nlp)

    def test_a_tagger_on_a_tok2vec(self, tiny_encoder):
        nlp = make_tiny(tiny_encoder)
        width = nlp.add_pipe("tok2vec", first=True).model.get_dim("nO")
        tok2vec = {"@architectures": "spacy.Tok2VecListener.v1", "width": width}
        model = {"@architectures": "spacy.Tagger.v2", "tok2vec": tok2vec}
        nlp.add_pipe("tagger", config={"model": model})
        self.check(nlp)

    def test_ours_on_a_tok2vec(self, tmp_path):
        fix_random_seed(0)
        nlp = spacy.blank("en")
        width = nlp.add_pipe("tok2vec").model.get_dim("nO")
        tok2vec = {"@architectures": "spacy.Tok2VecListener.v1", "width": width}
        nlp.add_pipe("bert_ner", config={"model": {"tok2vec": tok2vec}})
        assert train(nlp, [make_example(nlp)], steps=150)["bert_ner"] < 0.05
        assert get_ents(nlp(TEXT)) == EXPECTED
        nlp.to_disk(tmp_path)
        nlp = spacy.load(tmp_path)
        assert get_ents(nlp(TEXT)) == EXPECTED
        nlp.disable_pipe("tok2vec")
        with pytest.raises(ValueError, match="without the output of 'tok2vec'.*enable_pipe"):
            nlp(TEXT)

    def test_a_tok2vec_in_its_place(self):
        nlp = spacy.blank("en")
        nlp.add_pipe("tok2vec")
        nlp.add_pipe("bert_ner")
        with pytest.raises(ValueError, match="has a tok2vec named 'tok2vec'") as error:
            nlp.initialize(lambda: [make_example(nlp)])
        nlp.remove_pipe("bert_ner")
        nlp.add_pipe("bert_ner", config={"model": parse_way_out(str(error.value))})
        nlp.initialize(lambda: [make_example(nlp)])
        assert nlp.update([make_example(nlp)])["bert_ner"] > 0


class TestBesideNer:
    """After a component that has set entities: those of spaCy's `ner`, trained on persons."""

    def make(self, tiny, **settings):
        fix_random_seed(0)
        nlp = spacy.blank("en")
        nlp.add_pipe("ner")
        tags = [tag.replace("B-PER", "B-NAME").replace("I-PER", "I-NAME") for tag in TAGS]
        persons = ["O" if tag.endswith("LOC") else tag for tag in tags]
        train(nlp, [make_example(nlp, tags=persons)], steps=60, learn_rate=1e-2)
        for name in ("transformer", "bert_ner"):
            nlp.add_pipe(name, source=tiny)
        nlp.get_pipe("bert_ner").cfg.update(settings)
        return nlp

    NAMES = [("Anna Berg", "NAME"), ("Karl", "NAME")]

    def test_fills_the_gaps(self, tiny):
        doc = self.make(tiny)(TEXT)
        expected = [(text, "NAME" if label == "PER" else label) for text, label in EXPECTED]
        assert get_ents(doc) == expected
        assert [ent._.score is None for ent in doc.ents] == [
            label == "NAME" for _, label in expected
        ]

    def test_overwrites(self, tiny):
        assert get_ents(self.make(tiny, overwrite_ents=True)(TEXT)) == EXPECTED

    def test_only_spans(self, tiny):
        """`doc.ents` as it was, and all that the model finds in `doc.spans`."""
        doc = self.make(tiny, annotate_ents=False, spans_key="second")(TEXT)
        assert get_ents(doc) == self.NAMES
        assert [(span.text, span.label_) for span in doc.spans["second"]] == EXPECTED
        assert all(span._.score > 0.5 for span in doc.spans["second"])

    def test_only_spans_leaves_blocked_tokens(self, tiny):
        doc = tiny.make_doc(TEXT)
        doc.set_ents([], blocked=[doc[4:5]], default="missing")
        before = doc.to_array(["ENT_IOB", "ENT_TYPE"]).tolist()
        tiny.get_pipe("bert_ner").cfg["annotate_ents"] = False
        for _, pipe in tiny.pipeline:
            doc = pipe(doc)
        assert doc.to_array(["ENT_IOB", "ENT_TYPE"]).tolist() == before
        assert ("Oslo", "LOC") in [(span.text, span.label_) for span in doc.spans["bert_ner"]]


def test_after_an_entity_ruler(tiny):
    ruler = tiny.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": "GPE", "pattern": "Oslo"}, {"label": "X", "pattern": "met"}])
    expected = [(text, "GPE" if text == "Oslo" else label) for text, label in EXPECTED]
    doc = tiny(TEXT)
    assert get_ents(doc) == [*expected[:2], ("met", "X"), *expected[2:]]


class TestSeveral:
    """Components with labels, names and span keys of their own on one encoder."""

    LABELS = {"persons": ["PER"], "places": ["LOC"]}

    @pytest.fixture
    def nlp(self, tiny_encoder):
        nlp = make_tiny(tiny_encoder)
        nlp.remove_pipe("bert_ner")
        for name, labels in self.LABELS.items():
            nlp.add_pipe("bert_ner", name=name, config={"spans_key": name})
            nlp.config["initialize"]["components"][name] = {"labels": labels}
        return nlp

    def test_each_learns_its_own(self, nlp, tmp_path):
        losses = train(nlp, [make_example(nlp)])
        assert max(losses["persons"], losses["places"]) < 0.05
        nlp.to_disk(tmp_path)
        for pipeline in (nlp, spacy.load(tmp_path)):
            doc = pipeline(TEXT)
            assert get_ents(doc) == EXPECTED
            for name, labels in self.LABELS.items():
                expected = [ent for ent in EXPECTED if ent[1] in labels]
                assert [(span.text, span.label_) for span in doc.spans[name]] == expected
            assert all(ent._.score > 0.5 for ent in doc.ents)

    def test_others_are_outside(self, nlp):
        """The labels of one are gold for the other, too: these tokens are none of its own."""
        nlp.initialize(lambda: [make_example(nlp)])
        pipe = nlp.get_pipe("persons")
        probs = numpy.full((len(WORDS), 3), 1 / 3, dtype="float32")
        _, (gradient,) = pipe.get_loss([make_example(nlp)], [probs])
        assert gradient[4, 0] < 0 < gradient[4, 1]  # "Oslo"


# spacy-curated-transformers' own, on NumPy 1.25 to 2.3; with NumPy 2.4 it doesn't train.
@pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")
class TestCurated:
    """An encoder of spacy-curated-transformers."""

    def test_way_out_trains_and_predicts(self, tmp_path):
        """The default model listens to the other kind. The error says what to write, and that
        learns, is saved, and stands tokens without wordpieces and documents without tokens."""
        nlp = make_curated(tmp_path, WORDS)
        with pytest.raises(ValueError, match="has a curated_transformer named") as error:
            nlp.initialize(lambda: [make_example(nlp)])
        nlp.remove_pipe("bert_ner")
        nlp.add_pipe("bert_ner", config={"model": parse_way_out(str(error.value))})
        assert train(nlp, [make_example(nlp)])["bert_ner"] < 0.05
        # White space has no pieces there, in training and in prediction.
        example = make_example(nlp, ["Anna", " ", "Oslo"], ["B-PER", "O", "B-LOC"])
        transformer, model = nlp.get_pipe("transformer"), nlp.get_pipe("bert_ner").model
        transformer.update([example], sgd=None)
        (listener,) = get_listeners(model)
        for is_train in (True, False):
            (pieced,) = get_pieced([example.predicted], listener, is_train=is_train)
            assert pieced.tolist() == [True, False, True]
            transformer(example.predicted)
        nlp.to_disk(tmp_path / "pipeline")
        loaded = spacy.load(tmp_path / "pipeline")
        for pipeline in (nlp, loaded):
            assert [get_ents(doc) for doc in pipeline.pipe([TEXT, "", "  ", TEXT])] == [
                EXPECTED,
                [],
                [],
                EXPECTED,
            ]
        loaded.disable_pipe("transformer")
        with pytest.raises(ValueError, match="without the output of 'transformer'"):
            loaded(TEXT)

    def test_stock_listener_on_its_output(self, tiny, tmp_path):
        """As when a trained component is sourced into a pipeline with another kind of encoder."""
        nlp = make_curated(tmp_path, WORDS)
        nlp.remove_pipe("bert_ner")
        nlp.initialize(lambda: [make_example(nlp)])
        nlp.add_pipe("bert_ner", source=tiny)
        with pytest.raises(ValueError, match="got the output of a curated_transformer"):
            nlp(TEXT)
