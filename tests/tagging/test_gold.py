import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_bert_ner.tagging.gold import MISSING, get_gold, get_labels
from spacy_bert_ner.tagging.schemes import TagSet
from spacy_bert_ner.training.gold_report import GoldReport

VOCAB = Vocab()
LABELS = ["LOC", "PER"]
LABEL_IDS = {"LOC": 0, "PER": 1}
ZWSP = "\u200b"


def make_doc(words, ents=None, missing=(), starts=None):
    """Words that end in "_" are followed by a space. Entities are (start, end, label) in tokens,
    None for no annotation."""
    doc = Doc(
        VOCAB,
        words=[word.rstrip("_") or "_" for word in words],
        spaces=[word.endswith("_") for word in words],
        sent_starts=starts,
    )
    if ents is not None:
        spans = [Span(doc, start, end, label=label) for start, end, label in ents]
        doc.set_ents(spans, missing=[doc[i : i + 1] for i in missing], default="outside")
    return doc


def make_example(predicted, reference, ents, **kwargs):
    return Example(make_doc(predicted), make_doc(reference, ents, **kwargs))


def tags_of(example, scheme="BIO"):
    tag_set = TagSet(scheme, LABELS)
    ids = get_gold(example, tag_set).tags
    assert ids.shape == (len(example.predicted),)
    return ["-" if i == MISSING else tag_set.tags[i] for i in ids]


def report_on(*examples, labels=LABELS, **settings):
    report = GoldReport(labels, **{"by_sentence": False, **settings})
    for example in examples:
        report.add(example)
    return report


def counts_of(report):
    return {
        "n_ents": report.n_ents,
        "lost": report.lost.n,
        "blank": report.blank.n,
        "unknown": report.unknown.n,
        "crossing": report.crossing.n,
    }


@pytest.mark.parametrize(
    "predicted,reference,ents,expected",
    [
        # The same tokens
        (["Ann_", "in_", "a_", "b"], None, [(0, 1, "PER"), (2, 4, "LOC")], "B-PER O B-LOC I-LOC"),
        (["Ann_", "Bo_", "Oslo"], None, [], "O O O"),
        # Entities next to each other
        (["a_", "b"], None, [(0, 1, "PER"), (1, 2, "PER")], "B-PER B-PER"),
        (["a_", "b"], None, [(0, 1, "PER"), (1, 2, "LOC")], "B-PER B-LOC"),
        (["Ann_", "Lee_", "Bo"], None, [(0, 2, "PER"), (2, 3, "PER")], "B-PER I-PER B-PER"),
        # Predicted tokens are finer
        (["New", "-", "York_", "is"], ["New-York_", "is"], [(0, 1, "LOC")], "B-LOC I-LOC I-LOC O"),
        (["do", "n't_", "Ann"], ["don't_", "Ann"], [(1, 2, "PER")], "O O B-PER"),
        # Predicted tokens are coarser
        (["NewYork_", "is"], ["New", "York_", "is"], [(0, 2, "LOC")], "B-LOC O"),
        (["cannot_", "Ann"], ["can", "not_", "Ann"], [(2, 3, "PER")], "O B-PER"),
        # They begin and end elsewhere, outside entities
        (["ab", "cd_", "Ann"], ["a", "bc", "d_", "Ann"], [(3, 4, "PER")], "O O B-PER"),
        # An entity ends inside a token: all tokens that it touches are missing
        (["in_", "New_", "Yorkers"], ["in_", "New_", "York", "ers"], [(1, 3, "LOC")], "O - -"),
        (["in_", "York-based"], ["in_", "York", "-based"], [(1, 2, "LOC")], "O -"),
        (["anti-Ann_", "x"], ["anti-", "Ann_", "x"], [(1, 2, "PER")], "- O"),
        # Two entities in one token
        (["Ann/Bo_", "x"], ["Ann", "/", "Bo_", "x"], [(0, 1, "PER"), (2, 3, "PER")], "- O"),
        (["AnnBo_", "x"], ["Ann", "Bo_", "x"], [(0, 1, "PER"), (1, 2, "PER")], "- O"),
        # One aligns and its neighbour doesn't
        (["Ann_", "Yorkers"], ["Ann_", "York", "ers"], [(0, 1, "PER"), (1, 2, "LOC")], "B-PER -"),
        # Labels that the model doesn't have
        (["Ann_", "at_", "UN_", "HQ"], None, [(0, 1, "PER"), (2, 4, "ORG")], "B-PER O O O"),
        # Tokens that show nothing
        (["Ann", "\n\n", "x_", " "], None, [(0, 1, "PER")], "B-PER - O -"),
        (["New", ZWSP, "York"], None, [(0, 3, "LOC")], "B-LOC - I-LOC"),
        (["New", "\u00ad", ZWSP, "York_", "x"], None, [(0, 4, "LOC")], "B-LOC - - I-LOC O"),
        (["x_", "Oslo", "\n", "y"], None, [(1, 3, "LOC")], "O B-LOC - O"),
        (["x", "\n", "Oslo_", "Fjord"], None, [(1, 4, "LOC")], "O - B-LOC I-LOC"),
        (["x", ZWSP, "y"], None, [(1, 2, "LOC")], "O - O"),
        ([ZWSP, "\ufe0f"], None, [], "- -"),
        # Astral characters
        (["\U0001f600_", "\U00010348\U00010349_", "x"], None, [(1, 2, "LOC")], "O B-LOC O"),
        (["\U00010348", "b_", "x"], ["\U00010348b_", "x"], [(0, 1, "LOC")], "B-LOC I-LOC O"),
    ],
)  # fmt: skip
def test_gold_tags(predicted, reference, ents, expected):
    example = make_example(predicted, reference or predicted, ents)
    assert tags_of(example) == expected.split()


@pytest.mark.parametrize(
    "words,ents,expected",
    [
        (["Ann_", "x"], [(0, 1, "PER")], "U-PER O"),
        (["Ann_", "Lee_", "Bo"], [(0, 2, "PER"), (2, 3, "PER")], "B-PER L-PER U-PER"),
        (["New", ZWSP, "York"], [(0, 3, "LOC")], "B-LOC - L-LOC"),
        (["a_", "b_", "c"], [(0, 3, "LOC")], "B-LOC I-LOC L-LOC"),
        # What is left without white space is one token
        (["Oslo", "\n", "x"], [(0, 2, "LOC")], "U-LOC - O"),
    ],
)
def test_gold_tags_biluo(words, ents, expected):
    assert tags_of(make_example(words, words, ents), "BILUO") == expected.split()


def test_missing_annotation():
    words = ["Ann_", "x_", "Bo"]
    assert tags_of(make_example(words, words, None)) == ["-", "-", "-"]
    assert tags_of(make_example(words, words, [(0, 1, "PER")], missing=[2])) == ["B-PER", "O", "-"]
    finer = make_example(["Ann_", "x_", "B", "o"], words, [(0, 1, "PER")], missing=[2])
    assert tags_of(finer) == ["B-PER", "O", "-", "-"]
    coarser = make_example(["a", "bc"], ["ab", "c"], [], missing=[1])
    assert tags_of(coarser) == ["O", "-"]


def test_empty_docs():
    assert tags_of(make_example([], [], [])) == []
    assert tags_of(make_example([], [], None)) == []
    assert counts_of(report_on(make_example([], [], [])))["n_ents"] == 0


def test_no_labels():
    example = make_example(["Ann_", "x"], ["Ann_", "x"], [(0, 1, "PER")])
    assert get_gold(example, TagSet("BIO", [])).tags.tolist() == [0, 0]


def test_predicted_entities_are_no_gold():
    predicted = make_doc(["Ann_", "x"], [(1, 2, "LOC")])
    example = Example(predicted, make_doc(["Ann_", "x"], [(0, 1, "PER")]))
    assert tags_of(example) == ["B-PER", "O"]
    assert [ent.label_ for ent in predicted.ents] == ["LOC"]


def cut(text, cuts):
    edges = [0, *sorted(cuts), len(text)]
    return [text[start:end] for start, end in zip(edges, edges[1:])]


def char_ranges(words):
    ends = numpy.cumsum([len(word) for word in words]).tolist()
    return list(zip([0] + ends[:-1], ends))


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_any_tokenization(data):
    """Of entities that begin and end with tokens, these get the tags; what the others touch is
    missing, and counted; the rest is outside."""
    size = data.draw(st.integers(1, 14))
    text = "".join(
        data.draw(st.lists(st.sampled_from("ab\U0001f600"), min_size=size, max_size=size))
    )
    cuts = st.sets(st.integers(1, size - 1)) if size > 1 else st.just(set())
    predicted, reference = cut(text, data.draw(cuts)), cut(text, data.draw(cuts))
    ents, i = [], 0
    while i < len(reference):
        length = data.draw(st.integers(0, min(3, len(reference) - i)))
        if length:
            ents.append((i, i + length, data.draw(st.sampled_from(LABELS))))
        i += max(length, 1)
    example = make_example(predicted, reference, ents)
    predicted_chars, reference_chars = char_ranges(predicted), char_ranges(reference)
    firsts = [start for start, _ in predicted_chars]
    lasts = [end for _, end in predicted_chars]
    expected, n_lost = ["O"] * len(predicted), 0
    for start, end, label in ents:
        first, last = reference_chars[start][0], reference_chars[end - 1][1]
        fits = first in firsts and last in lasts
        n_lost += not fits
        for k, (token_start, token_end) in enumerate(predicted_chars):
            if token_start < last and token_end > first:
                prefix = "B" if token_start == first else "I"
                expected[k] = f"{prefix}-{label}" if fits else "-"
    assert tags_of(example) == expected
    report = report_on(example)
    assert (report.n_ents, report.lost.n) == (len(ents), n_lost)


@pytest.mark.parametrize(
    "predicted,reference,ents,expected",
    [
        (["Ann_", "x"], ["Ann_", "x"], [(0, 1, "PER")], {}),
        (["New", "York"], ["NewYork"], [(0, 1, "LOC")], {}),
        (["Yorkers_", "x"], ["York", "ers_", "x"], [(0, 1, "LOC")], {"lost": 1}),
        (["AnnBo"], ["Ann", "Bo"], [(0, 1, "PER"), (1, 2, "PER")], {"lost": 2}),
        (["UN_", "x"], ["UN_", "x"], [(0, 1, "ORG")], {"unknown": 1}),
        (["UNs_", "x"], ["UN", "s_", "x"], [(0, 1, "ORG")], {"unknown": 1, "lost": 1}),
        (["Oslo", "\n", "x"], ["Oslo", "\n", "x"], [(0, 2, "LOC")], {"blank": 1}),
        (["x", "\n", "Oslo"], ["x", "\n", "Oslo"], [(1, 3, "LOC")], {"blank": 1}),
        (["Oslo", ZWSP, "x"], ["Oslo", ZWSP, "x"], [(0, 2, "LOC")], {"blank": 1}),
        (["x", ZWSP, "y"], ["x", ZWSP, "y"], [(1, 2, "LOC")], {"blank": 1}),
        (["New", "\n", "York"], ["New", "\n", "York"], [(0, 3, "LOC")], {}),
    ],
)
def test_report_counts(predicted, reference, ents, expected):
    report = report_on(make_example(predicted, reference, ents))
    none = dict.fromkeys(["lost", "blank", "unknown", "crossing"], 0)
    assert counts_of(report) == {"n_ents": len(ents), **none, **expected}
    assert bool(report.message()) == bool(expected)


@pytest.mark.parametrize(
    "starts,ents,n_crossing",
    [
        ([True, False, True, False], [(0, 2, "LOC"), (2, 4, "PER")], 0),
        ([True, False, True, False], [(1, 3, "LOC")], 1),
        ([True, True, True, True], [(0, 3, "LOC")], 1),
        ([True, True, True, True], [(0, 1, "LOC"), (1, 2, "LOC"), (3, 4, "LOC")], 0),
        ([True, False, True, True], [(0, 3, "LOC"), (3, 4, "PER")], 1),
        (None, [(0, 4, "LOC")], 0),
    ],
)
def test_entities_that_cross_sentence_starts(starts, ents, n_crossing):
    """Sentences are those of the pipeline, not of the corpus."""
    words = ["A_", "b_", "C_", "d"]
    predicted = make_doc(words, starts=starts)
    example = Example(predicted, make_doc(words, ents, starts=[True] * 4))
    assert report_on(example).crossing.n == n_crossing


def test_crossing_is_counted_in_the_predicted_tokens():
    predicted = make_doc(["x", "y_", "New", "York"], starts=[True, False, True, True])
    example = Example(predicted, make_doc(["xy_", "NewYork"], [(1, 2, "LOC")]))
    report = report_on(example)
    assert (report.crossing.n, report.lost.n) == (1, 0)
    assert report.crossing.shown == ["'NewYork' (LOC)"]


def test_no_annotation_is_not_counted():
    words = ["Ann_", "x"]
    assert counts_of(report_on(make_example(words, words, None)))["n_ents"] == 0
    assert counts_of(report_on(make_example(words, words, [])))["n_ents"] == 0


def test_labels_from_the_corpus_are_known():
    example = make_example(["UN_", "x"], ["UN_", "x"], [(0, 1, "ORG")])
    assert report_on(example, labels=None).unknown.n == 0
    assert report_on(example, labels=[]).unknown.n == 1


def make_findings():
    """One example for each kind of finding, and one that fits."""
    words = ["New_", "York"]
    return {
        "none": make_example(["Ann_", "x"], ["Ann_", "x"], [(0, 1, "PER")]),
        "lost": make_example(["Yorkers_", "x"], ["York", "ers_", "x"], [(0, 1, "LOC")]),
        "blank": make_example(["Oslo", "\n"], ["Oslo", "\n"], [(0, 2, "LOC")]),
        "unknown": make_example(["UN_", "x"], ["UN_", "x"], [(0, 1, "ORG")]),
        "crossing": Example(make_doc(words, starts=[True, True]), make_doc(words, [(0, 2, "LOC")])),
    }


@pytest.mark.parametrize(
    "kind,by_sentence,words,example",
    [
        ("lost", False, "align with the tokens", "'York' (LOC)"),
        ("blank", False, "begin or end with white space", "'Oslo\\n' (LOC)"),
        ("unknown", False, "labels the model doesn't have", "'UN' (ORG)"),
        ("crossing", False, "may be split between two windows", "'New York' (LOC)"),
        ("crossing", True, 'set decode_scope = "doc"', "'New York' (LOC)"),
    ],
)
def test_message_of_each_kind(kind, by_sentence, words, example):
    """One line that says how many of how many, what is the matter, and shows it."""
    examples = make_findings()
    message = report_on(examples["none"], examples[kind], by_sentence=by_sentence).message()
    assert "\n" not in message
    assert message.startswith("1 of 2 gold entities ")
    assert words in message
    assert message.endswith(f": {example}")


@pytest.mark.parametrize("scheme,n", [("BIO", 0), ("BILUO", 0), ("IOB1", 0), ("IO", 2)])
def test_neighbours_that_a_scheme_makes_one(scheme, n):
    words = ["Anna_", "Bo_", " ", "Cy_", "Oslo_"]
    ents = [(0, 1, "PER"), (1, 2, "PER"), (3, 4, "PER"), (4, 5, "LOC")]
    report = report_on(make_example(words, words, ents), scheme=scheme)
    assert report.merged.n == n
    if n:
        assert "'Bo' (PER), 'Cy' (PER)" in report.message()
        assert 'scheme = "IO"' in report.message()


def test_message_of_all_kinds():
    lines = report_on(*make_findings().values()).message().split("\n")
    assert len(lines) == 4
    assert all(line.startswith("1 of 5 gold entities ") for line in lines)


def test_message_without_findings():
    assert report_on(make_findings()["none"]).message() == ""
    assert report_on().message() == ""


@pytest.mark.parametrize("n,ending", [(1, "'T0' (ORG)"), (5, "'T4' (ORG)"), (6, "'T4' (ORG), …")])
def test_message_shows_the_first(n, ending):
    words = [f"T{i}_" for i in range(n)]
    report = report_on(make_example(words, words, [(i, i + 1, "ORG") for i in range(n)]))
    assert report.unknown.n == n
    assert report.unknown.shown == [f"'T{i}' (ORG)" for i in range(min(n, 5))]
    assert report.message().startswith(f"{n} of {n} gold entities ")
    assert report.message().endswith(ending)


def test_get_labels():
    words = ["a_", "b_", "c"]
    examples = [
        make_example(words, words, [(0, 1, "PER"), (1, 2, "LOC")]),
        make_example(words, words, None),
        make_example(words, words, [(0, 1, "O-x"), (2, 3, "PER")]),
    ]
    assert get_labels(examples) == ["LOC", "O-x", "PER"]
    assert get_labels([]) == []
