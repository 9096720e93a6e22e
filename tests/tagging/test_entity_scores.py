import numpy
import pytest
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.vocab import Vocab

from spacy_bert_ner.tagging.entity_scores import (
    get_score,
    get_scores,
    install_extensions,
    make_span_group,
)

ENTS = [(0, 1, "PER", 0.25), (1, 3, "LOC", 0.75)]


@pytest.fixture(autouse=True)
def restore_extension():
    """Each test starts with `ent._.score` as ours, and leaves it so."""
    if Span.has_extension("score"):
        Span.remove_extension("score")
    install_extensions()
    yield
    if Span.has_extension("score"):
        Span.remove_extension("score")
    install_extensions()


def set_entities(doc, ents, key="bert_ner"):
    """Write entities and scores as the component does."""
    spans = [Span(doc, start, end, label=label) for start, end, label, _ in ents]
    scores = numpy.array([score for *_, score in ents], dtype="float32")
    doc.spans[key] = make_span_group(doc, key, spans, scores, kept=[])
    doc.set_ents(spans, default="unmodified")


def make_doc(ents=ENTS):
    doc = Doc(Vocab(), words=["Anna", "New", "York", "x", "."])
    set_entities(doc, ents)
    return doc


def scores_of(doc):
    return [ent._.score for ent in doc.ents]


def test_group():
    doc = make_doc()
    group = doc.spans["bert_ner"]
    assert [(span.start, span.end, span.label_) for span in group] == [ent[:3] for ent in ENTS]
    assert group.name == "bert_ner"
    numpy.testing.assert_array_equal(group.attrs["scores"], [0.25, 0.75])


def test_scores_of_entities():
    doc = make_doc()
    assert scores_of(doc) == [0.25, 0.75]
    assert all(type(score) is float for score in scores_of(doc))


@pytest.mark.parametrize(
    "start,end,label,expected",
    [
        (1, 3, "LOC", 0.75),  # any span with the same start, end and label
        (1, 3, "PER", None),
        (1, 3, "", 0.75),  # doc[1:3] has no label
        (1, 2, "LOC", None),
        (1, 2, "", None),
        (2, 3, "LOC", None),
        (0, 3, "LOC", None),
        (3, 4, "LOC", None),
        (0, 1, "PER", 0.25),
    ],
)
def test_found_by_start_end_and_label(start, end, label, expected):
    assert Span(make_doc(), start, end, label=label)._.score == expected


def test_none_for_entities_of_others():
    doc = make_doc()
    other = Span(doc, 3, 4, label="PER")
    doc.ents = [*doc.ents, other]
    assert scores_of(doc) == [0.25, 0.75, None]


@pytest.mark.parametrize("ents", [[], None])
def test_none_without_predictions(ents):
    doc = Doc(Vocab(), words=["Anna", "x"])
    if ents is not None:
        set_entities(doc, ents)
    assert doc[0:1]._.score is None
    assert Span(doc, 0, 1, label="PER")._.score is None


def test_groups_of_spancat_are_not_ours():
    """spancat leaves groups with scores under any key, also for the same spans."""
    doc = make_doc([(0, 1, "PER", 0.25)])
    spans = [Span(doc, 0, 1, label="PER"), Span(doc, 1, 3, label="LOC")]
    for key in ("a", "sc"):
        attrs = {"scores": numpy.array([0.9, 0.9], dtype="float32")}
        doc.spans[key] = SpanGroup(doc, name=key, spans=spans, attrs=attrs)
    assert spans[0]._.score == 0.25
    assert spans[1]._.score is None
    del doc.spans["bert_ner"]
    assert spans[0]._.score is None


def test_groups_of_two_components():
    doc = make_doc()
    set_entities(doc, [(3, 4, "MISC", 0.5)], key="second")
    assert Span(doc, 3, 4, label="MISC")._.score == 0.5
    assert Span(doc, 1, 3, label="LOC")._.score == 0.75


def test_all_scores_of_a_document():
    doc = make_doc()
    set_entities(doc, [(3, 4, "MISC", 0.5), (0, 1, "PER", 0.125)], key="second")
    by_name = {(s, e, doc.vocab.strings[label]): v for (s, e, label), v in get_scores(doc).items()}
    assert by_name == {(0, 1, "PER"): 0.25, (1, 3, "LOC"): 0.75, (3, 4, "MISC"): 0.5}
    assert get_scores(make_doc([])) == {}
    assert get_scores(Doc(Vocab(), words=["a"])) is None
    doc.spans["bert_ner"].append(Span(doc, 3, 4, label="PER"))
    with pytest.raises(ValueError, match=r"doc.spans\['bert_ner'\] has 3 spans but 2 scores"):
        get_scores(doc)


@pytest.mark.parametrize("store_user_data", [False, True])
def test_docbin(store_user_data):
    """A plain DocBin keeps the scores, and a new vocabulary reads them."""
    docs = [make_doc(), make_doc([]), make_doc([(0, 2, "O-x", 0.125)])]
    data = DocBin(docs=docs, store_user_data=store_user_data).to_bytes()
    loaded = list(DocBin().from_bytes(data).get_docs(Vocab()))
    assert [scores_of(doc) for doc in loaded] == [[0.25, 0.75], [], [0.125]]
    assert [ent.label_ for doc in loaded for ent in doc.ents] == ["PER", "LOC", "O-x"]


def test_doc_to_bytes_and_copy():
    doc = make_doc()
    assert scores_of(Doc(Vocab()).from_bytes(doc.to_bytes())) == [0.25, 0.75]
    assert scores_of(doc.copy()) == [0.25, 0.75]


def test_group_with_an_added_span():
    doc = make_doc()
    doc.spans["bert_ner"].append(Span(doc, 3, 4, label="PER"))
    with pytest.raises(ValueError, match=r"doc.spans\['bert_ner'\] has 3 spans but 2 scores"):
        doc.ents[0]._.score  # noqa: B018


def test_group_changed_with_its_scores():
    doc = make_doc()
    group = doc.spans["bert_ner"]
    group.append(Span(doc, 3, 4, label="PER"))
    group.attrs["scores"] = numpy.append(group.attrs["scores"], numpy.float32(0.5))
    assert Span(doc, 3, 4, label="PER")._.score == 0.5


def test_name_taken_by_another():
    """An extension of the same name stays as it is; the scores are in the group."""
    Span.remove_extension("score")
    Span.set_extension("score", default="theirs")
    install_extensions()
    doc = make_doc()
    assert doc.ents[0]._.score == "theirs"
    assert get_score(doc.ents[0]) == 0.25


def test_install_twice():
    install_extensions()
    install_extensions()
    assert Span.get_extension("score")[2] is get_score


# Retokenized documents: name, merges (start, end), splits (token, parts), and the scores of what
# the entities are then.
NEW_YORK = [(0, 1, "PER", 0.25), (1, 3, "LOC", 0.75), (4, 5, "LOC", 0.5)]
RETOKENIZED = {
    "one entity": ([(1, 3)], [], {"Anna": 0.25, "New York": 0.75, "Bergen": 0.5}),
    "before one": ([(2, 4)], [], {"Anna": 0.25, "New York or": None, "Bergen": 0.5}),
    "outside": ([(5, 7)], [], {"Anna": 0.25, "New York": 0.75, "Bergen": 0.5}),
    "with others": ([(3, 5)], [], {"Anna": 0.25, "New York": 0.75}),
    "split": ([], [(0, ["An", "na"])], {"Anna": 0.25, "New York": 0.75, "Bergen": 0.5}),
    # As many tokens as before.
    "both": (
        [(1, 3)],
        [(4, ["Berg", "en"])],
        {"Anna": 0.25, "New York": 0.75, "Bergen": 0.5},
    ),
    "both, one broken": (
        [(2, 4)],
        [(4, ["Berg", "en"])],
        {"Anna": 0.25, "New York or": None, "Bergen": 0.5},
    ),
}


def retokenize(doc, merges, splits):
    with doc.retokenize() as retokenizer:
        for start, end in merges:
            retokenizer.merge(doc[start:end])
        for token, parts in splits:
            retokenizer.split(doc[token], parts, heads=[doc[token]] * len(parts))
    return doc


def make_longer_doc():
    words = ["Anna", "New", "York", "or", "Bergen", "now", "."]
    doc = Doc(Vocab(), words=words, spaces=[True] * len(words))
    set_entities(doc, NEW_YORK)
    return doc


def make_retokenized(name):
    return retokenize(make_longer_doc(), *RETOKENIZED[name][:2])


def save_and_load(doc):
    (doc,) = DocBin(docs=[doc], store_user_data=True).get_docs(Vocab())
    return doc


LATER = {
    "itself": lambda doc: doc,
    "docbin": save_and_load,
    "bytes": lambda doc: Doc(Vocab()).from_bytes(doc.to_bytes()),
    "copy": lambda doc: doc.copy(),
}


@pytest.mark.parametrize("later", LATER)
@pytest.mark.parametrize("name", RETOKENIZED)
def test_retokenized(name, later):
    doc = LATER[later](make_retokenized(name))
    expected = RETOKENIZED[name][2]
    known = {text: score for text, score in expected.items() if score is not None}
    assert {ent.text: ent._.score for ent in doc.ents if ent.label_} == expected
    group = doc.spans["bert_ner"]
    # The scores first: they belong to the spans at all times.
    pairs = zip(group.attrs["scores"].tolist(), group)
    assert {span.text: score for score, span in pairs} == known
    assert len(group) == len(known)
    assert [group[i].text for i in range(len(group))] == list(known)
    assert all(span.text == doc.text[span.start_char : span.end_char] for span in group)
    by_text = {doc[start:end].text: score for (start, end, _), score in get_scores(doc).items()}
    assert by_text == known
    assert [span["start"] for span in doc.to_json()["spans"]["bert_ner"]] == [
        doc.text.index(text) for text in known
    ]


@pytest.mark.parametrize("name", RETOKENIZED)
def test_retokenized_after_loading(name):
    """A loaded group is spaCy's own."""
    doc = make_longer_doc()
    doc = retokenize(save_and_load(doc), *RETOKENIZED[name][:2])
    assert {ent.text: ent._.score for ent in doc.ents if ent.label_} == RETOKENIZED[name][2]


def test_retokenized_twice():
    doc = make_retokenized("one entity")
    again = retokenize(doc.copy(), [(1, 3)], [])
    assert [ent._.score for ent in again.ents if ent.text == "Bergen"] == [0.5]
    assert again.spans["bert_ner"].attrs["scores"].tolist() == [0.25, 0.5]
    assert doc.spans["bert_ner"].attrs["scores"].tolist() == [0.25, 0.75, 0.5]


def test_spans_made_before():
    doc = make_longer_doc()
    ents = list(doc.ents)
    retokenize(doc, [(1, 3)], [])
    assert [ent._.score for ent in ents] == [0.25, 0.75, 0.5]


def test_group_of_a_retokenized_document_grows():
    doc = make_retokenized("one entity")
    group = doc.spans["bert_ner"]
    group.append(Span(doc, 4, 5, label="MISC"))
    group.attrs = {**group.attrs, "scores": numpy.append(group.attrs["scores"], 0.125)}
    retokenize(doc, [(3, 4)], [])
    assert Span(doc, 4, 5, label="MISC")._.score == 0.125
    copy = doc.copy()
    assert len(copy.spans["bert_ner"]) == 4


@pytest.mark.parametrize("loaded", [False, True])
def test_kept_entities_of_a_retokenized_document(loaded):
    """A second component keeps what the first has found, with its score."""
    doc = make_longer_doc()
    doc = retokenize(save_and_load(doc) if loaded else doc, [(1, 3)], [])
    new = [Span(doc, 4, 5, label="TIME")]
    scores = numpy.array([0.125], dtype="float32")
    doc.spans["bert_ner"] = make_span_group(doc, "bert_ner", new, scores, kept=list(doc.ents))
    doc.set_ents([*doc.ents, *new])
    assert scores_of(doc) == [0.25, 0.75, 0.5, 0.125]


NAMED = {"edges_scores": [0.5, 0.875], "type_scores": [0.5, 0.75]}


def make_named_doc():
    """A document with all scores of its entities."""
    doc = make_doc()
    group = doc.spans["bert_ner"]
    named = {name: numpy.array(values, dtype="float32") for name, values in NAMED.items()}
    doc.spans["bert_ner"] = make_span_group(
        doc, "bert_ner", list(group), group.attrs["scores"], [], named
    )
    return doc


def named_scores(doc):
    return [(ent._.score, ent._.edges_score, ent._.type_score) for ent in doc.ents]


def test_named_scores():
    doc = make_named_doc()
    assert named_scores(doc) == [(0.25, 0.5, 0.5), (0.75, 0.875, 0.75)]
    assert named_scores(save_and_load(doc)) == named_scores(doc)
    assert doc[3:4]._.edges_score is None


def test_named_scores_of_merged_tokens():
    doc = retokenize(save_and_load(make_named_doc()), [(3, 5)], [])
    assert named_scores(doc) == [(0.25, 0.5, 0.5), (0.75, 0.875, 0.75)]
    doc = retokenize(make_named_doc(), [(0, 2)], [])
    group = doc.spans["bert_ner"]
    assert len(group) == 0
    assert [len(group.attrs[name]) for name in ("scores", *NAMED)] == [0, 0, 0]


def test_groups_of_older_versions():
    """They have one score for each entity."""
    doc = save_and_load(make_doc())
    assert named_scores(doc) == [(0.25, None, None), (0.75, None, None)]
    new = [Span(doc, 4, 5, label="TIME")]
    half = numpy.array([0.5], dtype="float32")
    named = {"edges_scores": half, "type_scores": half}
    doc.spans["bert_ner"] = make_span_group(doc, "bert_ner", new, half, list(doc.ents), named)
    doc.set_ents([*doc.ents, *new])
    assert named_scores(doc) == [(0.25, None, None), (0.75, None, None), (0.5, 0.5, 0.5)]


def test_without_tokens():
    doc = Doc(Vocab())
    set_entities(doc, [])
    assert len(doc.spans["bert_ner"]) == 0
    assert save_and_load(doc).spans["bert_ner"].attrs["scores"].tolist() == []


def test_scores_outlive_their_document():
    group = make_longer_doc().spans["bert_ner"]
    assert group.attrs["scores"].tolist() == [0.25, 0.75, 0.5]
    assert len(group) == 3
