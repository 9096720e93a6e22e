"""Which tokens a component reads."""

import numpy
import pytest
import spacy
from spacy.tokens import Doc

from spacy_bert_ner.pipeline.reading import get_read_tokens

from ..toy import save_encoder
from ..util import ENCODER, WORDS, make_example, make_nlp

# Characters that BERT's tokenizer drops, though they show something: a bullet of PDFs, the
# replacement character, others of private use.
DROPPED = ["\uf0b7", "\ufffd", "\ue000", "\U000f0000"]
BULLETED = "{0} Anna {0} Berg {0} lives in {0} Oslo {0} ."


def read_words(nlp, words):
    doc = Doc(nlp.vocab, words=words)
    for _, pipe in nlp.pipeline:
        doc = pipe(doc)
    return doc


@pytest.mark.parametrize("align", ["token", "word"])
def test_ents_never_touch_tokens_without_wordpieces(predicting, align):
    """They have the vector of a neighbour, and would have its tag."""
    check_ents(predicting, align)


@pytest.mark.parametrize("align", ["token", "word"])
def test_with_the_encoder_inside(trained, align):
    trained.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    check_ents(trained, align)


def check_ents(nlp, align):
    nlp.get_pipe("bert_ner").cfg["align"] = align
    for char in DROPPED:
        doc = read_words(nlp, BULLETED.format(char).split())
        found = [(ent.start, ent.end, ent.label_) for ent in doc.ents]
        assert found == [(1, 4, "PER"), (8, 9, "LOC")], char


def test_what_a_byte_level_tokenizer_reads(tmp_path):
    """It has pieces of everything."""
    nlp = make_nlp({"name": save_encoder(tmp_path, "roberta"), "window": 0})
    words = BULLETED.format("\uf0b7").split()
    nlp.initialize(lambda: [make_example(nlp, words, ["O", "B-PER", *["O"] * 9])])
    docs = [Doc(nlp.vocab, words=words)]
    nlp.get_pipe("transformer")(docs[0])
    (read,) = get_read_tokens(docs, nlp.get_pipe("bert_ner").model, is_train=False)
    assert read.all()


def test_what_the_stock_encoder_reads():
    nlp = spacy.blank("en")
    nlp.add_pipe("transformer", config={"model": {"name": ENCODER}})
    nlp.add_pipe("bert_ner")
    words = BULLETED.format("\uf0b7").split()
    example = make_example(nlp, words, ["O", "B-PER", *["O"] * 9])
    nlp.initialize(lambda: [example])
    ner, transformer = nlp.get_pipe("bert_ner"), nlp.get_pipe("transformer")
    expected = [word != "\uf0b7" for word in words]
    transformer.update([example], sgd=False)
    (read,) = get_read_tokens([example.predicted], ner.model, is_train=True)
    assert read.tolist() == expected
    (read,) = get_read_tokens([transformer(example.predicted)], ner.model, is_train=False)
    assert read.tolist() == expected


def test_encoders_that_do_not_tell():
    """The text alone says what is read."""
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec")
    tok2vec = {"@architectures": "spacy.Tok2VecListener.v1", "width": 96, "upstream": "tok2vec"}
    nlp.add_pipe("bert_ner", config={"model": {"tok2vec": tok2vec}})
    example = make_example(nlp, ["Anna", "\uf0b7", "\u200b"], ["B-PER", "O", "O"])
    nlp.initialize(lambda: [example])
    nlp.update([example])
    model = nlp.get_pipe("bert_ner").model
    for is_train in (True, False):
        (read,) = get_read_tokens([nlp(example.predicted)], model, is_train=is_train)
        assert read.tolist() == [True, True, False]


@pytest.mark.parametrize("inlined", [False, True])
def test_tokens_without_wordpieces_are_not_learned_from(inlined):
    nlp = make_nlp()
    words = BULLETED.format("\uf0b7").split()
    tags = ["B-PER", "I-PER", "I-PER", "I-PER", *["O"] * 4, "B-LOC", "O", "O"]
    examples = [make_example(nlp, words, tags), make_example(nlp, [], [])]
    nlp.initialize(lambda: examples)
    ner = nlp.get_pipe("bert_ner")
    if inlined:
        nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    else:
        nlp.get_pipe("transformer").update(examples, sgd=False)
    scores, _ = ner.model.begin_update([example.x for example in examples])
    _, (d_scores, _) = ner.get_loss(examples, scores)
    dropped = [word == "\uf0b7" for word in words]
    assert (d_scores == 0).all(axis=1).tolist() == dropped
    # What the transformer has left in the listener is of other documents.
    other = [make_example(nlp)]
    _, (d_scores,) = ner.get_loss(other, [numpy.full((len(WORDS), 5), 0.2, dtype="float32")])
    assert d_scores.any(axis=1).all()


def test_gold_entities_with_dropped_edges_are_reported(caplog):
    nlp = make_nlp()
    words = ["\uf0b7", "Anna", "lives", "in", "Oslo", "\u200b"]
    examples = [make_example(nlp, words, ["B-PER", "I-PER", "O", "O", "B-LOC", "I-LOC"])]
    with caplog.at_level("WARNING", logger="spacy"):
        nlp.initialize(lambda: examples)
    assert "2 of 2 gold entities begin or end with white space, or with characters" in caplog.text
