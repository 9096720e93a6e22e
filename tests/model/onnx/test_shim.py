import copy
import pickle
from dataclasses import asdict

import pytest
import srsly

from spacy_bert_ner.damage import DamagedPipelineError, get_checksums
from spacy_bert_ner.model.onnx.shim import OnnxShim

from ... import toy
from .util import make_facts, make_graph

PIECES = toy.piece_tokenizer("wordpiece")
PARTS = {
    "graph": make_graph(),
    "tokenizer": PIECES.backend.to_str(),
    "facts": srsly.json_dumps(asdict(make_facts(PIECES))),
}


def pack(**changed):
    """RETURNS (bytes): A shim of these parts, with checksums that fit."""
    parts = {**PARTS, **changed}
    contents = {
        key: value if isinstance(value, bytes) else value.encode() for key, value in parts.items()
    }
    return srsly.msgpack_dumps({**parts, "checksums": get_checksums(contents)})


def make_shim():
    return OnnxShim(None).from_bytes(pack())


@pytest.mark.parametrize(
    "make_copy",
    [
        lambda shim: OnnxShim(None).from_bytes(shim.to_bytes()),
        lambda shim: pickle.loads(pickle.dumps(shim)),
        copy.deepcopy,
        lambda shim: shim.copy(),
    ],
)
def test_copies(make_copy):
    shim = make_shim()
    other = make_copy(shim)
    assert other.export == shim.export
    assert other.export.graph is shim.export.graph
    assert other.pieces is not shim.pieces
    text = ["Oslo [SEP] ab"]
    assert other.pieces(text)[0].tolist() == shim.pieces(text)[0].tolist()
    assert other.to_bytes() == shim.to_bytes()


def test_empty():
    shim = OnnxShim(None)
    assert OnnxShim(None).from_bytes(shim.to_bytes()).export is None


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"graph": PARTS["graph"][:-5]}, "graph"),
        ({"graph": b"\0\1\2"}, "graph"),
        ({"tokenizer": PARTS["tokenizer"][:-5]}, "tokenizer"),
        ({"tokenizer": "{}"}, "tokenizer"),
        ({"facts": PARTS["facts"][:-5]}, "facts"),
        ({"facts": "{}"}, "facts"),
        ({"facts": PARTS["facts"].replace('"width":8', '"width":"8"')}, "facts"),
        ({"facts": PARTS["facts"].replace('"width":8', '"width":8,"more":1')}, "facts"),
        ({"facts": PARTS["facts"].replace('"controls":[', '"controls":["a",')}, "facts"),
    ],
)
def test_damaged_parts(changed, part):
    assert next(iter(changed.values())) != PARTS[part]
    with pytest.raises(DamagedPipelineError, match=f"^Can't read the {part} of") as caught:
        OnnxShim(None).from_bytes(pack(**changed))
    assert "\n" not in str(caught.value)


def test_damaged_bytes():
    """Wherever they are cut or changed, one line says so."""
    data = pack()
    for i in (0, 1, 5, 40, 3000, len(data) // 2, len(data) - 9, len(data) - 1):
        for damaged in (data[:i], data[:i] + bytes([data[i] ^ 0x15]) + data[i + 1 :]):
            with pytest.raises(DamagedPipelineError) as caught:
                OnnxShim(None).from_bytes(damaged)
            assert "\n" not in str(caught.value)


def test_part_of_another_export():
    data = srsly.msgpack_loads(pack())
    data["graph"] = make_graph(width=9)
    with pytest.raises(DamagedPipelineError, match="^Can't use the graph of"):
        OnnxShim(None).from_bytes(srsly.msgpack_dumps(data))


@pytest.mark.parametrize("kind", toy.TOKENIZERS)
def test_tokenizer_of_its_text(kind):
    """The pieces are those of the tokenizer of transformers."""
    pieces = toy.piece_tokenizer(kind)
    facts = make_facts(pieces)
    shim = OnnxShim(None)
    shim.set_export(PARTS["graph"], pieces.backend.to_str(), facts)
    texts = ["Anna  Berg [SEP] <s> \t ab", "", "\ue000", "北é [UNK]<pad>"]
    for found, expected in zip(shim.pieces(texts), pieces(texts)):
        assert found.tolist() == expected.tolist()
    assert (shim.pieces.prefix, shim.pieces.suffix) == (pieces.prefix, pieces.suffix)
