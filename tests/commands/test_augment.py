"""New texts by a masked language model."""

import pytest
import spacy
from spacy.tokens import Doc

from spacy_bert_ner.commands import augment as module
from spacy_bert_ner.commands.augment import Augmenter, AugmentReport, augment
from spacy_bert_ner.commands.masking import Masking, find_words
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.formats import FormatError, read_docs, write_docs

from ..formats.util import NLP, make_doc, sents_of, tags_of, words_of
from ..language_models import KINDS, TOWNS, save_masked_lm
from ..toy import save_encoder
from ..util import plain, run_cli

WORDS = [
    *["Anna", "lives", "in", "Rome", "."],
    *["Karl", "lives", "in", "Oslo", "."],
]
SENTS = [i % 5 == 0 for i in range(10)]


@pytest.fixture(scope="module")
def language_models(tmp_path_factory):
    """Folders of language models that know who lives where, by the kind of their tokenizer."""
    folder = tmp_path_factory.mktemp("language_models")
    return {family: save_masked_lm(folder / family, family) for family in KINDS}


@pytest.fixture
def source(tmp_path):
    """A labeled document of two sentences, and one that has none marked."""
    path = tmp_path / "in.spacy"
    spaces = [i % 5 != 3 for i in range(9)] + [False]
    one = make_doc(WORDS, ["B-PER", *"OO", "B-LOC", *"OOOO-O"], spaces=spaces, sent_starts=SENTS)
    write_docs(path, [one, Doc(NLP.vocab, words=["igor", "lives", "in", "oslo"])])
    return path


class Recorder:
    """In place of a language model: notes what it is asked, and numbers what it answers."""

    mask, limit = "[M]", 1000

    def __init__(self, size=lambda text: len(text.split())):
        self.asked, self.size = [], size

    def count_pieces(self, texts):
        return list(map(self.size, texts))

    def fill(self, texts):
        self.asked.append(texts)
        assert all(text.count(self.mask) == 1 for text in texts)
        return [f"new{sum(map(len, self.asked)) - len(texts) + i}" for i in range(len(texts))]


def run(source, encoder, **settings):
    """RETURNS (Tuple[List[Doc], AugmentReport]): What was written, and counted."""
    out = source.with_name("out.spacy")
    report = augment(encoder, source, out, Masking(**settings))
    return list(read_docs(out, NLP)), report


def augment_all(docs, size=None, **settings):
    """RETURNS (Tuple[List[Doc], Recorder]): The copies, and what was asked."""
    recorder = Recorder(*([] if size is None else [size]))
    augmenter = Augmenter(recorder, Masking(**settings), AugmentReport())
    return list(augmenter.augment(docs)), recorder


@pytest.mark.parametrize("family", KINDS)
def test_successive_max(language_models, source, family):
    """Each word is filled in by what fits all others, those that were filled in before too: a town
    for the person, or a person for the town."""
    docs, report = run(source, language_models[family], share=1.0, min_length=4)
    for doc, original in zip(docs, read_docs(source, NLP)):
        assert [bool(t.whitespace_) for t in doc] == [bool(t.whitespace_) for t in original]
        assert tags_of(doc) == ["-"] * len(doc)
    assert sents_of(docs[0]) == [5, 5]
    assert not docs[1].has_annotation("SENT_START")
    # The first word is filled in by the town that stands there; then all fits, and stays.
    persons = {town: name for name, town in TOWNS.items()}
    words = [
        *[persons["rome"], "lives", "in", "rome", "."],
        *[persons["oslo"], "lives", "in", "oslo", "."],
    ]
    assert words_of(docs[0]) == words
    assert words_of(docs[1]) == [persons["oslo"], "lives", "in", "oslo"]
    assert (report.n_docs, report.n_tokens, report.n_ents) == (2, 14, 0)
    # Capitals are as the model has them.
    assert (report.n_masked, report.n_changed, report.n_same) == (9, 5, 0)


def test_folder_of_texts(language_models, tmp_path):
    """Each file is a document."""
    folder, out = tmp_path / "texts", tmp_path / "out.spacy"
    folder.mkdir()
    for name, town in [("b", "rome"), ("a", "oslo")]:
        (folder / f"{name}.txt").write_text(f"lena lives in {town}", encoding="utf-8")
    masking = Masking(share=1.0, min_length=4)
    report = augment(language_models["bert"], folder, out, masking, lang="en")
    assert [str(doc) for doc in read_docs(out, NLP)] == ["anna lives in oslo", "karl lives in rome"]
    assert report.n_docs == 2


def test_one_word_sees_the_others(language_models, source):
    """Of each sentence, one word: which one is chosen by the seed, in all formats and batches."""
    docs, report = run(source, language_models["bert"], min_length=4)
    assert report.n_masked == 3
    found = set()
    for seed in range(8):
        docs, report = run(source, language_models["bert"], min_length=4, seed=seed)
        again, other = run(source, language_models["bert"], min_length=4, seed=seed)
        assert list(map(words_of, docs)) == list(map(words_of, again))
        assert report == other
        found.add(str(list(map(words_of, docs))))
    assert len(found) > 1


def test_masks_are_filled_one_after_the_other():
    doc = Doc(NLP.vocab, words=WORDS, sent_starts=SENTS)
    (copy,), recorder = augment_all([doc], share=1.0)
    assert recorder.asked == [
        ["[M] lives in Rome .", "[M] lives in Oslo ."],
        ["new0 [M] in Rome .", "new1 [M] in Oslo ."],
        ["new0 new2 in [M] .", "new1 new3 in [M] ."],
    ]
    assert copy.text == "new0 new2 in new4 . new1 new3 in new5 . "


def test_copies_mask_other_words():
    """As long as there are some; the same choice of one copy is the first of several."""
    words = [f"word{chr(97 + i)}" for i in range(10)]
    doc = Doc(NLP.vocab, words=words)
    copies, _ = augment_all([doc], share=0.3, copies=3)
    changed = [{i for i, w in enumerate(words_of(copy)) if w != words[i]} for copy in copies]
    assert [len(places) for places in changed] == [3, 3, 3]
    assert len(set.union(*changed)) == 9
    (first,), _ = augment_all([doc], share=0.3)
    assert {i for i, w in enumerate(words_of(first)) if w != words[i]} == changed[0]
    others, _ = augment_all([doc], share=0.3, copies=3, seed=1)
    assert [
        {i for i, w in enumerate(words_of(copy)) if w != words[i]} for copy in others
    ] != changed
    # With more copies than words, they begin again.
    copies, _ = augment_all([doc], share=0.5, copies=3)
    changed = [{i for i, w in enumerate(words_of(copy)) if w != words[i]} for copy in copies]
    assert changed[0] | changed[1] == set(range(10)) and changed[2] == changed[0]


def test_share_is_of_the_words_that_can_be():
    doc = Doc(NLP.vocab, words=["a", "of", *[f"word{c}" for c in "abcdefghij"], "."])
    for share, expected in [(0.01, 1), (0.15, 2), (0.3, 3), (1.0, 10)]:
        (copy,), _ = augment_all([doc], share=share)
        assert sum(one != other for one, other in zip(words_of(copy), words_of(doc))) == expected


@pytest.mark.parametrize(
    "text,expected",
    [
        ("Do you don't know (Anna) or Åsa's town", ["you", "know", "Åsa", "town"]),
        ("It cost 1990 and B2B2 on e-mail.", ["cost", "and", "B2B2"]),
        ("हिन्दी  में\nAnna-Lena lives.", ["हिन्दी", "में", "Anna", "lives"]),
        ("ab abc", ["abc"]),
    ],
)
def test_words_that_can_be_masked(text, expected):
    doc = spacy.blank("en")(text)
    fit = find_words(doc, 3)
    assert [str(token) for token, chosen in zip(doc, fit) if chosen] == expected


def test_long_texts_are_parted():
    """Into halves that can be read, whatever there is between them; nothing is lost."""
    doc = Doc(NLP.vocab, words=[f"w{i}" for i in range(1000)])
    asked = []

    def size(text):
        asked.append(text)
        return len(text.split())

    augmenter = Augmenter(Recorder(size), Masking(), AugmentReport())
    parts = augmenter.cut(doc)
    assert [i for start, end in parts for i in range(start, end)] == list(range(1000))
    assert max(end - start for start, end in parts) <= module.MOST_PIECES
    assert len(parts) == 8
    # A token that is longer than all that can be read is a part of its own.
    parts = Augmenter(Recorder(lambda text: 500), Masking(), AugmentReport()).cut(doc[:5].as_doc())
    assert parts == [(i, i + 1) for i in range(5)]
    docs, recorder = augment_all([doc], size, min_length=2, share=1.0)
    assert len(docs[0]) == 1000
    assert all(
        len(text.split()) <= module.MOST_PIECES for texts in recorder.asked for text in texts
    )
    assert set(words_of(docs[0])).isdisjoint(words_of(doc))


def test_texts_without_a_new_word_are_left_out(language_models, tmp_path):
    """Those that the language model would have written so itself, and those without words."""
    source = tmp_path / "in.txt"
    texts = ["anna lives in oslo .", "...", "karl lives in oslo ."]
    source.write_text("\n".join(texts), encoding="utf-8")
    out = tmp_path / "out.spacy"
    masking = Masking(share=1.0, min_length=4)
    report = augment(language_models["bert"], source, out, masking, source="lines")
    assert [str(doc) for doc in read_docs(out, NLP)] == ["anna lives in oslo ."]
    assert (report.n_docs, report.n_same, report.n_changed) == (1, 2, 1)
    assert "2 copies are left out" in report.describe_changes()
    source.write_text(texts[0], encoding="utf-8")
    with pytest.raises(UserError, match="replaces none of its 3 masked words"):
        augment(language_models["bert"], source, tmp_path / "no.spacy", masking, source="lines")
    assert not (tmp_path / "no.spacy").exists()


def test_what_looks_like_a_mask_is_left_alone(language_models, tmp_path):
    source = tmp_path / "in.txt"
    texts = ["karl lives in oslo [MASK] .", "karl lives in oslo ."]
    source.write_text("\n".join(texts), encoding="utf-8")
    out = tmp_path / "out.spacy"
    report = augment(
        language_models["bert"], source, out, Masking(1.0, min_length=4), source="lines", lang="en"
    )
    assert [str(doc) for doc in read_docs(out, NLP)] == ["anna lives in oslo ."]
    assert (report.n_masked, report.n_same) == (3, 1)


@pytest.mark.parametrize("size", [1, 7, 5000])
def test_batches_and_vocabulary(language_models, tmp_path, monkeypatch, size):
    """However many are read at once, and without words that stay in memory."""
    source, out = tmp_path / "in.txt", tmp_path / "out.spacy"
    names = list(TOWNS)
    texts = [f"{names[i % 4]} lives in new{'abcdefghij'[i]}" for i in range(10)]
    source.write_text("\n".join(texts), encoding="utf-8")
    monkeypatch.setattr(module, "BATCH_TOKENS", size)
    vocabs = []
    take = module._take

    def look(docs):
        batch = take(docs)
        vocabs.extend(doc.vocab for doc in batch)
        return batch

    monkeypatch.setattr(module, "_take", look)
    augment(language_models["bert"], source, out, Masking(copies=2), source="lines")
    found = [str(doc) for doc in read_docs(out, NLP)]
    assert len(found) > 5
    assert len({id(vocab) for vocab in vocabs}) == 1
    assert not [word for word in vocabs[0].strings if word.startswith("new") and word != "newa"]
    monkeypatch.setattr(module, "BATCH_TOKENS", 10**6)
    augment(language_models["bert"], source, out, Masking(copies=2), source="lines")
    assert [str(doc) for doc in read_docs(out, NLP)] == found


def test_refused(language_models, source, tmp_path):
    out = tmp_path / "x.spacy"
    for settings, message in [
        ({"share": 0.0}, "--share is 0.0: set it above 0 and up to 1"),
        ({"share": 1.5}, "--share is 1.5"),
        ({"copies": 0}, "--copies is 0: set it to 1 or more"),
        ({"min_length": 0}, "--min-length is 0: set it to 1 or more"),
        ({"seed": -1}, "--seed is -1: set it to 0 or more"),
    ]:
        with pytest.raises(UserError, match=message):
            augment("nothing-there", source, out, Masking(**settings))
    with pytest.raises(UserError, match="Use the suffix .spacy"):
        augment("nothing-there", source, tmp_path / "x.jsonl")
    with pytest.raises(FormatError, match="that is the input"):
        augment("nothing-there", source, source)
    with pytest.raises(UserError, match="There is no file"):
        augment("nothing-there", tmp_path / "none.txt", out)
    with pytest.raises(UserError, match="There is no encoder 'nothing-there'"):
        augment("nothing-there", source, out)
    with pytest.raises(UserError, match="which is BertModel: it has no head for that"):
        augment(save_encoder(tmp_path / "encoder", "bert"), source, out)
    assert not out.exists()


def test_command(language_models, source, tmp_path):
    out = tmp_path / "x.spacy"
    encoder = language_models["xlm-roberta"]
    options = ["--share", "1", "--min-length", "4", "--copies", "2"]
    result = run_cli("augment", encoder, source, out, *options)
    assert result.exit_code == 0, result.output
    assert plain(result) == (
        f"{out}: 2 documents, 14 tokens, 0 entities Masked 18 words, and replaced 10 by others. "
        "2 copies are left out: no different from the text or from another copy."
    )
    result = run_cli("augment", save_encoder(tmp_path / "encoder", "bert"), source, out)
    assert result.exit_code == 1
    assert plain(result).startswith("Error: Can't predict masked words with")
    (tmp_path / "a.jsonl").write_text('{"text": "karl lives in oslo"}\n{"text": 1}\n', "utf-8")
    result = run_cli("augment", encoder, tmp_path / "a.jsonl", out, "--on-error", "skip")
    assert result.exit_code == 0, result.output
    assert "1 broken record left out" in plain(result)
