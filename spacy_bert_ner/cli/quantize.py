from pathlib import Path

from typer import Argument, Option, echo

from ._util import REPLACE, notify

# fmt: off


def quantize_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline, or folder of a Hugging Face token classifier"),
    output_path: Path = Argument(..., readable=False, help="Output folder for the exported pipeline"),
    dev_path: Path = Option(..., "--dev", "-d", readable=False, help="Documents with gold entities, to compare the export with the original"),
    precision: str = Option("int8", "--precision", "-p", help="Precision of the weights: int8 or fp32"),
    max_loss: float = Option(0.3, "--max-loss", "-m", help="How many points of F1 (0 to 100) the export may lose; if it loses more, nothing is written"),
    force: bool = REPLACE,
) -> None:
    # fmt: on
    """
    Export a pipeline that predicts with onnxruntime, without torch.

    Tries several ways to quantize the encoder, from the smallest to the most
    exact, and writes the first that loses at most --max-loss.
    """
    from ..commands.quantize import format_quantization, quantize
    from ..terminal import printable

    result = quantize(
        pipeline,
        output_path,
        dev_path,
        precision=precision,
        max_loss=max_loss,
        force=force,
        notify=notify,
    )
    echo(printable(format_quantization(result)))
    echo(printable(f"Wrote {output_path}."))
