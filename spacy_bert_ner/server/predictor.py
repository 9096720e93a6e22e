"""A pipeline, and the thread that owns it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import List, NamedTuple, Optional, Sequence, Union

from spacy.language import Language

from ..commands.checks import require_gpu
from ..commands.pipelines import explain_no_ents, explain_pipeline, load_pipeline
from ..errors import UserError
from ..zones import bounded_zone
from .shapes import SHAPES, render

# Read before the first request, which would otherwise wait until all parts are ready.
FIRST_TEXT = "Anna Berg lives in Oslo."


class Asked(NamedTuple):
    """A text to read.

    text (str): The text.
    shape (str): The shape of the result, see `shapes`.
    """

    text: str
    shape: str


class Predictor:
    """A pipeline in a thread, which loads it and is the only one that uses it.

    pipeline (str): Name or path of a trained pipeline.
    batch_size (Optional[int]): The most texts to read at once; by default that of the pipeline.
    use_gpu (int): Number of the GPU, -1 for the CPU.
    RAISES (UserError): For a pipeline that can't be loaded, can't predict or finds no entities.
    """

    def __init__(self, pipeline: str, batch_size: Optional[int] = None, use_gpu: int = -1):
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="pipeline")
        self.nlp = self.thread.submit(_load, pipeline, use_gpu).result()
        self.batch_size = self.nlp.batch_size if batch_size is None else batch_size
        self.max_length = self.nlp.max_length

    async def predict(self, asked: Sequence[Asked]) -> List[Union[str, Exception]]:
        """Read a batch of texts.

        asked (Sequence[Asked]): The texts.
        RETURNS (List[Union[str, Exception]]): The JSON of each text, or the error that it caused.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.thread, _predict_each, self.nlp, asked)

    def close(self) -> None:
        """Wait for the batch that is being read, and end the thread."""
        self.thread.shutdown()


def _load(pipeline: str, use_gpu: int) -> Language:
    require_gpu(use_gpu)
    nlp = load_pipeline(pipeline)
    no_ents = explain_no_ents(nlp, pipeline)
    if no_ents is not None:
        raise UserError(no_ents)
    with explain_pipeline(pipeline):
        for shape in SHAPES:
            _predict(nlp, [Asked(FIRST_TEXT, shape)])
    return nlp


def _predict_each(nlp: Language, asked: Sequence[Asked]) -> List[Union[str, Exception]]:
    """A text that causes an error doesn't affect the others in its batch."""
    try:
        return [*_predict(nlp, asked)]
    except Exception as error:
        if len(asked) == 1:
            return [error]
    return [result for one in asked for result in _predict_each(nlp, [one])]


def _predict(nlp: Language, asked: Sequence[Asked]) -> List[str]:
    with bounded_zone(nlp):
        docs = nlp.pipe([one.text for one in asked], batch_size=len(asked))
        return [render(doc, one.shape) for doc, one in zip(docs, asked)]
