import numpy
import pytest
import torch

from spacy_bert_ner.model.encoder import rows as rows_module
from spacy_bert_ner.model.encoder.batches import Batch
from spacy_bert_ner.model.encoder.rows import make_rows

CPU = torch.device("cpu")
WIDTH = 2


@pytest.fixture(params=["host", "device"])
def is_host(request, monkeypatch):
    """Both ways of writing rows, on a CPU."""
    monkeypatch.setattr(rows_module, "is_host", lambda device: request.param == "host")
    return request.param == "host"


@pytest.fixture
def batches():
    """Three windows of two documents: the first document has 5 rows, the second 2."""
    long = Batch(
        ids=numpy.zeros((2, 3), dtype="int64"), lengths=numpy.array([3, 2]), places=[(0, 0), (1, 0)]
    )
    short = Batch(ids=numpy.zeros((1, 2), dtype="int64"), lengths=numpy.array([2]), places=[(0, 3)])
    return [long, short]


def numbers(*shape):
    return torch.arange(float(numpy.prod(shape))).reshape(*shape)


def test_writes_windows_to_documents(is_host, batches):
    rows = make_rows([5, 2], WIDTH, CPU, share=True)
    rows.write(batches[0], numbers(2, 3, WIDTH))
    rows.write(batches[1], 100 + numbers(1, 2, WIDTH))
    one, two = rows.arrays()
    assert one.tolist() == [[0, 1], [2, 3], [4, 5], [100, 101], [102, 103]]
    assert two.tolist() == [[6, 7], [8, 9]]  # without the padding


def test_takes_gradients(is_host, batches, monkeypatch):
    rows = make_rows([5, 2], WIDTH, CPU, share=True)
    long, short = (rows.write(batch, numbers(*batch.ids.shape, WIDTH)) for batch in batches)
    if not is_host:  # where the rows are was found by `write`, and isn't copied to a GPU again
        monkeypatch.delattr(type(rows), "_find")
    d_rows = 1 + numbers(7, WIDTH)
    assert long(d_rows).tolist() == [[[1, 2], [3, 4], [5, 6]], [[11, 12], [13, 14], [0, 0]]]
    assert short(d_rows).tolist() == [[[7, 8], [9, 10]]]


@pytest.mark.parametrize("share", [True, False])
def test_documents_share_memory_only_where_they_may(is_host, batches, share):
    rows = make_rows([5, 2], WIDTH, CPU, share=share)
    for batch in batches:
        rows.write(batch, numbers(*batch.ids.shape, WIDTH))
    one, two = rows.arrays()
    together = one.base is not None and one.ctypes.data + one.nbytes == two.ctypes.data
    assert together == (share and not is_host)


def test_documents_share_memory_if_there_is_none_for_copies(is_host, batches, monkeypatch):
    rows = make_rows([5, 2], WIDTH, CPU, share=False)
    for batch in batches:
        rows.write(batch, numbers(*batch.ids.shape, WIDTH))
    expected = [array.tolist() for array in rows.arrays()]

    def clone(part):
        raise torch.cuda.OutOfMemoryError

    monkeypatch.setattr(torch.Tensor, "clone", clone)
    assert [array.tolist() for array in rows.arrays()] == expected
