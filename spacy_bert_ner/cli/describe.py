from typer import Argument, BadParameter, Option, echo

# fmt: off


def describe_cli(
    pipeline: str = Argument(..., help="Name or path of a pipeline, or folder of a Hugging Face checkpoint"),  # noqa: E501
    as_json: bool = Option(False, "--json", help="Print JSON"),
) -> None:
    # fmt: on
    """
    Show what a pipeline is made of: encoder, tokenizer, classifier, labels and settings.
    """
    import srsly

    from ..hf.describe import describe, format_description

    try:
        info = describe(pipeline)
    except (ValueError, OSError) as error:
        raise BadParameter(str(error)) from error
    echo(srsly.json_dumps(info, indent=2) if as_json else format_description(info))
