import re

import pytest
import spacy
import srsly
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.util import registry

from spacy_bert_ner.commands.debug_data import debug_data
from spacy_bert_ner.commands.distribution import Distribution
from spacy_bert_ner.commands.init_config import init_config
from spacy_bert_ner.errors import UserError

from ..util import plain, run_cli

# The tiny encoder reads 40 pieces; of its words, "oslo" and "ing" are one, others a letter each.
LONG = " ".join(["abcdefghij"] * 5)


def make_doc(nlp, text, ents=(), missing=False):
    """A document with the tokens of the pipeline.

    ents: Texts and labels.
    """
    doc = nlp.make_doc(text)
    if not missing:
        spans = []
        for ent, label in ents:
            start = text.index(ent)
            spans.append(doc.char_span(start, start + len(ent), label=label))
        doc.set_ents(spans)
    return doc


def train_docs(nlp):
    part = nlp.make_doc("Karl saw it")
    part.set_ents([Span(part, 0, 1, label="PER")], outside=[part[1:2]], default="missing")
    glued = Doc(nlp.vocab, words=["Oslo", "based"], spaces=[False, False], ents=["B-LOC", "O"])
    return [
        make_doc(nlp, "Anna lives in Oslo.", [("Anna", "PER"), ("Oslo", "LOC")]),
        make_doc(nlp, "Anna  lives in Oslo.", [("Anna", "PER"), ("Oslo", "LOC")]),
        make_doc(nlp, "Ask ! Karl", [("! Karl", "PER")]),
        make_doc(nlp, f"{LONG}. Yes."),
        make_doc(nlp, "a \ufffd b 日"),
        make_doc(nlp, "Nothing is known", missing=True),
        part,
        glued,
    ]


def dev_docs(nlp):
    return [
        make_doc(nlp, "Anna lives in Oslo.", [("Anna", "PER"), ("Oslo", "LOC")]),
        make_doc(nlp, "ANNA met Berlin", [("ANNA", "PER"), ("Berlin", "ORG")]),
        make_doc(nlp, "Berlin met Oslo", [("Berlin", "ORG"), ("Oslo", "ORG")]),
    ]


@pytest.fixture(scope="module")
def paths(tmp_path_factory, tiny_encoder):
    """The config, and overrides with the paths of both splits."""
    folder = tmp_path_factory.mktemp("data")
    nlp = spacy.blank("en")
    DocBin(docs=train_docs(nlp)).to_disk(folder / "train.spacy")
    DocBin(docs=dev_docs(nlp)).to_disk(folder / "dev.spacy")
    text = init_config(encoder=tiny_encoder).replace("window = 128", "window = 40")
    (folder / "config.cfg").write_text(text, encoding="utf-8")
    return folder


def overrides(folder, **settings):
    paths = {f"paths.{split}": str(folder / f"{split}.spacy") for split in ("train", "dev")}
    return {**paths, **settings}


def run(folder, *args, config=None, **settings):
    words = [f"--{key}={value}" for key, value in overrides(folder, **settings).items()]
    path = str(config or folder / "config.cfg")
    return run_cli("debug-data", path, *words, *args)


@pytest.fixture(scope="module")
def report(paths):
    return debug_data(paths / "config.cfg", overrides(paths))


def test_counts(report):
    train, dev = report.train, report.dev
    assert (train.n_docs, dev.n_docs) == (8, 3)
    assert train.labels == {"PER": 4, "LOC": 3}
    assert dev.labels == {"PER": 2, "LOC": 1, "ORG": 3}
    assert (train.n_ents, dev.n_ents) == (7, 6)
    # Anna, Oslo, "! Karl", Karl; Anna, Oslo, Berlin, and Oslo of another label.
    assert (train.n_distinct, dev.n_distinct) == (4, 4)
    assert dev.n_tokens == 5 + 3 + 3
    assert report.rare_labels == {"PER": 4, "LOC": 3}


def test_missing_annotation(report):
    assert (report.train.unannotated.n, report.train.unannotated.shown) == (
        1,
        ["'Nothing is known' (record 6)"],
    )
    assert report.train.n_missing == 3 + 1  # "it" of "Karl saw it"
    assert (report.dev.unannotated.n, report.dev.n_missing) == (0, 0)


def test_entities_that_cant_be_learned(report):
    gold = report.train.gold["bert_ner"]
    assert gold.n_ents == 7
    assert (gold.lost.n, gold.lost.shown) == (1, ["'Oslo' (LOC)"])
    assert (gold.crossing.n, gold.crossing.shown) == (1, ["'! Karl' (PER)"])
    assert (gold.blank.n, gold.unknown.n) == (0, 0)
    # Labels of the training data are all that the model will have.
    gold = report.dev.gold["bert_ner"]
    assert (gold.unknown.n, gold.unknown_labels) == (3, {"ORG"})


def test_overlap(report):
    assert report.train.repeated.shown == ["'Anna lives in Oslo.' (record 2)"]
    assert report.dev.repeated.n == 0
    assert report.dev.in_train.shown == ["'Anna lives in Oslo.' (record 1)"]
    assert report.dev.unseen.n == 2
    assert report.dev.unseen.shown == ["'Berlin' (ORG)", "'Oslo' (ORG)"]
    assert report.train.unseen.n == report.train.in_train.n == 0


def test_records_are_those_of_the_file(paths, tmp_path):
    """Records without a document count; with another reader, documents do."""
    records = [{"text": "a", "answer": "ignore"}, {"text": "b"}]
    srsly.write_jsonl(tmp_path / "train.jsonl", records)
    settings = overrides(paths, **{"paths.train": str(tmp_path / "train.jsonl")})
    report = debug_data(paths / "config.cfg", settings)
    assert report.train.unannotated.shown == ["'b' (record 2)"]
    text = (paths / "config.cfg").read_text(encoding="utf-8")
    text = text.replace('"spacy-bert-ner.Corpus.v1"', '"spacy.Corpus.v1"')
    (tmp_path / "config.cfg").write_text(text, encoding="utf-8")
    report = debug_data(tmp_path / "config.cfg", overrides(paths))
    assert report.reader_names["train"] == "spacy.Corpus.v1"
    assert report.train.unannotated.shown == ["'Nothing is known' (document 6)"]


def test_misspelled_path(paths):
    """spaCy accepts any name in [paths], and would ignore it."""
    with pytest.raises(UserError, match=r"no setting 'paths.dve'. Use one of paths.train, paths."):
        debug_data(paths / "config.cfg", overrides(paths, **{"paths.dve": "dev.spacy"}))


def test_lengths(report):
    encoder = report.dev.encoders["transformer"]
    # Anna 4, lives 5, in 2, oslo 1, . 1; 4 + 3 + 6; 6 + 3 + 1
    assert encoder.docs.counts == {13: 2, 10: 1}
    assert encoder.windows.counts == {15: 2, 12: 1}
    assert encoder.doc_windows.counts == {1: 3}
    assert encoder.docs.total == 36
    encoder = report.train.encoders["transformer"]
    assert encoder.doc_windows.quantile(1) == 3  # two of the long sentence, and one of "Yes."
    assert encoder.windows.quantile(1) <= encoder.limit == 40
    assert encoder.long_sents.shown == ["'abcdefghij abcdefghij abcdefghij abcdefg…' (51)"]
    assert encoder.no_pieces.shown == ["'\ufffd'"]
    assert encoder.blank.shown == ["' '"]
    assert encoder.n_unknown == 1
    assert encoder.n_unmarked == 0


@pytest.mark.parametrize("context", [0, 5])
def test_matches_the_windows_that_the_encoder_makes(paths, context):
    """The same counts from what it gives the listeners."""
    settings = overrides(paths, **{"components.transformer.model.context": context})
    report = debug_data(paths / "config.cfg", settings)
    config = spacy.util.load_config(paths / "config.cfg", overrides=settings)
    nlp = spacy.util.load_model_from_config(config, auto_fill=True)
    nlp.get_pipe("transformer").model.initialize()
    docs = [nlp.get_pipe("sentencizer")(nlp.make_doc(doc.text)) for doc in train_docs(nlp)]
    data = nlp.get_pipe("transformer").model.predict(docs).doc_data
    lengths = [len(item.wordpieces.strings[0]) for item in data]
    assert report.train.encoders["transformer"].windows.total == sum(lengths)


def test_as_json(report, paths, tmp_path):
    result = run(paths, "--json", tmp_path / "made" / "report.json")
    assert result.exit_code == 0, result.output
    data = srsly.read_json(tmp_path / "made" / "report.json")
    assert data == srsly.json_loads(srsly.json_dumps(report.as_dict()))
    assert data["train"]["labels"] == {"PER": 4, "LOC": 3}
    assert data["dev"]["encoders"]["transformer"]["docs"]["median"] == 13


def test_prints(paths):
    text = plain(run(paths))
    for line in (
        "Label 'ORG' is in dev only (3)",
        "Low number of examples for label 'LOC' (3)",
        "train: 4 of 34 (11.8 %) tokens have no entity annotation. Nothing",
        "train: 1 document has no entity annotation: 'Nothing is known' (record 6). If a text",
        "train: 1 of 7 (14.3 %) gold entities cross a sentence start",
        "train: 1 of 7 (14.3 %) gold entities don't align",
        "dev: 3 of 6 (50.0 %) gold entities have labels the model doesn't have",
        "train: 1 sentence is longer than the 40 wordpieces",
        "train: 1 visible token has no wordpieces",
        "train: 1 of 8 (12.5 %) documents have the same text as an earlier one",
        "dev: 1 of 3 (33.3 %) documents have the same text as one in the training data",
        "dev: 2 of 4 (50.0 %) distinct entities aren't in the training data",
        "checks passed",
        "warnings",
    ):
        assert line in text
    assert "A label needs" not in text
    assert "A label needs" in plain(run(paths, "--verbose"))
    assert "✔" not in plain(run(paths, "--no-format"))


def test_findings_of_the_reader_are_warnings_like_others(paths, tmp_path):
    """Counted, in the report and on the same stream; a label that may be misspelled is one."""
    spans = [{"start": 0, "end": 4, "label": "PERSON"}, {"start": 5, "end": 7, "label": "PERSON"}]
    record = {"text": "Anna lives in Oslo.", "spans": spans[:1]}
    typo = {**record, "spans": [{**spans[0], "label": "PERSNO"}]}
    good, bad = [record] * 10 + [typo], [record] * 10 + [typo, {**record, "spans": spans}]
    results = []
    for records in (good, bad):
        srsly.write_jsonl(tmp_path / "train.jsonl", records)
        settings = {"paths.train": str(tmp_path / "train.jsonl")}
        results.append(run(paths, "--no-format", "--json", tmp_path / "a.json", **settings))
    assert "'PERSNO' (1) for 'PERSON' (10)" in plain(results[0])
    found = (
        "1 span doesn't align with the tokens, which count as missing: 'li' (PERSON, 5–7, record"
    )
    assert f"train: {found}" in " ".join(results[1].stdout.split())
    assert "align" not in results[1].stderr
    counts = srsly.read_json(tmp_path / "a.json")
    assert "spans don't align" in counts["train"]["findings"][0]["what"]
    assert "misspelled" in counts["findings"][0]["what"]
    n_warnings = [int(re.search(r"(\d+) warnings", plain(r))[1]) for r in results]
    assert n_warnings[1] == n_warnings[0] + 2  # the span, and tokens that are missing for it


def test_ignore_warnings(paths):
    result = run(paths, "--ignore-warnings")
    assert result.exit_code == 0
    assert "Low number" not in result.output
    assert "Distinct" in result.output


def test_nothing_to_learn(paths, tmp_path):
    nlp = spacy.blank("en")
    DocBin(docs=[make_doc(nlp, "Nothing.")]).to_disk(tmp_path / "train.spacy")
    result = run(paths, **{"paths.train": str(tmp_path / "train.spacy")})
    assert result.exit_code == 1
    assert "No entities in train" in plain(result)
    assert "1 error" in plain(result)
    assert "is in dev only" not in plain(result)


@pytest.mark.filterwarnings("ignore:.W090")
def test_no_documents(paths, tmp_path):
    """spaCy's reader finds none in a file of another format, and warns of it."""
    (tmp_path / "train.conll").write_text("a B-X\n", encoding="utf-8")
    config = spacy.util.load_config(paths / "config.cfg")
    config["corpora"]["train"]["@readers"] = "spacy.Corpus.v1"
    config.to_disk(tmp_path / "config.cfg")
    train = {"paths.train": str(tmp_path / "train.conll")}
    result = run(paths, config=tmp_path / "config.cfg", **train)
    assert result.exit_code == 1
    assert "No documents in train" in plain(result)
    assert "bert-ner convert" in plain(result)
    (tmp_path / "train.jsonl").write_text('{"text": ""}', encoding="utf-8")
    result = run(paths, **{"paths.train": str(tmp_path / "train.jsonl")})
    assert result.exit_code == 1
    assert "There is no document with words in" in plain(result)
    assert "spacy.Corpus.v1 reads" not in plain(result)


def test_any_format(paths, tmp_path):
    (tmp_path / "train.conll").write_text("a B-X\nb O\n", encoding="utf-8")
    train = {"paths.train": str(tmp_path / "train.conll")}
    report = debug_data(paths / "config.cfg", overrides(paths, **train))
    assert (report.train.n_tokens, dict(report.train.labels)) == (2, {"X": 1})


@pytest.mark.parametrize("reader", ["spacy.Corpus.v1", "spacy-bert-ner.Corpus.v1"])
def test_both_readers_give_the_same(reader, report, paths, tmp_path):
    config = spacy.util.load_config(paths / "config.cfg")
    for split in ("train", "dev"):
        config["corpora"][split]["@readers"] = reader
    config.to_disk(tmp_path / "config.cfg")
    found, expected = (
        srsly.json_dumps(one.as_dict())
        for one in (debug_data(tmp_path / "config.cfg", overrides(paths)), report)
    )
    if reader == "spacy.Corpus.v1":  # which doesn't tell the records
        expected = expected.replace("(record ", "(document ")
    assert found == expected


def test_no_file(paths):
    with pytest.raises(FileNotFoundError, match="no file or folder none.spacy.*--paths.dev"):
        debug_data(paths / "config.cfg", overrides(paths, **{"paths.dev": "none.spacy"}))


def test_no_path(paths):
    with pytest.raises(ValueError, match="The path of the train data isn't set.*--paths.train"):
        debug_data(paths / "config.cfg", {"paths.dev": "dev.spacy"})
    result = run_cli("debug-data", str(paths / "config.cfg"))
    assert result.exit_code == 1
    assert "The path of the train data isn't set" in plain(result)


@pytest.mark.parametrize("name", ["trn", "corpora.trn", "data.trn"])
def test_no_reader(paths, name):
    result = run(paths, **{"training.train_corpus": name})
    assert result.exit_code == 1
    text = plain(result)
    assert f"train_corpus in [training] is '{name}'" in text
    assert "blocks of [corpora] are corpora.train, corpora.dev" in text


def test_output_that_can_not_be_written(paths, tmp_path):
    """It is told before the data are read, which may take long."""
    (tmp_path / "file").touch()
    for name in ("file/counts.json", "file/more/counts.json"):
        result = run(paths, "--json", tmp_path / name, **{"paths.train": "none"})
        assert result.exit_code == 1
        assert "Can't write " in plain(result)
    assert run(paths, "--json", tmp_path / "new.json", **{"paths.train": "none"}).exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_unreadable_file(paths, tmp_path):
    (tmp_path / "train.spacy").write_bytes(b"none")
    result = run(paths, **{"paths.train": str(tmp_path / "train.spacy")})
    assert result.exit_code == 1
    assert f"Can't read {tmp_path / 'train.spacy'}" in plain(result)


def test_wrong_options(paths):
    result = run_cli("debug-data", str(paths / "config.cfg"), "--none")
    assert result.exit_code == 2
    assert "No such option" in plain(result)
    result = run_cli("debug-data", "none.cfg")
    assert (result.exit_code, "There is no file none.cfg." in plain(result)) == (1, True)


def test_bad_config(paths):
    result = run(paths, **{"components.bert_ner.decode_scope": "word"})
    assert result.exit_code == 1
    assert "decode_scope" in plain(result)
    result = run(paths, **{"components.transformer.model.window": 4000})
    assert result.exit_code == 1
    assert "Can't read windows of 4000 wordpieces" in plain(result)


def test_no_component(tmp_path):
    (tmp_path / "config.cfg").write_text('[nlp]\nlang = "en"\npipeline = []\n', encoding="utf-8")
    with pytest.raises(ValueError, match="has no component 'bert_ner'.*spacy debug data"):
        debug_data(tmp_path / "config.cfg")


def test_no_transformer_to_listen_to(paths):
    settings = {"nlp.pipeline": ["sentencizer", "bert_ner"]}
    with pytest.raises(ValueError, match="'bert_ner' listens to a transformer.*has none"):
        debug_data(paths / "config.cfg", overrides(paths, **settings))


def with_labels(paths, path, labels):
    """A config that names the labels."""
    config = spacy.util.load_config(paths / "config.cfg")
    config["initialize"] = {"components": {"bert_ner": {"labels": labels}}}
    config.to_disk(path)
    return path


def test_given_labels(paths, tmp_path):
    """They count in place of those of the data."""
    config = with_labels(paths, tmp_path / "config.cfg", ["PER", "ORG", "DATE"])
    report = debug_data(config, overrides(paths))
    assert report.labels == {"bert_ner": ["DATE", "ORG", "PER"]}
    assert report.train.gold["bert_ner"].unknown_labels == {"LOC"}
    assert report.dev.gold["bert_ner"].unknown_labels == {"LOC"}
    text = plain(run(paths, config=config))
    assert "'bert_ner' has labels without examples: 'DATE', 'ORG'" in text


def test_labels_of_a_file(paths, tmp_path):
    srsly.write_json(tmp_path / "labels.json", ["PER"])
    reader = {"@readers": "spacy.read_labels.v1", "path": str(tmp_path / "labels.json")}
    config = with_labels(paths, tmp_path / "config.cfg", reader)
    assert debug_data(config, overrides(paths)).labels == {"bert_ner": ["PER"]}


def test_sourced_and_frozen(paths, tiny_pipeline, tmp_path):
    """A trained pipeline keeps its labels and its encoder."""
    config = spacy.util.load_config(paths / "config.cfg")
    for name in ("transformer", "bert_ner"):
        config["components"][name] = {"source": str(tiny_pipeline)}
    config["training"]["frozen_components"] = ["transformer", "bert_ner"]
    config["training"]["annotating_components"] = ["sentencizer", "transformer"]
    config.to_disk(tmp_path / "config.cfg")
    report = debug_data(tmp_path / "config.cfg", overrides(paths))
    assert report.labels == {"bert_ner": ["LOC", "PER"]}
    assert report.dev.gold["bert_ner"].unknown_labels == {"ORG"}
    assert report.dev.encoders["transformer"].docs.counts == {13: 2, 10: 1}


def test_without_sentence_marks(paths):
    """What isn't annotated in training isn't seen."""
    settings = {"training.annotating_components": []}
    report = debug_data(paths / "config.cfg", overrides(paths, **settings))
    encoder = report.train.encoders["transformer"]
    assert encoder.n_unmarked == 7  # all but the one that has a single token
    assert encoder.long_sents.n == 0
    assert report.train.gold["bert_ner"].crossing.n == 0
    assert "without sentence boundaries" in plain(
        run(paths, **{"training.annotating_components": "[]"})
    )


def test_marks_set_behind_the_encoder(paths):
    """The encoder doesn't see them, the entities are counted with them."""
    settings = {"nlp.pipeline": ["transformer", "sentencizer", "bert_ner", "doc_cleaner"]}
    report = debug_data(paths / "config.cfg", overrides(paths, **settings))
    assert report.train.encoders["transformer"].n_unmarked == 7
    assert report.train.gold["bert_ner"].crossing.n == 1


def test_several_components_and_encoders(paths, tmp_path, tiny_encoder):
    config = spacy.util.load_config(paths / "config.cfg")
    config["nlp"]["pipeline"] = ["sentencizer", "transformer", "bert_ner", "second"]
    second = {
        "factory": "bert_ner",
        "decode_scope": "sentence",
        "model": {
            "@architectures": "spacy-bert-ner.LinearSoftmax.v1",
            "tok2vec": {
                "@architectures": "spacy-bert-ner.Tok2VecTransformer.v1",
                "name": tiny_encoder,
                "window": 0,
                "pooling": {"@layers": "spacy-bert-ner.reduce_first.v1"},
            },
        },
    }
    config["components"]["second"] = second
    config.to_disk(tmp_path / "config.cfg")
    report = debug_data(tmp_path / "config.cfg", overrides(paths))
    assert list(report.train.encoders) == ["transformer", "second"]
    assert list(report.train.gold) == ["bert_ner", "second"]
    assert "and can't be predicted" in report.train.gold["second"].crossing.what
    # A sentence each: "Ask !", "Karl"
    counts = [report.train.encoders[name].windows.n for name in ("transformer", "second")]
    assert counts[1] > counts[0]
    text = plain(run(paths, config=tmp_path / "config.cfg"))
    assert "as 'second' learns them" in text
    assert "at once. Each sentence is a window" in text


def test_cnn(paths, tmp_path):
    (tmp_path / "config.cfg").write_text(init_config(recipe="cnn"), encoding="utf-8")
    result = run(paths, config=tmp_path / "config.cfg")
    assert result.exit_code == 0, result.output
    assert "Windows aren't counted" in plain(result)


def test_other_encoder(paths, tmp_path):
    """Its name is told, and it isn't loaded."""
    config = spacy.util.load_config(paths / "config.cfg")
    config["components"]["transformer"]["model"] = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": "none/such",
        "get_spans": {"@span_getters": "spacy-transformers.sent_spans.v1"},
    }
    config.to_disk(tmp_path / "config.cfg")
    result = run(paths, config=tmp_path / "config.cfg")
    assert result.exit_code == 0, result.output
    assert "transformer.model] is spacy-transformers.TransformerModel.v3" in plain(result)


def test_incorrect_spans(paths, tmp_path):
    nlp = spacy.blank("en")
    doc = make_doc(nlp, "Anna lives in Oslo.", [("Anna", "PER")])
    doc.spans["wrong"] = [Span(doc, 3, 4, label="DATE")]
    DocBin(docs=[doc]).to_disk(tmp_path / "train.spacy")
    settings = {
        "paths.train": str(tmp_path / "train.spacy"),
        "components.bert_ner.incorrect_spans_key": "wrong",
    }
    text = plain(run(paths, **settings, config=with_labels(paths, tmp_path / "c.cfg", ["PER"])))
    assert "train: 1 span of doc.spans['wrong'] isn't used in training" in text


def test_incorrect_spans_that_nothing_reads(paths, tmp_path):
    nlp = spacy.blank("en")
    doc = make_doc(nlp, "Anna lives in Oslo.", [("Anna", "PER")])
    doc.spans["incorrect_spans"] = [Span(doc, 3, 4, label="DATE")]
    DocBin(docs=[doc, doc.copy()]).to_disk(tmp_path / "train.spacy")
    settings = {"paths.train": str(tmp_path / "train.spacy")}
    text = plain(run(paths, **settings))
    assert "train: 2 documents have entities known to be wrong" in text
    assert 'set incorrect_spans_key = "incorrect_spans"' in text
    key = "components.bert_ner.incorrect_spans_key"
    assert "known to be wrong" not in plain(run(paths, **settings, **{key: "incorrect_spans"}))


def use_reader(paths, path, passes, *, n_train):
    """Write a config with a reader that counts how often it is asked for so many documents."""

    @registry.readers("test_debug_data.reader")
    def make_reader(n: int):
        def read(nlp):
            passes.append(n)
            for i in range(n):
                reference = make_doc(nlp, f"Anna {i}", [("Anna", "PER")])
                yield Example(nlp.make_doc(reference.text), reference)

        return read

    config = spacy.util.load_config(paths / "config.cfg")
    for split, n in (("train", n_train), ("dev", 3)):
        config["corpora"][split] = {"@readers": "test_debug_data.reader", "n": n}
    config.to_disk(path)


def test_limit(paths, tmp_path, monkeypatch):
    """A stream is read in part, dev as a whole."""
    monkeypatch.setattr("spacy_bert_ner.commands.debug_data.STREAM_LIMIT", 5)
    use_reader(paths, tmp_path / "config.cfg", [], n_train=10**12)
    report = debug_data(tmp_path / "config.cfg", {"training.max_epochs": -1})
    assert (report.train.n_docs, report.dev.n_docs) == (5, 3)
    assert (report.train.is_whole, report.dev.is_whole) == (False, True)
    result = run(paths, "--limit", 2, config=tmp_path / "config.cfg")
    for split in ("train", "dev"):
        assert f"{split}: only the first 2 documents were read" in plain(result)


def test_other_reader(paths, tmp_path):
    """Any corpus reader: of it, no path is known, and each split is read once, as a stream."""
    passes = []
    use_reader(paths, tmp_path / "config.cfg", passes, n_train=60)
    report = debug_data(tmp_path / "config.cfg")
    assert passes == [60, 3]
    assert report.train.labels == {"PER": 60}
    assert report.rare_labels == {}
    assert report.dev.in_train.n == 3


def test_quantiles():
    numbers = Distribution()
    assert numbers.as_dict() == {"n": 0, "min": 0, "median": 0, "p95": 0, "max": 0}
    numbers.add(range(1, 101))
    numbers.add([100])
    assert numbers.as_dict() == {"n": 101, "min": 1, "median": 51, "p95": 96, "max": 100}
    assert numbers.total == 5150
