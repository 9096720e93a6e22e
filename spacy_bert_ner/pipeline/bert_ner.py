"""The component `bert_ner`: a softmax tag classifier over token vectors."""

from itertools import islice
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Literal, Optional, Sequence, Tuple, Union

import numpy
import srsly
from spacy import util
from spacy.errors import Errors
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer, set_dropout_rate

from ..damage import reading
from ..errors import UserError, warn
from ..model.layers.linear_crf import get_transitions, has_transitions
from ..tagging.entities import write_entities
from ..tagging.entity_scores import install_extensions
from ..tagging.gold import get_gold, get_labels, report_gold
from ..tagging.schemes import TagSet, get_tag_set
from ..training.losses import CrossEntropy, Loss, rehearsal_loss
from ..types import Floats2d
from .balance import balance_gradients
from .checkpoint import CheckpointLoader
from .listeners import check_output, check_received, check_rehearsal, check_upstream
from .loading import add_checksums, check_fit, read_cfg, read_file, remember_pipeline
from .reading import get_read_tokens, make_reader
from .scorer import bert_ner_score
from .settings import CONFIGURED, check_outputs, check_settings, settle_settings

DEFAULT_MODEL = """
[model]
@architectures = "spacy-bert-ner.LinearSoftmax.v1"
dropout = null
nO = null

[model.tok2vec]
@architectures = "spacy-transformers.TransformerListener.v1"
grad_factor = 1.0
upstream = "*"

[model.tok2vec.pooling]
@layers = "spacy-bert-ner.reduce_first.v1"
"""


@Language.factory(
    "bert_ner",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type", "doc.spans", "span._.score"],
    default_config={
        "model": Config().from_str(DEFAULT_MODEL)["model"],
        "scheme": "BIO",
        "align": "token",
        "decoder": "constrained",
        "decode_scope": "doc",
        "threshold": 0.0,
        "annotate_ents": True,
        "overwrite_ents": False,
        "spans_key": "bert_ner",
        "loss": {"@losses": "spacy-bert-ner.CrossEntropy.v1"},
        "incorrect_spans_key": None,
        "scorer": {"@scorers": "spacy-bert-ner.bert_ner_scorer.v1"},
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_bert_ner(
    nlp: Language,
    name: str,
    model: Model[List[Doc], List[Floats2d]],
    scheme: Literal["BIO", "BILUO", "IOB1", "IO"],
    align: Literal["token", "word"],
    decoder: Literal["constrained", "greedy"],
    decode_scope: Literal["doc", "sentence"],
    threshold: float,
    annotate_ents: bool,
    overwrite_ents: bool,
    spans_key: str,
    loss: Loss,
    incorrect_spans_key: Optional[str],
    scorer: Optional[Callable],
) -> "BertNER":
    """Construct a BertNER component, see its `__init__` for the settings."""
    balance_gradients(nlp, BertNER)
    component = BertNER(
        nlp.vocab,
        model,
        name,
        scheme=scheme,
        align=align,
        decoder=decoder,
        decode_scope=decode_scope,
        threshold=threshold,
        annotate_ents=annotate_ents,
        overwrite_ents=overwrite_ents,
        spans_key=spans_key,
        loss=loss,
        incorrect_spans_key=incorrect_spans_key,
        scorer=scorer,
    )
    remember_pipeline(component, nlp)
    return component


class BertNER(TrainablePipe):
    """Recognize named entities by a tag for each token: the token classifier that is fine-tuned
    on BERT (Devlin et al. 2019, section 5.3), on any token vectors.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[List[Doc], List[Floats2d]],
        name: str = "bert_ner",
        *,
        scheme: str = "BIO",
        align: str = "token",
        decoder: str = "constrained",
        decode_scope: str = "doc",
        threshold: float = 0.0,
        annotate_ents: bool = True,
        overwrite_ents: bool = False,
        spans_key: str = "bert_ner",
        loss: Optional[Loss] = None,
        incorrect_spans_key: Optional[str] = None,
        scorer: Optional[Callable] = bert_ner_score,
    ):
        """Initialize an entity recognizer.

        vocab (Vocab): The shared vocabulary.
        model (Model[List[Doc], List[Floats2d]]): Gives tag probabilities, (n_tokens, n_tags).
        name (str): The component instance name, under which losses are recorded.
        scheme (str): Tag scheme, "BIO", "BILUO" (the same as IOBES), "IOB1" or "IO".
        align (str): "token" for a tag for each token; "word" for one for all tokens between two
            spaces, by the first wordpiece, as checkpoints have learned whose training data was
            split at spaces. Punctuation at the edges of such a word is then in no entity.
        decoder (str): "constrained" for the most probable valid tag sequence, "greedy" for the
            most probable tag of each token, repaired as conlleval reads it.
        decode_scope (str): "doc" to let entities go across sentence starts, which a sentence
            splitter sets wrongly at times; "sentence" to end them there.
        threshold (float): Leave out entities with a lower score, 0 to 1. Read at every call from
            `cfg`, as the other settings of prediction are.
        annotate_ents (bool): Write entities to `doc.ents`, beside those that are there. If not,
            these are left alone, don't count in prediction, and `doc.spans` alone is written.
        overwrite_ents (bool): Replace entities that other components have set, instead of keeping
            them and predicting around them.
        spans_key (str): Key of `doc.spans` for the predicted entities with their scores.
        loss (Optional[Loss]): What training minimizes; None for plain cross-entropy.
        incorrect_spans_key (Optional[str]): Key of `doc.spans` of gold documents, with entities
            that are known to be wrong.
        scorer (Optional[Callable]): The scoring method.
        RAISES (ValueError): For settings that can't be.
        """
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.loss = CrossEntropy() if loss is None else loss
        self._rehearsal_model: Optional[Model] = None  # set by nlp.resume_training
        self._reported: set = set()  # labels that were told of
        settings = {
            "scheme": scheme,
            "align": align,
            "decoder": decoder,
            "decode_scope": decode_scope,
            "threshold": threshold,
            "annotate_ents": annotate_ents,
            "overwrite_ents": overwrite_ents,
            "spans_key": spans_key,
            "incorrect_spans_key": incorrect_spans_key,
        }
        check_settings(name, settings)
        self.cfg: Dict[str, Any] = {"labels": [], **settings, CONFIGURED: settings}
        install_extensions()

    @property
    def labels(self) -> Tuple[str, ...]:
        """RETURNS (Tuple[str, ...]): The labels, in the order of their tags."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> List[str]:
        """RETURNS (List[str]): The labels, for `spacy init labels` and `initialize`."""
        return list(self.cfg["labels"])

    @property
    def tag_set(self) -> TagSet:
        """RETURNS (TagSet): The tags that the model predicts, in its order."""
        return get_tag_set(self.cfg["scheme"], self.labels)

    def add_label(self, label: str) -> int:
        """Add a label. A model that is initialized gets its tags behind the others; these keep
        what they have learned.

        RETURNS (int): 0 if the label is already there, otherwise 1.
        RAISES (ValueError): If the model can't take more tags.
        """
        if not isinstance(label, str):
            raise ValueError(Errors.E187)
        if label in self.labels:
            return 0
        n_tags = self._n_outputs()
        n_needed = len(get_tag_set(self.cfg["scheme"], (*self.labels, label)))
        if n_tags is not None and n_tags < n_needed:
            if not self.is_resizable:
                raise UserError(Errors.E922.format(name=self.name, nO=n_tags))
            self.set_output(n_needed)
        self.cfg["labels"].append(label)
        self.vocab.strings.add(label)
        return 1

    def predict(self, docs: Iterable[Doc]) -> List[Floats2d]:
        """Apply the model to documents, without changing them.

        RETURNS (List[Floats2d]): Tag probabilities, or log-scores of a CRF, float32,
            (n_tokens, n_tags).
        RAISES (ValueError): If the model is not initialized, or has no transformer output.
        """
        docs = list(docs)
        n_tags = self._n_outputs()
        if n_tags is None or n_tags != len(self.tag_set):
            raise UserError(Errors.E109.format(name=self.name))
        if not any(len(doc) for doc in docs):
            return [numpy.zeros((0, n_tags), dtype="float32") for _ in docs]
        check_output(docs, self.name, self.model)
        return [self.model.ops.to_numpy(probs) for probs in self.model.predict(docs)]

    def set_annotations(self, docs: Iterable[Doc], scores: List[Floats2d]) -> None:
        """Decode tag probabilities and write entities: with their scores to `doc.spans`, and, if
        `annotate_ents`, to `doc.ents`, beside those that are there unless `overwrite_ents`.

        scores (List[Floats2d]): Tag probabilities, (n_tokens, n_tags).
        RAISES (ValueError): With `decode_scope = "sentence"`, for documents without sentences; for
            settings that can't be, and for scores that are no numbers.
        """
        check_settings(self.name, self.cfg)
        transitions = None
        if has_transitions(self.model):
            layer = self.model.get_ref("output_layer")
            transitions = self.model.ops.to_numpy(get_transitions(layer))
        docs = list(docs)
        read = get_read_tokens(docs, self.model, is_train=False)
        write_entities(docs, scores, read, self.name, self.cfg, self.tag_set, transitions)

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optional[Optimizer] = None,
        losses: Optional[Dict[str, float]] = None,
    ) -> Dict[str, float]:
        """Learn from a batch of examples.

        drop (float): Rate of dropout before the linear layer, where its own is null.
        sgd (Optional[Optimizer]): Steps the model's weights, if given.
        losses (Optional[Dict[str, float]]): Losses by component name, added to.
        RETURNS (Dict[str, float]): The losses.
        RAISES (ValueError): If the encoder that the model listens to gave it nothing.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "BertNER.update")
        docs = [example.predicted for example in examples]
        if not any(len(doc) for doc in docs):
            return losses
        check_received(docs, self.name, self.model)
        self._report_labels(examples)
        set_dropout_rate(self.model, drop)
        scores, backprop = self.model.begin_update(docs)
        loss, d_scores = self.get_loss(examples, scores)
        # A batch without annotation goes back too: other listeners' gradients wait for ours.
        backprop(d_scores)
        if sgd not in (None, False):
            self.finish_update(sgd)
        losses[self.name] += loss
        return losses

    def get_loss(
        self, examples: Iterable[Example], scores: List[Floats2d]
    ) -> Tuple[float, List[Floats2d]]:
        """The loss that the component minimizes, and its gradient.

        scores (List[Floats2d]): Tag probabilities, (n_tokens, n_tags).
        RETURNS (Tuple[float, List[Floats2d]]): The loss, and its gradient with respect to the
            inputs of the softmax: zero for tokens of which nothing is known.
        RAISES (ValueError): If the loss is not a finite number.
        """
        examples = list(examples)
        validate_examples(examples, "BertNER.get_loss")
        tag_set = self.tag_set
        key, align = self.cfg["incorrect_spans_key"], self.cfg["align"]
        docs = [example.predicted for example in examples]
        gold = [
            get_gold(example, tag_set, key, align=align, read=read)
            for example, read in zip(examples, get_read_tokens(docs, self.model, is_train=True))
        ]
        loss, d_scores = self.loss(self.model, scores, gold, tag_set)
        if not numpy.isfinite(loss):
            raise UserError(Errors.E910.format(name=self.name))
        return loss, d_scores

    def rehearse(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optional[Optimizer] = None,
        losses: Optional[Dict[str, float]] = None,
    ) -> Dict[str, float]:
        """Learn to predict what the model did when `nlp.resume_training` was called, so that it
        doesn't forget it. Does nothing before.

        RAISES (ValueError): If the model listens to a transformer, which doesn't rehearse, or is a
            CRF.
        """
        losses = {} if losses is None else losses
        examples = list(examples)
        validate_examples(examples, "BertNER.rehearse")
        docs = [example.predicted for example in examples]
        if self._rehearsal_model is None or not any(len(doc) for doc in docs):
            return losses
        check_rehearsal(self.name, self.model)
        set_dropout_rate(self.model, drop)
        scores, backprop = self.model.begin_update(docs)
        loss, d_scores = rehearsal_loss(scores, self._rehearsal_model.predict(docs))
        backprop(d_scores)
        if sgd not in (None, False):
            self.finish_update(sgd)
        losses[self.name] = losses.get(self.name, 0.0) + loss
        return losses

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        labels: Optional[Sequence[str]] = None,
        checkpoint: Optional[CheckpointLoader] = None,
    ) -> None:
        """Initialize the component for training, and report gold entities that don't fit: one
        message for the corpus.

        get_examples (Callable[[], Iterable[Example]]): Gives a representative sample.
        nlp (Optional[Language]): The pipeline that the component is part of.
        labels (Optional[Sequence[str]]): The labels, else those found in the examples.
        checkpoint (Optional[CheckpointLoader]): Gives the labels and weights of a Hugging Face
            token classifier to begin with. Other labels come behind them.
        RAISES (ValueError): If there are no labels, or no transformer to listen to, and for a
            checkpoint that can't be read or doesn't fit.
        """
        validate_get_examples(get_examples, "BertNER.initialize")
        if nlp is not None:
            check_upstream(nlp, self.name, self.model)
            balance_gradients(nlp, BertNER)
        write_head = None if checkpoint is None else checkpoint.prepare(self, nlp)
        for label in get_labels(get_examples()) if labels is None else labels:
            self.add_label(label)
        if not self.labels:
            raise UserError(
                f"'{self.name}' found no entities to learn in the examples. Check that their "
                f"doc.ents are set, or name the labels in [initialize.components.{self.name}] "
                "labels."
            )
        n_tags = len(self.tag_set)
        check_outputs(self.name, n_tags, self._n_outputs())
        self.loss.check(self.labels, self.model)
        filled = (example.x for example in get_examples() if len(example.x))
        sample = list(islice(filled, 10))
        Y: List[Any] = [self.model.ops.alloc2f(len(doc), n_tags) for doc in sample]
        self.model.initialize(X=sample or None, Y=Y or None)
        # Now that the encoder has a tokenizer, if it is the component's own.
        find_read = make_reader(self.model, nlp, self.name)
        report = report_gold(get_examples(), nlp, self.labels, self.cfg, find_read)
        self._reported |= report.unknown_labels
        message = report.message()
        if message:
            warn(f"[{self.name}] {message}")
        if write_head is not None:
            write_head()

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        cfg, model = self._get_parts(exclude)
        getters: Dict[str, Callable] = {
            "cfg": lambda: srsly.json_dumps(cfg),
            "vocab": lambda: self.vocab.to_bytes(exclude=exclude),
            "model": lambda: model,
        }
        return util.to_bytes(getters, exclude)

    def to_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> None:
        cfg, model = self._get_parts(exclude)
        writers: Dict[str, Callable] = {
            "cfg": lambda file: srsly.write_json(file, cfg),
            "vocab": lambda folder: self.vocab.to_disk(folder, exclude=exclude),
            "model": lambda file: file.write_bytes(model),
        }
        util.to_disk(path, writers, exclude)

    def _get_parts(self, exclude: Iterable[str]) -> Tuple[Dict[str, Any], Optional[bytes]]:
        model = None if "model" in exclude else self.model.to_bytes()
        return add_checksums(self.cfg, model), model

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "BertNER":
        """Load what `to_bytes` gave.

        RAISES (DamagedPipelineError): If a part can't be read, was changed, or doesn't fit another.
        """
        places = {"cfg": f"the cfg of '{self.name}'", "model": f"the model of '{self.name}'"}
        with reading(f"the component '{self.name}'"):
            data = dict(srsly.msgpack_loads(bytes_data))
        util.from_dict(
            data, {"vocab": lambda vocab: self.vocab.from_bytes(vocab, exclude=exclude)}, exclude
        )
        self._load({key: data[key] for key in places if key in data and key not in exclude}, places)
        return self

    def from_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> "BertNER":
        """Load what `to_disk` has written.

        RAISES (DamagedPipelineError): If a part can't be read, was changed, or doesn't fit another.
        """
        files = {key: Path(path) / key for key in ("cfg", "model")}
        parts = {key: read_file(files[key]) for key in files if key not in exclude}
        readers: Dict[str, Callable] = {
            "vocab": lambda folder: self.vocab.from_disk(folder, exclude=exclude)
        }
        util.from_disk(path, readers, exclude)
        self._load(parts, {key: str(file) for key, file in files.items()})
        return self

    def _load(self, parts: Dict[str, Any], places: Dict[str, str]) -> None:
        """Take over settings and weights.

        parts (Dict[str, Any]): "cfg", JSON, and "model", bytes, as far as they are loaded.
        places (Dict[str, str]): What to call them.
        """
        model = parts.get("model")
        if "cfg" in parts:
            cfg = {**self.cfg, **read_cfg(parts["cfg"], model, places)}
            settle_settings(self.name, cfg, self.cfg[CONFIGURED])
            with reading(places["cfg"]):
                check_settings(self.name, cfg)
            self.cfg.update(cfg)
        if model is not None:
            with reading(places["model"]):
                self.model.from_bytes(model)
        if len(parts) == len(places):
            check_fit(self, places)
        # A string that the vocabulary first sees in a memory zone is gone after it.
        for label in self.labels:
            self.vocab.strings.add(label)

    def _n_outputs(self) -> Optional[int]:
        layer = self.model.maybe_get_ref("output_layer")
        return layer.maybe_get_dim("nO") if layer is not None else None

    def _report_labels(self, examples: Sequence[Example]) -> None:
        """Tell, once for each, of labels that training comes across and the model doesn't have:
        at initialization, of a stream of examples only the beginning is seen."""
        unknown = set(get_labels(examples)).difference(self.labels, self._reported)
        if unknown:
            self._reported |= unknown
            warn(
                f"[{self.name}] gold entities have the labels {sorted(unknown)}, which the model "
                "doesn't have, and count as outside. Name them in "
                f"[initialize.components.{self.name}] labels to learn them."
            )
