"""Adds the command group to spaCy's command line. spaCy loads this module by its entry point."""

from spacy.cli import app as spacy_app

from . import app

spacy_app.add_typer(app, name="bert-ner")
