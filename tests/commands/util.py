"""What the tests of commands share."""

from thinc.api import fix_random_seed

from ..util import TAGS, make_example, make_nlp

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def train(path, encoder, tags=TAGS, n_steps=8, seed=0, **settings):
    """A pipeline of the tiny encoder that has learned a bit, and isn't sure."""
    fix_random_seed(seed)
    transformer = {"name": encoder, "window": 0, "transformer_config": NO_DROPOUT}
    nlp = make_nlp(transformer, **settings)
    nlp.add_pipe("sentencizer", first=True)
    nlp.add_pipe("doc_cleaner", config={"attrs": {"_.trf_data": None}})
    examples = [make_example(nlp, tags=tags)]
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 1e-2
    for _ in range(n_steps):
        nlp.update(examples, sgd=sgd, drop=0.0)
    nlp.to_disk(path)
    return str(path)
