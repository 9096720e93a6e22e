"""An exported encoder as a shim of thinc: prediction on the CPU, and bytes."""

from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Optional, Sequence, cast

import srsly
from spacy.tokens import Doc
from thinc.api import Optimizer
from thinc.shims import Shim
from tokenizers import Tokenizer

from ...damage import CHECKSUMS, check_checksums, get_checksums, reading
from ...types import Bools1d, Floats3d
from ..encoder.batches import Batch
from ..encoder.tokenizer import PieceTokenizer
from .sessions import PLACE as GRAPH_PLACE
from .sessions import OnnxGraph, get_graph

PLACES = {
    "graph": GRAPH_PLACE,
    "tokenizer": GRAPH_PLACE.replace("graph", "tokenizer", 1),
    "facts": GRAPH_PLACE.replace("graph", "facts", 1),
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What else is known of an exported encoder.

    Attributes
    ----------
    name (str): Name of the encoder that it was exported from.
    family (str): Hugging Face's name for its kind, such as "bert".
    precision (str): Precision of its weights, such as "fp32" or "int8".
    n_layers, n_parameters (int): Number of its blocks, and of its weights.
    width (int): Width of its vectors.
    limit (int): The most wordpieces that it can read at once.
    pad_id (int): Vocabulary id of the padding.
    filler (int): See `PieceTokenizer`.
    controls (List[int]): See `PieceTokenizer`.
    """

    name: str
    family: str
    precision: str
    n_layers: int
    n_parameters: int
    width: int
    limit: int
    pad_id: int
    filler: int
    controls: List[int]

    def __post_init__(self) -> None:
        """RAISES (TypeError): For a value of another type."""
        for key, value in asdict(self).items():
            values = value if key == "controls" else [value]
            kind = str if key in ("name", "family", "precision") else int
            if not isinstance(values, list) or not all(type(item) is kind for item in values):
                raise TypeError(f"{key} = {value!r}")


@dataclass(frozen=True)
class Export:
    """An exported encoder, see `OnnxShim.set_export`."""

    graph: OnnxGraph
    tokenizer: str
    facts: Facts


class OnnxShim(Shim):
    """An exported encoder, which can only predict. It runs on the CPU, whatever the device of other
    layers.

    n_threads (Optional[int]): Threads to use, see `get_n_threads`.

    Attributes
    ----------
    export (Optional[Export]): The encoder, None before one is set.
    pieces (PieceTokenizer): Its tokenizer.
    limit (int): The most wordpieces that it can read at once.
    """

    def __init__(self, n_threads: Optional[int]):
        super().__init__(None)
        self.n_threads = n_threads
        self.export: Optional[Export] = None

    def set_export(self, graph: bytes, tokenizer: str, facts: Facts) -> None:
        """Use an exported encoder.

        graph (bytes): An ONNX file with all weights in it. Its inputs are `input_ids`,
            `attention_mask` and, if it has it, `token_type_ids`, int64, (n_windows, longest); its
            first output are the vectors of the wordpieces, float32, (n_windows, longest, width).
        tokenizer (str): The text of a tokenizer.json: the `backend` of its PieceTokenizer.
        facts (Facts): What else is known of it.
        RAISES (DamagedPipelineError): For a graph or tokenizer that can't be read.
        """
        with reading(PLACES["tokenizer"]):
            backend = Tokenizer.from_str(tokenizer)
            self.pieces = PieceTokenizer(backend, controls=facts.controls, filler=facts.filler)
        self.limit = facts.limit
        self.export = Export(get_graph(graph), tokenizer, facts)

    def wait(self) -> None:
        """Does nothing, since `encode` returns when all is done. See `EncoderShim.wait`."""

    def encode(self, batch: Batch) -> Floats3d:
        """Run the encoder to predict.

        batch (Batch): Windows.
        RETURNS (Floats3d): Vectors of wordpieces, float32, (n_windows, longest, width).
        """
        assert self.export is not None
        return self.export.graph.run(batch, self.n_threads)

    def get_read(self, docs: Sequence[Doc]) -> List[Optional[Bools1d]]:
        """Find the tokens that have wordpieces, in documents that the encoder has just read.

        docs (Sequence[Doc]): The documents.
        RETURNS (List[Optional[Bools1d]]): bool, (n_tokens,); None where it is unknown.
        """
        assert self.export is not None
        return self.export.graph.recent.get_read(self, docs)

    def finish_update(self, optimizer: Optimizer) -> None:
        """Do nothing, since there are no gradients.

        optimizer (Optimizer): Not used.
        """

    def to_device(self, device_type: str, device_id: int) -> None:
        """Do nothing, since it runs on the CPU.

        device_type (str): Not used.
        device_id (int): Not used.
        """

    def to_bytes(self) -> bytes:
        """RETURNS (bytes): The encoder, with nothing pickled; empty if there is none."""
        data: Dict[str, Any] = {}
        if self.export is not None:
            data = {
                "graph": self.export.graph.data,
                "tokenizer": self.export.tokenizer,
                "facts": srsly.json_dumps(asdict(self.export.facts), sort_keys=True),
            }
            data[CHECKSUMS] = get_checksums(_as_bytes(data))
        return cast(bytes, srsly.msgpack_dumps(data))

    def from_bytes(self, bytes_data: bytes) -> "OnnxShim":
        """Load the result of `to_bytes`.

        bytes_data (bytes): The encoder.
        RETURNS (OnnxShim): This object.
        RAISES (DamagedPipelineError): For bytes that can't be read, and for an encoder that can't
            be used.
        """
        with reading(GRAPH_PLACE.replace("graph", "parts", 1)):
            data = srsly.msgpack_loads(bytes_data)
            if data == {}:
                return self
            check_checksums(data[CHECKSUMS], _as_bytes(data), PLACES)
        with reading(PLACES["facts"]):
            facts = Facts(**srsly.json_loads(data["facts"]))
        self.set_export(data["graph"], data["tokenizer"], facts)
        return self


def _as_bytes(data: Dict[str, Any]) -> Dict[str, bytes]:
    """The parts of an export, for checksums."""
    return {
        "graph": data["graph"],
        "tokenizer": data["tokenizer"].encode("utf-8"),
        "facts": data["facts"].encode("utf-8"),
    }
