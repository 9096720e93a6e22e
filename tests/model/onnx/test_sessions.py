import copy
import gc
import os
import pickle
import subprocess
import sys
import weakref

import numpy
import onnxruntime
import pytest

from spacy_bert_ner.damage import DamagedPipelineError
from spacy_bert_ner.model.encoder.batches import Batch
from spacy_bert_ner.model.onnx import sessions
from spacy_bert_ner.model.onnx.sessions import get_graph, get_n_threads

from .util import INPUTS, make_graph, make_proto

BATCH = Batch(ids=numpy.array([[2, 7, 9, 3], [2, 8, 3, 0]]), lengths=numpy.array([4, 3]), places=[])


def test_equal_graphs_are_one():
    graph = get_graph(make_graph())
    assert get_graph(make_graph()) is graph
    assert copy.deepcopy(graph) is graph
    assert copy.copy(graph) is graph
    assert pickle.loads(pickle.dumps(graph)) is graph
    assert get_graph(make_graph(width=9)) is not graph


def test_graph_is_freed():
    graph = get_graph(make_graph(width=7))
    graph.run(BATCH, 1)
    freed = weakref.ref(graph)
    del graph
    gc.collect()
    assert freed() is None


def test_one_session(monkeypatch):
    made = []
    make = onnxruntime.InferenceSession

    def count(*args):
        made.append(make(*args))
        return made[-1]

    monkeypatch.setattr(onnxruntime, "InferenceSession", count)
    first, second = get_graph(make_graph(width=5)), get_graph(make_graph(width=5))
    assert made == []  # not before it is used
    first.run(BATCH, 1)
    second.run(BATCH, 1)
    assert len(made) == 1
    assert made[0].get_providers() == ["CPUExecutionProvider"]
    second.run(BATCH, 2)
    options = [session.get_session_options() for session in made]
    assert [item.intra_op_num_threads for item in options] == [1, 2]


def test_inputs():
    """The third only for a graph that has it. Its values are 0."""
    vectors = get_graph(make_graph()).run(BATCH, 1)
    assert vectors.shape == (2, 4, 8)
    assert vectors.dtype == numpy.float32
    typed = get_graph(make_graph(inputs=(*INPUTS, "token_type_ids"))).run(BATCH, 1)
    numpy.testing.assert_array_equal(typed, vectors)


def test_other_inputs():
    graph = get_graph(make_graph(inputs=(*INPUTS, "position_ids")))
    with pytest.raises(DamagedPipelineError, match="inputs .*position_ids"):
        graph.run(BATCH, 1)


def test_other_output():
    proto = make_proto()
    proto.graph.output[0].type.tensor_type.shape.dim.pop()
    with pytest.raises(DamagedPipelineError, match="Can't read the graph"):
        get_graph(proto.SerializeToString()).run(BATCH, 1)


def test_own_operators_are_unknown():
    proto = make_proto()
    proto.graph.node[0].domain = "com.own"
    proto.opset_import.add(domain="com.own", version=1)
    with pytest.raises(DamagedPipelineError, match="Can't read the graph") as caught:
        get_graph(proto.SerializeToString()).run(BATCH, 1)
    assert "\n" not in str(caught.value)


def test_without_onnxruntime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match="python -m pip install onnxruntime"):
        get_graph(make_graph(width=3)).run(BATCH, 1)


@pytest.mark.parametrize(
    ("setting", "variable", "expected"),
    [(3, "2", 3), (None, "2", 2), (None, "2,1", 2), (None, None, 0), (None, "", 0), (None, "x", 0)],
)
def test_threads(setting, variable, expected, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert get_n_threads(setting) == expected


def test_one_thread_in_processes_of_others(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(sessions.multiprocessing, "parent_process", lambda: "parent")
    assert (get_n_threads(None), get_n_threads(3)) == (1, 3)


FORK = """
import os, sys, numpy
from spacy_bert_ner.model.onnx.sessions import get_graph, get_n_threads
from spacy_bert_ner.model.encoder.batches import Batch
graph = get_graph(open(sys.argv[1], "rb").read())
batch = Batch(ids=numpy.array([[2, 7, 9, 3]]), lengths=numpy.array([4]), places=[])
expected = graph.run(batch, 2)
child = os.fork()
if child == 0:
    assert get_n_threads(None) == 1
    assert (graph.run(batch, 2) == expected).all()
    assert (graph.run(batch, None) == expected).all()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"
    sys.exit(0)  # as servers do
_, status = os.waitpid(child, 0)
assert (graph.run(batch, 2) == expected).all()
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_fork(tmp_path):
    """With threads that a fork doesn't copy."""
    path = tmp_path / "graph.onnx"
    path.write_bytes(make_graph())
    done = subprocess.run([sys.executable, "-c", FORK, path], capture_output=True, timeout=300)
    assert (done.returncode, done.stderr.decode()) == (0, "")
