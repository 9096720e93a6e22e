"""Exports of torch encoders, as graphs for tests."""

import io
import warnings

import torch

from spacy_bert_ner.model.onnx.layer import set_export
from spacy_bert_ner.model.onnx.shim import Facts
from spacy_bert_ner.pipeline.encoders import iter_encoders
from spacy_bert_ner.pipeline.listeners import get_listeners


class Vectors(torch.nn.Module):
    """The last output of an encoder alone."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids, attention_mask):
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]


def make_graph(module):
    """RETURNS (bytes): The ONNX file of an encoder of transformers."""
    module = Vectors(module.eval())
    sample = torch.ones(2, 8, dtype=torch.long)
    axes = {0: "n_windows", 1: "longest"}
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            (sample, sample),
            file,
            input_names=["input_ids", "attention_mask"],
            output_names=["vectors"],
            dynamic_axes=dict.fromkeys(("input_ids", "attention_mask", "vectors"), axes),
            dynamo=False,
        )
    return file.getvalue()


def get_facts(shim, **changed):
    """RETURNS (Facts): Those of an EncoderShim."""
    module = shim.encoder.model
    return Facts(
        **{
            "name": "toy",
            "family": module.config.model_type,
            "precision": "fp32",
            "n_layers": module.config.num_hidden_layers,
            "n_parameters": sum(param.numel() for param in module.parameters()),
            "width": module.config.hidden_size,
            "limit": shim.limit,
            "pad_id": shim.pad_id,
            "filler": shim.pieces.filler,
            "controls": shim.pieces.controls,
            **changed,
        }
    )


def export(nlp):
    """Export a pipeline with a transformer and a bert_ner.

    RETURNS (Language): A pipeline with an encoder of ONNX in its bert_ner. Other components and
        weights are the same.
    """
    (found,) = (
        found for found in iter_encoders(nlp.get_pipe("transformer").model) if found.is_ours
    )
    config = nlp.config.copy()
    settings = found.node.attrs["settings"]
    model = config["components"]["bert_ner"]["model"]
    listener = model["tok2vec"]
    model["tok2vec"] = {
        "@architectures": "spacy-bert-ner.OnnxEncoder.v1",
        "pooling": listener["pooling"],
        "window": settings.window,
        "stride": settings.stride,
        "context": settings.context,
    }
    exported = nlp.from_config(
        {**config, "nlp": {**config["nlp"], "pipeline": _without(nlp)}},
        vocab=nlp.vocab,
        auto_fill=True,
    )
    encoder = find_layer(exported.get_pipe("bert_ner"))
    set_export(
        encoder,
        make_graph(found.module),
        found.shim.pieces.backend.to_str(),
        get_facts(found.shim),
    )
    ner = nlp.get_pipe("bert_ner").model
    (inner,) = get_listeners(ner)
    # With its pooling layer.
    listener = next(node for node in ner.walk() if inner in node.layers)
    ner.replace_node(listener, encoder)
    for name in exported.component_names:
        exported.get_pipe(name).from_bytes(nlp.get_pipe(name).to_bytes())
    ner.replace_node(encoder, listener)
    return exported


def find_layer(component):
    """RETURNS (Model): The layer of the exported encoder in a component."""
    return next(node for node in component.model.walk() if node.name == "onnx-encoder")


def _without(nlp):
    return [name for name in nlp.pipe_names if name not in ("transformer", "doc_cleaner")]
