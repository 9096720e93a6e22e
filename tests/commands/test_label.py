"""Texts with what teachers think of them."""

import os

import numpy
import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from thinc.api import fix_random_seed

from spacy_bert_ner.commands import label as module
from spacy_bert_ner.commands.annotate import annotate
from spacy_bert_ner.commands.label import label
from spacy_bert_ner.commands.teachers import load_teacher
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import FormatError, read_docs, write_docs
from spacy_bert_ner.model.heads import get_transitions
from spacy_bert_ner.tagging.decode import crf_probs
from spacy_bert_ner.tagging.soft_labels import get_soft_labels

from ..formats.util import NLP, ents_of, sents_of, words_of
from ..util import CRF, TAGS, WORDS, make_nlp, plain, run_cli
from .util import NO_DROPOUT, train

TEXTS = ["Anna Berg lives in Oslo. She met Karl.", "It rained in New York.", "Oslo Berg", "Anna"]


@pytest.fixture(scope="module")
def teachers(tiny_encoder, tmp_path_factory):
    """Paths of teachers, by name."""
    folder = tmp_path_factory.mktemp("teachers")
    persons = [tag if tag.endswith("PER") else "O" for tag in TAGS]
    biluo = {"component": {"scheme": "BILUO"}}
    return {
        "one": train(folder / "one", tiny_encoder),
        "two": train(folder / "two", tiny_encoder, seed=1, n_steps=12),
        "persons": train(folder / "persons", tiny_encoder, tags=persons),
        "biluo": train(folder / "biluo", tiny_encoder, seed=2, **biluo),
        "crf": train(folder / "crf", tiny_encoder, component=CRF),
        "words": train(folder / "words", tiny_encoder, component={"align": "word"}),
        "iob1": train(folder / "iob1", tiny_encoder, component={"scheme": "IOB1"}),
    }


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


def run_label(names, path, out, **settings):
    """RETURNS (Tuple[List[Doc], LabelReport]): What was written, and counted."""
    report = label(names, path, out, **{"source": "lines", **settings})
    return list(read_docs(out, NLP)), report


def predict(path, text):
    """RETURNS (ndarray): Probabilities of tags, made without any of what is tested."""
    nlp = spacy.load(path, exclude=["doc_cleaner"])
    doc = nlp(text)
    ner = nlp.get_pipe("bert_ner")
    (scores,) = ner.predict([doc])
    transitions = get_transitions(ner.model)
    if transitions is None:
        return scores, doc
    return crf_probs(scores, numpy.arange(len(doc)) == 0, ner.tag_set, transitions), doc


@pytest.mark.parametrize("name", ["one", "crf", "biluo"])
def test_one_teacher(teachers, source, tmp_path, name):
    """Its probabilities, for a CRF its marginals, and the entities and scores of `annotate`."""
    docs, report = run_label([teachers[name]], source, tmp_path / "a.spacy")
    annotate(teachers[name], source, tmp_path / "b.spacy", source="lines")
    for doc, other, text in zip(docs, read_docs(tmp_path / "b.spacy", NLP), TEXTS):
        assert (words_of(doc), ents_of(doc)) == (words_of(other), ents_of(other))
        assert sents_of(doc) == sents_of(other)
        group, its_group = doc.spans["bert_ner"], other.spans["bert_ner"]
        assert group.attrs["scores"].tolist() == its_group.attrs["scores"].tolist()
        soft = get_soft_labels(doc)
        expected, _ = predict(teachers[name], text)
        numpy.testing.assert_allclose(soft.probs, expected, atol=1e-3)
        assert (soft.agreement == 1.0).all()
        assert (soft.scheme, soft.align) == ("BILUO" if name == "biluo" else "BIO", "token")
        assert (soft.labels, soft.has_gold) == (("LOC", "PER"), False)
    assert report.n_docs == len(TEXTS)
    assert report.n_labeled == report.n_agreed == sum(map(len, docs))


def test_mean_of_two(teachers, source, tmp_path):
    names = [teachers["one"], teachers["two"]]
    docs, report = run_label(names, source, tmp_path / "a.spacy", weights=[3.0, 1.0])
    n_agreed = 0
    for doc, text in zip(docs, TEXTS):
        (one, _), (two, _) = (predict(name, text) for name in names)
        soft = get_soft_labels(doc)
        mean = 0.75 * one + 0.25 * two
        numpy.testing.assert_allclose(soft.probs, mean, atol=1e-3)
        best = mean.argmax(axis=1)
        expected = 0.75 * (one.argmax(axis=1) == best) + 0.25 * (two.argmax(axis=1) == best)
        numpy.testing.assert_allclose(soft.agreement, expected)
        n_agreed += int((expected == 1.0).sum())
        # The entities are those of the mean: here, none is cut by what tags can follow each other.
        tags = [soft.tag_set.tags[i] for i in best]
        assert [str(ent) for ent in doc.ents] == [
            str(ent) for ent in Doc(NLP.vocab, words=words_of(doc), ents=repair(tags)).ents
        ]
        assert len(doc.spans["bert_ner"].attrs["scores"]) == len(doc.ents)
    assert report.n_agreed == n_agreed < report.n_labeled
    assert f"{report.n_agreed / report.n_labeled:.1%}" in report.describe_agreement()


def repair(tags):
    before = "O"
    for i, tag in enumerate(tags):
        if tag[0] == "I" and before[2:] != tag[2:]:
            tags[i] = "B" + tag[1:]
        before = tag
    return tags


def test_votes(teachers, source, tmp_path):
    """Entities of more than half; what one alone finds is missing."""
    names = [teachers["one"], teachers["two"]]
    docs, _ = run_label(names, source, tmp_path / "a.spacy", vote=True)
    found = [list(spacy.load(name).pipe(TEXTS)) for name in names]
    n_missing = 0
    for doc, one, two in zip(docs, *found):
        ents = [{(e.start, e.end, e.label_) for e in its.ents} for its in (one, two)]
        assert {(e.start, e.end, e.label_) for e in doc.ents} == ents[0] & ents[1]
        for i, token in enumerate(doc):
            is_out = [its[i].ent_iob_ == "O" for its in (one, two)]
            if token.ent_iob == 0:
                n_missing += 1
                assert not all(is_out)
            else:
                assert all(is_out) or token.ent_type
        scores = doc.spans["bert_ner"].attrs["scores"]
        assert scores.tolist() == [1.0] * len(doc.ents)
    assert n_missing
    # Whoever has more than half decides alone.
    docs, _ = run_label(names, source, tmp_path / "b.spacy", vote=True, weights=[2.0, 1.0])
    assert [ents_of(doc) for doc in docs] == [ents_of(doc) for doc in found[0]]
    assert not any(token.ent_iob == 0 for doc in docs for token in doc)


def test_labels_and_schemes_of_several(teachers, source, tmp_path):
    """A teacher that knows persons alone, and one whose tags say more."""
    told = []
    names = [teachers["persons"], teachers["biluo"]]
    docs, _ = run_label(names, source, tmp_path / "a.spacy", notify=told.append)
    assert len(told) == 1
    assert "'LOC'" in told[0] and teachers["biluo"] in told[0]
    for doc, text in zip(docs, TEXTS):
        soft = get_soft_labels(doc)
        assert (soft.scheme, soft.labels) == ("BIO", ("PER", "LOC"))
        (one, _), (two, _) = (predict(name, text) for name in names)
        # Of BILUO, B and U are B: columns are O, then BILU of LOC and of PER.
        o, per, loc = two[:, 0], two[:, [5, 6]] + two[:, [8, 7]], two[:, [1, 2]] + two[:, [4, 3]]
        rest = o + loc.sum(axis=1)
        filled = one[:, :1] * numpy.column_stack([o, loc]) / rest[:, None]
        expected = numpy.column_stack(
            [filled[:, 0] + o, one[:, 1:] + per, filled[:, 1:] + loc],
        )
        numpy.testing.assert_allclose(soft.probs, expected / 2, atol=1e-3)


def test_gold_is_kept(teachers, tmp_path):
    """With what is missing, under other predictions."""
    doc = Doc(NLP.vocab, words=WORDS, ents=["B-ORG", "", *["O"] * (len(WORDS) - 2)])
    write_docs(tmp_path / "in.spacy", [doc])
    settings = {"source": "spacy", "keep_ents": True}
    (found,), _ = run_label(
        [teachers["one"]], tmp_path / "in.spacy", tmp_path / "a.spacy", **settings
    )
    assert ents_of(found) == [("Anna", "ORG")]
    assert [token.ent_iob for token in found] == [3, 0, *[2] * (len(WORDS) - 2)]
    assert get_soft_labels(found).has_gold
    settings["keep_ents"] = False
    (found,), _ = run_label(
        [teachers["one"]], tmp_path / "in.spacy", tmp_path / "b.spacy", **settings
    )
    assert ("Anna", "ORG") not in ents_of(found)
    assert not get_soft_labels(found).has_gold


def test_words_of_the_input(teachers, tmp_path):
    """Tokens of a file stay, for all teachers, and so do sentences and the record."""
    words = ["Oslo-", "based", "Anna"]
    doc = Doc(NLP.vocab, words=words, sent_starts=[True, False, True])
    doc.user_data["spacy_bert_ner.record"] = {"id": 7}
    write_docs(tmp_path / "in.spacy", [doc])
    names = [teachers["one"], teachers["two"]]
    (found,), _ = run_label(names, tmp_path / "in.spacy", tmp_path / "a.spacy", source="spacy")
    assert words_of(found) == words
    assert sents_of(found) == [2, 1]
    assert found.user_data["spacy_bert_ner.record"] == {"id": 7}
    assert get_soft_labels(found).probs.any(axis=1).all()


def test_what_nobody_reads_has_none(teachers, tmp_path):
    """White space, which gets no tag."""
    path = tmp_path / "in.txt"
    path.write_text("Anna  lives\tin Oslo", encoding="utf-8")
    (found,), report = run_label([teachers["one"]], path, tmp_path / "a.spacy", source="text")
    blank = [token.is_space for token in found]
    assert any(blank)
    assert (get_soft_labels(found).probs.any(axis=1) != blank).all()
    assert report.n_labeled == len(found) - sum(blank)


def test_words_between_spaces(teachers, source, tmp_path):
    docs, _ = run_label([teachers["words"]], source, tmp_path / "a.spacy")
    soft = get_soft_labels(docs[0])
    assert soft.align == "word"
    # "Oslo" and "." are one word.
    assert soft.probs.any(axis=1).tolist() == [True] * 5 + [False] + [True] * 3 + [False]


def test_refused(teachers, source, tmp_path):
    out = tmp_path / "a.spacy"
    cases = [
        (["one", "words"], {}, "tag different tokens \\(align = token of .*one', word of .*words'"),
        (["one", "iob1"], {}, "BIO of .*one', IOB1 of .*iob1'"),
        (["one", "two"], {"weights": [1.0]}, "1 weight for 2 teachers"),
        (["one"], {"weights": [0.0]}, "the weights 0.0: give numbers above 0"),
        (["one"], {"vote": True, "keep_ents": True}, "leave one out"),
    ]
    for names, settings, message in cases:
        with pytest.raises(UserError, match=message) as error:
            label([teachers[name] for name in names], source, out, source="lines", **settings)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="only spaCy's format can store"):
        label([teachers["one"]], source, tmp_path / "a.jsonl", source="lines")
    assert not out.exists()
    write_docs(out, [Doc(NLP.vocab, words=WORDS)])
    with pytest.raises(FormatError, match="is the input"):
        label([teachers["one"]], out, out)


def test_other_pipelines_are_refused(teachers, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler")
    nlp.to_disk(tmp_path / "ruler")
    with pytest.raises(UserError, match="ruler': it has no bert_ner"):
        load_teacher(str(tmp_path / "ruler"))
    nlp = spacy.load(teachers["one"])
    nlp.add_pipe("bert_ner", name="second", source=spacy.load(teachers["two"]))
    nlp.to_disk(tmp_path / "both")
    with pytest.raises(UserError, match="several bert_ner \\('bert_ner', 'second'\\)"):
        load_teacher(str(tmp_path / "both"))
    nlp = spacy.load(teachers["one"])
    nlp.get_pipe("bert_ner").cfg["annotate_ents"] = False
    nlp.to_disk(tmp_path / "spans")
    with pytest.raises(UserError, match="sets no entities"):
        load_teacher(str(tmp_path / "spans"))
    with pytest.raises(OSError, match="nothing-there"):
        load_teacher("nothing-there")


def stop_in_second_batch(monkeypatch):
    """RETURNS (list): The calls so far: whoever clears it is interrupted again."""
    original, calls = module.label_docs, []

    def stop(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(module, "label_docs", stop)
    return calls


def test_resumes(teachers, tmp_path, monkeypatch):
    """With what was counted, and the same output."""
    source, out = tmp_path / "in.txt", tmp_path / "a.spacy"
    source.write_text("\n".join(TEXTS * 3), encoding="utf-8")
    names, told = [teachers["one"], teachers["two"]], []
    settings = {"batch_size": 4, "notify": told.append, "source": "lines"}
    expected = label(names, source, tmp_path / "whole.spacy", **settings)
    calls = stop_in_second_batch(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        label(names, source, out, **settings)
    assert told == [
        f"Stopped. The first 4 records are saved in {out}.part. Run the same command to resume."
    ]
    with pytest.raises(FormatError, match="--weights was"):
        label(names, source, out, **settings, weights=[1, 2])
    report = label(names, source, out, **settings)
    assert told[-1] == f"Resuming after record 4 (partial output: {out}.part)."
    assert report == expected
    assert out.read_bytes() == (tmp_path / "whole.spacy").read_bytes()
    with pytest.raises(FormatError, match="--vote was"):
        calls.clear()
        with pytest.raises(KeyboardInterrupt):
            label(names, source, out, **settings)
        label(names, source, out, **settings, vote=True)
    calls[:] = [None] * 2
    label(names, source, out, **settings, restart=True, vote=True)


def test_folder(teachers, tmp_path, monkeypatch):
    """Read and resumed as a file is; a changed text is another input."""
    folder, out = tmp_path / "texts", tmp_path / "a.spacy"
    (folder / "more").mkdir(parents=True)
    for i, text in enumerate(TEXTS):
        (folder / "more" / f"{i}.txt").write_text(text, encoding="utf-8")
    names, settings = [teachers["one"]], {"batch_size": 1}
    expected = label(names, folder, tmp_path / "whole.spacy", **settings)
    assert expected.n_docs == len(TEXTS) > 2
    stop_in_second_batch(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        label(names, folder, out, **settings)
    with (folder / "more" / "1.txt").open("a", encoding="utf-8") as file:
        file.write(" Oslo.")
    with pytest.raises(FormatError, match="the digest of its texts was"):
        label(names, folder, out, **settings)
    label(names, folder, out, **settings, restart=True)
    report = label(names, folder, tmp_path / "again.spacy", **settings)
    assert out.read_bytes() == (tmp_path / "again.spacy").read_bytes()
    assert report.n_docs == expected.n_docs and report.n_tokens > expected.n_tokens


def test_folder_with_other_files(teachers, tmp_path, monkeypatch):
    """A link that leads nowhere, a name that isn't UTF-8, and the output, which is resumed, since
    only the texts count."""
    folder = tmp_path / "texts"
    folder.mkdir()
    for i, text in enumerate(TEXTS):
        (folder / f"{i}.txt").write_text(text, encoding="utf-8")
    (folder / ".#lock.txt").symlink_to("nowhere")
    (folder / os.fsdecode(b"\xff.txt")).write_text("Oslo", encoding="utf-8")
    names, out = [teachers["one"]], folder / "out.spacy"
    expected = label(names, folder, tmp_path / "whole.spacy")
    assert expected.n_docs == len(TEXTS) + 1
    stop_in_second_batch(monkeypatch)
    told = []
    with pytest.raises(KeyboardInterrupt):
        label(names, folder, out, batch_size=1)
    label(names, folder, out, batch_size=1, notify=told.append)
    assert "Resuming after record 1" in told[0]
    assert [words_of(doc) for doc in read_docs(out, NLP)] == [
        words_of(doc) for doc in read_docs(tmp_path / "whole.spacy", NLP)
    ]


def test_large_weights(teachers, tmp_path):
    """Their sum is infinite."""
    names, source = [teachers["one"], teachers["two"]], tmp_path / "in.txt"
    source.write_text(TEXTS[0], encoding="utf-8")
    label(names, source, tmp_path / "a.spacy", weights=[1e308, 1e308])
    label(names, source, tmp_path / "b.spacy", weights=[1, 1])
    assert (tmp_path / "a.spacy").read_bytes() == (tmp_path / "b.spacy").read_bytes()


def test_batches_dont_matter(teachers, source, tmp_path):
    names = [teachers["one"], teachers["two"]]
    docs, _ = run_label(names, source, tmp_path / "a.spacy", batch_size=1)
    others, _ = run_label(names, source, tmp_path / "b.spacy", batch_size=64)
    for doc, other in zip(docs, others):
        assert ents_of(doc) == ents_of(other)
        numpy.testing.assert_allclose(
            get_soft_labels(doc).probs, get_soft_labels(other).probs, atol=1e-3
        )


def test_vocabularies_dont_grow(teachers, tmp_path):
    """Of any teacher, with new words in every text."""
    source = tmp_path / "in.txt"
    source.write_text("\n".join(f"new{i} Oslo" for i in range(40)), encoding="utf-8")
    loaded = []
    label_docs = module.label_docs

    def look(labeling, *args):
        loaded[:] = [teacher.nlp.vocab for teacher in labeling.school.teachers]
        return label_docs(labeling, *args)

    module.label_docs = look
    try:
        run_label([teachers["one"], teachers["two"]], source, tmp_path / "a.spacy", batch_size=5)
    finally:
        module.label_docs = label_docs
    assert len(loaded) == 2
    for vocab in loaded:
        assert not [
            word
            for word in vocab.strings
            if word[:3] == "new" and word[3:].isdigit() and word != "new0"
        ]


def test_command(teachers, source, tmp_path):
    out = tmp_path / "a.spacy"
    result = run_cli("label", teachers["one"], source, out, "--from", "lines")
    assert result.exit_code == 0, result.output
    assert plain(result).startswith(f"{out}: 4 documents")
    assert "agree" not in result.output
    result = run_cli(
        "label",
        teachers["one"],
        teachers["two"],
        source,
        out,
        "--from",
        "lines",
        "--weights",
        "2,1",
    )
    assert result.exit_code == 0, result.output
    assert "All teachers agree on" in plain(result)
    (doc, *_) = DocBin().from_disk(out).get_docs(NLP.vocab)
    assert get_soft_labels(doc) is not None
    result = run_cli("label", teachers["one"], source, out, "--from", "lines", "--weights", "much")
    assert result.exit_code == 2
    assert "must be numbers separated by commas" in plain(result)
    result = run_cli("label", teachers["one"], source, tmp_path / "a.jsonl", "--from", "lines")
    assert result.exit_code == 1
    assert plain(result).startswith("Error: Can't write soft labels to")


def test_broken_records(teachers, tmp_path):
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "Anna lives in Oslo ."}\n{"text": 1}\n', encoding="utf-8")
    with pytest.raises(FormatError, match="line 2"):
        label([teachers["one"]], source, tmp_path / "a.spacy")
    report = label([teachers["one"]], source, tmp_path / "a.spacy", skip_broken=True, restart=True)
    assert (report.n_docs, report.n_broken) == (1, 1)


def test_a_student_learns(teachers, source, tmp_path, tiny_encoder):
    """From soft labels alone, to think the same of these texts."""
    run_label([teachers["two"]], source, tmp_path / "a.spacy")
    fix_random_seed(3)
    transformer = {"name": tiny_encoder, "window": 0, "transformer_config": NO_DROPOUT}
    loss = {"@losses": "spacy-bert-ner.Distillation.v1", "distance": "kl"}
    nlp = make_nlp(transformer, component={"loss": loss})
    docs = list(read_docs(tmp_path / "a.spacy", nlp))
    examples = [Example(nlp.make_doc(doc.text), doc) for doc in docs]
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 1e-2
    losses = [nlp.update(examples, sgd=sgd, drop=0.0)["bert_ner"] for _ in range(60)]
    assert losses[-1] < 0.05 * losses[0]
    assert nlp.get_pipe("bert_ner").labels == ("LOC", "PER")
    for doc in docs:
        assert ents_of(nlp(doc.text)) == ents_of(doc)
