"""Exports of torch encoders, and graphs made by hand."""

import io
import warnings

import numpy
import torch
from onnx import TensorProto, helper, numpy_helper

from spacy_bert_ner.model.onnx.layer import set_export
from spacy_bert_ner.model.onnx.shim import Facts
from spacy_bert_ner.pipeline.encoders import iter_encoders
from spacy_bert_ner.pipeline.listeners import get_listeners

INPUTS = ("input_ids", "attention_mask")
SHAPE = ["n_windows", "longest"]


class Vectors(torch.nn.Module):
    """The last output of an encoder alone."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids, attention_mask):
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]


def export_graph(encoder):
    """RETURNS (bytes): The ONNX file of an encoder of transformers."""
    sample = torch.ones(2, 8, dtype=torch.long)
    axes = dict(enumerate(SHAPE))
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Vectors(encoder.eval()),
            (sample, sample),
            file,
            input_names=list(INPUTS),
            output_names=["vectors"],
            dynamic_axes=dict.fromkeys((*INPUTS, "vectors"), axes),
            dynamo=False,
        )
    return file.getvalue()


def make_proto(n_rows=200, width=8, inputs=INPUTS):
    """A graph by hand: the vector of a wordpiece is a row of a table, plus the mask and all other
    inputs.

    RETURNS (ModelProto): The graph.
    """
    table = numpy.random.default_rng(0).normal(size=(n_rows, width)).astype("float32")
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["sum_0"])]
    for i, name in enumerate(inputs[1:]):
        nodes += [
            helper.make_node("Cast", [name], [f"cast_{i}"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", [f"cast_{i}", "axes"], [f"wide_{i}"]),
            helper.make_node("Add", [f"sum_{i}", f"wide_{i}"], [f"sum_{i + 1}"]),
        ]
    graph = helper.make_graph(
        nodes,
        "encoder",
        [helper.make_tensor_value_info(name, TensorProto.INT64, SHAPE) for name in inputs],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, [*SHAPE, width])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(numpy.array([-1]), "axes"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def make_graph(**settings):
    """RETURNS (bytes): The ONNX file of `make_proto`."""
    return make_proto(**settings).SerializeToString()


def get_facts(shim, **changed):
    """RETURNS (Facts): Those of an EncoderShim."""
    module = shim.encoder.model
    return make_facts(
        shim.pieces,
        **{
            "family": module.config.model_type,
            "n_layers": module.config.num_hidden_layers,
            "n_parameters": sum(param.numel() for param in module.parameters()),
            "width": module.config.hidden_size,
            "limit": shim.limit,
            "pad_id": shim.pad_id,
            **changed,
        },
    )


def make_facts(pieces, **changed):
    """RETURNS (Facts): For the tokenizer of a graph made by hand."""
    return Facts(
        **{
            "name": "toy",
            "family": "bert",
            "precision": "fp32",
            "n_layers": 0,
            "n_parameters": 1600,
            "width": 8,
            "limit": 40,
            "pad_id": 0,
            "filler": pieces.filler,
            "controls": pieces.controls,
            **changed,
        }
    )


def export(nlp):
    """Export a pipeline with a transformer and a bert_ner that listens to it.

    RETURNS (Language): A pipeline with an exported encoder in its bert_ner. Other components are
        the same, but for those that the encoder needs.
    """
    (found,) = (item for item in iter_encoders(nlp.get_pipe("transformer").model) if item.is_ours)
    shim, settings = found.shim, found.node.attrs["settings"]
    config = nlp.config.copy()
    others = [name for name in nlp.pipe_names if name not in ("transformer", "doc_cleaner")]
    config["nlp"]["pipeline"] = others
    config["components"] = {name: config["components"][name] for name in others}
    model = config["components"]["bert_ner"]["model"]
    model["tok2vec"] = {
        "@architectures": "spacy-bert-ner.OnnxEncoder.v1",
        "pooling": model["tok2vec"]["pooling"],
        "window": settings.window,
        "stride": settings.stride,
        "context": settings.context,
    }
    exported = nlp.from_config(config, vocab=nlp.vocab, auto_fill=True)
    layer = find_layer(exported)
    graph = export_graph(found.module)
    set_export(layer, graph, shim.pieces.backend.to_str(), get_facts(shim))
    ner = nlp.get_pipe("bert_ner").model
    (inner,) = get_listeners(ner)
    listener = next(node for node in ner.walk() if inner in node.layers)  # with its pooling
    ner.replace_node(listener, layer)
    for name in others:
        if hasattr(nlp.get_pipe(name), "to_bytes"):
            exported.get_pipe(name).from_bytes(nlp.get_pipe(name).to_bytes())
    ner.replace_node(layer, listener)
    return exported


def find_layer(nlp, name="bert_ner"):
    """RETURNS (Model): The layer of the exported encoder in a component."""
    (found,) = (item for item in iter_encoders(nlp.get_pipe(name).model) if item.is_exported)
    return found.node


def find_shim(nlp, name="bert_ner"):
    return find_layer(nlp, name).shims[0]


def refer_to_file(tensor, location):
    """Make a tensor of a graph refer to a file for its values."""
    tensor.ClearField("raw_data")
    tensor.ClearField("external_data")
    tensor.external_data.add(key="location", value=location)
    tensor.data_location = TensorProto.EXTERNAL
