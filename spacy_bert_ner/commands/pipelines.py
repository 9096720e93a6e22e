"""The pipelines that commands are given."""

import re
from contextlib import contextmanager
from typing import Any, Iterator, Optional

import spacy
from spacy.language import Language

from ..errors import MissingFileError, UserError, describe_error

# spaCy numbers its own messages.
NUMBERED = re.compile(r"\[[EW]\d+\]")
# Of components in these packages, it is known what they set.
KNOWN = ("spacy", "spacy_legacy", "spacy_transformers", "spacy_curated_transformers", __package__)


def load_pipeline(name: str) -> Language:
    """Load a pipeline.

    name (str): Its name or path.
    RETURNS (Language): The pipeline.
    RAISES (UserError): For one that is broken or needs a package that isn't there; if there is none
        (MissingFileError).
    """
    try:
        return spacy.load(name)
    except UserError as error:
        raise UserError(f"Can't load the pipeline '{name}': {error}") from error
    except OSError as error:
        if error.filename is not None:
            raise
        raise MissingFileError(str(error)) from error  # spaCy's own, which says where it looked
    except ImportError as error:
        raise UserError(f"Can't load the pipeline '{name}': {error}") from error
    # What spaCy raises depends on which of its files is damaged, and how.
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise UserError(
            f"Can't load the pipeline '{name}': {describe_error(error)}. If a file of it may be "
            "damaged, copy or download the pipeline again, whole."
        ) from error


@contextmanager
def explain_pipeline(name: str) -> Iterator[None]:
    """Show what spaCy says of a pipeline that can't predict, such as one without sentences.

    name (str): Its name or path.
    RAISES (UserError): For an error with a number of spaCy's. All others are mistakes of someone,
        and stay as they are.
    """
    try:
        yield
    except UserError:
        raise
    except ValueError as error:
        if not NUMBERED.match(str(error)):
            raise
        raise UserError(f"The pipeline '{name}' can't predict: {error}") from error


def explain_no_ents(nlp: Language, name: str) -> Optional[str]:
    """Tell why a pipeline finds no entities, where that is certain. Components that aren't spaCy's
    or ours may set some without saying so.

    nlp (Language): The pipeline.
    name (str): Its name or path.
    RETURNS (Optional[str]): The reason and the way out; None if it may find some.
    """
    if any(_sets_ents(nlp, key, pipe) is not False for key, pipe in nlp.pipeline):
        return None
    for key, pipe in nlp.pipeline:
        if _get_setting(pipe) is False:
            return (
                f"The pipeline '{name}' sets no entities: '{key}' has annotate_ents = false, and "
                f"writes to doc.spans only. Set it to true in [components.{key}] of its config.cfg."
            )
    names = ", ".join(nlp.pipe_names) or "none"
    return (
        f"The pipeline '{name}' sets no entities (its components: {names}). Name one with "
        "bert_ner, ner or entity_ruler."
    )


def _sets_ents(nlp: Language, name: str, pipe: Any) -> Optional[bool]:
    """RETURNS (Optional[bool]): Whether a component sets doc.ents; None if it can't be known."""
    setting = _get_setting(pipe)
    if setting is not None:
        return setting
    if "doc.ents" in nlp.get_pipe_meta(name).assigns:
        return True
    module = getattr(pipe, "__module__", None) or type(pipe).__module__
    return False if module.split(".")[0] in KNOWN else None


def _get_setting(pipe: Any) -> Optional[bool]:
    """RETURNS (Optional[bool]): Whether a component is set to write doc.ents, as `bert_ner` and
    spaCy's `span_ruler` can be; None for one that has no such setting."""
    cfg = getattr(pipe, "cfg", None)
    setting = cfg.get("annotate_ents") if isinstance(cfg, dict) else None
    return getattr(pipe, "annotate_ents", None) if setting is None else bool(setting)
