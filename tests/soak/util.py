"""What the programs of this folder share: tiny pipelines that find entities."""

import spacy
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import fix_random_seed

from tests.hf.util import LISTENER
from tests.toy import save_encoder
from tests.util import make_nlp

HEADS = {
    "softmax": {},
    "crf": {
        "model": {"@architectures": "spacy-bert-ner.LinearCRF.v1", "tok2vec": LISTENER},
        "loss": {"@losses": "spacy-bert-ner.CRFLikelihood.v1"},
    },
}
TAGGED = "Anna/B-PER Berg/I-PER lives/O in/O Oslo/B-LOC ./O She/O met/O Karl/B-PER in/O Rome/B-LOC"
TEXTS = [
    "Anna Berg lives in Oslo. She met Karl in Rome",
    "Karl lives in Oslo",
    "Rome met Anna Berg in Oslo. " * 5,
    "She [SEP] lives",
    " ",
    "Anna",
]


def make_pipeline(folder, head="softmax", labels=("PER", "LOC"), seed=0, **settings):
    """Train a tiny pipeline and save it.

    head (str): A name in HEADS.
    labels (Tuple[str, str]): Names for persons and places.
    settings: Of the encoder.
    RETURNS (Language): As it is loaded again.
    """
    fix_random_seed(seed)
    encoder = save_encoder(folder / "encoder", "bert", **settings)
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    component = HEADS[head]
    nlp = make_nlp(
        {"name": encoder, "window": 0, "transformer_config": still},
        component.get("model"),
        {key: value for key, value in component.items() if key != "model"},
        lang="xx",
    )
    nlp.add_pipe("doc_cleaner", config={"attrs": {"_.trf_data": None}})
    words, tags = zip(*(item.split("/") for item in TAGGED.split()))
    tags = [tag.replace("PER", labels[0]).replace("LOC", labels[1]) for tag in tags]
    gold = Doc(nlp.vocab, words=words, ents=tags)
    examples = [Example(Doc(nlp.vocab, words=words), gold)]
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 1e-2
    for _ in range(60):
        nlp.update(examples, sgd=sgd)
    nlp.to_disk(folder / "pipeline")
    nlp = spacy.load(folder / "pipeline")
    assert len(nlp(TEXTS[0]).ents) == 4
    return nlp


def get_output(doc):
    """RETURNS (List[Tuple]): Entities with their scores, as far as a thread's sums are the same."""
    return [(ent.start, ent.end, ent.label_, round(ent._.score, 4)) for ent in doc.ents]
