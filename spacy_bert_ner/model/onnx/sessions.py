"""ONNX graphs and the onnxruntime sessions that run them: one for each graph in a process."""

import hashlib
import multiprocessing
import os
from threading import Lock
from typing import Any, Dict, Optional, Tuple
from weakref import WeakValueDictionary

import numpy

from ...damage import reading
from ...errors import UserError
from ...types import Floats3d
from ..encoder.batches import Batch
from .outputs import RecentOutputs
from .protobuf import check_self_contained

PLACE = "the graph of the encoder in the file 'model' of its component"
REQUIRED, OPTIONAL = {"input_ids", "attention_mask"}, {"token_type_ids"}

_LOCK = Lock()
_GRAPHS: "WeakValueDictionary[str, OnnxGraph]" = WeakValueDictionary()
_IS_FORKED = False


class OnnxGraph:
    """An ONNX graph. It never changes, so that all encoders with the same graph can share it, and
    copies of a pipeline with the original. Make it with `get_graph`.

    Attributes
    ----------
    data (bytes): The ONNX file.
    recent (RecentOutputs): What it has just read.
    """

    def __init__(self, data: bytes):
        self.data = data
        self.recent = RecentOutputs()
        self._sessions: Dict[int, Any] = {}

    def __copy__(self) -> "OnnxGraph":
        return self

    def __deepcopy__(self, memo: Dict[int, Any]) -> "OnnxGraph":
        return self

    def __reduce__(self) -> Tuple[Any, ...]:
        return get_graph, (self.data,)

    def run(self, batch: Batch, n_threads: Optional[int]) -> Floats3d:
        """Run the encoder. The first call in a process starts onnxruntime.

        batch (Batch): Windows.
        n_threads (Optional[int]): See `get_n_threads`.
        RETURNS (Floats3d): Vectors of wordpieces, float32, (n_windows, longest, width).
        RAISES (ValueError): Without onnxruntime. DamagedPipelineError: For a graph that isn't that
            of an encoder.
        """
        session = self._get_session(get_n_threads(n_threads))
        inputs = {"input_ids": batch.ids, "attention_mask": batch.mask}
        if any(node.name == "token_type_ids" for node in session.get_inputs()):
            inputs["token_type_ids"] = numpy.zeros_like(batch.ids)
        vectors: Floats3d = session.run([session.get_outputs()[0].name], inputs)[0]
        return vectors

    def _get_session(self, n_threads: int) -> Any:
        with _LOCK:
            if n_threads not in self._sessions:
                self._sessions[n_threads] = _make_session(self.data, n_threads)
            return self._sessions[n_threads]


def get_graph(data: bytes) -> OnnxGraph:
    """Get the graph of an ONNX file, the same object for the same content.

    data (bytes): The file.
    RETURNS (OnnxGraph): The graph.
    RAISES (DamagedPipelineError): For a file that isn't one, or needs others.
    """
    key = hashlib.sha256(data).hexdigest()
    with _LOCK:
        graph = _GRAPHS.get(key)
        if graph is None:
            with reading(PLACE):
                check_self_contained(data)
            graph = _GRAPHS[key] = OnnxGraph(data)
        return graph


def get_n_threads(n_threads: Optional[int]) -> int:
    """Find how many threads to use.

    n_threads (Optional[int]): The setting; None for one thread in processes that were started by
        `multiprocessing` (as with nlp.pipe(n_process=2)) or by a fork, and elsewhere the number in
        OMP_NUM_THREADS, or one for each core.
    RETURNS (int): Number of threads, 0 for one for each core.
    """
    if n_threads is not None:
        return n_threads
    if _IS_FORKED or multiprocessing.parent_process() is not None:
        return 1
    # A list has a number for each level of nested threads.
    stated = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(stated) if stated.isdecimal() else 0


def switch_off_telemetry() -> None:
    """Call this before the first import of onnxruntime. Since version 1.29, it sends events about
    models and their use to Microsoft, from a thread that a forked process waits for when it exits.
    The environment variable ORT_DISABLE_TELEMETRY overrides this."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def import_onnxruntime() -> Any:
    """Import onnxruntime, without its telemetry.

    RETURNS (module): The module.
    RAISES (ValueError): If it isn't installed.
    """
    switch_off_telemetry()
    try:
        import onnxruntime
    except ImportError as error:
        raise UserError(
            "Can't run an exported encoder without onnxruntime: python -m pip install onnxruntime."
        ) from error
    return onnxruntime


def _make_session(data: bytes, n_threads: int) -> Any:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = n_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors: warnings are about details of the graph
    # A plan is kept for each shape of a batch, and there are many.
    options.enable_mem_pattern = False
    # Not onnxruntime's own format, which the check of references to files can't read.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    with reading(PLACE):
        session = onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])
        inputs = {node.name for node in session.get_inputs()}
        if not REQUIRED <= inputs <= REQUIRED | OPTIONAL:
            raise UserError(f"inputs {sorted(inputs)} instead of {sorted(REQUIRED)}")
        output = session.get_outputs()[0]
        if output.type != "tensor(float)" or len(output.shape or ()) != 3:
            raise UserError(f"the output is {output.type} {output.shape}")
    return session


def _leave_sessions() -> None:
    """Make new sessions after a fork, which doesn't copy the threads of the old ones."""
    global _LOCK, _IS_FORKED
    _LOCK = Lock()
    _IS_FORKED = True
    for graph in list(_GRAPHS.values()):
        graph._sessions = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_sessions)
