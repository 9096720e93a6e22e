"""Entities of a pipeline, with their scores, in Presidio (https://microsoft.github.io/presidio)."""

from typing import Any, Dict, List, Optional

from spacy.language import Language
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
        RAISES (UserError): Without a model, for two of the same language, and for a configuration
            without names.
        """
        _check_models(models)
        super().__init__(models, _complete(ner_model_configuration))

    def load(self) -> None:
        """Load the pipeline of each language, on a GPU if there is one.

        RAISES (UserError): For a pipeline that can't be loaded, or that sets no entities.
        """
        self._enable_gpu()
        found = _Pipelines()
        for model in self.models:
            self._validate_model_params(model)
            name = model["model_name"]
            found[model["lang_code"]] = nlp = load_pipeline(name)
            no_ents = explain_no_ents(nlp, name)
            if no_ents is not None:
                raise UserError(no_ents)
            dropped = _find_dropped(nlp, self.ner_model_configuration)
            if dropped:
                warn(
                    f"Presidio drops these entities of '{name}': {', '.join(dropped)}. Map them in "
                    "model_to_presidio_entity_mapping, or name them in labels_to_ignore."
                )
        self.nlp = found

    def _doc_to_nlp_artifact(self, doc: Doc, language: str) -> NlpArtifacts:
        for token in doc:  # Presidio looks for words such as "phone" among the lemmas
            if not token.lemma:
                token.lemma_ = token.lower_
        return super()._doc_to_nlp_artifact(doc, language)

    def _get_scores_for_entities(self, doc: Doc) -> List[float]:
        scores: Dict[Any, float] = get_scores(doc) or {}
        default = self.ner_model_configuration.default_score or 0.0
        return [scores.get((ent.start, ent.end, ent.label), default) for ent in doc.ents]


class _Pipelines(Dict[str, Language]):
    """Pipelines by language."""

    def __missing__(self, language: str) -> Language:
        raise UserError(
            f"There is no pipeline of the language {language!r}, only of {', '.join(self)}. Name "
            "one in the models of BertNerEngine."
        )


def _check_models(models: Any) -> None:
    if not models:
        raise UserError("BertNerEngine has no models. Name the pipeline of each language.")
    codes = [model["lang_code"] for model in models if "lang_code" in model]
    for code in codes:
        if not code or not isinstance(code, str):
            raise UserError(f'BertNerEngine: "lang_code" is {code!r}. Use a code such as "en".')
        if codes.count(code) > 1:
            raise UserError(f"BertNerEngine has several models of '{code}'. Name one.")


def _complete(config: Optional[NerModelConfiguration]) -> NerModelConfiguration:
    """RETURNS (NerModelConfiguration): A configuration whose collections aren't None, with which
    Presidio fails at the first entity."""
    config = NerModelConfiguration() if config is None else config
    if not isinstance(config, NerModelConfiguration):
        raise UserError(
            f"BertNerEngine has a {type(config).__name__} as its configuration. Make a "
            "NerModelConfiguration of it."
        )
    if not config.model_to_presidio_entity_mapping:
        raise UserError(
            "The NerModelConfiguration has no names of labels. Set "
            'model_to_presidio_entity_mapping, such as {"PER": "PERSON"}.'
        )
    names = ("labels_to_ignore", "low_score_entity_names")
    return config.model_copy(update={name: getattr(config, name) or [] for name in names})


def _find_dropped(nlp: Language, config: NerModelConfiguration) -> List[str]:
    """RETURNS (List[str]): Labels that Presidio doesn't know, sorted."""
    names = config.model_to_presidio_entity_mapping or {}
    labels = {
        label
        for key, of_pipe in nlp.pipe_labels.items()
        if "doc.ents" in nlp.get_pipe_meta(key).assigns
        for label in of_pipe
    }
    return sorted(labels - {*names, *names.values(), *(config.labels_to_ignore or ())})
