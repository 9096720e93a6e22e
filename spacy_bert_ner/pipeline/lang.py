"""Codes of languages."""

import re

import spacy

from ..errors import UserError


def check_lang(lang: str) -> str:
    """Check the code of a language.

    lang (str): The code.
    RETURNS (str): The code that spaCy itself uses: `en` for `eng`.
    RAISES (ValueError): If there is no such language, or something is missing for it.
    """
    # Other strings, and modules of spacy.lang that aren't languages, raise other errors.
    if not re.fullmatch("[a-z]{2,3}", lang) and lang not in spacy.registry.languages:
        raise UserError(_no_lang(lang, "it isn't two or three lower-case letters"))
    try:
        return str(spacy.blank(lang).lang)
    except ImportError as error:
        raise UserError(_no_lang(lang, str(error))) from error


def _no_lang(lang: str, reason: str) -> str:
    return (
        f"spaCy can't create a pipeline for the language '{lang}': {reason.rstrip('.')}. Install "
        "what it asks for, or use a code from https://spacy.io/usage/models#languages; 'xx' is for "
        "all languages with spaces between words."
    )
