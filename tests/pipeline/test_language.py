"""spaCy's methods of a pipeline and its documents."""

import pickle
import subprocess
import sys

import numpy
import pytest
import spacy
from spacy import displacy
from spacy.tokens import Doc, DocBin

from ..util import CRF, EXPECTED, TEXT, get_ents, make_example, make_nlp


def test_analyze_pipes(tiny):
    analysis = tiny.analyze_pipes(keys=["assigns", "requires", "scores"])
    assert analysis["problems"]["bert_ner"] == []
    assert "doc.ents" in analysis["summary"]["bert_ner"]["assigns"]
    assert analysis["attrs"]["span._.score"]["assigns"] == ["bert_ner"]
    assert "ents_f" in analysis["summary"]["bert_ner"]["scores"]


def test_select_pipes(tiny):
    with tiny.select_pipes(disable=["bert_ner"]):
        assert not tiny(TEXT).has_annotation("ENT_IOB")
    with tiny.select_pipes(enable=["transformer", "bert_ner"]):
        assert get_ents(tiny(TEXT)) == EXPECTED
    assert get_ents(tiny(TEXT)) == EXPECTED


def test_pipe_labels(tiny):
    assert tiny.pipe_labels["bert_ner"] == ["LOC", "PER"]


def test_resume_training(tiny):
    """A label more, and what was learned stays."""
    tiny.get_pipe("bert_ner").add_label("ORG")
    sgd = tiny.resume_training()
    sgd.learn_rate = 1e-3
    losses = [tiny.update([make_example(tiny)], sgd=sgd)["bert_ner"] for _ in range(20)]
    assert losses[-1] < losses[0]
    assert get_ents(tiny(TEXT)) == EXPECTED


class TestRehearse:
    def test_refused_through_a_listener(self, tiny):
        tiny.resume_training()
        with pytest.raises(ValueError, match=r"can't rehearse.*exclude=\[\"bert_ner\"\].*replace_"):
            tiny.rehearse([make_example(tiny)])
        assert tiny.rehearse([make_example(tiny)], exclude=["bert_ner"]) == {}

    def test_with_an_encoder_of_its_own(self, tiny):
        """Disturbed, then brought back to what it was when training was resumed."""
        tiny.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
        pipe = tiny.get_pipe("bert_ner")
        sgd = tiny.resume_training()
        sgd.learn_rate = 1e-3
        (before,) = pipe.predict([tiny.make_doc(TEXT)])
        layer = pipe.model.get_ref("output_layer")
        layer.set_param("b", layer.get_param("b") + numpy.float32([2, 0, -2, 0, 1]))
        losses = [pipe.rehearse([make_example(tiny)], sgd=sgd)["bert_ner"] for _ in range(30)]
        assert losses[-1] < 0.2 * losses[0]
        (after,) = pipe.predict([tiny.make_doc(TEXT)])
        numpy.testing.assert_allclose(after, before, atol=0.1)

    def test_by_the_pipeline(self, tiny):
        tiny.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
        tiny.remove_pipe("transformer")
        layer = tiny.get_pipe("bert_ner").model.get_ref("output_layer")
        sgd = tiny.resume_training()
        moved = layer.get_param("b") + numpy.float32([2, 0, -2, 0, 1])
        layer.set_param("b", moved.copy())
        assert tiny.rehearse([make_example(tiny)], sgd=sgd)["bert_ner"] > 0
        assert not numpy.array_equal(layer.get_param("b"), moved)

    def test_with_a_label_more(self, tiny):
        """What is rehearsed are the labels there were."""
        tiny.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
        sgd = tiny.resume_training()
        pipe = tiny.get_pipe("bert_ner")
        pipe.add_label("ORG")
        layer = pipe.model.get_ref("output_layer")
        new = layer.get_param("b")[5:].copy()
        assert pipe.rehearse([make_example(tiny)]) == {"bert_ner": pytest.approx(0.0, abs=1e-9)}
        layer.set_param("b", layer.get_param("b") + numpy.float32([2, 0, -2, 0, 1, 0, 0]))
        losses = [pipe.rehearse([make_example(tiny)], sgd=sgd)["bert_ner"] for _ in range(30)]
        assert losses[-1] < losses[0]
        numpy.testing.assert_allclose(layer.get_param("b")[5:], new, atol=1e-2)

    def test_refused_for_a_crf(self, tiny_encoder):
        nlp = make_nlp({"name": tiny_encoder, "window": 0}, component=CRF)
        nlp.initialize(lambda: [make_example(nlp)])
        nlp.replace_listeners("transformer", "bert_ner", ["model.tok2vec"])
        nlp.resume_training()
        with pytest.raises(ValueError, match="can't rehearse, since its model is a CRF"):
            nlp.get_pipe("bert_ner").rehearse([make_example(nlp)])

    def test_does_nothing_before(self, tiny):
        assert tiny.rehearse([make_example(tiny)]) == {}


def test_displacy(tiny):
    doc = tiny(TEXT)
    page = displacy.render(doc, style="ent", jupyter=False)
    assert page.count("<mark") == len(EXPECTED)
    page = displacy.render(doc, style="span", jupyter=False, options={"spans_key": "bert_ner"})
    assert "Anna" in page and "PER" in page


def test_docbin_with_everything(tiny):
    """Documents of a pipeline go into a DocBin and come out with entities and scores."""
    docs = list(tiny.pipe([TEXT, "", "Karl ."]))
    packed = DocBin(docs=docs, store_user_data=True).to_bytes()
    copies = list(DocBin().from_bytes(packed).get_docs(spacy.blank("en").vocab))
    for doc, copy in zip(docs, copies, strict=True):
        assert get_ents(copy) == get_ents(doc)
        assert [ent._.score for ent in copy.ents] == [ent._.score for ent in doc.ents]


def test_memory_zone(tiny):
    """Labels outlive the zone in which they are first predicted, words of the zone don't."""
    with tiny.memory_zone():
        doc = tiny("Annagret lives in Oslo .")
        assert "Annagret" in tiny.vocab.strings
        del doc
    assert "Annagret" not in tiny.vocab.strings
    assert "PER" in tiny.vocab.strings
    with tiny.memory_zone():
        assert get_ents(tiny(TEXT)) == EXPECTED


def test_labels_are_interned_on_load(tiny_pipeline):
    """Not by the strings that were saved: a component that is sourced alone has none."""
    source = spacy.load(tiny_pipeline)
    pipe = make_nlp().get_pipe("bert_ner")
    assert "PER" not in pipe.vocab.strings
    pipe.from_bytes(source.get_pipe("bert_ner").to_bytes(exclude=["vocab"]), exclude=["vocab"])
    assert "PER" in pipe.vocab.strings


def test_pickled(tiny):
    copy = pickle.loads(pickle.dumps(tiny))
    assert get_ents(copy(TEXT)) == EXPECTED
    assert copy.get_pipe("bert_ner").loss == tiny.get_pipe("bert_ner").loss
    sgd = copy.resume_training()
    assert numpy.isfinite(copy.update([make_example(copy)], sgd=sgd)["bert_ner"])


def test_threshold(tiny):
    """Read at every call; low scores are left out of both places."""
    pipe = tiny.get_pipe("bert_ner")
    doc = Doc(tiny.vocab, words=["a", "b", "c"])
    probs = numpy.full((3, 5), 0.02, dtype="float32")
    probs[0, pipe.tag_set.tags.index("B-PER")] = 0.92
    probs[1, pipe.tag_set.tags.index("B-LOC")] = 0.4
    probs[2, 0] = 0.92
    for threshold, texts in ((0.0, ["a", "b"]), (0.5, ["a"]), (0.95, [])):
        pipe.cfg["threshold"] = threshold
        doc.set_ents([], default="missing")
        pipe.set_annotations([doc], [probs])
        assert [ent.text for ent in doc.ents] == texts
        assert [span.text for span in doc.spans["bert_ner"]] == texts
        assert len(doc.spans["bert_ner"].attrs["scores"]) == len(texts)
        assert doc.has_annotation("ENT_IOB")
    with pytest.raises(ValueError, match="threshold = 1.5: set it to a score from 0"):
        make_nlp(component={"threshold": 1.5})


PROCESSES = """
import multiprocessing, sys
import spacy

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[3])
    nlp = spacy.load(sys.argv[1])
    nlp.add_pipe("merge_entities")  # documents come back as bytes, with their scores
    nlp(sys.argv[2])  # on several threads, which a fork doesn't take with it
    docs = nlp.pipe([sys.argv[2], "", "Karl ."] * 4, n_process=2, batch_size=3)
    found = [[(ent.text, round(ent._.score, 3)) for ent in doc.ents] for doc in docs]
    sys.stdout.write(repr(found))
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes(tiny, tiny_pipeline, tmp_path, method):
    (tmp_path / "program.py").write_text(PROCESSES, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), str(tiny_pipeline), TEXT, method],
        capture_output=True,
        text=True,
        timeout=900,
        env={"OMP_NUM_THREADS": "2", "PATH": "/usr/bin:/bin"},
    )
    assert result.returncode == 0, result.stderr
    docs = list(tiny.pipe([TEXT, "", "Karl ."] * 4))
    assert get_ents(docs[0]) == EXPECTED
    expected = [[(ent.text, round(ent._.score, 3)) for ent in doc.ents] for doc in docs]
    assert result.stdout == repr(expected)
