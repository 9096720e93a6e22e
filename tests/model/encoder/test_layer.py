"""The encoder layer: gradients, steps and bytes, in pipelines with a tiny encoder."""

import pickle
from contextlib import contextmanager
from unittest.mock import patch

import numpy
import pytest
import safetensors.torch
import spacy
import srsly
import torch
from spacy.tokens import Doc, Span
from spacy.training import Example
from thinc.api import SGD, Adam, fix_random_seed
from torch.utils._python_dispatch import TorchDispatchMode

from spacy_bert_ner.model.encoder.layer import CALL_PIECES
from spacy_bert_ner.model.optimizers import make_layered_adam

from ...toy import POSITIONS, WIDTH, save_encoder
from ...util import EXPECTED, TAGS, WORDS, encoder_of, get_ents, make_example, make_nlp

TEXT = " ".join(WORDS)
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "upstream": "*",
    "pooling": {"@layers": "reduce_mean.v1"},
}
SENT_STARTS = [i == 0 or WORDS[i - 1] == "." for i in range(len(WORDS))]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The folder of a tiny encoder."""
    return save_encoder(tmp_path_factory.mktemp("encoder"), "bert")


@pytest.fixture(scope="module")
def tiny_path(tiny, tmp_path_factory):
    """A pipeline with it that has learned one text, on disk."""
    nlp = make_tiny(tiny, transformer_config=NO_DROPOUT)
    sgd = nlp.create_optimizer()
    sgd.learn_rate = 1e-2
    for _ in range(80):
        losses = nlp.update([make_example(nlp)], sgd=sgd, drop=0.0)
    assert losses["bert_ner"] < 0.05
    path = tmp_path_factory.mktemp("pipeline") / "tiny"
    nlp.to_disk(path)
    return path


def make_tiny(tiny, **settings):
    """A pipeline of `transformer` and `bert_ner`, initialized. The head gets larger weights than
    new ones, so that gradients are far from zero."""
    fix_random_seed(0)
    nlp = make_nlp({"name": tiny, "window": 32, **settings})
    nlp.initialize(lambda: [make_example(nlp)])
    layer = nlp.get_pipe("bert_ner").model.get_ref("output_layer")
    W = numpy.random.default_rng(0).normal(size=layer.get_param("W").shape)
    layer.set_param("W", W.astype("float32"))
    return nlp


def make_examples(nlp):
    """Documents of several sentences, of one, and of none."""
    examples = []
    for start, end in ((0, len(WORDS)), (0, 0), (6, 13), (0, 6), (13, 16)):
        words, starts = WORDS[start:end], SENT_STARTS[start:end]
        predicted = Doc(nlp.vocab, words=words, sent_starts=starts)
        gold = Doc(nlp.vocab, words=words, ents=TAGS[start:end])
        examples.append(Example(predicted, gold))
    return examples


def weights_of(module):
    return {name: param.detach().clone() for name, param in module.named_parameters()}


def gradients_of(module):
    return {
        name: param.grad.clone()
        for name, param in module.named_parameters()
        if param.grad is not None
    }


def get_gradients(nlp):
    """The encoder's gradients after one batch, without a step."""
    nlp.update(make_examples(nlp), sgd=False, drop=0.0)
    gradients = gradients_of(encoder_of(nlp))
    assert max(gradient.abs().max() for gradient in gradients.values()) > 1e-2
    return gradients


def assert_equal_tensors(found, expected, atol=0.0):
    """atol (float): Relative for tensors with values above 1."""
    assert found.keys() == expected.keys()
    assert expected
    for name, tensor in found.items():
        worst = float((tensor - expected[name]).abs().max())
        assert worst <= atol * max(1.0, float(expected[name].abs().max())), name


def shim_of(model):
    (shim,) = [shim for node in model.walk() for shim in node.shims]
    return shim


def plain_gradients(nlp):
    """The same with torch alone: one padded batch of sentences, first pieces, cross-entropy."""
    encoder = nlp.get_pipe("transformer").model.shims[0].encoder
    pipe = nlp.get_pipe("bert_ner")
    layer = pipe.model.get_ref("output_layer")
    W, b = (torch.from_numpy(layer.get_param(name).copy()) for name in ("W", "b"))
    sents, gold = [], []
    for example in make_examples(nlp):
        sents += [[token.text for token in sent] for sent in example.predicted.sents]
        gold += [
            pipe.tag_set.tags.index("-".join(filter(None, (token.ent_iob_, token.ent_type_))))
            for token in example.reference
        ]
    inputs = encoder.tokenizer(sents, is_split_into_words=True, padding=True, return_tensors="pt")
    encoder.model.train()
    output = encoder.model(**inputs).last_hidden_state
    vectors = [
        output[i, inputs.word_ids(i).index(word)]
        for i, sent in enumerate(sents)
        for word in range(len(sent))
    ]
    logits = torch.stack(vectors) @ W.T + b
    torch.nn.functional.cross_entropy(logits, torch.tensor(gold)).backward()
    encoder.model.eval()
    return gradients_of(encoder.model)


class TestGradients:
    @pytest.mark.parametrize("batch_pieces", [1, 40, 1024])
    def test_equal_plain_torch(self, tiny, batch_pieces):
        settings = {"window": 0, "transformer_config": NO_DROPOUT, "batch_pieces": batch_pieces}
        expected = plain_gradients(make_tiny(tiny, **settings))
        assert_equal_tensors(get_gradients(make_tiny(tiny, **settings)), expected, atol=1e-6)

    @pytest.mark.parametrize("kept", [0, 50])
    def test_recomputed(self, tiny, monkeypatch, kept):
        settings = {"window": 0, "batch_pieces": 40}
        monkeypatch.setattr("spacy_bert_ner.model.encoder.layer.KEPT_PIECES", 10**6)
        nlp = make_tiny(tiny, **settings)
        torch.manual_seed(5)
        before = torch.get_rng_state()
        expected = get_gradients(nlp)
        state = torch.get_rng_state()
        assert not torch.equal(state, before)
        monkeypatch.setattr("spacy_bert_ner.model.encoder.layer.KEPT_PIECES", kept)
        nlp = make_tiny(tiny, **settings)
        torch.manual_seed(5)
        assert_equal_tensors(get_gradients(nlp), expected, atol=1e-6)
        assert torch.equal(torch.get_rng_state(), state)
        # With other dropout they would be others.
        other = get_gradients(make_tiny(tiny, transformer_config=NO_DROPOUT, **settings))
        assert max((other[name] - expected[name]).abs().max() for name in other) > 1e-3

    @pytest.mark.parametrize("batch_pieces", [1, 20, 50])
    @pytest.mark.parametrize("kept", [0, 30])
    def test_micro_batches(self, tiny, monkeypatch, batch_pieces, kept):
        expected = get_gradients(make_tiny(tiny, transformer_config=NO_DROPOUT))
        monkeypatch.setattr("spacy_bert_ner.model.encoder.layer.KEPT_PIECES", kept)
        nlp = make_tiny(tiny, transformer_config=NO_DROPOUT, batch_pieces=batch_pieces)
        assert_equal_tensors(get_gradients(nlp), expected, atol=1e-6)

    @pytest.mark.parametrize("kept", [0, 30, 1536])
    def test_cut_micro_batches(self, tiny, monkeypatch, kept):
        """Documents of unlike lengths go through the encoder apart, and it learns the same."""
        monkeypatch.setattr("spacy_bert_ner.model.encoder.layer.KEPT_PIECES", kept)
        found = {}
        for call_pieces in (1000, 10):
            monkeypatch.setitem(CALL_PIECES, "cpu", call_pieces)
            nlp = make_tiny(tiny, transformer_config=NO_DROPOUT)
            with _recorded_shapes(encoder_of(nlp)) as shapes:
                gradients = get_gradients(nlp)
            found[call_pieces] = gradients, shapes, sum(n * longest for n, longest in shapes)
        assert len(found[1000][1]) < len(found[10][1])
        assert found[10][2] < found[1000][2]
        assert_equal_tensors(found[10][0], found[1000][0], atol=1e-6)

    def test_gathered_until_the_step(self, tiny):
        nlp = make_tiny(tiny, transformer_config=NO_DROPOUT)
        once = get_gradients(nlp)
        twice = get_gradients(nlp)
        assert_equal_tensors(twice, {name: 2 * grad for name, grad in once.items()}, atol=1e-6)
        nlp.get_pipe("transformer").finish_update(SGD(0.1, use_averages=False))
        assert gradients_of(encoder_of(nlp)) == {}


@contextmanager
def _recorded_shapes(module):
    """YIELDS (List[Tuple[int, int]]): Of the ids that the module gets while it is open."""
    shapes = []
    hook = module.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)),
        with_kwargs=True,
    )
    try:
        yield shapes
    finally:
        hook.remove()


@pytest.mark.parametrize("is_train", [False, True])
@pytest.mark.parametrize("batch_pieces", [None, 40])
def test_documents_of_unlike_lengths(tiny, is_train, batch_pieces):
    """On a CPU a long document doesn't have short ones padded to its length, nor change them."""
    nlp = make_tiny(tiny, transformer_config=NO_DROPOUT, batch_pieces=batch_pieces)
    layer = nlp.get_pipe("transformer").model
    docs = [nlp.make_doc(text) for text in ("Karl", TEXT, "Anna", "Oslo .", *["Karl"] * 5)]
    with _recorded_shapes(encoder_of(nlp)) as shapes:
        together, _ = layer(docs, is_train)
    in_one = sum(n for n, _ in shapes) * max(longest for _, longest in shapes)
    assert in_one - sum(n * longest for n, longest in shapes) > CALL_PIECES["cpu"]
    assert all(n == 1 or n * longest <= (batch_pieces or 1024) for n, longest in shapes)
    for doc, data in zip(docs, together.doc_data, strict=True):
        (alone,) = layer.predict([doc]).doc_data
        vectors = [output.model_output.last_hidden_state for output in (data, alone)]
        numpy.testing.assert_allclose(*vectors, atol=1e-5, rtol=0)


def test_micro_batches_stay_whole_where_calls_are_dear(tiny, monkeypatch):
    monkeypatch.delitem(CALL_PIECES, "cpu")
    nlp = make_tiny(tiny)
    with _recorded_shapes(encoder_of(nlp)) as shapes:
        nlp.get_pipe("transformer").predict([nlp.make_doc(text) for text in (TEXT, *["Karl"] * 5)])
    assert len(shapes) == 1


def test_any_component_listens(tiny):
    nlp = make_nlp({"name": tiny, "window": 32}, head={"tok2vec": LISTENER})
    for name in ("tagger", "parser", "ner", "spancat"):
        settings = {"min_action_freq": 1} if name == "parser" else {}
        nlp.add_pipe(name, config={"model": {"tok2vec": LISTENER}, **settings})
    nlp.add_pipe(
        "textcat",
        config={"model": {"@architectures": "spacy.TextCatEnsemble.v2", "tok2vec": LISTENER}},
    )
    heads = [0, 0, 1, 2, 3, 0, 6, 6, 7, 8, 9, 10, 6, 13, 13, 13]
    examples = []
    for label in ("A", "B"):
        doc = Doc(
            nlp.vocab,
            words=WORDS,
            ents=TAGS,
            tags=["N" if word[0].isupper() else "X" for word in WORDS],
            heads=heads,
            deps=["ROOT" if i == head else "obj" for i, head in enumerate(heads)],
        )
        doc.cats = {"A": float(label == "A"), "B": float(label == "B")}
        doc.spans["sc"] = [Span(doc, 0, 2, "PER")]
        examples.append(Example(Doc(nlp.vocab, words=WORDS), doc))
    fix_random_seed(0)
    sgd = nlp.initialize(lambda: examples)
    listening = set(nlp.get_pipe("transformer").listener_map)
    assert listening == {"bert_ner", "tagger", "parser", "ner", "spancat", "textcat"}
    losses = nlp.update(examples, sgd=False)
    assert losses.keys() == listening | {"transformer"}
    assert all(numpy.isfinite(loss) for loss in losses.values())
    gradients = gradients_of(encoder_of(nlp))
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    assert all(gradients[name].abs().max() > 0 for name in gradients if "weight" in name)
    nlp.update(examples, sgd=sgd)
    doc = nlp(TEXT)
    for annotation in ("TAG", "DEP", "SENT_START", "ENT_IOB"):
        assert doc.has_annotation(annotation)
    assert doc.cats.keys() == {"A", "B"}
    assert "sc" in doc.spans


class TestOutput:
    def test_rows(self, tiny):
        nlp = make_tiny(tiny, window=0)
        tokenizer = nlp.get_pipe("transformer").model.shims[0].encoder.tokenizer
        docs = [example.x for example in make_examples(nlp)]
        nlp.get_pipe("transformer").set_annotations(docs, nlp.get_pipe("transformer").predict(docs))
        for doc in docs:
            data = doc._.trf_data
            if not len(doc):
                assert "last_hidden_state" not in data.model_output
                assert data.wordpieces.strings == []
                continue
            ids = [i for sent in doc.sents for i in tokenizer(sent.text).input_ids]
            assert data.model_output.last_hidden_state.shape == (len(ids), WIDTH)
            assert data.model_output.last_hidden_state.dtype == numpy.float32
            assert data.wordpieces.input_ids.tolist() == [ids]
            assert data.wordpieces.lengths == [len(ids)]
            assert data.wordpieces.attention_mask.shape == (1, len(ids))
            assert data.wordpieces.attention_mask.all()
            assert data.wordpieces.strings == [tokenizer.convert_ids_to_tokens(ids)]
            (strings,) = data.wordpieces.strings
            for token in doc:
                pieces = [strings[row] for row in data.align[token.i].dataXd.ravel()]
                assert "".join(pieces).replace("##", "") == token.lower_

    def test_vectors_are_those_of_each_window_alone(self, tiny):
        nlp = make_tiny(tiny, window=0)
        encoder = nlp.get_pipe("transformer").model.shims[0].encoder
        docs = [example.x for example in make_examples(nlp) if len(example.x)]
        for data, doc in zip(nlp.get_pipe("transformer").predict(docs).doc_data, docs, strict=True):
            with torch.inference_mode():
                rows = [
                    encoder.model(**encoder.tokenizer(sent.text, return_tensors="pt"))[0][0]
                    for sent in doc.sents
                ]
            expected = torch.cat(rows).numpy()
            numpy.testing.assert_allclose(
                data.model_output.last_hidden_state, expected, atol=1e-6, rtol=0
            )

    @pytest.mark.parametrize("is_train", [False, True])
    def test_one_document_doesnt_hold_its_batch(self, tiny, is_train):
        nlp = make_tiny(tiny)
        docs = [nlp.make_doc(TEXT) for _ in range(50)]
        output, _ = nlp.get_pipe("transformer").model(docs, is_train)
        for data in output.doc_data:
            vectors = data.model_output.last_hidden_state
            for array in (
                vectors,
                data.wordpieces.input_ids,
                data.wordpieces.attention_mask,
                data.align.dataXd,
                data.align.lengths,
            ):
                assert _held_bytes(array) == array.nbytes


def _held_bytes(array):
    """Size of the memory that an array keeps alive."""
    base = array
    while getattr(base, "base", None) is not None:
        base = base.base
    return base.untyped_storage().nbytes() if isinstance(base, torch.Tensor) else base.nbytes


class TestFreeze:
    @pytest.mark.parametrize("n_layers", [0, 1, 2])
    def test_frozen_layers_stay(self, tiny, n_layers):
        nlp = make_tiny(tiny, freeze_layers=n_layers)
        before = weights_of(encoder_of(nlp))
        sgd = nlp.create_optimizer()
        for _ in range(3):
            nlp.update(make_examples(nlp), sgd=sgd)
        blocks = tuple(f"encoder.layer.{i}." for i in range(n_layers))
        for name, weights in weights_of(encoder_of(nlp)).items():
            frozen = name.startswith(("embeddings.", *blocks))
            # The pooler is no part of the output, and the softmax takes no notice of this bias.
            if not name.startswith("pooler.") and not name.endswith("key.bias"):
                assert torch.equal(weights, before[name]) == frozen, name

    @pytest.mark.parametrize("n_layers", [3, -1])
    def test_more_than_there_are(self, tiny, n_layers):
        with pytest.raises(ValueError, match=f"freeze {n_layers} layers of BertModel, which has 2"):
            make_tiny(tiny, freeze_layers=n_layers)


class TestErrors:
    def test_get_spans(self, tiny):
        with pytest.raises(ValueError, match="get_spans = null, and window"):
            make_tiny(tiny, get_spans={"@span_getters": "spacy-transformers.doc_spans.v1"})

    @pytest.mark.parametrize("window", [1, 2, POSITIONS + 1, 512])
    def test_window(self, tiny, window):
        with pytest.raises(
            ValueError, match=f"windows of {window} word.* accepts 3 to {POSITIONS},"
        ):
            make_tiny(tiny, window=window)

    @pytest.mark.parametrize("window", [0, 3, POSITIONS])
    def test_window_at_its_limits(self, tiny, window):
        nlp = make_tiny(tiny, window=window)
        assert nlp(TEXT * 5).has_annotation("ENT_IOB")

    @pytest.mark.parametrize(
        "setting, value, least",
        [
            ("window", -1, 0),
            ("stride", -1, 0),
            ("context", -1, 0),
            ("batch_pieces", 0, 1),
            ("batch_pieces", -5, 1),
            ("mixed_layers", 0, 1),
            ("embedding_noise", -1.0, 0),
        ],
    )
    def test_out_of_range(self, tiny, setting, value, least):
        match = f"with {setting} = {value}: set it to {least} or more"
        with pytest.raises(ValueError, match=match):
            make_tiny(tiny, **{setting: value})

    @pytest.mark.parametrize("share", [-0.1, 1.5])
    def test_context_dropout(self, tiny, share):
        with pytest.raises(ValueError, match=f"context_dropout = {share}: set it to a share"):
            make_tiny(tiny, context_dropout=share)


@pytest.mark.parametrize("make_optimizer", [SGD, Adam])
def test_averages(tiny, make_optimizer):
    """Of encoder and head, as thinc counts them, are what is evaluated and saved, and training goes
    on from the weights themselves."""
    nlp = make_tiny(tiny)
    sgd = make_optimizer(0.01, use_averages=True)
    averages = {name: torch.zeros_like(param) for name, param in encoder_of(nlp).named_parameters()}
    for step in range(1, 5):
        nlp.update(make_examples(nlp), sgd=False)
        nlp.get_pipe("bert_ner").finish_update(sgd)
        nlp.get_pipe("transformer").finish_update(sgd)
        for name, param in encoder_of(nlp).named_parameters():
            averages[name].lerp_(param.detach(), 1 - (1 + step) / (10 + step))
    stepped = weights_of(encoder_of(nlp))
    head = nlp.get_pipe("bert_ner").model.get_ref("output_layer")
    W = head.get_param("W").copy()
    with nlp.use_params(sgd.averages):
        trained = {
            name for name, param in encoder_of(nlp).named_parameters() if "pooler" not in name
        }
        used = weights_of(encoder_of(nlp))
        assert not numpy.allclose(head.get_param("W"), W, atol=1e-5)
        saved = nlp.to_bytes()
        expected = [row.tolist() for row in nlp.get_pipe("bert_ner").predict([nlp(TEXT)])]
    for name in trained:
        numpy.testing.assert_allclose(used[name], averages[name], atol=1e-6)
        assert not torch.equal(used[name], stepped[name])
    assert_equal_tensors(weights_of(encoder_of(nlp)), stepped)
    assert numpy.array_equal(head.get_param("W"), W)
    loaded = make_tiny(tiny).from_bytes(saved)
    assert_equal_tensors(weights_of(encoder_of(loaded)), used)
    assert len(expected) == 1


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_layer_decay(tiny, decay):
    """Adam's first step is as long as the rate: half of it for each block above."""
    nlp = make_tiny(tiny)
    before = weights_of(encoder_of(nlp))
    head = nlp.get_pipe("bert_ner").model.get_ref("output_layer")
    W = head.get_param("W").copy()
    sgd = make_layered_adam(0.001, head_factor=3.0, layer_decay=decay, eps=1e-12)
    nlp.update(make_examples(nlp), sgd=False)
    for name in ("bert_ner", "transformer"):
        nlp.get_pipe(name).finish_update(sgd)
    n_blocks = encoder_of(nlp).config.num_hidden_layers
    assert n_blocks > 1
    steps = {
        name: float((param - before[name]).abs().max())
        for name, param in weights_of(encoder_of(nlp)).items()
    }
    assert numpy.abs(head.get_param("W") - W).max() == pytest.approx(0.003, rel=1e-3)
    for name, depth in (
        (f"encoder.layer.{n_blocks - 1}.output.dense.weight", 0),
        (f"encoder.layer.{n_blocks - 2}.output.dense.weight", 1),
        ("encoder.layer.0.output.dense.weight", n_blocks - 1),
        ("embeddings.word_embeddings.weight", n_blocks),
        ("embeddings.LayerNorm.weight", n_blocks),
    ):
        assert steps[name] == pytest.approx(0.001 * decay**depth, rel=1e-3), name


class TestTrainingAids:
    def test_mixed_layers(self, tiny):
        vectors = {}
        for n_layers in (1, 2):
            nlp = make_tiny(tiny, mixed_layers=n_layers)
            doc = nlp.make_doc(" ".join(WORDS[:6]))  # one window
            (data,) = nlp.get_pipe("transformer").predict([doc]).doc_data
            vectors[n_layers] = data.model_output.last_hidden_state
        ids = torch.from_numpy(data.wordpieces.input_ids).long()
        with torch.inference_mode():
            output = encoder_of(nlp)(input_ids=ids, output_hidden_states=True)
        states = torch.stack(output.hidden_states[-2:])
        numpy.testing.assert_allclose(vectors[1], states[1][0], atol=1e-5)
        numpy.testing.assert_allclose(vectors[2], states.mean(dim=0)[0], atol=1e-5)
        assert numpy.abs(vectors[1] - vectors[2]).max() > 1e-3

    def test_more_layers_than_there_are(self, tiny):
        with pytest.raises(ValueError, match="Can't mix the last 9 layers of BertModel, which has"):
            make_tiny(tiny, mixed_layers=9)

    def test_embedding_noise(self, tiny):
        """In training alone, of the size of NEFTune, and the same when a batch is run again."""
        nlp = make_tiny(tiny, embedding_noise=5.0, transformer_config=NO_DROPOUT)
        plain = make_tiny(tiny, transformer_config=NO_DROPOUT)
        embed = encoder_of(nlp).get_input_embeddings()
        ids = torch.arange(20)[None]
        assert torch.equal(embed.eval()(ids), embed.weight[:20][None])
        noise = (embed.train()(ids) - embed.weight[:20]).detach()
        assert float(noise.abs().max()) <= 5.0 / (20 * WIDTH) ** 0.5
        assert float(noise.norm()) == pytest.approx(5.0 / 3**0.5, rel=0.2)
        assert nlp(TEXT).vector.tolist() == plain(TEXT).vector.tolist()
        assert pickle.loads(pickle.dumps(nlp))(TEXT).vector.tolist() == nlp(TEXT).vector.tolist()
        gradients = []
        for kept in (0, 10_000):
            with patch("spacy_bert_ner.model.encoder.layer.KEPT_PIECES", kept):
                fix_random_seed(0)
                nlp = make_tiny(tiny, embedding_noise=5.0)
                gradients.append(get_gradients(nlp))
        assert_equal_tensors(gradients[0], gradients[1], atol=1e-5)


def test_not_initialized(tiny):
    nlp = make_nlp({"name": tiny})
    with pytest.raises(ValueError, match="E109.*'transformer'"):
        nlp("Anna")


@pytest.mark.parametrize("make_optimizer", [SGD, Adam])
@pytest.mark.parametrize("factor", [100.0, 1e-3])
def test_clips_by_the_norm_of_all(tiny, make_optimizer, factor):
    def make(grad_clip):
        return make_optimizer(0.01, grad_clip=grad_clip, use_averages=False)

    nlp = make_tiny(tiny)
    pipe = nlp.get_pipe("transformer")
    module = encoder_of(nlp)
    expected = {name: param.clone().numpy() for name, param in weights_of(module).items()}
    clipping, plain = make(1.0), make(0.0)
    # Adam's first step is the same for gradients of any size; its next ones aren't.
    for step_factor in (factor, 0.3 * factor, factor):
        nlp.update(make_examples(nlp), sgd=False)
        params = []
        for name, param in module.named_parameters():
            if param.grad is not None:
                param.grad *= step_factor
                params.append((name, torch.nn.Parameter(torch.zeros_like(param))))
                params[-1][1].grad = param.grad.clone()
        norm = torch.nn.utils.clip_grad_norm_([param for _, param in params], 1.0)
        assert (norm > 1.0) == (factor > 1.0)
        for name, param in params:
            expected[name], _ = plain((0, name), expected[name], param.grad.numpy())
        pipe.finish_update(clipping)
        assert clipping.grad_clip == 1.0
    # Thinc rounds 1 - beta2 to float32, and so is off by 1e-5 of a step.
    atol = 1e-6 if make_optimizer is Adam else 1e-7
    for name, weights in weights_of(module).items():
        numpy.testing.assert_allclose(weights, expected[name], atol=atol, rtol=0, err_msg=name)


class TestReplacedListener:
    @pytest.fixture
    def replaced(self, tiny_path):
        nlp = spacy.load(tiny_path)
        nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
        return nlp

    def test_same_predictions(self, replaced, tiny_path, tmp_path):
        doc = spacy.load(tiny_path)(TEXT)
        assert get_ents(doc) == EXPECTED
        scores = [ent._.score for ent in doc.ents]
        tok2vec = replaced.config["components"]["bert_ner"]["model"]["tok2vec"]
        transformer = replaced.config["components"]["transformer"]["model"]
        assert tok2vec["@architectures"] == "spacy-bert-ner.Tok2VecTransformer.v2"
        assert tok2vec["pooling"] == {"@layers": "spacy-bert-ner.reduce_first.v1"}
        assert tok2vec["transformer"] == transformer
        assert transformer["window"] == 32
        assert transformer["@architectures"] == "spacy-bert-ner.TransformerModel.v1"
        replaced.to_disk(tmp_path / "both")
        alone = spacy.load(tmp_path / "both")
        alone.remove_pipe("transformer")
        alone.to_disk(tmp_path / "alone")
        for nlp in (
            replaced,
            spacy.load(tmp_path / "both"),
            alone,
            spacy.load(tmp_path / "alone"),
            spacy.load(tmp_path / "both", exclude=["transformer"]),
        ):
            found = nlp(TEXT)
            assert get_ents(found) == EXPECTED
            numpy.testing.assert_allclose(
                [ent._.score for ent in found.ents], scores, atol=1e-6, rtol=0
            )

    def test_trains_on(self, replaced):
        original = encoder_of(replaced)
        shim = shim_of(replaced.get_pipe("bert_ner").model)
        assert shim.id != replaced.get_pipe("transformer").model.shims[0].id
        assert shim.encoder.model is shim._model
        assert_equal_tensors(weights_of(shim._model), weights_of(original))
        before = weights_of(original)
        sgd = replaced.create_optimizer()
        assert replaced.update([make_example(replaced)], sgd=sgd)["bert_ner"] > 0
        assert_equal_tensors(weights_of(original), before)
        changed = weights_of(shim.encoder.model)
        assert all(
            not torch.equal(changed[name], before[name])
            for name in before
            if "weight" in name and not name.startswith("pooler.")
        )

    def test_survives_saving_after_training(self, replaced, tmp_path):
        replaced.remove_pipe("transformer")
        sgd = replaced.create_optimizer()
        for _ in range(2):
            replaced.update([make_example(replaced)], sgd=sgd)
        replaced.to_disk(tmp_path)
        loaded = spacy.load(tmp_path)
        assert_equal_tensors(
            weights_of(shim_of(loaded.get_pipe("bert_ner").model)._model),
            weights_of(shim_of(replaced.get_pipe("bert_ner").model)._model),
        )

    def test_initializes_from_its_config(self, replaced):
        replaced.remove_pipe("transformer")
        nlp = spacy.blank("en").from_config(replaced.config)
        nlp.initialize(lambda: [make_example(nlp)])
        assert numpy.isfinite(nlp.update([make_example(nlp)])["bert_ner"])


def test_sourced(tiny_path, tmp_path):
    source = spacy.load(tiny_path)
    nlp = spacy.blank("en")
    for name in ("transformer", "bert_ner"):
        nlp.add_pipe(name, source=source)
    assert get_ents(nlp(TEXT)) == EXPECTED
    nlp.to_disk(tmp_path)
    assert get_ents(spacy.load(tmp_path)(TEXT)) == EXPECTED


class TestSaved:
    def test_safetensors(self, tiny_path):
        content = srsly.msgpack_loads((tiny_path / "transformer" / "model").read_bytes())
        (shim_bytes,) = [shim for shims in content["shims"] for shim in shims]
        data = srsly.msgpack_loads(shim_bytes)
        assert data.keys() == {"checksums", "config", "tokenizer", "weights"}
        weights = safetensors.torch.load(data["weights"])
        assert_equal_tensors(weights, dict(encoder_of(spacy.load(tiny_path)).state_dict()))
        assert srsly.json_loads(data["config"])["model_type"] == "bert"
        assert all(isinstance(file, bytes) for file in data["tokenizer"].values())
        assert all(name.endswith((".json", ".txt")) for name in data["tokenizer"])

    def test_nothing_unpickled(self, tiny_path, monkeypatch):
        def refuse(*args, **kwargs):
            raise AssertionError("unpickled")

        for name in ("load", "loads", "Unpickler", "_Unpickler"):
            monkeypatch.setattr(pickle, name, refuse)
        monkeypatch.setattr(torch, "load", refuse)
        with pytest.raises(AssertionError, match="unpickled"):
            pickle.loads(b"")
        nlp = spacy.load(tiny_path)
        monkeypatch.undo()
        assert get_ents(nlp(TEXT)) == EXPECTED


def test_training_is_reproducible(tiny):
    runs = []
    for _ in range(2):
        fix_random_seed(3)
        nlp = make_nlp({"name": tiny, "window": 0, "batch_pieces": 40})
        sgd = nlp.initialize(lambda nlp=nlp: [make_example(nlp)])
        for _ in range(5):
            nlp.update(make_examples(nlp), sgd=sgd, drop=0.1)
        layer = nlp.get_pipe("bert_ner").model.get_ref("output_layer")
        head = {name: torch.from_numpy(layer.get_param(name)) for name in layer.param_names}
        runs.append({**weights_of(encoder_of(nlp)), **head})
    assert_equal_tensors(*runs)


class TestHalfPrecision:
    def test_prediction(self, tiny):
        full, half = (make_tiny(tiny, precision=name)(TEXT) for name in ("fp32", "bf16"))
        full, half = (doc._.trf_data.model_output.last_hidden_state for doc in (full, half))
        assert half.dtype == numpy.float32
        assert not numpy.array_equal(full, half)
        numpy.testing.assert_allclose(half, full, atol=3e-2, rtol=0)

    def test_update(self, tiny):
        nlp = make_tiny(tiny, precision="bf16")
        before = weights_of(encoder_of(nlp))
        losses = nlp.update(make_examples(nlp), sgd=False)
        assert numpy.isfinite(losses["bert_ner"])
        nlp.get_pipe("transformer").finish_update(nlp.create_optimizer())
        after = weights_of(encoder_of(nlp))
        assert all(torch.isfinite(weights).all() for weights in after.values())
        name = "encoder.layer.0.attention.self.value.weight"
        assert not torch.equal(after[name], before[name])

    def test_gradients(self, tiny):
        settings = {"transformer_config": NO_DROPOUT}
        full = get_gradients(make_tiny(tiny, **settings))
        half = get_gradients(make_tiny(tiny, precision="bf16", **settings))
        for name, gradient in full.items():
            difference = (half[name] - gradient).norm()
            assert difference <= 0.1 * gradient.norm() + 1e-4, name

    def test_weights_are_cast_once(self, tiny):
        """For all micro-batches whose activations are kept: each holds on to what they are cast
        to."""
        nlp = make_tiny(tiny, precision="bf16", batch_pieces=1)
        with _RecordedCasts() as casts:
            nlp.get_pipe("transformer").model([ex.x for ex in make_examples(nlp)], True)
        names = {id(param): name for name, param in encoder_of(nlp).named_parameters()}
        found = [names[id(tensor)] for tensor in casts.tensors if id(tensor) in names]
        assert "encoder.layer.0.attention.self.value.weight" in found
        assert len(found) == len(set(found))


class _RecordedCasts(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.tensors = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._to_copy.default:
            self.tensors.append(args[0])
        return func(*args, **(kwargs or {}))


def test_window_changed_on_load(tiny, tmp_path):
    """A window over the limit is refused by name, also if the config was changed after training."""
    make_tiny(tiny).to_disk(tmp_path)
    loaded = spacy.load(tmp_path, config={"components.transformer.model.window": 100_000})
    with pytest.raises(ValueError, match="Can't read windows of 100000 wordpieces"):
        loaded("Anna Berg lives in Oslo .")
