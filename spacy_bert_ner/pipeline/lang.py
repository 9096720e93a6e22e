"""Codes of languages."""

import re

import spacy

from ..errors import UserError, describe_error

# spaCy's error for a code without a language. Other errors are about missing packages.
UNKNOWN = "[E048]"


def check_lang(lang: str) -> str:
    """Check the code of a language.

    lang (str): The code.
    RETURNS (str): The code that spaCy itself uses: `en` for `eng`.
    RAISES (ValueError): If there is no such language, or something is missing for it.
    """
    # Other strings, and modules of spacy.lang that aren't languages, raise other errors.
    if not re.fullmatch("[a-z]{2,3}", lang) and lang not in spacy.registry.languages:
        raise UserError(_no_lang(lang))
    try:
        return str(spacy.blank(lang).lang)
    except ImportError as error:
        if UNKNOWN in str(error):
            raise UserError(_no_lang(lang)) from error
        raise UserError(
            f"spaCy can't create a pipeline for the language '{lang}', since a package is missing: "
            f"{describe_error(error)}"
        ) from error


def _no_lang(lang: str) -> str:
    return (
        f"spaCy has no language with the code '{lang}'. Use a code of two or three letters from "
        "https://spacy.io/usage/models#languages, such as 'en' for English, or 'xx' for other "
        "languages with spaces between words."
    )
