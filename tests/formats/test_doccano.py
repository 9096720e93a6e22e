import json
import re

import numpy
import pytest
from spacy.tokens import Doc, Span

from spacy_bert_ner.formats import FormatError, doccano, read_docs
from spacy_bert_ner.formats.doccano import count_units

from .samples import PAIRS
from .samples import PAIRS_TEXT as TEXT
from .util import NLP, ents_of, found, make_doc, read_records, tags_of, write_records

ENTS = [("EU", "ORG"), ("German", "MISC")]
OBJECTS = [
    {"id": 7, "label": "ORG", "start_offset": 0, "end_offset": 2},
    {"id": 8, "label": "MISC", "start_offset": 11, "end_offset": 17},
]
RELATIONS = [{"id": 1, "from_id": 7, "to_id": 8, "type": "rejects"}]


def read(tmp_path, records):
    return read_records(tmp_path, records, "doccano")


@pytest.mark.parametrize(
    "labels",
    [
        {"label": PAIRS, "Comments": []},
        {"labels": PAIRS, "meta": {}, "annotation_approver": None},
        {"entities": OBJECTS, "relations": RELATIONS, "Comments": []},
        {"entities": PAIRS, "cats": ["news"]},
    ],
    ids=["today", "earlier", "with relations", "with intents"],
)
def test_exports(tmp_path, labels):
    (doc,), report = read(tmp_path, {"id": 1, "text": TEXT, **labels})
    assert ents_of(doc) == ENTS
    assert tags_of(doc)[1] == "O"
    assert not report.findings


def test_record_without_labels(tmp_path):
    docs, report = read(tmp_path, [{"text": "a"}, {"text": "a", "label": []}])
    assert [tags_of(doc) for doc in docs] == [["-"], ["O"]]
    assert not report.findings


def test_units():
    numpy.testing.assert_array_equal(count_units("a\U0001f600é\U00010348"), [0, 1, 3, 4, 6])
    numpy.testing.assert_array_equal(count_units(""), [0])


def test_offsets_count_as_javascript_does(tmp_path):
    """doccano#2290: most emoji are two, and this one is seven, of four characters."""
    emoji = "\U0001f468\U0001f3fb\u200d\U0001f692"
    label = [[0, 7, "Y"], [22, 32, "X"]]
    (doc,), _ = read(tmp_path, {"text": f"{emoji} firemen drive firetrucks", "label": label})
    assert ents_of(doc) == [(emoji, "Y"), ("firetrucks", "X")]
    (record,), _ = write_records(tmp_path, [doc], "doccano")
    assert record["label"] == label


@pytest.mark.parametrize("start,end", [(1, 2), (0, 1), (0, 9), (-2, 2), (None, 2), ("0", "2")])
def test_offsets_between_no_characters(tmp_path, start, end):
    """Within an emoji, behind the end, none."""
    (doc,), report = read(tmp_path, {"text": "\U0001f600 a", "label": [[start, end, "X"]]})
    assert set(tags_of(doc)) == {"-"}
    (what,) = set(found(report)) - {doccano.WIDE}
    assert what.startswith("spans are outside the text, or have offsets that aren't whole numbers")
    shown = re.escape(f"? (X, {json.dumps(start)}–{json.dumps(end)}")
    assert re.search(shown + "(, within a .* as two|, after the end)?, record 1", report.message())


@pytest.mark.parametrize(
    "record,match",
    [
        ({"text": "a", "label": [[0, 1]]}, r"its label \[0, 1\] is not \[start, end, label\]"),
        ({"text": "a", "label": ["positive"]}, 'its label "positive" is not.*sequence labeling'),
        ({"text": "a", "label": 3}, "'label' is 3, but must be a list"),
        ({"text": "a", "entities": ["X"]}, 'its label "X" is not'),
        ({"label": []}, r"it has no key 'text', only \[\"label\"\]. Put its text under 'text'"),
        ({"text": "a", "id": "\ud83d"}, "character 1 of its id is half of a surrogate pair"),
    ],
)
def test_wrong_records(tmp_path, record, match):
    path = tmp_path / "a.jsonl"
    path.write_text("\n" + json.dumps(record), encoding="utf-8")
    with pytest.raises(FormatError, match=f"Can't read the record at line 2 of .*a.jsonl: {match}"):
        list(read_docs(path, NLP, "doccano"))


def test_written(tmp_path):
    docs, _ = read(tmp_path, {"id": 3, "meta": {"a": [1]}, "text": TEXT, "label": PAIRS})
    docs.append(Doc(NLP.vocab, words=["b"]))
    records, report = write_records(tmp_path, docs, "doccano")
    assert records == [
        {"text": TEXT, "id": 3, "meta": {"a": [1]}, "label": PAIRS},
        {"text": "b "},
    ]
    assert not report.findings


def test_written_documents_of_which_too_much_is_known(tmp_path):
    partial = make_doc(["a", "b"], ["B-X", "-"])
    partial.spans["incorrect_spans"] = [Span(partial, 1, 2, label="Y")]
    (record,), report = write_records(tmp_path, [partial], "doccano")
    assert record["label"] == [[0, 1, "X"]]
    assert "1 document has tokens with missing annotation" in report.message()
    assert "1 span is known to be wrong, which the format can't store" in report.message()
    assert "'b' (Y)" in report.message()


@pytest.mark.parametrize("key,start", [("labels", 2), ("label", 3), ("entities", 3)])
def test_versions_count_differently(tmp_path, key, start):
    """ "labels" is of versions before 1.3, which counted characters."""
    label = [[start, start + 1, "X"]]
    (doc,), report = read(tmp_path, {"text": "\U0001f600 a", key: label})
    assert ents_of(doc) == [("a", "X")]
    assert found(report) == ({} if key == "labels" else {doccano.WIDE: 1})


def test_first_version_1_5(tmp_path):
    (doc,), _ = read(tmp_path, {"id": 1, "data": TEXT, "label": PAIRS})
    assert ents_of(doc) == ENTS


def test_spans_under_all_keys(tmp_path):
    (doc,), _ = read(tmp_path, {"text": TEXT, "entities": OBJECTS[:1], "label": PAIRS[1:]})
    assert ents_of(doc) == ENTS
    (doc,), report = read(tmp_path, {"text": TEXT, "label": PAIRS[:1], "spans": PAIRS[1:]})
    assert tags_of(doc)[:3] == ["B-ORG", "-", "-"]
    assert "'spans', not 'label'" in report.message()
