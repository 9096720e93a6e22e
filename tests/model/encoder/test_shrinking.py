import pytest
import torch

from spacy_bert_ner.errors import UserError
from spacy_bert_ner.model.encoder.huggingface import Encoder
from spacy_bert_ner.model.encoder.shrinking import keep_blocks, spread_blocks

from ...toy import FAMILIES, make_encoder

SHARED = ("albert",)
# Their config calls it n_layers.
NAMES = {"distilbert": "n_layers", "xlnet": "n_layer"}


def test_blocks_are_spread():
    assert spread_blocks(12, 6) == [0, 2, 4, 7, 9, 11]
    assert spread_blocks(6, 3) == [0, 2, 5]
    assert spread_blocks(24, 2) == [0, 23]
    assert spread_blocks(5, 1) == [0]
    for n_blocks in range(2, 30):
        for n_kept in range(1, n_blocks):
            chosen = spread_blocks(n_blocks, n_kept)
            assert sorted(set(chosen)) == chosen and len(chosen) == n_kept


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in SHARED])
def test_keeps_blocks(family):
    """Those that are chosen, one after the other, with all that is around them."""
    encoder = make_encoder(family, **{NAMES.get(family, "num_hidden_layers"): 4})
    before = {name: tensor.clone() for name, tensor in encoder.model.state_dict().items()}
    small = keep_blocks(encoder, 2)
    assert small.model.config.num_hidden_layers == 2
    assert encoder.model.config.num_hidden_layers == 4
    kept = small.model.state_dict()
    n_moved = 0
    for name, tensor in kept.items():
        if torch.equal(tensor, before[name]):
            continue
        # The second of two is the last of four.
        (place,) = [part for part in name.split(".") if part.isdigit()][:1]
        assert place == "1"
        assert torch.equal(tensor, before[name.replace(".1.", ".3.", 1)]), name
        n_moved += 1
    assert n_moved >= 4
    assert set(before) - set(kept)
    assert set(kept) <= set(before)
    assert small.tokenizer.get_vocab() == encoder.tokenizer.get_vocab()


def test_reads_as_its_blocks_do():
    encoder = make_encoder("bert", num_hidden_layers=3)
    small = keep_blocks(encoder, 2)
    assert small.model.config.layer_norm_eps == encoder.model.config.layer_norm_eps > 0
    ids = torch.tensor([[2, 7, 8, 9, 3]])
    with torch.inference_mode():
        hidden = encoder.model.embeddings(ids)
        for block in (encoder.model.encoder.layer[0], encoder.model.encoder.layer[2]):
            output = block(hidden)
            hidden = output[0] if isinstance(output, tuple) else output  # transformers 4, and 5
        found = small.model.eval()(ids).last_hidden_state
    torch.testing.assert_close(found, hidden)


def test_without_a_pooling_layer():
    """As encoders of Hugging Face's token classifiers are."""
    encoder = make_encoder("bert", num_hidden_layers=3)
    bare = type(encoder.model)(encoder.model.config, add_pooling_layer=False)
    small = keep_blocks(Encoder(bare, encoder.tokenizer), 1)
    assert small.model.pooler is None


@pytest.mark.parametrize("n_layers", [0, 2, 3])
def test_fewer_than_there_are(n_layers):
    with pytest.raises(UserError, match="which has 2 layers, to .: choose 1 to 1 layers"):
        keep_blocks(make_encoder("bert"), n_layers)


def test_no_blocks_of_their_own():
    with pytest.raises(UserError, match="Can't keep 1 layers of AlbertModel"):
        keep_blocks(make_encoder("albert"), 1)
    with pytest.raises(UserError, match="to 1: it has one"):
        keep_blocks(make_encoder("bert", num_hidden_layers=1), 1)
