import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thinc.api import Ragged

from spacy_bert_ner.model.encoder.batches import get_batches
from spacy_bert_ner.model.encoder.windows import Windows

PAD = 0
WHOLE = 10**6  # no cut saves as much


def make_windows(lengths, first_id):
    """A document with windows of these lengths, and a different id in every row."""
    starts = numpy.cumsum([0, *lengths])
    return Windows(
        ids=numpy.arange(first_id, first_id + starts[-1], dtype="int32"),
        starts=starts,
        align=Ragged(numpy.zeros(0, dtype="int32"), numpy.zeros(0, dtype="int32")),
        has_pieces=numpy.zeros(0, dtype=bool),
    )


def make_docs(lengths):
    return [make_windows(doc, 1 + sum(map(sum, lengths[:i]))) for i, doc in enumerate(lengths)]


def batches_of(docs, batch_pieces, call_pieces=WHOLE, pad_id=PAD):
    return list(
        get_batches(docs, batch_pieces=batch_pieces, call_pieces=call_pieces, pad_id=pad_id)
    )


def shapes(docs, batch_pieces, call_pieces=WHOLE):
    return [batch.ids.shape for batch in batches_of(docs, batch_pieces, call_pieces)]


@pytest.mark.parametrize(
    ("lengths", "batch_pieces", "expected"),
    [
        ([], 10, []),
        ([[]], 10, []),
        ([[3]], 10, [(1, 3)]),
        ([[3, 3, 3]], 9, [(3, 3)]),
        ([[3, 3, 3]], 8, [(2, 3), (1, 3)]),
        ([[2, 5], [4]], 10, [(2, 5), (1, 2)]),
        ([[2, 5], [4]], 15, [(3, 5)]),
        ([[1, 20, 1]], 10, [(1, 20), (2, 1)]),
        ([[20], [11], [10]], 10, [(1, 20), (1, 11), (1, 10)]),
        ([[2, 3]], 1, [(1, 3), (1, 2)]),
    ],
)
def test_shapes(lengths, batch_pieces, expected):
    assert shapes(make_docs(lengths), batch_pieces) == expected


@pytest.mark.parametrize(
    ("lengths", "call_pieces", "expected"),
    [
        # Of a training step with 325 wordpieces; in one batch they are 640.
        ([[128], [72, 54], [58], [13]], WHOLE, [(5, 128)]),
        ([[128], [72, 54], [58], [13]], 224, [(5, 128)]),
        ([[128], [72, 54], [58], [13]], 223, [(1, 128), (4, 72)]),
        ([[128], [72, 54], [58], [13]], 58, [(1, 128), (3, 72), (1, 13)]),
        ([[128], [72, 54], [58], [13]], 0, [(1, 128), (1, 72), (1, 58), (1, 54), (1, 13)]),
        # What is cut off goes on with those that follow.
        ([[100], [10] * 200], WHOLE, [(10, 100), (102, 10), (89, 10)]),
        ([[100], [10] * 200], 80, [(1, 100), (102, 10), (98, 10)]),
        # The best cut is the last, and of those before it one pays, too.
        ([[100], [60] * 2, [10] * 7], 70, [(1, 100), (2, 60), (7, 10)]),
        ([[100], [60] * 2, [10] * 7], 500, [(3, 100), (7, 10)]),
        ([[30] * 33], 0, [(33, 30)]),
    ],
)
def test_cut_where_padding_costs_more_than_a_call(lengths, call_pieces, expected):
    assert shapes(make_docs(lengths), 1024, call_pieces) == expected


def test_values():
    docs = make_docs([[2, 4], [3]])  # ids 1-2, 3-6; 7-9
    first, second = batches_of(docs, 8, pad_id=99)
    assert first.ids.tolist() == [[3, 4, 5, 6], [7, 8, 9, 99]]
    assert first.mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert first.lengths.tolist() == [4, 3]
    assert first.places == [(0, 2), (1, 0)]
    assert second.ids.tolist() == [[1, 2]]
    assert second.mask.tolist() == [[1, 1]]
    assert second.places == [(0, 0)]
    assert (first.ids.dtype, first.mask.dtype) == ("int64", "int64")


def test_equal_lengths_in_order():
    (batch,) = batches_of(make_docs([[2, 2], [2]]), 100, call_pieces=0)
    assert batch.places == [(0, 0), (0, 2), (1, 0)]


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    st.lists(st.lists(st.integers(1, 30), max_size=12), max_size=6),
    st.integers(1, 64),
    st.sampled_from([0, 3, 20, WHOLE]),
)
def test_properties(lengths, batch_pieces, call_pieces):
    docs = make_docs(lengths)
    batches = batches_of(docs, batch_pieces, call_pieces)
    for batch in batches:
        assert batch.ids.size <= batch_pieces or len(batch.ids) == 1
        assert batch.ids.shape == (len(batch.lengths), max(batch.lengths))
        assert batch.mask.sum(axis=1).tolist() == batch.lengths.tolist()
        for row, mask, length, (doc, start) in zip(
            batch.ids, batch.mask, batch.lengths, batch.places
        ):
            assert row[:length].tolist() == docs[doc].ids[start : start + length].tolist()
            assert row[length:].tolist() == [PAD] * (len(row) - length)
            assert mask.tolist() == [1] * length + [0] * (len(row) - length)
    in_order = [length for batch in batches for length in batch.lengths.tolist()]
    assert in_order == sorted(in_order, reverse=True)
    places = sorted(place for batch in batches for place in batch.places)
    assert places == [
        (i, start) for i, doc in enumerate(docs) for start in doc.starts[:-1].tolist()
    ]
    for batch in batches:
        for i, length in enumerate(batch.lengths):
            assert (batch.ids.shape[1] - length) * (len(batch.ids) - i) <= call_pieces
    # As few batches as whole rows allow: the next window would not have fitted, or it pays to cut.
    n_left = len(in_order)
    for batch, following in zip(batches, batches[1:]):
        n_windows, longest = batch.ids.shape
        n_fitting = max(1, min(n_left, batch_pieces // longest))
        saved = (longest - following.ids.shape[1]) * (n_fitting - n_windows)
        assert n_windows == n_fitting or saved > call_pieces
        assert following.ids.shape[1] <= batch.lengths[-1]
        n_left -= n_windows
