"""The command group `spacy bert-ner`. Imports typer only: spaCy loads it with every command."""

from functools import wraps
from importlib import import_module
from typing import Any, Callable, Dict

from typer import Context, Exit, Typer, echo

# Accept extra arguments, which override settings of the config, as in `spacy train`.
WITH_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}
# Commands and their context settings. `init-config` is `init_config_cli` in `init_config.py`.
COMMANDS: Dict[str, Dict[str, Any]] = {
    "init-config": {},
    "debug-data": WITH_OVERRIDES,
    "train": WITH_OVERRIDES,
    "convert": {},
    "annotate": {},
    "serve": {},
    "label": {},
    "filter": {},
    "augment": {},
    "weigh-sources": {},
    "shrink": {},
    "translate": {},
    "quantize": {},
    "calibrate": {},
    "evaluate": {},
    "audit": WITH_OVERRIDES,
    "select": {},
    "learning-curve": WITH_OVERRIDES,
    "profile": {},
    "compare": {},
    "from-hf": {},
    "to-hf": {},
    "push": {},
    "set-lang": {},
    "describe": {},
}


def make_app(commands: Dict[str, Dict[str, Any]] = COMMANDS) -> Typer:
    """Make the command group. A command whose module can't be imported is replaced by one that
    shows the error: an exception raised here would break every spaCy command.

    commands (Dict[str, Dict[str, Any]]): Names and settings.
    RETURNS (Typer): The group.
    """
    app = Typer(
        name="bert-ner",
        help="Train and use transformer-based named entity recognition.",
        no_args_is_help=True,
        add_completion=False,
    )
    broken = []
    for name, settings in commands.items():
        module = name.replace("-", "_")
        try:
            command = _show_errors(getattr(import_module(f".{module}", __name__), f"{module}_cli"))
        except Exception as error:
            broken.append(_explain(name, error))
            command, settings = _make_broken(broken[-1]), WITH_OVERRIDES
        app.command(name, context_settings=settings)(command)
    app.info.epilog = "\n\n".join(broken)
    return app


def _show_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Make a command exit with code 1 and a message if the user can fix the error. Other errors are
    bugs and keep their traceback. Wrong options (BadParameter) exit with code 2."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except Exception as error:
            from ..errors import explain, wrap

            message = explain(error)
            if message is None:
                raise
            echo(wrap(f"Error: {message}"), err=True)
            raise Exit(1) from error

    return run


def _explain(name: str, error: Exception) -> str:
    return (
        f"'{name}' can't be imported ({type(error).__name__}: {error}). Install the package again: "
        "python -m pip install --force-reinstall --no-deps spacy-bert-ner"
    )


def _make_broken(message: str) -> Callable[[Context], None]:
    """Make a command that replaces one that can't be imported."""

    def broken_cli(ctx: Context) -> None:
        echo(message, err=True)
        raise Exit(1)

    broken_cli.__doc__ = message
    return broken_cli


app = make_app()
