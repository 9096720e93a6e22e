from pathlib import Path
from typing import List, Optional

from typer import Argument, Option, echo

from ._util import SOURCE, USE_GPU

# fmt: off


def weigh_sources_cli(
    encoder: str = Argument(..., help="A folder, an installed Python package that contains an encoder, or a name on the Hugging Face hub; the encoder must support all the languages"),
    target: Path = Argument(..., readable=False, help="Texts in the target language: a text, a file of documents, or a folder of .txt files"),
    sources: List[Path] = Argument(..., metavar="SOURCE...", readable=False, help="The same for each source language, in the order of the teachers"),
    output_path: Optional[Path] = Option(None, "--output", "-o", readable=False, help="Output file (JSON) for the weights, to use as --weights of label"),
    max_sents: int = Option(2000, "--max-sents", min=10, help="Maximum number of sentences to read per file; a document without sentence boundaries counts as one"),
    tau: Optional[float] = Option(None, "--tau", min=0.0, help="Factor of the scores before they are normalized to weights: the larger, the more the best source gets; default: 1 / their variance, as published"),
    rank: int = Option(64, "--rank", min=1, help="Dimension of the vectors in which texts and languages are compared"),
    gamma: float = Option(0.01, "--gamma", min=0.0, help="Weight of the penalty that keeps the vectors of languages apart"),
    epochs: int = Option(10, "--epochs", min=1, help="Number of passes over the source sentences"),
    seed: int = Option(0, "--seed", min=0, help="Random seed for the classifier and the order of the sentences"),
    source: Optional[str] = SOURCE,
    use_gpu: int = USE_GPU,
) -> None:
    # fmt: on
    """
    Compute how much the labels of each source language should count for a
    target language.

    No labels are read. A classifier learns to distinguish the source languages
    by the encoder's vectors of their sentences, and predicts which source each
    target sentence resembles. The mean of its predictions is one weight per
    source.
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
