"""Architectures, wired from the layers. What needs torch is imported when it is built."""

from typing import Any, Callable, Dict, List, Optional, cast

import numpy
from spacy.tokens import Doc
from spacy.util import SimpleFrozenDict
from thinc.api import Dropout, Model, Ops, Softmax_v2, chain, with_array
from thinc.types import Floats2d, Ragged, Shape

from .layers.fixed_dropout import fixed_dropout

# Standard deviation of new weights in the head, as in BERT's classification heads.
INIT_STD = 0.02


def build_linear_softmax_v1(
    tok2vec: Model[List[Doc], List[Floats2d]],
    dropout: Optional[float] = None,
    nO: Optional[int] = None,
) -> Model[List[Doc], List[Floats2d]]:
    """Classify tokens with one linear layer and a softmax: Hugging Face's
    BertForTokenClassification (Devlin et al. 2019, section 5.3), with a tag for each spaCy token.

    tok2vec (Model[List[Doc], List[Floats2d]]): A vector for each token, (n_tokens, width).
    dropout (Optional[float]): Rate of dropout on these vectors; null follows `[training] dropout`.
    nO (Optional[int]): Number of tags; null takes it from the component's labels.
    RETURNS (Model[List[Doc], List[Floats2d]]): Probabilities, (n_tokens, nO).
    """
    width = tok2vec.maybe_get_dim("nO")
    drop: Model[Floats2d, Floats2d] = Dropout() if dropout is None else fixed_dropout(dropout)
    output_layer = Softmax_v2(nO, width, init_W=_init_normal)
    model: Model[List[Doc], List[Floats2d]] = chain(tok2vec, with_array(chain(drop, output_layer)))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("output_layer", output_layer)
    model.attrs["resize_output"] = resize_output
    return model


def resize_output(model: Model, new_nO: int) -> Model:
    """Give the head more tags, behind those it has. Their rows keep what they have learned."""
    old = model.get_ref("output_layer")
    new = Softmax_v2(new_nO, old.maybe_get_dim("nI"), init_W=_init_normal)
    if old.has_param("W"):
        new.initialize()
        for name in old.param_names:
            param = cast(Any, new.get_param(name))
            param[: old.get_dim("nO")] = old.get_param(name)
            new.set_param(name, param)
    model.replace_node(old, new)
    for node in (model, *model.layers[-1].walk()):
        if node is not new and node.has_dim("nO"):
            node.set_dim("nO", new_nO, force=True)
    return model


def build_transformer_model_v1(
    name: str,
    get_spans: Optional[Callable] = None,
    tokenizer_config: Dict[str, Any] = SimpleFrozenDict(use_fast=True),
    transformer_config: Dict[str, Any] = SimpleFrozenDict(),
    mixed_precision: bool = False,
    grad_scaler_config: Dict[str, Any] = SimpleFrozenDict(),
    window: int = 128,
    stride: int = 0,
    batch_pieces: int = 1024,
    freeze_layers: Optional[int] = None,
) -> Model:
    """A pre-trained encoder for spacy-transformers' `transformer` component, that reads whole
    documents in windows of whole sentences. No wordpiece is cut off, none is padded in the output.

    name (str): A folder, an installed Python package that holds an encoder, or a name on the
        Hugging Face hub. Asked once, at initialization.
    get_spans (Optional[Callable]): Has to be null: windows take the place of spans.
    tokenizer_config (Dict[str, Any]): Arguments for transformers.AutoTokenizer.
    transformer_config (Dict[str, Any]): Arguments for transformers.AutoConfig. Dropout inside the
        encoder is set here (`hidden_dropout_prob`): `[training] dropout` doesn't reach it.
    mixed_precision (bool): Run the encoder in half precision where torch.autocast does: fp16 on
        GPUs, bf16 on CPUs.
    grad_scaler_config (Dict[str, Any]): Settings of thinc's PyTorchGradScaler, for fp16.
    window (int): Wordpieces in a window, special tokens included. Consecutive sentences are packed
        up to it; a longer sentence stays whole as long as the encoder can read it. 0: every
        sentence alone.
    stride (int): Wordpieces between the starts of the overlapping windows into which a sentence
        is cut that the encoder can't read whole; 0: three quarters of their length.
    batch_pieces (int): Wordpieces that go through the encoder together, padding included, in
        training and in prediction.
    freeze_layers (Optional[int]): Keep the embeddings and the first n blocks as they are in
        training (Wu & Dredze 2019); null: train all.
    RAISES (ValueError): For settings out of their range, and for `get_spans`.
    """
    from .layers.encoder import EncoderSettings, encoder
    from .layers.shim import EncoderShim

    if get_spans is not None:
        raise ValueError(
            "spacy-bert-ner.TransformerModel.v1 makes its own spans: set get_spans = null, and "
            "window to the number of wordpieces to read at once."
        )
    for setting, value, least in (
        ("window", window, 0),
        ("stride", stride, 0),
        ("batch_pieces", batch_pieces, 1),
    ):
        if value < least:
            raise ValueError(
                f"Can't read text with {setting} = {value}: set it to {least} or more in "
                "[components.transformer.model]."
            )
    return encoder(
        EncoderSettings(
            name=name,
            tokenizer_config=dict(tokenizer_config),
            transformer_config=dict(transformer_config),
            window=window,
            stride=stride,
            batch_pieces=batch_pieces,
        ),
        EncoderShim(
            transformer_config=dict(transformer_config),
            freeze_layers=freeze_layers,
            mixed_precision=mixed_precision,
            grad_scaler_config=dict(grad_scaler_config),
        ),
    )


def build_tok2vec_transformer_v1(
    name: str,
    pooling: Model[Ragged, Floats2d],
    grad_factor: float = 1.0,
    get_spans: Optional[Callable] = None,
    tokenizer_config: Dict[str, Any] = SimpleFrozenDict(use_fast=True),
    transformer_config: Dict[str, Any] = SimpleFrozenDict(),
    mixed_precision: bool = False,
    grad_scaler_config: Dict[str, Any] = SimpleFrozenDict(),
    window: int = 128,
    stride: int = 0,
    batch_pieces: int = 1024,
    freeze_layers: Optional[int] = None,
) -> Model[List[Doc], List[Floats2d]]:
    """The encoder inside one component, without a `transformer` in the pipeline. This is what
    `nlp.replace_listeners` makes of a component that listens to `TransformerModel.v1`.

    pooling (Model[Ragged, Floats2d]): Reduces a token's wordpieces to one vector.
    grad_factor (float): Factor on the gradients that reach the encoder.

    The other settings are those of `TransformerModel.v1`.
    """
    from spacy_transformers.layers._util import replace_listener
    from spacy_transformers.layers.trfs2arrays import trfs2arrays

    transformer = build_transformer_model_v1(
        name=name,
        get_spans=get_spans,
        tokenizer_config=tokenizer_config,
        transformer_config=transformer_config,
        mixed_precision=mixed_precision,
        grad_scaler_config=grad_scaler_config,
        window=window,
        stride=stride,
        batch_pieces=batch_pieces,
        freeze_layers=freeze_layers,
    )
    # Nested like a TransformerListener.v1 in which the listener was replaced.
    return chain(replace_listener(transformer), trfs2arrays(pooling, grad_factor))


def _init_normal(ops: Ops, shape: Shape) -> Floats2d:
    return ops.asarray2f(numpy.random.normal(scale=INIT_STD, size=shape))  # type: ignore[arg-type]
