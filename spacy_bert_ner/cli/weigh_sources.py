from pathlib import Path
from typing import List, Optional

from typer import Argument, Option, echo

from ._util import SOURCE, USE_GPU

# fmt: off


def weigh_sources_cli(
    encoder: str = Argument(..., help="A folder, an installed Python package that holds an encoder, or a name on the Hugging Face hub: one that knows all the languages"),
    target: Path = Argument(..., readable=False, help="In the target language: text, a file of documents, or a folder of .txt files"),
    sources: List[Path] = Argument(..., metavar="SOURCE...", readable=False, help="The same of the source languages, one of each, in the order of the teachers"),
    output_path: Optional[Path] = Option(None, "--output", "-o", readable=False, help="Where to write the weights, in JSON, for --weights of label"),
    max_sents: int = Option(2000, "--max-sents", min=10, help="Sentences read of each file at most; a document without sentence boundaries counts as one"),
    tau: Optional[float] = Option(None, "--tau", min=0.0, help="What scores are multiplied with before they become shares: the larger, the more the best source gets; else 1 / their variance, as published"),
    rank: int = Option(64, "--rank", min=1, help="Width of what texts and languages are compared in"),
    gamma: float = Option(0.01, "--gamma", min=0.0, help="Weight of the penalty that keeps the vectors of languages apart"),
    epochs: int = Option(10, "--epochs", min=1, help="How often to go through the sentences of the sources"),
    seed: int = Option(0, "--seed", min=0, help="Of the classifier and the order of sentences"),
    source: Optional[str] = SOURCE,
    use_gpu: int = USE_GPU,
) -> None:
    # fmt: on
    """
    Find how much the labels of each of several languages should count for another one.

    No labels are read. A classifier learns to tell the sources apart by the vectors that the
    encoder gives for their sentences, and is asked which source each sentence of the target is
    like. The mean of its answers is one weight for each source.
    """
    from ..commands.checks import require_gpu
    from ..commands.weigh_sources import IdentifierSettings, format_weights, weigh_sources
    from ..terminal import printable

    require_gpu(use_gpu)
    weighing = weigh_sources(
        encoder,
        target,
        sources,
        settings=IdentifierSettings(rank, gamma, epochs, seed),
        max_sents=max_sents,
        tau=tau,
        source=source,
        output_path=output_path,
    )
    echo(printable(format_weights(weighing)))
