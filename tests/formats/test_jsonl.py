import json
import re

import numpy
import pytest
from spacy.tokens import Doc, Span

from spacy_bert_ner.formats import FormatError, Report, read_docs
from spacy_bert_ner.tagging.entity_scores import SOURCE

from .samples import BINARY, PRODIGY
from .util import (
    NLP,
    ents_of,
    found,
    make_doc,
    read_records,
    tags_of,
    words_of,
    write_records,
)


def read(tmp_path, records):
    return read_records(tmp_path, records, "jsonl")


def test_prodigy(tmp_path):
    """Its tokens are those of the document, not the tokenizer's."""
    (doc,), report = read(tmp_path, PRODIGY)
    assert doc.text == PRODIGY["text"]
    assert words_of(doc) == ["Anna", "Berg", "moved", "to", "New York", ".", "\n"]
    assert tags_of(doc) == ["B-PER", "I-PER", "O", "O", "B-LOC", "O", "O"]
    assert not doc.has_unknown_spaces
    assert not report.findings


def test_json_of_spacy(tmp_path):
    """Its `ents` are entities, and its `spans` are groups of other spans."""
    doc = make_doc(["Anna", "in", "Oslo"], ["B-PER", "O", "B-LOC"])
    bare = doc.to_json()
    doc.spans["sc"] = [Span(doc, 0, 3, label="X")]
    (first, second), report = read(tmp_path, [bare, doc.to_json()])
    assert ents_of(first) == ents_of(second) == [("Anna", "PER"), ("Oslo", "LOC")]
    (found,) = report.findings.values()
    assert found.n == 1 and "span groups" in found.what


@pytest.mark.parametrize("name,key", [("jsonl", "spans"), ("doccano", "label")])
@pytest.mark.parametrize("other", [{"span": [[0, 1, "X"]]}, {"tags": ["B-X"]}, {"ner": {"X": 1}}])
def test_labels_under_other_keys_are_told(tmp_path, name, key, other):
    records = [{"text": "a"}, {"text": "a", **other}, {"text": "a", **other, key: []}]
    _, report = read_records(tmp_path, records, name)
    (found,) = report.findings.values()
    told = [f"'{next(iter(other))}', not '{key}' (record {n}, line 1)" for n in (2, 3)]
    # What doesn't look like spans may be anything else, where there is a list of spans.
    assert found.shown == (told if "span" in other else told[:1])


@pytest.mark.parametrize("other", [{"label": "X"}, {"labels": []}, {"meta": [1]}])
def test_what_is_no_list_of_labels(tmp_path, other):
    _, report = read(tmp_path, {"text": "a", **other})
    assert not report.findings


@pytest.mark.parametrize(
    "tokens",
    [
        None,
        [],
        ["Anna"],
        [{"text": "Anna", "start": 0}],
        [{"text": "Anna Berg moved to New York.", "ws": False}],
        [{"text": "", "ws": False}, {"text": "Anna Berg moved to New York.\n", "ws": False}],
    ],
)
def test_tokens_that_do_not_spell_the_text(tmp_path, tokens):
    (doc,), report = read(tmp_path, {**PRODIGY, "tokens": tokens})
    assert words_of(doc) == words_of(NLP.make_doc(PRODIGY["text"]))
    assert ents_of(doc) == [("Anna Berg", "PER"), ("New York", "LOC")]
    assert not report.findings


def test_record_without_spans(tmp_path):
    """Not annotated is something else than without entities."""
    docs, report = read(tmp_path, [{"text": "a"}, {"text": "a", "spans": None}])
    assert [doc.has_annotation("ENT_IOB") for doc in docs] == [False, False]
    (doc,), report = read(tmp_path, {"text": "a", "spans": []})
    assert tags_of(doc) == ["O"]
    assert not report.findings


def test_binary_answers(tmp_path):
    docs, report = read(tmp_path, [BINARY, {**BINARY, "answer": "reject"}])
    accepted, rejected = docs
    assert tags_of(accepted) == ["-", "-", "-", "B-LOC", "-"]
    assert "incorrect_spans" not in accepted.spans
    assert tags_of(rejected) == ["-"] * 5
    (span,) = rejected.spans["incorrect_spans"]
    assert (span.start, span.end, span.label_) == (3, 4, "LOC")
    assert not report.findings


def test_rejected_by_hand(tmp_path):
    """Which of the spans are wrong is unknown."""
    docs, report = read(tmp_path, [{**PRODIGY, "answer": "reject"}, PRODIGY])
    assert len(docs) == 1
    (finding,) = report.findings.values()
    assert finding.n == 1 and finding.shown == ["record 1, line 1"]
    assert '"reject" in a view where spans are set by hand' in finding.what


def test_rejected_without_view(tmp_path):
    record = {"text": "a b", "spans": [{"start": 0, "end": 1, "label": "X"}], "answer": "reject"}
    (doc,), _ = read(tmp_path, record)
    assert [span.text for span in doc.spans["incorrect_spans"]] == ["a"]


def test_ignored(tmp_path):
    docs, report = read(tmp_path, [{**PRODIGY, "answer": "ignore"}, PRODIGY])
    assert len(docs) == 1
    assert found(report) == {'records have the answer "ignore", and are left out': 1}


@pytest.mark.parametrize(
    "record,match",
    [
        ({"text": None}, "its text is null, but must be a string under 'text'"),
        ({"txt": "a"}, r"it has no key 'text', only \[\"txt\"\]. Put its text under 'text'"),
        ({"text": 3}, "its text is 3"),
        ({"text": "a", "spans": "X"}, "'spans' is \"X\", but must be a list"),
        ({"text": "a", "spans": {}}, "'spans' is {}, but must be a list"),
        ({"text": "a", "spans": [[0, 1]]}, r"\[0, 1\] is neither an object with.* nor \[start"),
        ({"text": "a", "spans": ["X"]}, 'its span "X" is neither an object'),
        ({"text": "a", "entities": 1}, "'entities' is 1, but must be a list"),
        (
            {"text": "a", "entities": [{"start_offset": 0, "end_offset": 1, "label": "X"}]},
            "has a 'start_offset', as in doccano's format. Use --from doccano",
        ),
        ({"text": "a", "answer": "maybe"}, "answer is 'maybe'. Use one of accept, reject, ignore"),
        ({"text": "a", "answer": None}, "answer is None"),
        ({"text": "a\ud83d"}, "character 1 of its text is half of a surrogate pair. Replace it"),
        (
            {"text": "a", "tokens": [{"text": "a", "ws": False}], "meta": {"b": "\udc00"}},
            "of its meta is half of a surrogate pair",
        ),
        (
            {"text": "a", "spans": [{"start": 0, "end": 1, "label": "\udc00"}]},
            "character 0 of its label is half of a surrogate pair",
        ),
    ],
)
def test_wrong_records(tmp_path, record, match):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "ok"}\n\n' + json.dumps(record) + "\n", encoding="utf-8")
    with pytest.raises(
        FormatError, match=f"Can't read the record at line 3 of .*a.jsonl: .*{match}"
    ):
        list(read_docs(path, NLP, "jsonl"))


def test_record_number_in_report(tmp_path):
    spans = [{"start": 0, "end": 2, "label": "X"}]
    records = [{"text": "abc", "spans": []}, {"text": "abc", "spans": spans}]
    (_, doc), report = read(tmp_path, records)
    assert tags_of(doc) == ["-"]
    assert "'ab' (X, 0–2, record 2, line 1, cuts 'abc')" in report.message()


def test_written_as_prodigy_does(tmp_path):
    docs, _ = read(tmp_path, PRODIGY)
    (record,), report = write_records(tmp_path, docs, "jsonl")
    assert record == {key: PRODIGY[key] for key in ("text", "meta", "tokens", "spans")}
    assert not report.findings


def test_written_answers(tmp_path):
    whole = make_doc(["a", "b"], ["B-X", "O"])
    partial = make_doc(["a", "b"], ["B-X", "-"])
    unknown = Doc(NLP.vocab, words=["a", "b"])
    rejected = Doc(NLP.vocab, words=["a", "b"])
    rejected.spans["incorrect_spans"] = [Span(rejected, 0, 1, label="X")]
    records, report = write_records(tmp_path, [whole, partial, unknown, rejected], "jsonl")
    answers = [{key: r[key] for key in r if key not in ("text", "tokens")} for r in records]
    span = {"start": 0, "end": 1, "token_start": 0, "token_end": 0, "label": "X"}
    assert answers == [
        {"spans": [span]},
        {"spans": [span], "_view_id": "ner", "answer": "accept"},
        {},
        {"spans": [span], "answer": "reject"},
    ]
    assert not report.findings


def test_written_documents_of_which_too_much_is_known(tmp_path):
    """The format can say that all or nothing is known of the tokens outside of entities."""
    partial = make_doc(["a", "b", "c"], ["B-X", "-", "O"])
    wrong = make_doc(["a", "b"], ["B-X", "O"])
    wrong.spans["incorrect_spans"] = [Span(wrong, 1, 2, label="X")]
    _, report = write_records(tmp_path, [partial, wrong], "jsonl")
    assert "1 document has tokens with missing annotation" in report.message()
    assert "1 span is known to be wrong, which the format can't store" in report.message()


def test_written_white_space_is_not_missing(tmp_path):
    """Tokens of white space are in no entity, whatever is known of them."""
    (record,), report = write_records(tmp_path, [make_doc(["a", "\n"], ["O", "-"])], "jsonl")
    assert record["spans"] == [] and "answer" not in record
    assert not report.findings


def test_written_scores(tmp_path):
    doc = make_doc(["a", "b", "c"], ["B-X", "O", "B-Y"])
    attrs = {"scores": numpy.array([0.25], dtype="float32"), "source": SOURCE}
    doc.spans["bert_ner"] = [doc.ents[0]]
    doc.spans["bert_ner"].attrs.update(attrs)
    (record,), _ = write_records(tmp_path, [doc], "jsonl")
    assert [span.get("score") for span in record["spans"]] == [0.25, None]


def test_scores_that_do_not_pair(tmp_path):
    doc = make_doc(["a"], ["B-X"])
    doc.spans["mine"] = [doc.ents[0]]
    doc.spans["mine"].attrs.update(scores=numpy.zeros(2), source=SOURCE)
    with pytest.raises(FormatError, match=r"doc.spans\['mine'\] has 1 span but 2 scores"):
        write_records(tmp_path, [doc], "jsonl")
    assert list(tmp_path.iterdir()) == []


def test_report_counts_documents(tmp_path):
    report = write_records(tmp_path, [make_doc(["a", "b"], ["B-X", "O"])] * 3, "jsonl")[1]
    assert report.summary() == "3 documents, 6 tokens, 3 entities"
    assert Report().message() == ""


ENTS = [("住在", "X")]
EMOJI = "\U0001f600我住在北京。"


@pytest.fixture
def characters(monkeypatch):
    """Each is a token."""
    monkeypatch.setattr(
        NLP, "tokenizer", lambda text: Doc(NLP.vocab, list(text), [False] * len(text))
    )


@pytest.mark.parametrize(
    "record",
    [
        {"text": EMOJI, "entities": [[2, 4, "X"]]},
        {"text": EMOJI, "entities": [{"start": 2, "end": 4, "label": "X"}]},
        {"text": EMOJI, "spans": [[2, 4, "X"]]},
        {"text": EMOJI, "spans": [], "entities": [[2, 4, "X"]]},
        {"text": EMOJI, "entities": [[2, 4, "X"]], "ents": [{"start": 2, "end": 4, "label": "X"}]},
        [EMOJI, {"entities": [[2, 4, "X"]]}],
        [EMOJI, {"entities": [{"start": 2, "end": 4, "label": "X"}], "cats": {"a": 1.0}}],
        {"annotations": [None, [EMOJI, {"entities": [[2, 4, "X"]]}]], "classes": ["X"]},
        {"annotations": [{"text": EMOJI, "entities": [[2, 4, "X"]]}]},
    ],
)
@pytest.mark.parametrize("wrap", [False, True])
def test_training_data_of_spacy(tmp_path, characters, record, wrap):
    """Its offsets are those of Python; the record is a line, or one of an array."""
    path = tmp_path / "a.json"
    path.write_text(json.dumps([record] if wrap else record) + "\n", encoding="utf-8")
    report = Report()
    (doc,) = read_docs(path, NLP, report=report)
    assert ents_of(doc) == ENTS
    assert "-" not in tags_of(doc)
    assert not report.findings


def test_pairs_a_line(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = ['\n [ "a", {"entities": [[0, 1, "X"]]}]', "[1]", '["b", {}]', "", '["c", 3]']
    path.write_text("\n".join(lines), encoding="utf-8")
    report = Report(skip_broken=True)
    docs = list(read_docs(path, NLP, report=report))
    assert [doc.text for doc in docs] == ["a", "b"]
    assert [tags_of(doc) for doc in docs] == [["B-X"], ["-"]]
    assert [re.search(r"line \d", error).group() for error in report.broken] == ["line 3", "line 6"]


def test_records_within_one_are_counted(tmp_path):
    path = tmp_path / "a.json"
    parts = [["a", {"entities": []}], None, ["b", {"entities": [[0, 5, "X"]]}]]
    path.write_text('\n{"annotations": ' + json.dumps(parts) + "}\n{}", encoding="utf-8")
    report = Report(skip_broken=True)
    assert len(list(read_docs(path, NLP, report=report))) == 2
    assert "? (X, 0–5, record 2, line 2)" in report.message()
    assert report.n_read == 3 and "line 3" in report.broken[0]


@pytest.mark.parametrize("other", ["label", "labels", "span", "annotation", "mine"])
@pytest.mark.parametrize("span", [[0, 1, "X"], {"start": 0, "end": 1, "type": "X"}])
def test_no_gold_is_complete_where_some_cannot_be_read(tmp_path, other, span):
    """Whatever the key: what is read elsewhere is not all there is."""
    record = {"text": "a b", "spans": [{"start": 2, "end": 3, "label": "Y"}], other: [span]}
    (doc,), report = read(tmp_path, record)
    if other in ("label", "labels"):
        assert tags_of(doc) == ["B-X" if isinstance(span, list) else "-", "B-Y"]
    else:
        assert tags_of(doc) == ["-", "B-Y"]
        assert f"'{other}', not 'spans' (record 1, line 1)" in report.message()


@pytest.mark.parametrize("other", [{"sents": [{"start": 0, "end": 3}]}, {"tags": ["news"]}])
def test_what_is_no_gold(tmp_path, other):
    (doc,), report = read(tmp_path, {"text": "a b", "spans": [], **other})
    assert tags_of(doc) == ["O", "O"]
    assert not report.findings


@pytest.mark.parametrize("labels", [[["0", 4, "PER"]], [["PER", 0, 4]], [{"PER": [0, 4]}]])
def test_labels_that_arent_read_are_reported(tmp_path, labels):
    report = Report()
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"text": "Anna lives", "label": labels}) + "\n", encoding="utf-8")
    (doc,) = read_docs(path, NLP, report=report)
    assert not doc.has_annotation("ENT_IOB") and "record 1" in report.message()


def test_labels_of_texts_are_no_entities(tmp_path):
    report = Report()
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "Anna", "label": ["sports"]}\n', encoding="utf-8")
    list(read_docs(path, NLP, report=report))
    assert not report.message()
