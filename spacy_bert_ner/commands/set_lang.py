"""Use the same weights with the tokenizer of another language."""

from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language

from ..errors import UserError
from ..findings import number
from ..hf.folders import check_folder, write_folder
from ..pipeline.encoders import find_encoder
from ..pipeline.lang import check_lang
from .pipelines import load_pipeline

# Components that work for all languages: they learn only from the vectors of an encoder, or don't
# learn at all.
SAME = ("transformer", "bert_ner", "sentencizer", "doc_cleaner")
# Parts of a saved pipeline that are created for the other language.
OWN = ("tokenizer", "vocab", "meta", "config")


def set_lang(pipeline: str, output_path: Path, lang: str, *, force: bool = False) -> str:
    """Write a pipeline for another language to a folder, see `change_lang`.

    pipeline (str): Name or path of a trained pipeline.
    output_path (Path): Where to write the new pipeline.
    lang (str): Code of the other language.
    force (bool): Replace a folder that isn't empty.
    RETURNS (str): A message about the result.
    RAISES (UserError): For a pipeline that can't be loaded, changed or written.
    """
    check_folder(output_path, force, pipeline)
    source = load_pipeline(pipeline)
    nlp = change_lang(source, lang)
    with write_folder(output_path, force=force) as folder:
        nlp.to_disk(folder)
    return f"Wrote {output_path}: '{source.lang}' is now '{nlp.lang}'."


def change_lang(nlp: Language, lang: str) -> Language:
    """Make a pipeline for another language, if the encoder knows both languages: the tokenizer of
    that language, and the same components with their settings and weights. The scores in the meta
    aren't copied, since they are for the original language.

    nlp (Language): A trained pipeline of components that don't depend on the language.
    lang (str): Code of the other language.
    RETURNS (Language): A new pipeline.
    RAISES (UserError): For a language that doesn't exist, and for a pipeline with other components
        or a custom tokenizer.
    """
    lang = check_lang(lang)
    _check_components(nlp)
    _check_tokenizer(nlp)
    config = nlp.config.copy()
    config["nlp"]["lang"] = lang
    # Some languages, such as Japanese, have tokenizers of another kind.
    config["nlp"]["tokenizer"] = _get_default_tokenizer(lang)
    new = spacy.util.get_lang_class(lang).from_config(config)
    for string in nlp.vocab.strings:
        new.vocab.strings.add(string)
    new.vocab.vectors = nlp.vocab.vectors
    new.from_bytes(nlp.to_bytes(exclude=OWN), exclude=OWN)
    left_out = ("lang", "vectors", "performance")
    new.meta.update({key: value for key, value in nlp.meta.items() if key not in left_out})
    return new


def _check_components(nlp: Language) -> None:
    """RAISES (UserError): For a pipeline with components that depend on the language."""
    factories = {name: nlp.get_pipe_meta(name).factory for name in nlp.component_names}
    others = [f"'{name}' ({key})" for name, key in factories.items() if key not in SAME]
    if others:
        raise UserError(
            f"Can't set another language: {number(len(others), 'component')} of the pipeline may "
            f"depend on '{nlp.lang}': {', '.join(others)}. Remove them first (nlp.remove_pipe, "
            f"nlp.to_disk). Only {', '.join(SAME)} are known not to depend on it."
        )
    names = [name for name, factory in factories.items() if factory == "bert_ner"]
    if not names:
        raise UserError(
            "Can't set another language: the pipeline has no bert_ner. Name one that has."
        )
    for name in names:
        find_encoder(nlp, name, nlp.get_pipe(name).model)  # type: ignore[attr-defined]


def _check_tokenizer(nlp: Language) -> None:
    """RAISES (UserError): For a tokenizer that isn't that of the language."""
    own, default = nlp.config["nlp"]["tokenizer"], _get_default_tokenizer(str(nlp.lang))
    if own != default:
        raise UserError(
            f"Can't set another language: the tokenizer of the pipeline is {_name(own)}, not "
            f"{_name(default)} (the default of '{nlp.lang}'), and would be lost. Edit lang and "
            "[nlp.tokenizer] in its config.cfg by hand."
        )


def _get_default_tokenizer(lang: str) -> Any:
    return spacy.util.get_lang_class(lang).default_config["nlp"]["tokenizer"]


def _name(block: Any) -> str:
    return str(block.get("@tokenizers", block))
