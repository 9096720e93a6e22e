"""Load the pipelines of commands, and explain their errors."""

import re
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Optional

import spacy
from spacy.errors import OLD_MODEL_SHORTCUTS
from spacy.language import Language

from ..errors import MissingFileError, UserError, describe_error
from ..findings import N_SHOWN

# spaCy numbers its own messages.
NUMBERED = re.compile(r"\[[EW]\d+\]")
# Packages whose components declare what they set.
KNOWN = (
    "spacy",
    "spacy_legacy",
    "spacy_transformers",
    "spacy_curated_transformers",
    __name__.split(".")[0],
)


def load_pipeline(name: str) -> Language:
    """Load a pipeline.

    name (str): Its name or path.
    RETURNS (Language): The pipeline.
    RAISES (UserError): For a pipeline that is damaged, needs a package that isn't installed, or
        doesn't exist (MissingFileError).
    """
    try:
        return spacy.load(name)
    except UserError as error:
        raise UserError(f"Can't load the pipeline '{name}': {error}") from error
    except OSError as error:
        if error.filename is not None:
            raise
        raise MissingFileError(_explain_missing(name, error)) from error
    except ImportError as error:
        raise UserError(f"Can't load the pipeline '{name}': {error}") from error
    # What spaCy raises depends on which of its files is damaged, and how.
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise UserError(
            f"Can't load the pipeline '{name}': {describe_error(error)}. If one of its files may "
            "be damaged, copy or download the whole pipeline again."
        ) from error


def _explain_missing(name: str, error: OSError) -> str:
    """RETURNS (str): Why there is no pipeline of a name or path, and the way out: a pipeline inside
    the folder, if there is one, as in the output of a training."""
    if name in OLD_MODEL_SHORTCUTS:
        return str(error)  # it names the package
    path = Path(name)
    if not path.exists():
        return (
            f"There is no pipeline '{name}': no folder {path.absolute()}, and no installed package "
            "with this name. Check the path, or install the package."
        )
    if not path.is_dir():
        return f"'{name}' isn't a pipeline, but a file. Name the folder of a pipeline."
    inside = sorted(config.parent for config in path.glob("*/config.cfg"))
    if not inside:
        return (
            f"The folder '{name}' isn't a pipeline: it has no config.cfg. Name a folder that "
            "'spacy train' wrote, such as training/model-best."
        )
    names = " or ".join(f"'{folder}'" for folder in inside[:N_SHOWN])
    return f"The folder '{name}' isn't a pipeline. Use one inside it: {names}."


@contextmanager
def explain_pipeline(name: str) -> Iterator[None]:
    """Show spaCy's error for a pipeline that can't predict, such as one without sentences.

    name (str): Its name or path.
    RAISES (UserError): For an error with one of spaCy's numbers. Other errors are bugs, and are not
        changed.
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
    """Explain why a pipeline finds no entities, if this is certain. Components of other packages
    may set entities without declaring it.

    nlp (Language): The pipeline.
    name (str): Its name or path.
    RETURNS (Optional[str]): The reason and the way out; None if it may find entities.
    """
    if any(_sets_ents(nlp, key, pipe) is not False for key, pipe in nlp.pipeline):
        return None
    for key, pipe in nlp.pipeline:
        if _get_setting(pipe) is False:
            return (
                f"The pipeline '{name}' sets no entities: '{key}' has annotate_ents = false, and "
                f"only writes doc.spans. Set it to true in [components.{key}] of its config.cfg."
            )
    names = ", ".join(nlp.pipe_names) or "none"
    return (
        f"The pipeline '{name}' sets no entities (its components: {names}). Use a pipeline "
        "with bert_ner, ner or entity_ruler."
    )


def _sets_ents(nlp: Language, name: str, pipe: Any) -> Optional[bool]:
    """RETURNS (Optional[bool]): Whether a component sets doc.ents; None if this is unknown."""
    setting = _get_setting(pipe)
    if setting is not None:
        return setting
    if "doc.ents" in nlp.get_pipe_meta(name).assigns:
        return True
    module = getattr(pipe, "__module__", None) or type(pipe).__module__
    return False if module.split(".")[0] in KNOWN else None


def _get_setting(pipe: Any) -> Optional[bool]:
    """RETURNS (Optional[bool]): Whether a component is set to write doc.ents, as is possible for
    `bert_ner` and spaCy's `span_ruler`; None if it has no such setting."""
    cfg = getattr(pipe, "cfg", None)
    setting = cfg.get("annotate_ents") if isinstance(cfg, dict) else None
    return getattr(pipe, "annotate_ents", None) if setting is None else bool(setting)
