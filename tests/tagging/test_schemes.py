from itertools import product

import numpy
import pytest
from seqeval.scheme import BILOU, IOB1, IOB2, Tokens

from spacy_bert_ner.tagging.schemes import SCHEMES, TagSet

# Rows and columns in the order of the tags. A row is a tag, a 1 stands for those that can follow.
BIO_TAGS = ["O", "B-X", "I-X", "B-Y", "I-Y"]
BIO_ALLOWED = """
1 10 10
1 11 10
1 11 10
1 10 11
1 10 11
"""
BILUO_TAGS = ["O", "B-X", "I-X", "L-X", "U-X", "B-Y", "I-Y", "L-Y", "U-Y"]
BILUO_ALLOWED = """
1 1001 1001
0 0110 0000
0 0110 0000
1 1001 1001
1 1001 1001
0 0000 0110
0 0000 0110
1 1001 1001
1 1001 1001
"""
IOB1_TAGS = ["O", "I-X", "B-X", "I-Y", "B-Y"]
# B stands right behind an entity of the same label, and nowhere else.
IOB1_ALLOWED = """
1 10 10
1 11 10
1 11 10
1 10 11
1 10 11
"""
IO_TAGS = ["O", "I-X", "I-Y"]
IO_ALLOWED = """
1 1 1
1 1 1
1 1 1
"""


def parse_row(bits):
    return [bit == "1" for bit in bits if bit != " "]


def is_valid(tag_set, tags):
    return (
        tag_set.first[tags[0]]
        and tag_set.last[tags[-1]]
        and all(tag_set.allowed[a, b] for a, b in zip(tags, tags[1:]))
    )


@pytest.mark.parametrize(
    "scheme,tags,allowed,first,last",
    [
        ("BIO", BIO_TAGS, BIO_ALLOWED, "1 10 10", "1 11 11"),
        ("BILUO", BILUO_TAGS, BILUO_ALLOWED, "1 1001 1001", "1 0011 0011"),
        ("IOB1", IOB1_TAGS, IOB1_ALLOWED, "1 10 10", "1 11 11"),
        ("IO", IO_TAGS, IO_ALLOWED, "1 1 1", "1 1 1"),
    ],
)
def test_tables(scheme, tags, allowed, first, last):
    tag_set = TagSet(scheme, ["X", "Y"])
    assert tag_set.tags == tags
    assert len(tag_set) == len(tags)
    assert tag_set.allowed.tolist() == [parse_row(row) for row in allowed.strip().split("\n")]
    assert tag_set.first.tolist() == parse_row(first)
    assert tag_set.last.tolist() == parse_row(last)


@pytest.mark.parametrize(
    "scheme,label_ids,starts,closes",
    [
        ("BIO", [-1, 0, 0, 1, 1], "0 10 10", "0 00 00"),
        ("BILUO", [-1, 0, 0, 0, 0, 1, 1, 1, 1], "0 1001 1001", "0 0011 0011"),
        ("IOB1", [-1, 0, 0, 1, 1], "0 01 01", "0 00 00"),
        ("IO", [-1, 0, 1], "0 0 0", "0 0 0"),
    ],
)
def test_tag_properties(scheme, label_ids, starts, closes):
    tag_set = TagSet(scheme, ["X", "Y"])
    assert tag_set.label_ids.tolist() == label_ids
    assert tag_set.starts.tolist() == parse_row(starts)
    assert tag_set.closes.tolist() == parse_row(closes)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_no_labels(scheme):
    tag_set = TagSet(scheme, [])
    assert tag_set.tags == ["O"]
    assert tag_set.label_ids.tolist() == [-1]
    assert tag_set.allowed.tolist() == [[True]]
    assert tag_set.first.tolist() == tag_set.last.tolist() == [True]


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@pytest.mark.parametrize(
    "labels", [["O", "O-x"], ["geo-loc", "loc"], ["B-X", "I-X"], ["-", "--"], ["I", "B"]]
)
def test_label_names_mean_nothing(scheme, labels):
    """What a label is called changes its tags' names and nothing else."""
    plain, named = TagSet(scheme, ["X", "Y"]), TagSet(scheme, labels)
    prefixes = SCHEMES[scheme].prefixes
    assert named.tags == ["O"] + [f"{prefix}-{label}" for label in labels for prefix in prefixes]
    for table in ("label_ids", "starts", "closes", "first", "last", "allowed"):
        numpy.testing.assert_array_equal(getattr(named, table), getattr(plain, table))
    assert named.encode(3, 1) == plain.encode(3, 1)


@pytest.mark.parametrize(
    "scheme,length,label_id,expected",
    [
        ("BIO", 1, 0, ["B-X"]),
        ("BIO", 2, 0, ["B-X", "I-X"]),
        ("BIO", 4, 1, ["B-Y", "I-Y", "I-Y", "I-Y"]),
        ("BILUO", 1, 0, ["U-X"]),
        ("BILUO", 1, 1, ["U-Y"]),
        ("BILUO", 2, 1, ["B-Y", "L-Y"]),
        ("BILUO", 3, 0, ["B-X", "I-X", "L-X"]),
        ("BILUO", 4, 1, ["B-Y", "I-Y", "I-Y", "L-Y"]),
        ("IOB1", 3, 1, ["I-Y", "I-Y", "I-Y"]),
        ("IO", 1, 0, ["I-X"]),
    ],
)
def test_encode(scheme, length, label_id, expected):
    tag_set = TagSet(scheme, ["X", "Y"])
    assert [tag_set.tags[i] for i in tag_set.encode(length, label_id)] == expected


@pytest.mark.parametrize("length", [1, 2, 3])
def test_encode_again(length):
    """Right behind an entity of the same label: only IOB1 has a tag of its own for it."""
    for scheme in SCHEMES:
        tag_set = TagSet(scheme, ["X"])
        first, again = (tag_set.encode(length, 0, again=again) for again in (False, True))
        assert is_valid(tag_set, first + again)
        assert first[1:] == again[1:]
        assert (first == again) == (scheme != "IOB1")
        if scheme == "IOB1":
            assert tag_set.tags[again[0]] == "B-X"


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_what_continues(scheme):
    """Tags that are of one entity are allowed, and those that aren't begin one or are outside."""
    tag_set = TagSet(scheme, ["X", "Y"])
    assert not (tag_set.continues & ~tag_set.allowed).any()
    assert not tag_set.continues[:, tag_set.starts].any()
    assert not tag_set.continues[tag_set.closes].any()
    entity = tag_set.encode(4, 1)
    assert all(tag_set.continues[a, b] for a, b in zip(entity, entity[1:]))
    same = tag_set.label_ids[:, None] == tag_set.label_ids
    assert not (tag_set.continues & ~same).any()


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_encoded_entities_are_valid(scheme, length):
    tag_set = TagSet(scheme, ["X", "Y"])
    first, second = tag_set.encode(length, 0), tag_set.encode(length, 1)
    for tags in (first, first + first, first + second, second + [0] + first):
        assert is_valid(tag_set, tags)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_new_label_appends_tags(scheme):
    """The tags of the labels before keep their ids and what may follow them."""
    small, large = TagSet(scheme, ["X", "Y"]), TagSet(scheme, ["X", "Y", "A"])
    n = len(small)
    assert large.tags[:n] == small.tags
    assert all(tag.endswith("-A") for tag in large.tags[n:])
    numpy.testing.assert_array_equal(large.allowed[:n, :n], small.allowed)
    for table in ("label_ids", "starts", "closes", "first", "last"):
        numpy.testing.assert_array_equal(getattr(large, table)[:n], getattr(small, table))


@pytest.mark.parametrize(
    "scheme,theirs,longest", [("BIO", IOB2, 5), ("BILUO", BILOU, 4), ("IOB1", IOB1, 5)]
)
def test_valid_where_seqeval_reads_every_tag(scheme, theirs, longest):
    """Tags are valid if the entities that seqeval finds, which doesn't repair, account for all."""
    tag_set = TagSet(scheme, ["X", "Y"])
    label_ids = {"X": 0, "Y": 1}
    n_valid = 0
    for length in range(1, longest + 1):
        for tags in product(range(len(tag_set)), repeat=length):
            expected = [0] * length
            before = (0, "")  # where the entity before ends, and its label
            for entity in Tokens([tag_set.tags[i] for i in tags], theirs).entities:
                size = entity.end - entity.start
                expected[entity.start : entity.end] = tag_set.encode(
                    size, label_ids[entity.tag], again=before == (entity.start, entity.tag)
                )
                before = (entity.end, entity.tag)
            assert is_valid(tag_set, tags) == (list(tags) == expected)
            n_valid += list(tags) == expected
    assert n_valid > 100
