"""Ray Data: find the entities in a dataset."""

from typing import Any, Iterator

from ..formats.arrow_rows import import_pyarrow
from .annotator import MAX_WORDS, Annotator


def annotate(
    ds: Any,
    pipeline: str,
    *,
    column: str = "text",
    max_words: int = MAX_WORDS,
    skip_broken: bool = False,
    workers: int = 1,
    threads: int = 1,
    gpu_share: float = 0.0,
) -> Any:
    """Find the entities in the texts of a dataset of Ray. Each worker is an actor, which loads the
    pipeline once, and annotates a block at a time. If an actor is lost, Ray starts another one, and
    gives it the same block.

    ds (ray.data.Dataset): The dataset.
    pipeline (str): Path or name of a trained pipeline, which all workers can load.
    column, max_words, skip_broken (Any): See `Annotator`.
    workers (int): The largest number of actors. There should be several blocks for each.
    threads (int): Threads of torch in each actor, which has so many of Ray's CPUs.
    gpu_share (float): The share of a GPU for each actor, such as 0.25 for four on each GPU; 0 for
        the CPU.
    RETURNS (ray.data.Dataset): The same rows as the command `annotate` writes to a Parquet file,
        computed as they are needed.
    """
    from ray.data import ActorPoolStrategy

    # Ray shows an actor its GPU as number 0.
    use_gpu = 0 if gpu_share else -1
    annotator = Annotator(pipeline, column, max_words, skip_broken, threads, use_gpu)
    return ds.map_batches(
        _Actor,
        fn_constructor_args=(annotator,),
        batch_size=None,
        batch_format="pyarrow",
        # Actors that take all CPUs before the texts are read would wait forever.
        compute=ActorPoolStrategy(min_size=1, max_size=workers),
        num_cpus=threads,
        num_gpus=gpu_share or None,
    )


class _Actor:
    """Annotates blocks.

    annotator (Annotator): How to do so.
    """

    def __init__(self, annotator: Annotator):
        annotator.load()
        self.annotator = annotator

    def __call__(self, block: Any) -> Iterator[Any]:
        """YIELDS (pyarrow.Table): The rows of a block, in batches.

        block (pyarrow.Table): The block.
        """
        for batch in self.annotator.annotate(block.to_batches()):
            yield import_pyarrow().Table.from_batches([batch])
