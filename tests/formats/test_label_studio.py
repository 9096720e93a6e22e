import copy
import json

import numpy
import pytest
from spacy.tokens import Doc

from spacy_bert_ner.formats import FormatError, read_docs
from spacy_bert_ner.tagging.entity_scores import SOURCE

from .samples import ANNOTATION, MIN, TASK, make_result
from .samples import TASK_TEXT as TEXT
from .util import NLP, ents_of, found, make_doc, read_records, tags_of, write_records

RELATION = {
    "from_id": "r0",
    "to_id": "r17",
    "type": "relation",
    "direction": "right",
    "labels": ["works for"],
}


ENTS = [("Anna Berg", "PER"), ("Acme", "ORG"), ("Oslo", "LOC")]


def read(tmp_path, records):
    return read_records(tmp_path, records, "label-studio")


def change(**settings):
    """The annotation with other settings."""
    return {**copy.deepcopy(ANNOTATION), **settings}


@pytest.mark.parametrize(
    "task",
    [
        TASK,
        MIN,
        {"id": 5, "completions": [ANNOTATION], "predictions": [], "data": {"text": TEXT}},
        {**TASK, "data": {"sentence": TEXT, "page": 3}},
        {**{key: MIN[key] for key in MIN if key != "label"}, "ner": MIN["label"]},
        {**TASK, "annotations": [change(was_cancelled=True, result=[]), ANNOTATION]},
    ],
    ids=["full", "min", "before 1.0", "other text key", "min with other label key", "cancelled"],
)
def test_exports(tmp_path, task):
    (doc,), report = read(tmp_path, [task])
    assert doc.text == TEXT
    assert ents_of(doc) == ENTS
    assert "-" not in tags_of(doc)
    assert not report.findings


@pytest.mark.parametrize(
    "task",
    [
        {"data": {"text": TEXT}},
        {**TASK, "annotations": []},
        {**TASK, "annotations": [change(was_cancelled=True)]},
        {key: MIN[key] for key in MIN if key != "label"},
    ],
    ids=["new", "none", "cancelled", "min"],
)
def test_tasks_without_annotation(tmp_path, task):
    (doc,), report = read(tmp_path, [task])
    assert not doc.has_annotation("ENT_IOB")
    assert not report.findings


def test_annotation_without_entities(tmp_path):
    (doc,), report = read(tmp_path, [{**TASK, "annotations": [change(result=[])]}])
    assert set(tags_of(doc)) == {"O"}
    assert not report.findings


def test_predictions_are_no_annotation(tmp_path):
    predictions = [{"model_version": "x", "score": 0.5, "result": ANNOTATION["result"]}]
    (doc,), report = read(tmp_path, [{**TASK, "annotations": [], "predictions": predictions}])
    assert not doc.has_annotation("ENT_IOB")
    assert found(report) == {
        "tasks have predictions and no annotations, and count as not annotated": 1
    }


@pytest.mark.parametrize("ground_truth,expected", [(False, ENTS[:1]), (True, ENTS[1:2])])
def test_annotations_of_several_people(tmp_path, ground_truth, expected):
    first = change(result=ANNOTATION["result"][:1])
    second = change(result=ANNOTATION["result"][1:2], ground_truth=ground_truth)
    (doc,), report = read(tmp_path, [{**TASK, "annotations": [first, second]}])
    assert ents_of(doc) == expected
    assert "1 task has several annotations" in report.message()


def test_results_that_are_no_spans(tmp_path):
    choice = {
        "value": {"choices": ["news"]},
        "from_name": "kind",
        "to_name": "text",
        "type": "choices",
    }
    result = [*ANNOTATION["result"], RELATION, choice]
    (doc,), report = read(tmp_path, [{**TASK, "annotations": [change(result=result)]}])
    assert ents_of(doc) == ENTS
    assert "2 results don't label plain text, and are left out" in report.message()
    assert "relation (record 1, line 1), choices (record 1, line 1)" in report.message()


def test_region_with_several_labels(tmp_path):
    """One of them would be as good as the other."""
    result = make_result(0, 9, "PER")
    result["value"]["labels"] = ["PER", "ARTIST"]
    (doc,), report = read(tmp_path, [{**TASK, "annotations": [change(result=[result])]}])
    assert tags_of(doc)[:3] == ["-", "-", "O"]
    assert "2 spans overlap others" in report.message()


def test_region_without_labels(tmp_path):
    result = make_result(0, 9, "PER")
    result["value"]["labels"] = []
    (doc,), report = read(tmp_path, [{**TASK, "annotations": [change(result=[result])]}])
    assert tags_of(doc)[:3] == ["-", "-", "O"]
    assert "1 span has no label" in report.message()


def test_offsets_in_utf_16(tmp_path):
    """Label Studio before 1.4 (label-studio#1347): the text of the region tells."""
    value = {"start": 28, "end": 32, "text": "Oslo", "labels": ["LOC"]}
    result = {**ANNOTATION["result"][2], "value": value}
    (doc,), report = read(tmp_path, [{**TASK, "annotations": [change(result=[result])]}])
    assert ents_of(doc) == [("Oslo", "LOC")]
    assert not report.findings


def test_line_breaks_in_the_text_of_regions(tmp_path):
    """They are written as a backslash and an n."""
    value = {"start": 10, "end": 21, "text": "joined\\nAcme", "labels": ["X"]}
    result = {**ANNOTATION["result"][0], "value": value}
    (doc,), report = read(tmp_path, [{**TASK, "annotations": [change(result=[result])]}])
    assert ents_of(doc) == [("joined\nAcme", "X")]
    assert not report.findings


def test_region_without_text(tmp_path):
    value = {"start": 27, "end": 31, "labels": ["LOC"]}
    (doc,), report = read(tmp_path, [{**MIN, "label": [value]}])
    assert ents_of(doc) == [("Oslo", "LOC")]
    assert not report.findings


@pytest.mark.parametrize(
    "value", [{"start": 1, "end": 5}, {"start": -3, "end": 2}, {"start": 0, "end": 99}]
)
def test_text_that_is_somewhere_else(tmp_path, value):
    value = {**value, "text": "Oslo", "labels": ["LOC"]}
    (doc,), report = read(tmp_path, [{**MIN, "label": [value]}])
    assert not doc.has_annotation("ENT_IOB")
    assert "1 span is outside the text, or has offsets that" in report.message()
    assert "are not 'Oslo'" in report.message()


@pytest.mark.parametrize(
    "task,match",
    [
        ({"data": "a"}, 'its data is "a", but must be an object with the text'),
        ({"data": {"a": "x", "b": "y"}}, r'under the keys of its data \("a", "b"\)'),
        ({"data": {"n": 1}}, r'under the keys of its data \("n"\)'),
        ({"data": {"text": 1}}, "its text is 1"),
        ({"data": {"text": "a"}, "annotations": 1}, "'annotations' is 1, but must be a list"),
        ({"data": {"text": "a"}, "annotations": [1]}, "its annotation 1 has no list 'result'"),
        ({"data": {"text": "a"}, "annotations": [{}]}, "its annotation {} has no list 'result'"),
        ({"text": "a", "label": ["X"]}, "its label \"X\" has no 'start', 'end' and list"),
        ({"text": "a", "label": [{"labels": "X"}]}, "has no 'start', 'end' and list of 'labels'"),
        ({"text": "a", "label": "X"}, "'label' is \"X\", but must be a list"),
    ],
)
def test_wrong_tasks(tmp_path, task, match):
    path = tmp_path / "a.json"
    path.write_text(json.dumps([TASK, task], indent=1), encoding="utf-8")
    line = 1 + json.dumps([TASK], indent=1).count("\n")
    with pytest.raises(FormatError, match=f"the record at line {line} of .*a.json: .*{match}"):
        list(read_docs(path, NLP, "label-studio"))


def test_written_annotations(tmp_path):
    docs, _ = read(tmp_path, [TASK])
    docs.append(Doc(NLP.vocab, words=["b"]))
    (task, unknown), report = write_records(tmp_path, docs, "label-studio")
    assert task["data"] == {"text": TEXT}
    assert (task["id"], task["meta"]) == (5, {"source": "letters"})
    (annotation,) = task["annotations"]
    assert [part["value"] for part in annotation["result"]] == MIN["label"]
    assert {part["id"] for part in annotation["result"]} == {"0-9", "17-21", "27-31"}
    assert all(
        (part["from_name"], part["to_name"], part["type"]) == ("label", "text", "labels")
        for part in annotation["result"]
    )
    assert unknown == {"data": {"text": "b "}}
    assert not report.findings


def test_written_predictions(tmp_path):
    doc = make_doc(["a", "b", "c"], ["B-X", "B-Y", "B-Z"])
    doc.spans["bert_ner"] = doc.ents[:2]
    doc.spans["bert_ner"].attrs.update(scores=numpy.array([0.5, 0.75]), source=SOURCE)
    empty = make_doc(["a"], ["O"])
    empty.spans["bert_ner"] = []
    empty.spans["bert_ner"].attrs.update(scores=numpy.zeros(0), source=SOURCE)
    tasks, _ = write_records(tmp_path, [doc, empty], "label-studio")
    assert all("annotations" not in task for task in tasks)
    (first,), (second,) = (task["predictions"] for task in tasks)
    assert first["model_version"] == "bert_ner"
    assert first["score"] == 0.625
    assert [part.get("score") for part in first["result"]] == [0.5, 0.75, None]
    assert second == {"model_version": "bert_ner", "result": []}


def test_written_partial_annotation(tmp_path):
    _, report = write_records(tmp_path, [make_doc(["a", "b"], ["B-X", "-"])], "label-studio")
    assert "1 document has tokens with missing annotation" in report.message()


def test_written_as_an_array(tmp_path):
    """A task a line, and an array of none."""
    write_records(tmp_path, [make_doc(["a"], ["O"])] * 2, "label-studio")
    lines = (tmp_path / "written").read_text(encoding="utf-8").split("\n")
    assert [lines[0], *lines[3:]] == ["[", "]", ""]
    assert json.loads(lines[2]) == json.loads(lines[1].rstrip(","))
    assert write_records(tmp_path, [], "label-studio")[0] == []


def make_other(kind, **settings):
    """A region as hypertexts and paragraphs have it."""
    return {"value": {**settings, kind: ["LOC"]}, "id": "x", "from_name": "b", "type": kind}


HYPERTEXT = {"start": "/div[1]/text()[1]", "end": "/div[1]/text()[1]", "text": "Oslo"}


@pytest.mark.parametrize(
    "value",
    [
        {"start": 27, "end": 31},
        {**HYPERTEXT, "startOffset": 3, "endOffset": 7, "globalOffsets": {"start": 27, "end": 31}},
        {**HYPERTEXT, "startOffset": 27, "endOffset": 31},
        {**HYPERTEXT, "startOffset": 3, "endOffset": 7},
    ],
    ids=["as labels", "in the whole", "in the part", "the only one"],
)
def test_hypertext(tmp_path, value):
    result = [make_result(0, 9, "PER", from_name="a"), make_other("hypertextlabels", **value)]
    (doc,), report = read(tmp_path, [{**TASK, "annotations": [change(result=result)]}])
    assert ents_of(doc) == [ENTS[0], ENTS[2]]
    assert "-" not in tags_of(doc)
    assert not report.findings


@pytest.mark.parametrize("text", ["Oslo", None, ""])
def test_hypertext_that_is_nowhere(tmp_path, text):
    """Its text is there twice, or isn't told."""
    value = {**HYPERTEXT, "startOffset": 90, "endOffset": 94, "text": text}
    task = {"data": {"text": "Oslo , Oslo ."}}
    annotation = change(result=[make_other("hypertextlabels", **value)])
    (doc,), report = read(tmp_path, [{**task, "annotations": [annotation]}])
    assert set(tags_of(doc)) == {"-"}
    assert "1 span is outside the text, or has offsets that" in report.message()
    assert "record 1, line 1)" in report.message()


@pytest.mark.parametrize("key", ["text", "dialogue"])
def test_paragraphs(tmp_path, key):
    parts = [{"author": "A", "text": "I am Bo ."}, {"author": "B", "text": "In Oslo , Bo ?"}]
    places = [
        ("0", "0", 5, 7, "Bo"),
        (1, 1, 3, 7, "Oslo"),
        ("1", "1", 10, 12, None),
        ("9", "9", 0, 1, "x"),
    ]
    result = [
        make_other("paragraphlabels", start=i, end=j, startOffset=k, endOffset=m, text=text)
        for i, j, k, m, text in places
    ]
    task = {"data": {key: parts}, "annotations": [change(result=result[:3])]}
    (doc,), report = read(tmp_path, [task])
    assert doc.text == "I am Bo .\nIn Oslo , Bo ?"
    assert ents_of(doc) == [("Bo", "LOC"), ("Oslo", "LOC"), ("Bo", "LOC")]
    assert "-" not in tags_of(doc) and not report.findings
    (doc,), report = read(tmp_path, [{**task, "annotations": [change(result=result)]}])
    assert "O" not in tags_of(doc) and len(doc.ents) == 3
    assert found(report)


def test_controls_of_json_min(tmp_path):
    """Each has a key of its own."""
    label = MIN["label"]
    task = {**MIN, "people": label[:1], "places": label[2:], "kind": "news"}
    del task["label"]
    (doc,), report = read(tmp_path, [task])
    assert ents_of(doc) == [ENTS[0], ENTS[2]]
    assert not report.findings


@pytest.mark.parametrize("has_region", [True, False])
def test_what_else_is_said_of_a_region(tmp_path, has_region):
    """A choice of a labeled region is no region; of one without labels, its tokens are missing."""
    value = {"start": 27, "end": 31, "text": "Oslo", "choices": ["sure"]}
    choice = {"value": value, "id": "r27", "from_name": "c", "type": "choices"}
    result = [*ANNOTATION["result"][: 3 if has_region else 2], choice]
    (doc,), report = read(tmp_path, [{**TASK, "annotations": [change(result=result)]}])
    assert tags_of(doc)[-2] == ("B-LOC" if has_region else "-")
    assert tags_of(doc)[2] == "O"
    assert list(found(report).values()) == [1]


def test_region_without_labels_in_json_min(tmp_path):
    """Of a control that gives none, beside one that does."""
    choice = {"start": 27, "end": 31, "text": "Oslo", "choices": ["sure"]}
    (doc,), report = read(tmp_path, [{**MIN, "label": MIN["label"][:2], "sure": [choice]}])
    assert tags_of(doc)[-2:] == ["-", "O"]
    assert "1 span has no label" in report.message()


def test_labels_of_images(tmp_path):
    image = {"x": 1, "y": 2, "width": 3, "height": 4, "rectanglelabels": ["LOGO"]}
    result = [*ANNOTATION["result"], {"value": image, "id": "i", "type": "rectanglelabels"}]
    (doc,), report = read(tmp_path, [{**TASK, "annotations": [change(result=result)]}])
    assert ents_of(doc) == ENTS and "-" not in tags_of(doc)
    assert "rectanglelabels (record 1, line 1)" in report.message()
