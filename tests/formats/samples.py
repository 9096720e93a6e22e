"""What tools write, as several tests read it."""

# As Prodigy's `db-out` writes an annotation of `ner.manual`.
PRODIGY = {
    "text": "Anna Berg moved to New York.\n",
    "meta": {"source": "Letters", "page": 4},
    "_input_hash": -1453912731,
    "_task_hash": 1204937121,
    "_is_binary": False,
    "tokens": [
        {"text": "Anna", "start": 0, "end": 4, "id": 0, "ws": True},
        {"text": "Berg", "start": 5, "end": 9, "id": 1, "ws": True},
        {"text": "moved", "start": 10, "end": 15, "id": 2, "ws": True},
        {"text": "to", "start": 16, "end": 18, "id": 3, "ws": True},
        {"text": "New York", "start": 19, "end": 27, "id": 4, "ws": False},
        {"text": ".", "start": 27, "end": 28, "id": 5, "ws": False},
        {"text": "\n", "start": 28, "end": 29, "id": 6, "ws": False},
    ],
    "_view_id": "ner_manual",
    "spans": [
        {"start": 0, "end": 9, "token_start": 0, "token_end": 1, "label": "PER"},
        {"start": 19, "end": 27, "token_start": 4, "token_end": 4, "label": "LOC"},
    ],
    "answer": "accept",
    "_timestamp": 1711620000,
    "_annotator_id": "letters-anna",
    "_session_id": "letters-anna",
}
# And of `ner.teach`, where one entity is accepted or rejected.
BINARY = {
    "text": "Jordan won in Jordan .",
    "_input_hash": 1,
    "_task_hash": 2,
    "spans": [{"text": "Jordan", "start": 14, "end": 20, "label": "LOC", "score": 0.5}],
    "meta": {"score": 0.5},
    "_view_id": "ner",
    "answer": "accept",
}

CONLL_2003 = """
-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC
call NN I-NP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER

-DOCSTART- -X- -X- O

BRUSSELS NNP B-NP B-LOC
"""

# As Label Studio exports a task.
TASK_TEXT = "Anna Berg joined\nAcme in \U0001f600 Oslo ."


def make_result(start, end, label, text=TASK_TEXT, **settings):
    """A labeled region, as Label Studio exports it."""
    value = {"start": start, "end": end, "text": text[start:end], "labels": [label]}
    return {
        "value": value,
        "id": f"r{start}",
        "from_name": "label",
        "to_name": "text",
        "type": "labels",
        "origin": "manual",
        **settings,
    }


ANNOTATION = {
    "id": 11,
    "completed_by": 1,
    "result": [make_result(0, 9, "PER"), make_result(17, 21, "ORG"), make_result(27, 31, "LOC")],
    "was_cancelled": False,
    "ground_truth": False,
    "created_at": "2024-03-28T12:00:00.000000Z",
    "updated_at": "2024-03-28T12:00:00.000000Z",
    "lead_time": 8.4,
    "prediction": {},
    "result_count": 0,
}
TASK = {
    "id": 5,
    "annotations": [ANNOTATION],
    "drafts": [],
    "predictions": [],
    "data": {"text": TASK_TEXT},
    "meta": {"source": "letters"},
    "created_at": "2024-03-28T11:00:00.000000Z",
    "inner_id": 1,
    "total_annotations": 1,
    "cancelled_annotations": 0,
    "project": 2,
}
MIN = {
    "text": TASK_TEXT,
    "id": 5,
    "label": [result["value"] for result in ANNOTATION["result"]],
    "annotator": 1,
    "annotation_id": 11,
    "created_at": "2024-03-28T12:00:00.000000Z",
    "updated_at": "2024-03-28T12:00:00.000000Z",
    "lead_time": 8.4,
}

# Doccano's, with the offsets of its entities.
PAIRS_TEXT = "EU rejects German call to boycott British lamb ."
PAIRS = [[0, 2, "ORG"], [11, 17, "MISC"]]
