import numpy
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from spacy_bert_ner.damage import DamagedPipelineError
from spacy_bert_ner.model.onnx.protobuf import check_self_contained
from spacy_bert_ner.model.onnx.sessions import get_graph

from .util import make_graph, make_proto, refer_to_file


def make_tensor():
    return numpy_helper.from_array(numpy.ones(3, dtype="float32"), "others")


def make_external():
    tensor = make_tensor()
    refer_to_file(tensor, "weights.bin")
    return tensor


def add_initializer(proto, tensor):
    proto.graph.initializer.append(tensor)


def add_sparse(proto, tensor):
    proto.graph.sparse_initializer.append(onnx.SparseTensorProto(values=tensor, dims=[3]))


def add_constant(proto, tensor):
    proto.graph.node.append(helper.make_node("Constant", [], ["constant"], value=tensor))


def add_list(proto, tensor):
    node = helper.make_node("Other", [], ["other"])
    node.attribute.append(
        onnx.AttributeProto(name="all", type=onnx.AttributeProto.TENSORS, tensors=[tensor])
    )
    proto.graph.node.append(node)


def add_branch(proto, tensor):
    branch = helper.make_graph([], "branch", [], [], [tensor])
    outer = helper.make_graph(
        [helper.make_node("If", ["c"], ["d"], then_branch=branch, else_branch=branch)], "b", [], []
    )
    proto.graph.node.append(
        helper.make_node("If", ["c"], ["e"], then_branch=outer, else_branch=outer)
    )


def add_function(proto, tensor):
    node = helper.make_node("Constant", [], ["y"], value=tensor)
    proto.functions.append(helper.make_function("own", "f", [], ["y"], [node], []))


def add_training(proto, tensor):
    algorithm = helper.make_graph([], "algorithm", [], [], [tensor])
    proto.training_info.append(onnx.TrainingInfoProto(algorithm=algorithm))


PLACES = [
    add_initializer,
    add_sparse,
    add_constant,
    add_list,
    add_branch,
    add_function,
    add_training,
]


@pytest.mark.parametrize("add", PLACES)
def test_files_are_refused_wherever_they_are_named(add):
    proto = make_proto()
    add(proto, make_tensor())
    check_self_contained(proto.SerializeToString())
    proto = make_proto()
    add(proto, make_external())
    with pytest.raises(ValueError, match="another file"):
        check_self_contained(proto.SerializeToString())


@pytest.mark.parametrize("field", ["data_location", "external_data"])
def test_one_of_both_fields_is_enough(field):
    tensor = make_external()
    tensor.ClearField(field)
    proto = make_proto()
    proto.graph.initializer.append(tensor)
    with pytest.raises(ValueError, match="another file"):
        check_self_contained(proto.SerializeToString())


def test_file_is_not_read(tmp_path, monkeypatch):
    """Neither in the current folder, nor by its path; and the message is one line."""
    monkeypatch.chdir(tmp_path)
    proto = make_proto()
    table = proto.graph.initializer[0]
    (tmp_path / "weights.bin").write_bytes(table.raw_data)
    for location in ("weights.bin", str(tmp_path / "weights.bin")):
        refer_to_file(table, location)
        with pytest.raises(DamagedPipelineError, match="another file") as caught:
            get_graph(proto.SerializeToString())
        assert "\n" not in str(caught.value)


def test_long_field_number():
    """A number of more than 32 bits, whose upper ones protobuf ignores."""
    location = bytes([(14 << 3) | 0x80, 0x80, 0x80, 0x80, 0x10, TensorProto.EXTERNAL])
    tensor = make_tensor().SerializeToString() + location
    initializer = bytes([5 << 3 | 2, len(tensor)]) + tensor
    graph = make_proto().graph.SerializeToString() + initializer
    size = bytes([len(graph) & 0x7F | 0x80, len(graph) >> 7])
    with pytest.raises(ValueError, match="another file"):
        check_self_contained(bytes([7 << 3 | 2]) + size + graph)


@pytest.mark.parametrize(
    "data",
    [
        make_graph()[:-3],
        make_graph() + b"\xff",
        b"\x3b\x3c",  # a group
        b"\x80" * 11,
        b"ORTM" * 20,
    ],
)
def test_other_bytes(data):
    with pytest.raises(DamagedPipelineError, match="no valid"):
        get_graph(data)
