"""Architectures, built from the layers. Modules that need torch are imported when a model is
built."""

from inspect import Parameter, Signature, signature
from typing import Any, Callable, Dict, List, Optional

from spacy.tokens import Doc
from spacy.util import SimpleFrozenDict
from thinc.api import Model, chain
from thinc.types import Floats2d

from ..errors import UserError, needing_torch
from .heads import init_normal, make_head, softmax
from .layers.dense_norm import dense_norm
from .layers.linear_crf import linear_crf
from .types import PoolingT, Tok2VecT


def build_linear_softmax_v1(
    tok2vec: Model[List[Doc], List[Floats2d]],
    dropout: Optional[float] = None,
    nO: Optional[int] = None,
) -> Model[List[Doc], List[Floats2d]]:
    """Construct `spacy-bert-ner.LinearSoftmax.v1`: a linear layer and a softmax classify each
    token, as in Hugging Face's BertForTokenClassification (Devlin et al. 2019, section 5.3), but
    for spaCy's tokens.

    tok2vec (Model[List[Doc], List[Floats2d]]): Gives a vector for each token, (n_tokens, width).
    dropout (Optional[float]): Rate of dropout on these vectors, 0 or more and below 1; null for the
        rate in `[training] dropout`.
    nO (Optional[int]): Number of tags; null takes it from the labels of the component. With a
        number, labels can't be added later.
    RETURNS (Model[List[Doc], List[Floats2d]]): A model that gives tag probabilities, (n_tokens,
        nO).
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
    """Construct `spacy-bert-ner.DenseSoftmax.v1`: the head of ModernBERT (Warner et al. 2024). A
    dense layer, an activation and a layer normalization come before the linear layer and the
    softmax of `LinearSoftmax.v1`.

    tok2vec (Model[List[Doc], List[Floats2d]]): Gives a vector for each token, (n_tokens, width).
    dropout (Optional[float]): Rate of dropout on these vectors, 0 or more and below 1; null for the
        rate in `[training] dropout`.
    nO (Optional[int]): Number of tags; null takes it from the labels of the component. With a
        number, labels can't be added later.
    activation (str): The activation: "gelu", "relu", "silu" or "tanh".
    bias (bool): Whether the dense layer has biases.
    norm_bias (bool): Whether the normalization has biases.
    eps (float): Added to variances in the normalization, above 0.
    RETURNS (Model[List[Doc], List[Floats2d]]): A model that gives tag probabilities, (n_tokens,
        nO).
    RAISES (ValueError): For an `eps` that isn't above 0, and for an unknown activation.
    """
    if not eps > 0.0:
        raise UserError(
            f"Can't normalize with eps = {eps}: set it to a number above 0, such as 0.00001."
        )
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
    """Construct `spacy-bert-ner.LinearCRF.v1`: `LinearSoftmax.v1` with a linear-chain CRF instead
    of the softmax (Lafferty et al. 2001; on neural encoders Lample et al. 2016). Learned scores of
    transitions make the tag of a token depend on the tags next to it. Train it with the loss
    `spacy-bert-ner.CRFLikelihood.v1`.

    tok2vec (Model[List[Doc], List[Floats2d]]): Gives a vector for each token, (n_tokens, width).
    dropout (Optional[float]): Rate of dropout on these vectors, 0 or more and below 1; null for the
        rate in `[training] dropout`.
    nO (Optional[int]): Number of tags; null takes it from the labels of the component. With a
        number, labels can't be added later.
    learn_rate_factor (float): Factor on the learning rate of the transition scores, above 0. At the
        learning rate of an encoder, they hardly change.
    RETURNS (Model[List[Doc], List[Floats2d]]): A model that gives log-scores of tags, (n_tokens,
        nO).
    RAISES (ValueError): For a factor that isn't above 0.
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
    """Construct `spacy-bert-ner.TransformerModel.v1`: a pretrained encoder for the `transformer`
    component of spacy-transformers. It reads whole documents in windows of whole sentences. No text
    is cut off, except the end of a token that is longer than the limit of the encoder, and the
    output has no padding.

    name (str): A folder, an installed Python package that contains an encoder, or a name on the
        Hugging Face hub. It is only looked up at initialization: saved pipelines contain the
        encoder.
    get_spans (Optional[Callable]): Must be null. Windows replace the spans of spacy-transformers.
    tokenizer_config (Dict[str, Any]): Arguments for transformers.AutoTokenizer.
    transformer_config (Dict[str, Any]): Arguments for transformers.AutoConfig. Set dropout inside
        the encoder here (`hidden_dropout_prob`): `[training] dropout` doesn't change it.
    precision (str): Precision of matrix multiplications in the encoder; weights are always float32.
        "fp32"; "auto" for bf16 on hardware that supports it (GPUs since Ampere, CPUs with
        AVX512-BF16, AMX or ARM's BF16), fp16 in prediction on GPUs since Volta, else fp32; "bf16"
        on any hardware; "fp16" on GPUs, and fp32 on CPUs.
    grad_scaler_config (Dict[str, Any]): Settings of thinc's PyTorchGradScaler, for "fp16".
    window (int): Length of a window in wordpieces, special tokens included. Consecutive sentences
        are packed up to this length; a longer sentence stays whole if the encoder can read it. 0
        for one sentence in each window.
    stride (int): Wordpieces between the starts of overlapping windows. Windows overlap where a
        sentence is longer than the limit of the encoder, and in documents without sentence starts.
        0 for three quarters of the window.
    context (int): Wordpieces of the same document that are read on either side of a window, in
        training and in prediction (FLERT, Schweter & Akbik 2020, uses 64 around one sentence). No
        tags are predicted for them, but the encoder reads them again for every window.
    context_dropout (float): Share of windows that are read without context in training, 0 to 1.
    mixed_layers (int): The vector of a wordpiece is the mean of the outputs of this many layers,
        from the last; 1 for the last layer alone.
    embedding_noise (float): Size of the uniform noise that is added to embeddings in training, 0
        for none. Its norm over a window is about this size divided by the square root of 3
        (NEFTune, Jain et al. 2023, uses 5 to 15).
    batch_pieces (Optional[int]): Wordpieces that the encoder reads at once, padding included, in
        training and in prediction; null for 1,024 on CPUs, and on GPUs for 1,024 to 16,384, by
        their free memory.
    freeze_layers (Optional[int]): Number of layers, from the first, that aren't trained, besides
        the embeddings (Wu & Dredze 2019). 0 freezes the embeddings alone; null trains everything.
    RETURNS (Model[List[Doc], FullTransformerBatch]): A model that gives vectors of wordpieces,
        float32, and the rows of each token.
    RAISES (ValueError): For settings out of their range, and for `get_spans`.
    """
    with needing_torch():
        from .encoder.layer import encoder
        from .encoder.settings import BLOCK, EncoderSettings, check_context_dropout, check_ranges
        from .encoder.shim import EncoderShim

    if get_spans is not None:
        raise UserError(
            "spacy-bert-ner.TransformerModel.v1 makes its own spans: set get_spans = null, and "
            "window to the number of wordpieces to read at once."
        )
    check_context_dropout(context_dropout)
    check_ranges(
        BLOCK,
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
    """Construct `spacy-bert-ner.Tok2VecTransformer.v2`: an encoder inside one component, without a
    `transformer` in the pipeline. `nlp.replace_listeners` creates it in a component that listens to
    `TransformerModel.v1`.

    transformer (Model[List[Doc], FullTransformerBatch]): The encoder, a `TransformerModel.v1`.
    pooling (PoolingT): Reduces the wordpieces of a token to one vector, such as
        `spacy-bert-ner.reduce_first.v1`.
    grad_factor (float): Factor on the gradients that reach the encoder.
    RETURNS (Tok2VecT): A model that gives a vector for each token, (n_tokens, width).
    RAISES (ValueError): For an encoder that isn't a `TransformerModel.v1`.
    """
    with needing_torch():
        from .encoder.inlining import split_by_doc
        from .encoder.layer import EncoderLayer
        from .encoder.token_vectors import token_vectors

    if not isinstance(transformer, EncoderLayer):
        raise UserError(
            f"Can't use the layer '{transformer.name}' as `transformer` of "
            "spacy-bert-ner.Tok2VecTransformer.v2: use spacy-bert-ner.TransformerModel.v1 in its "
            "block."
        )
    # Nested like a TransformerListener.v1 whose listener was replaced.
    return chain(split_by_doc(transformer), token_vectors(pooling, grad_factor))


def build_tok2vec_transformer_v1(
    pooling: PoolingT, grad_factor: float = 1.0, **settings: Any
) -> Tok2VecT:
    """Construct `spacy-bert-ner.Tok2VecTransformer.v1`: as `Tok2VecTransformer.v2`, but with the
    settings of the encoder in the same block. It is for pipelines and configs that already use it;
    use `Tok2VecTransformer.v2` in new ones.

    pooling (PoolingT): Reduces the wordpieces of a token to one vector, such as
        `spacy-bert-ner.reduce_first.v1`.
    grad_factor (float): Factor on the gradients that reach the encoder.
    settings (Any): The settings of `TransformerModel.v1`.
    RETURNS (Tok2VecT): A model that gives a vector for each token, (n_tokens, width).
    RAISES (ValueError): For settings that `TransformerModel.v1` doesn't accept.
    """
    # A version of its own, since spaCy fills in all settings of an architecture: one that accepts
    # both forms would get the 14 settings of the encoder next to each `transformer` block.
    transformer = build_transformer_model_v1(**settings)
    return build_tok2vec_transformer_v2(transformer, pooling, grad_factor)


# The signature by which spaCy checks and fills configs: the settings of both by name.
build_tok2vec_transformer_v1.__signature__ = Signature(  # type: ignore[attr-defined]
    [
        parameter.replace(kind=Parameter.KEYWORD_ONLY)
        for build in (build_transformer_model_v1, build_tok2vec_transformer_v1)
        for parameter in signature(build).parameters.values()
        if parameter.kind != Parameter.VAR_KEYWORD
    ]
)
