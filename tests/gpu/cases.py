"""Training and prediction that tests/gpu/__main__.py runs on a GPU or the stand-in for one. A case
takes the module `gpu` or `real`, and an empty folder, and raises an error if something is wrong."""

import pickle
import threading

import numpy
import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from thinc.api import SGD, Adam, CupyOps, RAdam, fix_random_seed

from spacy_bert_ner.commands.annotate import annotate
from spacy_bert_ner.commands.profile import format_profile, profile
from spacy_bert_ner.hf.export import to_huggingface
from spacy_bert_ner.hf.loader import from_huggingface
from spacy_bert_ner.model.optimizers import make_layered_adam
from spacy_bert_ner.tagging.soft_labels import SoftLabels, set_soft_labels
from spacy_bert_ner.training.r_drop import make_batch_twice

from ..toy import save_encoder
from ..util import CRF, EXPECTED, LEXICAL, TAGS, TEXT, WORDS, get_ents, make_example, make_nlp

TEXTS = [TEXT, "", "  ", "Anna met Karl"]
LABELS = ("LOC", "PER")
CASES = {}


def case(function):
    CASES[function.__name__.replace("_", " ")] = function
    return function


def listen(pooling="first"):
    """Settings of a listener."""
    return {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": f"spacy-bert-ner.reduce_{pooling}.v1"},
    }


def loss(name, **settings):
    return {"loss": {"@losses": f"spacy-bert-ner.{name}.v1", **settings}}


CONCATENATED = {
    "tok2vec": {
        "@layers": "spacy-bert-ner.concatenate.v1",
        "*": {"transformer": listen(), "lexical": LEXICAL},
    }
}
DENSE = {"@architectures": "spacy-bert-ner.DenseSoftmax.v1", "tok2vec": listen()}
WRONG = {"incorrect_spans_key": "wrong"}
WEIGHTS = {"label_weights": {"O": 0.4}, "label_smoothing": 0.1, "confidence_penalty": 0.5}
CONTEXT = {"context": 8, "context_dropout": 0.3}
NOISE = {"embedding_noise": 5.0, "batch_pieces": 20}
DISTILLATION = {"hard_weight": 0.5, "confidence_penalty": 0.1}
AVERAGES = {"head_factor": 5.0, "layer_decay": 0.9, "use_averages": True}


def make_with_tagger(encoder):
    nlp = make_nlp({"name": encoder, "window": 0})
    model = {"@architectures": "spacy.Tagger.v2", "tok2vec": listen()}
    nlp.add_pipe("tagger", config={"model": model})
    return nlp


def make_stock(encoder):
    nlp = spacy.blank("en")
    model = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": encoder,
        "get_spans": {
            "@span_getters": "spacy-transformers.strided_spans.v1",
            "window": 8,
            "stride": 6,
        },
        "tokenizer_config": {"use_fast": True, "model_max_length": 40},
    }
    nlp.add_pipe("transformer", config={"model": model})
    nlp.add_pipe("bert_ner")
    return nlp


def make_cnn(encoder):
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec")
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 96, "upstream": "*"}
    nlp.add_pipe("bert_ner", config={"model": {"tok2vec": listener}})
    return nlp


# Settings of `make_nlp`, or a function that makes the pipeline, and of `learn`. What is random in
# training differs between a CPU and a real GPU.
RECIPES = {
    "softmax": {"component": WRONG},
    "last": {"head": {"tok2vec": listen("last")}},
    "mean": {"head": {"tok2vec": listen("mean")}},
    "max": {"head": {"tok2vec": listen("max")}},
    "weights": {"component": loss("CrossEntropy", **WEIGHTS)},
    "CRF": {"head": CRF["model"], "component": {"loss": CRF["loss"], **WRONG}},
    "dense gelu": {"head": {**DENSE, "activation": "gelu", "bias": True, "norm_bias": True}},
    "dense relu": {"head": {**DENSE, "activation": "relu"}},
    "dense silu": {"head": {**DENSE, "activation": "silu"}},
    "dense tanh": {"head": {**DENSE, "activation": "tanh"}},
    "R-Drop": {"component": loss("RDrop"), "twice": True, "drop": 0.3, "random": True},
    "distillation": {"component": loss("Distillation", **DISTILLATION), "soft": True},
    "distillation, KL": {"component": loss("Distillation", distance="kl"), "soft": True},
    "distillation, CRF": {
        "head": CRF["model"],
        "component": loss("Distillation", **DISTILLATION),
        "soft": True,
    },
    "LayeredAdam": {
        "transformer": {"window": 20, "mixed_layers": 2, **CONTEXT, **NOISE},
        "optimizer": lambda: make_layered_adam(1e-3, **AVERAGES),
        "random": True,
    },
    "SGD": {"optimizer": lambda: SGD(1e-3)},
    "RAdam": {"optimizer": lambda: RAdam(1e-3)},
    "concatenated": {"head": CONCATENATED},
    "tagger": {"make": make_with_tagger},
    "stock transformer": {"make": make_stock},
    "CNN": {"make": make_cnn},
}


def make_examples(nlp, soft=False):
    """Documents of several lengths, with none of it, with incorrect spans, and with tags."""
    examples = [
        make_example(nlp),
        make_example(nlp, WORDS[:6], TAGS[:6]),
        make_example(nlp, [], []),
        make_example(nlp, [" ", "Anna"], ["O", "B-PER"]),
    ]
    doc = examples[0].reference
    doc.spans["wrong"] = [Span(doc, 3, 5, label="LOC"), Span(doc, 8, 10, label="PER")]
    for example in examples:
        for token in example.reference:
            token.tag_ = "XY"[token.i % 2]
    if soft:
        for example in examples[1:]:
            doc = example.reference
            probs = numpy.random.dirichlet(numpy.ones(5), size=len(doc)).astype("float32")
            agreement = numpy.ones(len(doc), dtype="float32")
            set_soft_labels(doc, SoftLabels("BIO", LABELS, "token", probs, agreement, False))
    return examples


def make(encoder, recipe):
    if "make" in recipe:
        return recipe["make"](encoder)
    transformer = {"name": encoder, "window": 0, **recipe.get("transformer", {})}
    return make_nlp(transformer, recipe.get("head"), recipe.get("component"))


def learn(encoder, recipe, n_steps=2, begin=lambda nlp: None):
    """RETURNS (Tuple[Language, Optimizer, List[float]]): The pipeline, the optimizer, and the
    losses. `begin` gets the pipeline before the first step."""
    fix_random_seed(0)
    nlp = make(encoder, recipe)
    examples = make_examples(nlp, recipe.get("soft", False))
    if recipe.get("twice"):
        (examples,) = make_batch_twice(lambda items: [list(items)])(examples)
    optimizer = recipe.get("optimizer", lambda: Adam(1e-3))()
    nlp.initialize(lambda: examples, sgd=optimizer)
    begin(nlp)
    fix_random_seed(0)
    drop = recipe.get("drop", 0.0)
    found = [nlp.update(examples, sgd=optimizer, drop=drop)["bert_ner"] for _ in range(n_steps)]
    return nlp, optimizer, found


def predict(nlp):
    """RETURNS (Tuple[List[List[float]], List[Any]]): Scores of tags, and entities."""
    docs = list(nlp.pipe(TEXTS))
    scores = nlp.get_pipe("bert_ner").predict(docs)
    return [rows.tolist() for rows in scores], [get_ents(doc) for doc in docs]


def compare(recipe, gpu, folder):
    """Losses, averages and predictions are those of a CPU with the same weights."""
    found, weights = [], []
    encoder = save_encoder(
        folder / "encoder", "bert", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0
    )

    def begin(nlp):
        if weights:
            nlp.from_bytes(weights[0])
        else:
            weights.append(nlp.to_bytes())

    def work():
        nlp, optimizer, losses = learn(encoder, recipe, begin=begin)
        scores, ents = predict(nlp)
        if optimizer.averages:
            with nlp.use_params(optimizer.averages):
                scores += predict(nlp)[0]
        found.append(([numpy.array(rows) for rows in [losses, *scores]], ents))
        return nlp

    nlp = work()
    ops = [node.ops for _, pipe in nlp.pipeline for node in pipe.model.walk()]
    assert {type(one) for one in ops} == {CupyOps}
    with gpu.using_cpu():
        work()
    if gpu.IS_REAL and recipe.get("random"):
        return
    (arrays, ents), (cpu_arrays, cpu_ents) = found
    assert len(arrays) == len(cpu_arrays)
    for array, expected in zip(arrays, cpu_arrays):
        assert array == pytest.approx(expected, abs=2e-3)
    assert arrays[0] == pytest.approx(cpu_arrays[0], rel=1e-4)
    assert ents == cpu_ents


def _make_case(recipe):
    return lambda gpu, folder: compare(recipe, gpu, folder)


CASES.update({name: _make_case(recipe) for name, recipe in RECIPES.items()})


def learn_text(folder):
    """RETURNS (Language): A pipeline that has learned the first text."""
    fix_random_seed(0)
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    encoder = save_encoder(folder / "encoder", "bert")
    nlp = make_nlp({"name": encoder, "window": 0, "transformer_config": no_dropout})
    examples = [make_example(nlp)]
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 1e-2
    for _ in range(50):
        nlp.update(examples, sgd=optimizer)
    assert get_ents(nlp(TEXT)) == EXPECTED
    return nlp


def get_scores(nlp):
    return [(ent.text, ent.label_, round(ent._.score, 3)) for ent in nlp(TEXT).ents]


@case
def saved_pipelines(gpu, folder):
    """Saved on a GPU and read on a CPU, and the reverse; pickled; read in a new thread, where thinc
    would make arrays of NumPy."""
    nlp = learn_text(folder)
    expected = get_scores(nlp)
    nlp.to_disk(folder / "gpu")
    with gpu.using_cpu():
        on_cpu = spacy.load(folder / "gpu")
        assert get_scores(on_cpu) == expected
        on_cpu.to_disk(folder / "cpu")
    assert get_scores(spacy.load(folder / "cpu")) == expected
    assert get_scores(pickle.loads(pickle.dumps(nlp))) == expected
    check_thread(nlp, expected)
    lines = folder / "in.txt"
    lines.write_text("\n".join([TEXT] * 3), encoding="utf-8")
    for name in ("out.jsonl", "out.spacy", "out.conll"):
        annotate(str(folder / "gpu"), lines, folder / name, source="lines")
    rows, _ = annotate(str(folder / "gpu"), lines, source="lines")
    assert [(row.text, row.label) for row in rows] == EXPECTED * 3
    assert format_profile(profile(nlp, [TEXT] * 3, batch_size=2))


def check_thread(nlp, expected):
    found = []

    def work():
        try:
            found.append(get_scores(nlp))
            found.append([get_ents(doc) for doc in nlp.pipe([TEXT, "", TEXT])])
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(found[-1], Exception):
        raise found[-1]
    assert found == [expected, [EXPECTED, [], EXPECTED]]


@case
def own_encoder(gpu, folder):
    """With the encoder inside the component, and rehearsal, which needs that."""
    nlp, _, _ = learn(save_encoder(folder / "encoder", "bert"), {})
    nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
    nlp.remove_pipe("transformer")
    optimizer, examples = nlp.resume_training(), make_examples(nlp)
    nlp.update(examples, sgd=optimizer)
    assert nlp.rehearse(examples, sgd=optimizer)["bert_ner"] > 0.0
    nlp.to_disk(folder / "own")
    assert predict(spacy.load(folder / "own")) == predict(nlp)


@case
def further_training(gpu, folder):
    """With another label, without annotation, with the gradients of two batches in one step, and
    with a frozen encoder."""
    nlp, optimizer, _ = learn(save_encoder(folder / "encoder", "bert"), {})
    examples = make_examples(nlp)
    nlp.get_pipe("bert_ner").add_label("NEW")
    assert nlp.update(examples, sgd=optimizer)["bert_ner"] > 0.0
    docs = [Doc(nlp.vocab, words=WORDS) for _ in range(2)]
    assert nlp.update([Example(*docs)], sgd=optimizer)["bert_ner"] == 0.0
    for part in (examples[:1], examples[1:]):
        nlp.update(part, sgd=None)
    for _, pipe in nlp.pipeline:
        pipe.finish_update(optimizer)
    frozen = nlp.update(examples, sgd=optimizer, exclude=["transformer"], annotates=["transformer"])
    assert frozen["bert_ner"] > 0.0
    assert nlp.evaluate(examples)["ents_f"] is not None


@case
def hugging_face(gpu, folder):
    """Exported, imported, and trained further."""
    nlp, _, _ = learn(save_encoder(folder / "encoder", "bert"), {})
    to_huggingface(nlp, folder / "hf")
    again = from_huggingface(folder / "hf")
    assert [len(doc) for doc in again.pipe(TEXTS)] == [len(doc) for doc in nlp.pipe(TEXTS)]
    assert again.update(make_examples(again), sgd=again.resume_training())["bert_ner"] > 0.0


@case
def kept_documents(gpu, folder):
    """Documents with the encoder's output, copied and stored."""
    nlp, _, _ = learn(save_encoder(folder / "encoder", "bert"), {})
    doc = nlp(TEXT)
    copied = doc.copy()
    (stored,) = DocBin().from_bytes(DocBin(docs=[doc]).to_bytes()).get_docs(nlp.vocab)
    assert get_ents(stored) == get_ents(copied) == get_ents(doc)


# Budgets.

SIZES = (8, 32)
COUNTED = {
    "softmax": {},
    "CRF": {"head": CRF["model"], "component": {"loss": CRF["loss"]}},
    "concatenated": {"head": CONCATENATED},
}


def count_all(gpu, folder):
    """Count the events of one batch and of one step.

    RETURNS (Dict[str, List[Any]]): Lists of a kind, a package, a line and a number of events, by
        "recipe, work, number of documents".
    """
    encoder = save_encoder(folder / "encoder", "bert")
    found = {}
    for name, recipe in COUNTED.items():
        nlp, optimizer, _ = learn(encoder, recipe)
        for size in SIZES:
            lengths = [3 + i % 4 for i in range(size)]
            texts = [" ".join(WORDS[:n]) for n in lengths]
            examples = [make_example(nlp, WORDS[:n], TAGS[:n]) for n in lengths]
            docs = [nlp.make_doc(text) for text in texts]
            with gpu.counting() as events:
                list(nlp.pipe(docs, batch_size=size))
                found[f"{name}, batch, {size}"] = _to_rows(events)
            with gpu.counting() as events:
                nlp.update(examples, sgd=optimizer)
                found[f"{name}, step, {size}"] = _to_rows(events)
    return found


def _to_rows(events):
    return [[*key, n] for key, n in events.most_common()]
