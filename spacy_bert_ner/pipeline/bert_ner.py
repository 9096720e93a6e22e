"""The component `bert_ner`: a tag classifier over token vectors."""

from dataclasses import asdict
from functools import partial
from typing import Callable, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy
from spacy.errors import Errors
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Optimizer, set_dropout_rate
from thinc.types import Floats2d

from ..errors import UserError, warn
from ..model.heads import ModelT, get_head, get_transitions
from ..model.transfer import to_host
from ..tagging.candidates import write_candidates
from ..tagging.entities import check_scores, decode_units, get_units, write_entities
from ..tagging.entity_scores import install_extensions
from ..tagging.gold import get_gold, get_labels
from ..tagging.presets import check_sentences
from ..tagging.settings import Settings
from ..training.gold_report import report_gold
from ..training.losses import CrossEntropy, Loss, rehearsal_loss
from ..types import Floats2d as HostFloats2d
from .balance import balance_gradients
from .checkpoint import CheckpointLoader
from .labels import LabeledPipe
from .listeners import check_output, check_received, check_rehearsal, check_upstream
from .reading import get_read_tokens, make_reader
from .scorer import ScorerT, bert_ner_score
from .settings import CONFIGURED, check_outputs, check_settings

# A loss of scores, and its gradient.
LossT = Callable[[List[Floats2d]], Tuple[float, List[Floats2d]]]


class BertNER(LabeledPipe):
    """Recognize named entities by a tag for each token, predicted from the vector of the token as
    in BERT (Devlin et al. 2019, section 5.3). The vectors can come from any encoder or other layer.
    Create it with `nlp.add_pipe("bert_ner")`; its settings are those of the factory `bert_ner`."""

    def __init__(
        self,
        vocab: Vocab,
        model: ModelT,
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
        scorer: Optional[ScorerT] = bert_ner_score,
    ):
        """Initialize an entity recognizer.

        vocab (Vocab): The shared vocabulary.
        model (ModelT): Gives tag probabilities, or log-scores for a CRF, (n_tokens, n_tags).
        name (str): Name of the component instance, under which losses are recorded.
        scheme (str): Tag scheme: "BIO", "BILUO" (the same as IOBES), "IOB1" or "IO".
        align (str): What gets a tag: "token" for each token, or "word" for all tokens between two
            spaces as one, by its first wordpiece. "word" is for checkpoints that were trained on
            data split at spaces; punctuation at the edges of such a word is in no entity.
        decoder (str): "constrained" for the most probable valid tag sequence, or "greedy" for the
            most probable tag of each token, with invalid sequences repaired as conlleval does.
        decode_scope (str): "doc" to let entities cross sentence starts, which sentence splitters
            sometimes set wrongly; "sentence" to end entities there.
        threshold (float): The lowest score of an entity, 0 to 1; entities with lower scores are
            left out. This and the other settings of prediction are read from `cfg` at every call.
        annotate_ents (bool): Whether to write entities to `doc.ents`, next to existing ones. If
            not, they are only in `doc.spans`, and existing entities are ignored.
        overwrite_ents (bool): Whether to replace entities that other components have set. If not,
            they are kept, and entities are predicted around them.
        spans_key (str): Key of `doc.spans` for the predicted entities with their scores.
        loss (Optional[Loss]): The loss to minimize; None for the default `CrossEntropy.v1`.
        incorrect_spans_key (Optional[str]): Key of `doc.spans` of gold documents with entities that
            are known to be wrong; None for none.
        scorer (Optional[ScorerT]): The scoring method; None for no scores.
        RAISES (ValueError): For settings out of their range.
        """
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.loss = CrossEntropy() if loss is None else loss
        self._rehearsal_model: Optional[ModelT] = None  # set by nlp.resume_training
        self._reported = set()
        settings = Settings(
            scheme=scheme,
            align=align,
            decoder=decoder,
            decode_scope=decode_scope,
            threshold=threshold,
            annotate_ents=annotate_ents,
            overwrite_ents=overwrite_ents,
            spans_key=spans_key,
            incorrect_spans_key=incorrect_spans_key,
        )
        check_settings(name, settings)
        configured = asdict(settings)
        self.cfg = {"labels": [], **configured, CONFIGURED: configured}
        install_extensions()

    def predict(self, docs: Iterable[Doc]) -> List[HostFloats2d]:
        """Apply the model to documents, without changing them.

        docs (Iterable[Doc]): The documents.
        RETURNS (List[HostFloats2d]): Tag probabilities, or log-scores for a CRF, on the CPU,
            float32, (n_tokens, n_tags).
        RAISES (ValueError): If the model is not initialized, or its encoder hasn't read the
            documents.
        """
        docs = list(docs)
        if self.n_outputs is None or self.n_outputs != len(self.tag_set):
            raise UserError(Errors.E109.format(name=self.name))
        if not any(len(doc) for doc in docs):
            return [numpy.zeros((0, self.n_outputs), dtype="float32") for _ in docs]
        check_output(docs, self.name, self.model)
        return to_host(self.model.ops, self.model.predict(docs))

    def set_annotations(self, docs: Iterable[Doc], scores: List[HostFloats2d]) -> None:
        """Decode tag scores and write the entities: with their scores to `doc.spans`, and with
        `annotate_ents` also to `doc.ents`, where existing entities are kept unless `overwrite_ents`
        is set.

        docs (Iterable[Doc]): The documents. Changed.
        scores (List[HostFloats2d]): The outputs of `predict`, (n_tokens, n_tags).
        RAISES (ValueError): For documents without sentence starts with `decode_scope = "sentence"`,
            for settings out of their range, and for scores that aren't finite numbers.
        """
        docs, settings = list(docs), self.settings
        check_settings(self.name, settings)
        if not docs:
            return
        check_scores(scores, self.name)
        if settings.by_sentence:
            check_sentences(docs, self.name)
        read = get_read_tokens(docs, self.model, is_train=False)
        units = get_units(docs, read, settings)
        scores = get_head(self.model).to_scores(scores)
        tag_set, calibration = self.tag_set, self.calibration
        transitions, key = get_transitions(self.model), settings.spans_key
        found = decode_units(units, scores, tag_set, settings, transitions, calibration)
        for doc, its_units, X, entities in zip(docs, units, scores, found):
            write_entities(doc, entities, its_units.blocked, self.labels, settings)
            write_candidates(doc, its_units, X, tag_set, transitions, calibration, key)

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optional[Optimizer] = None,
        losses: Optional[Dict[str, float]] = None,
    ) -> Dict[str, float]:
        """Learn from a batch of examples.

        examples (Iterable[Example]): The batch.
        drop (float): Rate of dropout before the output layer, used if `dropout` of the model is
            null.
        sgd (Optional[Optimizer]): Updates the model's weights; None to only accumulate gradients.
        losses (Optional[Dict[str, float]]): Losses by component name, to which the loss is added.
        RETURNS (Dict[str, float]): The losses.
        RAISES (ValueError): If the model received no output of the encoder that it listens to.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "BertNER.update")
        docs = [example.predicted for example in examples]
        if not any(len(doc) for doc in docs):
            return losses
        check_received(docs, self.name, self.model)
        self.report_labels(examples)
        losses[self.name] += self._learn(docs, partial(self.get_loss, examples), drop, sgd)
        return losses

    def get_loss(
        self, examples: Iterable[Example], scores: List[Floats2d]
    ) -> Tuple[float, List[Floats2d]]:
        """Calculate the loss of a batch and its gradient.

        examples (Iterable[Example]): A batch, on which the model was called with `begin_update`.
        scores (List[Floats2d]): The outputs of the model, (n_tokens, n_tags).
        RETURNS (Tuple[float, List[Floats2d]]): The loss, and its gradient with respect to the
            scores, or, if these are probabilities, to the inputs of the softmax.
        RAISES (ValueError): If the loss is not a finite number.
        """
        examples = list(examples)
        validate_examples(examples, "BertNER.get_loss")
        tag_set, settings = self.tag_set, self.settings
        docs = [example.predicted for example in examples]
        gold = [
            get_gold(
                example, tag_set, settings.incorrect_spans_key, align=settings.align, read=read
            )
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
        """Train the model to keep the predictions that it made when `nlp.resume_training` was
        called. Does nothing if that wasn't called.

        examples (Iterable[Example]): A batch, whose annotation isn't used.
        drop (float): Rate of dropout before the output layer, used if `dropout` of the model is
            null.
        sgd (Optional[Optimizer]): Updates the model's weights; None to only accumulate gradients.
        losses (Optional[Dict[str, float]]): Losses by component name, to which the loss is added.
        RETURNS (Dict[str, float]): The losses.
        RAISES (ValueError): For a model that listens to a transformer, or has a head such as a CRF.
        """
        losses = {} if losses is None else losses
        examples = list(examples)
        validate_examples(examples, "BertNER.rehearse")
        docs = [example.predicted for example in examples]
        if self._rehearsal_model is None or not any(len(doc) for doc in docs):
            return losses
        check_rehearsal(self)
        targets = self._rehearsal_model.predict(docs)
        loss = self._learn(docs, partial(rehearsal_loss, self.model.ops, targets), drop, sgd)
        losses[self.name] = losses.get(self.name, 0.0) + loss
        return losses

    def _learn(
        self, docs: List[Doc], get_loss: LossT, drop: float, sgd: Optional[Optimizer]
    ) -> float:
        """Update the model with a loss of its outputs for documents. Returns the loss."""
        self._drop_calibration()
        set_dropout_rate(self.model, drop)
        scores, backprop = self.model.begin_update(docs)
        loss, d_scores = get_loss(scores)
        # Also for a batch without annotation: the gradients of other listeners wait for this one.
        backprop(d_scores)
        if sgd:  # spaCy passes False for none
            self.finish_update(sgd)
        return loss

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        labels: Optional[Sequence[str]] = None,
        checkpoint: Optional[CheckpointLoader] = None,
    ) -> None:
        """Initialize the component for training, and log one warning about the gold entities of the
        corpus that can't be learned, if there are any.

        get_examples (Callable[[], Iterable[Example]]): Returns a representative sample of examples.
        nlp (Optional[Language]): The pipeline that the component is part of.
        labels (Optional[Sequence[str]]): The labels; None for those found in the examples.
        checkpoint (Optional[CheckpointLoader]): Gives labels and weights of a Hugging Face token
            classifier to start from; None for new weights. Other labels are added after these.
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
        check_outputs(self.name, len(self.tag_set), self.n_outputs)
        self.loss.check(self.labels, self.model)
        self._initialize_model(get_examples)
        # Only now does an encoder inside the component have its tokenizer.
        find_read = make_reader(self.model, nlp, self.name)
        report = report_gold(get_examples(), nlp, self.labels, self.settings, find_read)
        self._reported |= report.unknown_labels
        message = report.message()
        if message:
            warn(f"[{self.name}] {message}")
        if write_head is not None:
            write_head()
