"""The command group `spacy bert-ner`. Imports typer only: spaCy loads it with every command."""

from importlib import import_module
from typing import Any, Callable, Dict

from typer import Context, Exit, Typer, echo

# Arguments that are no options of the command: settings of the config, as for `spacy train`.
WITH_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
# Each command, and settings of its context. `init-config` is `init_config_cli` in `init_config.py`.
COMMANDS: Dict[str, Dict[str, Any]] = {
    "init-config": {},
    "debug-data": WITH_OVERRIDES,
    "convert": {},
    "annotate": {},
}


def make_app(commands: Dict[str, Dict[str, Any]] = COMMANDS) -> Typer:
    """The command group. A command whose module can't be imported is there too, and tells why:
    what one raises here would end every command of spaCy.

    commands (Dict[str, Dict[str, Any]]): Names and settings.
    RETURNS (Typer): The group.
    """
    app = Typer(
        name="bert-ner",
        help="Train and use transformer-based named entity recognition.",
        no_args_is_help=True,
        add_completion=False,
    )
    for name, settings in commands.items():
        module = name.replace("-", "_")
        try:
            command = getattr(import_module(f".{module}", __name__), f"{module}_cli")
        except Exception as error:
            command, settings = _make_broken(name, error), WITH_OVERRIDES
        app.command(name, context_settings=settings)(command)
    return app


def _make_broken(name: str, error: Exception) -> Callable[[Context], None]:
    """A command in place of one that can't be imported."""
    reason = f"{type(error).__name__}: {error}"

    def broken_cli(ctx: Context) -> None:
        echo(
            f"Can't run 'spacy bert-ner {name}': its import failed with {reason}. Install the "
            "package anew: python -m pip install --force-reinstall spacy-bert-ner",
            err=True,
        )
        raise Exit(1) from error

    broken_cli.__doc__ = f"Can't be imported ({reason}). Run it to see how to mend that."
    return broken_cli


app = make_app()
