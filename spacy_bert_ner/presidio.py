"""Entities of a pipeline, with their scores, in Presidio (https://microsoft.github.io/presidio)."""

from typing import Any, Dict, List, Optional

from spacy.tokens import Doc

from .commands.pipelines import explain_no_ents, load_pipeline
from .errors import UserError, warn
from .tagging.entity_scores import get_scores

try:
    from presidio_analyzer.nlp_engine import NerModelConfiguration, NlpArtifacts, SpacyNlpEngine
except ImportError as error:
    raise UserError(
        "Can't import BertNerEngine: presidio-analyzer isn't installed: python -m pip install "
        "presidio-analyzer."
    ) from error


class BertNerEngine(SpacyNlpEngine):
    """Presidio's SpacyNlpEngine, with the scores of `bert_ner` instead of one score for all
    entities. Entities of other components, such as an `entity_ruler`, have the default score."""

    engine_name = "bert_ner"
    nlp: Any

    def __init__(
        self,
        models: List[Dict[str, str]],
        ner_model_configuration: Optional[NerModelConfiguration] = None,
    ):
        """Set up the engine.

        models (List[Dict[str, str]]): For each language, its code ("lang_code"), and the name or
            path of its pipeline ("model_name").
        ner_model_configuration (Optional[NerModelConfiguration]): Presidio's names of labels.
        """
        super().__init__(models, ner_model_configuration)

    def load(self) -> None:
        """Load the pipeline of each language, on a GPU if there is one.

        RAISES (UserError): For a pipeline that can't be loaded, or that sets no entities.
        """
        self._enable_gpu()
        config, found = self.ner_model_configuration, {}
        names = config.model_to_presidio_entity_mapping or {}
        known = {*names, *names.values(), *(config.labels_to_ignore or ())}
        for model in self.models:
            self._validate_model_params(model)
            name = model["model_name"]
            found[model["lang_code"]] = nlp = load_pipeline(name)
            no_ents = explain_no_ents(nlp, name)
            if no_ents is not None:
                raise UserError(no_ents)
            labels = {
                label
                for key, of_pipe in nlp.pipe_labels.items()
                if "doc.ents" in nlp.get_pipe_meta(key).assigns
                for label in of_pipe
            }
            unknown = sorted(labels - known)
            if unknown:
                warn(
                    f"Presidio drops these entities of '{name}': {', '.join(unknown)}. Map them in "
                    "model_to_presidio_entity_mapping, or name them in labels_to_ignore."
                )
        self.nlp = found

    def _doc_to_nlp_artifact(self, doc: Doc, language: str) -> NlpArtifacts:
        if not doc.has_annotation("LEMMA"):  # in which Presidio looks for words such as "phone"
            for token in doc:
                token.lemma_ = token.lower_
        return super()._doc_to_nlp_artifact(doc, language)

    def _get_scores_for_entities(self, doc: Doc) -> List[float]:
        scores: Dict[Any, float] = get_scores(doc) or {}
        default = self.ner_model_configuration.default_score or 0.0
        return [scores.get((ent.start, ent.end, ent.label), default) for ent in doc.ents]
