"""Architectures, wired from the layers. What needs torch is imported when it is built."""

from inspect import Parameter, Signature, signature
from typing import Any, Callable, Dict, List, Optional

from spacy.tokens import Doc
from spacy.util import SimpleFrozenDict
from thinc.api import Model, chain
from thinc.types import Floats2d

from ..errors import UserError
from .heads import init_normal, make_head, softmax
from .layers.dense_norm import dense_norm
from .layers.linear_crf import linear_crf
from .types import PoolingT, Tok2VecT


def build_linear_softmax_v1(
    tok2vec: Model[List[Doc], List[Floats2d]],
    dropout: Optional[float] = None,
    nO: Optional[int] = None,
) -> Model[List[Doc], List[Floats2d]]:
    """Classify tokens with one linear layer and a softmax: Hugging Face's
    BertForTokenClassification (Devlin et al. 2019, section 5.3), with a tag for each spaCy token.

    tok2vec (Model[List[Doc], List[Floats2d]]): A vector for each token, (n_tokens, width).
    dropout (Optional[float]): Rate of dropout on these vectors; null follows `[training] dropout`.
    nO (Optional[int]): Number of tags, which can't grow; null takes it from the component's labels.
    RETURNS (Model[List[Doc], List[Floats2d]]): Probabilities, (n_tokens, nO).
    """
    return make_head(tok2vec, nO, dropout, softmax(nO, tok2vec.maybe_get_dim("nO")))


def build_dense_softmax_v1(
    tok2vec: Model[List[Doc], List[Floats2d]],
    dropout: Optional[float] = None,
    nO: Optional[int] = None,
    activation: str = "gelu",
    bias: bool = False,
    norm_bias: bool = False,
    eps: float = 1e-5,
) -> Model[List[Doc], List[Floats2d]]:
    """Classify tokens as ModernBERT's head does (Warner et al. 2024): a dense layer, activation and
    normalization, and then `LinearSoftmax.v1`.

    activation (str): "gelu", "relu", "silu" or "tanh".
    bias, norm_bias (bool): Whether the dense layer and the normalization have biases.
    eps (float): Added to variances in the normalization.
    RETURNS (Model[List[Doc], List[Floats2d]]): Probabilities, (n_tokens, nO).
    RAISES (ValueError): For an `eps` that isn't above 0.

    The other settings are those of `LinearSoftmax.v1`.
    """
    if not eps > 0.0:
        raise UserError(f"Can't normalize with eps = {eps}: set it above 0, such as 0.00001.")
    width = tok2vec.maybe_get_dim("nO")
    dense = dense_norm(
        width,
        init_W=init_normal,
        activation=activation,
        bias=bias,
        norm_bias=norm_bias,
        eps=eps,
    )
    model = make_head(tok2vec, nO, dropout, dense, softmax(nO, width))
    model.set_ref("dense_norm", dense)
    return model


def build_linear_crf_v1(
    tok2vec: Model[List[Doc], List[Floats2d]],
    dropout: Optional[float] = None,
    nO: Optional[int] = None,
    learn_rate_factor: float = 50.0,
) -> Model[List[Doc], List[Floats2d]]:
    """`LinearSoftmax.v1` with a linear-chain CRF in place of the softmax (Lafferty et al. 2001, on
    neural encoders Lample et al. 2016): tags depend on their neighbours, by learned weights. To be
    trained with the loss `spacy-bert-ner.CRFLikelihood.v1`.

    learn_rate_factor (float): How many times the learning rate of the encoder the transitions have,
        which hardly learn at that rate.
    RETURNS (Model[List[Doc], List[Floats2d]]): Log-scores of tags, (n_tokens, nO).

    The other settings are those of `LinearSoftmax.v1`.
    """
    if not learn_rate_factor > 0.0:
        raise UserError(
            f"Can't train transitions with learn_rate_factor = {learn_rate_factor}: set it to a "
            "number above 0, such as 50."
        )
    width = tok2vec.maybe_get_dim("nO")
    output_layer = linear_crf(nO, width, learn_rate_factor=learn_rate_factor)
    return make_head(tok2vec, nO, dropout, output_layer)


def build_transformer_model_v1(
    name: str,
    get_spans: Optional[Callable] = None,
    tokenizer_config: Dict[str, Any] = SimpleFrozenDict(use_fast=True),
    transformer_config: Dict[str, Any] = SimpleFrozenDict(),
    precision: str = "fp32",
    grad_scaler_config: Dict[str, Any] = SimpleFrozenDict(),
    window: int = 128,
    stride: int = 0,
    context: int = 0,
    context_dropout: float = 0.0,
    mixed_layers: int = 1,
    embedding_noise: float = 0.0,
    batch_pieces: Optional[int] = None,
    freeze_layers: Optional[int] = None,
) -> Model:
    """A pre-trained encoder for spacy-transformers' `transformer` component, that reads whole
    documents in windows of whole sentences. No text is cut off, but for the end of a token that is
    longer than the encoder's limit, and none is padded in the output.

    name (str): A folder, an installed Python package that holds an encoder, or a name on the
        Hugging Face hub. Asked once, at initialization.
    get_spans (Optional[Callable]): Has to be null: windows take the place of spans.
    tokenizer_config (Dict[str, Any]): Arguments for transformers.AutoTokenizer.
    transformer_config (Dict[str, Any]): Arguments for transformers.AutoConfig. Dropout inside the
        encoder is set here (`hidden_dropout_prob`): `[training] dropout` doesn't reach it.
    precision (str): What the encoder's matrices are multiplied in; weights stay float32. "fp32";
        "auto" for bf16 where the hardware has it (GPUs since Ampere, CPUs with AVX512-BF16, AMX or
        ARM's BF16), else fp32; "bf16" in any case; "fp16" on GPUs, and fp32 on CPUs.
    grad_scaler_config (Dict[str, Any]): Settings of thinc's PyTorchGradScaler, for fp16.
    window (int): Wordpieces in a window, special tokens included. Consecutive sentences are packed
        up to it; a longer sentence stays whole as long as the encoder can read it. 0: every
        sentence alone.
    stride (int): Wordpieces between the starts of the overlapping windows into which a sentence
        is cut that the encoder can't read whole; 0: three quarters of their length.
    context (int): Wordpieces of the same document to read on either side of a window, in training
        and in prediction (FLERT, Schweter & Akbik 2020, has 64 around one sentence). Nothing is
        predicted from them: it is text that is read again for every window.
    context_dropout (float): Share of windows that training leaves without context.
    batch_pieces (Optional[int]): Wordpieces that go through the encoder together, padding
        included, in training and in prediction; null for 1,024 on CPUs and 16,384 on GPUs.
    freeze_layers (Optional[int]): Keep the embeddings and the first n blocks as they are in
        training (Wu & Dredze 2019); null: train all.
    mixed_layers (int): A wordpiece's vector is the mean of the outputs of the last n blocks.
    embedding_noise (float): Uniform noise on embeddings in training, whose norm over a window is
        about this over the square root of 3 (NEFTune, Jain et al. 2023, has 5 to 15).
    RETURNS (Model[List[Doc], FullTransformerBatch]): Vectors of wordpieces, float32, and the rows
        of each token.
    RAISES (ValueError): For settings out of their range, and for `get_spans`.
    """
    from .encoder.layer import encoder
    from .encoder.settings import EncoderSettings, check_ranges
    from .encoder.shim import EncoderShim

    if get_spans is not None:
        raise UserError(
            "spacy-bert-ner.TransformerModel.v1 makes its own spans: set get_spans = null, and "
            "window to the number of wordpieces to read at once."
        )
    check_ranges(
        context_dropout=context_dropout,
        window=window,
        stride=stride,
        context=context,
        mixed_layers=mixed_layers,
        embedding_noise=embedding_noise,
        batch_pieces=batch_pieces,
    )
    return encoder(
        EncoderSettings(
            name=name,
            tokenizer_config=dict(tokenizer_config),
            transformer_config=dict(transformer_config),
            window=window,
            stride=stride,
            context=context,
            context_dropout=context_dropout,
            batch_pieces=batch_pieces,
        ),
        EncoderShim(
            transformer_config=dict(transformer_config),
            freeze_layers=freeze_layers,
            mixed_layers=mixed_layers,
            embedding_noise=embedding_noise,
            precision=precision,
            grad_scaler_config=dict(grad_scaler_config),
        ),
    )


def build_tok2vec_transformer_v2(
    transformer: Model[List[Doc], Any],
    pooling: PoolingT,
    grad_factor: float = 1.0,
) -> Tok2VecT:
    """The encoder inside one component, without a `transformer` in the pipeline. This is what
    `nlp.replace_listeners` makes of a component that listens to `TransformerModel.v1`.

    transformer (Model[List[Doc], FullTransformerBatch]): The encoder, a `TransformerModel.v1`.
    pooling (PoolingT): Reduces a token's wordpieces to one vector.
    grad_factor (float): Factor on the gradients that reach the encoder.
    RETURNS (Tok2VecT): A vector for each token, (n_tokens, width).
    RAISES (ValueError): For another encoder than `TransformerModel.v1`.
    """
    from spacy_transformers.layers import trfs2arrays

    from .encoder.inlining import split_by_doc
    from .encoder.layer import EncoderLayer

    if not isinstance(transformer, EncoderLayer):
        raise UserError(
            f"Can't read with the layer '{transformer.name}' as `transformer` of "
            "spacy-bert-ner.Tok2VecTransformer.v2: make its block a "
            "spacy-bert-ner.TransformerModel.v1."
        )
    # Nested like a TransformerListener.v1 in which the listener was replaced.
    return chain(split_by_doc(transformer), trfs2arrays(pooling, grad_factor))


def build_tok2vec_transformer_v1(
    pooling: PoolingT, grad_factor: float = 1.0, **settings: Any
) -> Tok2VecT:
    """`Tok2VecTransformer.v2` with the settings of the encoder beside its own, and no block for
    them: for the pipelines and configs that have it.

    A version of its own, since spaCy fills all settings of an architecture into the configs that
    it saves: one that takes both would put the 14 of them beside each block.

    pooling (PoolingT): Reduces a token's wordpieces to one vector.
    grad_factor (float): Factor on the gradients that reach the encoder.
    settings (Any): Those of `TransformerModel.v1`.
    RETURNS (Tok2VecT): A vector for each token, (n_tokens, width).
    RAISES (ValueError): As `TransformerModel.v1` does.
    """
    transformer = build_transformer_model_v1(**settings)
    return build_tok2vec_transformer_v2(transformer, pooling, grad_factor)


# What a config is checked against, and filled from: the settings of both by name.
build_tok2vec_transformer_v1.__signature__ = Signature(  # type: ignore[attr-defined]
    [
        parameter.replace(kind=Parameter.KEYWORD_ONLY)
        for build in (build_transformer_model_v1, build_tok2vec_transformer_v1)
        for parameter in signature(build).parameters.values()
        if parameter.kind != Parameter.VAR_KEYWORD
    ]
)
