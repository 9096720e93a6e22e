"""The command group `spacy bert-ner`. Imports typer only: spaCy loads it with every command."""

from typer import Typer

from .annotate import annotate_cli
from .convert import convert_cli

app = Typer(
    name="bert-ner",
    help="Train and use transformer-based named entity recognition.",
    no_args_is_help=True,
    add_completion=False,
)
app.command("convert")(convert_cli)
app.command("annotate")(annotate_cli)
