"""The results of trainings on growing parts of a corpus, as data and as a table."""

from typing import Any, Dict, List, NamedTuple, Sequence

import numpy
from wasabi import table

from ..errors import UserError
from .curve_fit import TWICE, Conclusion, conclude
from .summary import format_time, get_f1

# Sizes of data at which the curve is given, as multiples of all.
N_POINTS = 60


class Training(NamedTuple):
    """A training on a part of the corpus.

    key (str): Identifies everything that it depends on.
    part (float): The share of the documents, above 0 to 1.
    seed (int): The seed of the part and of the training.
    documents, tokens, entities (int): What the part has.
    counts (List[List[int]]): Numbers of correct, predicted and gold entities of each development
        document.
    seconds (float): How long training and prediction took.
    """

    key: str
    part: float
    seed: int
    documents: int
    tokens: int
    entities: int
    counts: List[List[int]]
    seconds: float

    @classmethod
    def parse(cls, data: Any) -> "Training":
        """Read a training.

        data (Any): What was JSON.
        RETURNS (Training): The training.
        RAISES (TypeError, UserError): For values that can't be those of a training.
        """
        training = cls(**data)
        counts = numpy.asarray(training.counts)
        if counts.ndim != 2 or counts.shape[1] != 3 or counts.dtype.kind != "i":
            raise UserError("its counts aren't three numbers per document")
        if not isinstance(training.key, str):
            raise TypeError("its key isn't a string")
        if not all(type(value) in (int, float) for value in (*training[1:6], training.seconds)):
            raise TypeError("its sizes and times aren't numbers")
        return training


def make_result(trainings: Sequence[Training]) -> Dict[str, Any]:
    """Summarize trainings.

    trainings (Sequence[Training]): The same seeds for each part.
    RETURNS (Dict[str, Any]): "parts", with the sizes and scores of each; "conclusion", with its
        text and estimates, see `Conclusion`; "curve", points with F1 and the ends of its 95 %
        interval, None without one. In plain types.
    """
    shares = sorted({training.part for training in trainings})
    groups = [[one for one in trainings if one.part == share] for share in shares]
    counts = numpy.array([[one.counts for one in group] for group in groups])
    conclusion = conclude(numpy.array(shares), counts)
    return {
        "development_documents": counts.shape[2],
        "parts": [_summarize(group) for group in groups],
        "conclusion": {
            "kind": conclusion.kind,
            "text": conclusion.text,
            **{
                name: None if value is None else value._asdict()
                for name, value in conclusion.get_estimates().items()
            },
        },
        "curve": _draw(conclusion, shares[0]),
    }


def _summarize(group: Sequence[Training]) -> Dict[str, Any]:
    scores = [float(get_f1(numpy.array(one.counts).sum(axis=0))) for one in group]
    return {
        "part": group[0].part,
        "documents": group[0].documents,
        "tokens": round(float(numpy.mean([one.tokens for one in group]))),
        "entities": round(float(numpy.mean([one.entities for one in group]))),
        "f1": float(numpy.mean(scores)),
        "deviation": float(numpy.std(scores, ddof=1)) if len(scores) > 1 else None,
        "f1_by_seed": scores,
        "seconds": float(numpy.mean([one.seconds for one in group])),
    }


def _draw(conclusion: Conclusion, first: float) -> Any:
    """Points of the curve, from the smallest part to twice the data."""
    if conclusion.curve is None:
        return None
    shares = numpy.geomspace(first, TWICE, N_POINTS)
    scores = conclusion.curve.get_scores(shares)
    low, high = numpy.quantile(scores[1:], [0.025, 0.975], axis=0)
    columns = zip(shares.tolist(), scores[0].tolist(), low.tolist(), high.tolist())
    return [dict(zip(("share", "f1", "low", "high"), column)) for column in columns]


def format_result(result: Dict[str, Any]) -> str:
    """RETURNS (str): The scores as a table, without the conclusion.

    result (Dict[str, Any]): See `make_result`.
    """
    header = ("Part", "Documents", "Entities", "F1", "Deviation", "Training")
    rows = []
    for part in result["parts"]:
        deviation = part["deviation"]
        rows.append(
            (
                f"{part['part']:.0%}",
                str(part["documents"]),
                str(part["entities"]),
                f"{part['f1']:.1f}",
                "-" if deviation is None else f"{deviation:.1f}",
                format_time(part["seconds"]),
            )
        )
    twice = result["conclusion"]["twice"]
    if twice is not None:
        ends = f"{twice['low']:.1f} to {twice['high']:.1f}"
        documents = str(round(TWICE * result["parts"][-1]["documents"]))
        rows.append((f"{TWICE:.0%}", documents, "", f"{twice['value']:.1f}", ends, "expected"))
    return table(rows, header=header, divider=True, aligns=("r",) * 6)
