from typer import Argument, Option, echo

# fmt: off


def describe_cli(
    pipeline: str = Argument(..., help="Name or path of a pipeline, or folder of a Hugging Face checkpoint"),
    as_json: bool = Option(False, "--json", help="Print as JSON"),
) -> None:
    # fmt: on
    """
    Show the parts of a pipeline: encoder, tokenizer, classifier, labels and
    settings.
    """
    import srsly

    from ..commands.describe import describe, format_description
    from ..terminal import printable

    info = describe(pipeline)
    echo(srsly.json_dumps(info, indent=2) if as_json else printable(format_description(info)))
