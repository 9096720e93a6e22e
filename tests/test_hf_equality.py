"""The same numbers as Hugging Face's BertForTokenClassification, on the same words and weights."""

from pathlib import Path

import numpy
import pytest
import spacy
import torch
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import fix_random_seed
from transformers import AutoModelForTokenClassification, AutoTokenizer

from spacy_bert_ner.formats import read_docs

from .util import ENCODER, encoder_of, make_nlp

LEARN_RATE = 2e-4
EPSILON = 1e-6  # BERT's own; with 1e-8, noise in gradients that are zero would be learned
SAMPLE = Path(__file__).parent.parent / "assets" / "sample"


class AdamW:
    """torch's AdamW behind thinc's interface: thinc's own Adam differs from it in epsilon, which
    it doesn't correct for the bias of the first steps."""

    def __init__(self, **settings):
        self.settings = settings
        self.steps = {}

    def __call__(self, key, weights, gradient):
        if key not in self.steps:
            param = torch.nn.Parameter(torch.from_numpy(weights.copy()))
            self.steps[key] = torch.optim.AdamW([param], **self.settings)
        step = self.steps[key]
        (param,) = step.param_groups[0]["params"]
        param.grad = torch.from_numpy(gradient.copy())
        step.step()
        gradient *= 0  # as thinc's optimizers do
        return param.detach().numpy().copy(), gradient


def read_sentences(split):
    """Sentences of the sample corpus: words and tags."""
    docs = read_docs(SAMPLE / f"{split}.iob2", spacy.blank("en"))
    sentences = [sent.as_doc() for doc in docs for sent in doc.sents]
    return [
        (
            [token.text for token in doc],
            [f"{token.ent_iob_}-{token.ent_type_}".rstrip("-") for token in doc],
        )
        for doc in sentences
    ]


def make_examples(nlp, data):
    docs = [Doc(nlp.vocab, words=words, ents=tags) for words, tags in data]
    return [Example(Doc(nlp.vocab, words=[t.text for t in doc]), doc) for doc in docs]


@pytest.fixture
def pair():
    """Our pipeline and Hugging Face's model with the same weights, without dropout."""
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    fix_random_seed(0)
    nlp = make_nlp({"name": ENCODER, "transformer_config": no_dropout}, {"dropout": 0.0})
    nlp.initialize(lambda: make_examples(nlp, read_sentences("train")))
    n_tags = len(nlp.get_pipe("bert_ner").tag_set)
    assert n_tags == 11
    model = AutoModelForTokenClassification.from_pretrained(
        ENCODER, num_labels=n_tags, classifier_dropout=0.0, **no_dropout
    )
    head = nlp.get_pipe("bert_ner").model.get_ref("output_layer")
    with torch.no_grad():
        head.set_param("W", model.classifier.weight.numpy().copy())
        head.set_param("b", model.classifier.bias.numpy().copy())
    return nlp, model, AutoTokenizer.from_pretrained(ENCODER)


def encode(tokenizer, words):
    """Inputs of Hugging Face's model, and the first wordpiece of each word: (sequence, word)."""
    inputs = tokenizer(words, is_split_into_words=True, padding=True, return_tensors="pt")
    first = torch.zeros_like(inputs["input_ids"], dtype=torch.bool)
    for i in range(len(words)):
        seen = set()
        for j, word in enumerate(inputs.word_ids(i)):
            if word is not None and word not in seen:
                first[i, j] = True
                seen.add(word)
    return inputs, first


def hf_loss(model, tokenizer, batch, tag_ids):
    inputs, first = encode(tokenizer, [words for words, _ in batch])
    labels = torch.full_like(inputs["input_ids"], -100)
    labels[first] = torch.tensor([tag_ids[tag] for _, tags in batch for tag in tags])
    return model(**inputs, labels=labels).loss


def test_logits_equal(pair):
    nlp, model, tokenizer = pair
    data = read_sentences("dev")
    docs = [Doc(nlp.vocab, words=words) for words, _ in data]
    transformer, head = nlp.get_pipe("transformer"), nlp.get_pipe("bert_ner")
    transformer.set_annotations(docs, transformer.predict(docs))
    vectors = numpy.concatenate(head.model.get_ref("tok2vec").predict(docs))
    layer = head.model.get_ref("output_layer")
    logits = vectors @ layer.get_param("W").T + layer.get_param("b")
    model.eval()
    inputs, first = encode(tokenizer, [words for words, _ in data])
    with torch.no_grad():
        expected = model(**inputs).logits[first].numpy()
    assert logits.shape == expected.shape
    numpy.testing.assert_allclose(logits, expected, atol=1e-5)


def test_training_equal(pair):
    """One step's gradients, and weights and tags after 12 steps of AdamW."""
    nlp, model, tokenizer = pair
    transformer, head = nlp.get_pipe("transformer"), nlp.get_pipe("bert_ner")
    tag_ids = {tag: i for i, tag in enumerate(head.tag_set.tags)}
    data = read_sentences("train")
    ours = AdamW(lr=LEARN_RATE, eps=EPSILON)
    theirs = torch.optim.AdamW(model.parameters(), lr=LEARN_RATE, eps=EPSILON)
    model.train()
    for step in range(12):
        batch = data[8 * step : 8 * step + 8]
        losses = nlp.update(make_examples(nlp, batch), sgd=False, drop=0.0)
        loss = hf_loss(model, tokenizer, batch, tag_ids)
        loss.backward()
        assert losses["bert_ner"] == pytest.approx(loss.item(), abs=1e-5)
        if step == 0:
            layer = head.model.get_ref("output_layer")
            W_grad = model.classifier.weight.grad.numpy()
            numpy.testing.assert_allclose(layer.get_grad("W"), W_grad, atol=1e-6)
            n_compared = 0
            expected = dict(model.bert.named_parameters())
            for name, param in encoder_of(nlp).named_parameters():
                if param.grad is not None:
                    torch.testing.assert_close(param.grad, expected[name].grad, atol=1e-6, rtol=0)
                    n_compared += 1
            assert n_compared == len(expected)
        for pipe in (transformer, head):
            pipe.finish_update(ours)
        theirs.step()
        theirs.zero_grad()
    expected = dict(model.bert.named_parameters())
    for name, param in encoder_of(nlp).named_parameters():
        if name in expected:
            torch.testing.assert_close(param, expected[name], atol=1e-4, rtol=0)
    dev = read_sentences("dev")
    docs = [Doc(nlp.vocab, words=words) for words, _ in dev]
    transformer.set_annotations(docs, transformer.predict(docs))
    predicted = numpy.concatenate([probs.argmax(axis=1) for probs in head.predict(docs)])
    model.eval()
    inputs, first = encode(tokenizer, [words for words, _ in dev])
    with torch.no_grad():
        hf_tags = model(**inputs).logits[first].argmax(dim=1).numpy()
    assert (predicted == hf_tags).mean() >= 0.999
