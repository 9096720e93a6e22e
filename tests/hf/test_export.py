"""What Hugging Face's own pipeline makes of an exported one, and what can't be exported."""

import json
import re
import shutil
import subprocess
import sys
from html import escape
from pathlib import Path

import pytest
import spacy
import srsly
import transformers
from markdown_it import MarkdownIt
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bert_ner import from_huggingface, to_huggingface
from spacy_bert_ner.hf.card import make_card
from spacy_bert_ner.hf.folders import check_folder, write_folder
from spacy_bert_ner.pipeline.encoders import find_encoder

from .. import toy
from ..util import make_example, make_nlp
from .util import LISTENER, NAMES, TEXTS, get_hf_logits, make_checkpoint

# Names of rows under which the same five numbers are read, by scheme.
SCHEME_NAMES = {
    "BIO": NAMES,
    "BILUO": ["B-PER", "I-PER", "O", "E-PER", "S-PER"],
    "IOB1": ["I-LOC", "B-LOC", "O", "I-PER", "I-MISC"],
    "IO": ["PER", "LOC", "O", "MISC", "ORG"],
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def exported(checkpoint, tmp_path_factory):
    nlp = from_huggingface(checkpoint)
    nlp.meta.update(
        name="demo",
        license="cc0-1.0",
        author="Ann",
        sources=[{"name": "a corpus", "url": "https://example.org", "license": "CC0"}],
        performance={
            "ents_p": 0.5,
            "ents_r": 0.25,
            "ents_f": 1 / 3,
            "ents_per_type": {"PER": {"p": 1.0, "r": 0.5, "f": 2 / 3}},
        },
    )
    folder = tmp_path_factory.mktemp("exported") / "out"
    to_huggingface(nlp, folder)
    return folder


def test_config_names_no_folder(exported):
    config = json.loads((exported / "config.json").read_text(encoding="utf-8"))
    assert config["model_type"] == "bert" and "_name_or_path" not in config


def get_entities(path, text):
    pipe = transformers.pipeline(
        "token-classification", model=str(path), aggregation_strategy="first", device="cpu"
    )
    return [(found["start"], found["end"], found["entity_group"]) for found in pipe(text)]


SCRIPT = """
import sys

for name in ("spacy", "thinc", "spacy_bert_ner", "spacy_transformers"):
    sys.modules[name] = None
import json
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline
model = AutoModelForTokenClassification.from_pretrained(sys.argv[1])
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
pipe = pipeline("token-classification", model=model, tokenizer=tokenizer,
                aggregation_strategy="first", device="cpu")
found = pipe(sys.argv[2])
print(json.dumps([[item["start"], item["end"], item["entity_group"]] for item in found]))
"""


def test_opens_without_spacy(exported, checkpoint):
    text = TEXTS[0]
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(exported), text], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    expected = [
        (e.start_char, e.end_char, e.label_) for e in from_huggingface(checkpoint)(text).ents
    ]
    assert expected
    assert [tuple(found) for found in json.loads(result.stdout.splitlines()[-1])] == expected


@pytest.mark.parametrize("scheme", SCHEME_NAMES)
def test_same_entities(scheme, tmp_path):
    """On words between spaces, where our tokens are those of Hugging Face. With L and U, tags that
    aren't valid are read differently."""
    nlp = from_huggingface(make_checkpoint(tmp_path / "in", names=SCHEME_NAMES[scheme]))
    assert nlp.get_pipe("bert_ner").cfg["scheme"] == scheme
    nlp.tokenizer = lambda text: Doc(nlp.vocab, words=text.split(" "))
    to_huggingface(nlp, tmp_path / "out")
    n_compared = 0
    tag_set = nlp.get_pipe("bert_ner").tag_set
    for text in TEXTS:
        doc = nlp(text)
        (logits,) = get_hf_logits(tmp_path / "out", [text])
        tags = logits.argmax(axis=1)
        if scheme == "BILUO" and not tag_set.allowed[tags[:-1], tags[1:]].all():
            continue
        ours = [(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents]
        assert ours == get_entities(tmp_path / "out", text)
        n_compared += len(ours)
    assert n_compared or scheme == "BILUO"


def test_tags_of_biluo(tmp_path):
    """A row each, under names that Hugging Face reads; in again, under their own."""
    nlp = from_huggingface(make_checkpoint(tmp_path / "in", names=SCHEME_NAMES["BILUO"]))
    to_huggingface(nlp, tmp_path / "out")
    config = transformers.AutoConfig.from_pretrained(tmp_path / "out")
    assert list(config.id2label.values()) == ["O", "B-PER", "I-PER", "I-PER", "B-PER"]
    assert config.label2id == {"O": 0, "B-PER": 1, "I-PER": 2}
    again = from_huggingface(str(tmp_path / "out")).get_pipe("bert_ner")
    assert again.tag_set.tags == ["O", "B-PER", "I-PER", "L-PER", "U-PER"]
    assert again.model.to_bytes() == nlp.get_pipe("bert_ner").model.to_bytes()


def test_scheme_of_an_export(exported):
    """It is known, so that another one is a mistake."""
    assert from_huggingface(exported, scheme="BIO").get_pipe("bert_ner").cfg["scheme"] == "BIO"
    with pytest.raises(ValueError, match=r"exported with the scheme BIO, not IOB1"):
        from_huggingface(exported, scheme="IOB1")


def test_labels_that_are_renamed_in_an_export(exported, tmp_path):
    shutil.copytree(exported, tmp_path / "renamed")
    path = tmp_path / "renamed" / "config.json"
    text = path.read_text("utf-8")
    assert "-PER" in text
    config = json.loads(text)
    names = {i: name.replace("PER", "PERSON") for i, name in config["id2label"].items()}
    path.write_text(json.dumps({**config, "id2label": names}), encoding="utf-8")
    labels = from_huggingface(tmp_path / "renamed").get_pipe("bert_ner").labels
    assert "PERSON" in labels and "PER" not in labels


def test_card(exported):
    card = (exported / "README.md").read_text(encoding="utf-8")
    _, front, body = card.split("---\n", 2)
    front = srsly.yaml_loads(front)
    assert front["license"] == "cc0-1.0"
    assert front["language"] == ["en"]
    assert front["pipeline_tag"] == "token-classification"
    metrics = front["model-index"][0]["results"][0]["metrics"]
    assert {item["type"]: item["value"] for item in metrics}["recall"] == 0.25
    assert "# en_demo" in body
    assert "- `LOC`\n- `PER`" in body
    assert "| all | 50.0 | 25.0 | 33.3 |\n| `PER` | 100.0 | 50.0 | 66.7 |" in body
    assert "[a corpus](https://example.org) (CC0)" in body
    assert 'aggregation_strategy="first"' in body


def test_card_of_hostile_names(tmp_path):
    """Read as Markdown, they are shown as they are: no element, no link, no cell is theirs."""
    label = "A|Q`<script>alert(1)</script>"
    nlp = from_huggingface(make_checkpoint(tmp_path / "in", names=["O", f"B-{label}"]))
    nlp.meta.update(
        name="x\n---\n# <b>",
        description="<img src=x onerror=alert(1)> [a](javascript:alert(1))",
        license="MIT\n---\n<script>",
        author="**Ann** <script>",
        url="javascript:alert(1)",
        sources=["[a](javascript:x)", {"name": "b|", "url": "javascript:alert(1)"}, 3],
        performance={
            "ents_p": 1.0,
            "ents_per_type": {label: {"p": 1.0, "r": 1.0, "f": 1.0}, "x": None},
        },
    )
    ner = nlp.get_pipe("bert_ner")
    card = make_card(nlp, ner, find_encoder(nlp, "bert_ner", ner.model))
    front = srsly.yaml_loads(card.split("\n---\n")[0])
    assert (front["license"], front["license_name"]) == ("other", "MIT --- <script>")
    assert front["tags"]
    body = card.split("\n---\n\n", 1)[1]
    html = MarkdownIt("commonmark").enable("table").render(body)
    elements = set(re.findall(r"<(\w+)", html))
    assert elements <= {"h1", "h2", "p", "pre", "code", "ul", "li"} | {
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
    }
    assert "href" not in html
    assert html.count(f"<code>{escape(label, quote=False)}</code>") == 2
    rows = [row.count("<td>") for row in html.split("<tr>")[2:]]
    assert rows == [4] * len(rows)


def test_licence_comes_in(exported):
    nlp = from_huggingface(str(exported))
    assert nlp.meta["license"] == "cc0-1.0"


def test_limit_of_the_tokenizer(exported):
    """Hugging Face's pipeline cuts at it what the encoder can't read."""
    assert transformers.AutoTokenizer.from_pretrained(exported).model_max_length == toy.POSITIONS
    get_entities(exported, "a " * 100)


def test_trained_pipeline(tiny, tmp_path):
    """One that was not imported: its layer over the first piece is left out."""
    to_huggingface(tiny, tmp_path / "out")
    text = "Anna Berg lives in Oslo . She met Karl in New York ."
    expected = [(ent.start_char, ent.end_char, ent.label_) for ent in tiny(text).ents]
    assert expected
    assert get_entities(tmp_path / "out", text) == expected


# What can't be exported


def check_refused(nlp, tmp_path, message, **settings):
    with pytest.raises(ValueError, match=message):
        to_huggingface(nlp, tmp_path / "out", **settings)
    assert not list(tmp_path.iterdir())


def test_no_component(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    check_refused(nlp, tmp_path, r"has no bert_ner, only \['sentencizer'\]")


def test_not_trained(tiny_encoder, tmp_path):
    check_refused(
        make_nlp({"name": tiny_encoder, "window": 0}),
        tmp_path,
        "'bert_ner' has no weights to export",
    )


def test_several_components(checkpoint, tmp_path):
    nlp = from_huggingface(checkpoint)
    other = from_huggingface(checkpoint)
    nlp.add_pipe("transformer", name="encoder2", source=other)
    other.rename_pipe("bert_ner", "second")
    nlp.add_pipe("second", source=other, after="bert_ner")
    check_refused(nlp, tmp_path, r"several \['bert_ner', 'second'\].*--component bert_ner")
    check_refused(nlp, tmp_path, "no bert_ner named 'third', but", component="third")
    to_huggingface(nlp, tmp_path / "out", component="second")
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_stock_transformer(tiny_encoder, tmp_path):
    nlp = spacy.blank("en")
    stock = {"@architectures": "spacy-transformers.TransformerModel.v3", "name": tiny_encoder}
    nlp.add_pipe("transformer", config={"model": stock})
    nlp.add_pipe("bert_ner")
    nlp.initialize(lambda: [make_example(nlp)])
    check_refused(nlp, tmp_path, "uses the encoder 'transformer', which isn't a")


def test_cnn(tmp_path):
    nlp = spacy.blank("en")
    tok2vec = {
        "@architectures": "spacy.HashEmbedCNN.v2",
        "pretrained_vectors": None,
        "width": 16,
        "depth": 1,
        "embed_size": 50,
        "window_size": 1,
        "maxout_pieces": 2,
        "subword_features": True,
    }
    nlp.add_pipe("bert_ner", config={"model": {"tok2vec": tok2vec}})
    nlp.initialize(lambda: [make_example(nlp)])
    check_refused(nlp, tmp_path, "'bert_ner' uses no transformer")


def test_other_pooling(tiny_encoder, tmp_path):
    head = {"tok2vec": {"pooling": {"@layers": "reduce_mean.v1"}}}
    nlp = make_nlp({"name": tiny_encoder, "window": 0}, head)
    nlp.initialize(lambda: [make_example(nlp)])
    check_refused(nlp, tmp_path, "uses reduce_mean of wordpieces")


def test_other_classifier(tiny_encoder, tmp_path):
    head = {"@architectures": "spacy-bert-ner.DenseSoftmax.v1", "tok2vec": LISTENER}
    nlp = make_nlp({"name": tiny_encoder, "window": 0}, head)
    nlp.initialize(lambda: [make_example(nlp)])
    check_refused(nlp, tmp_path, "a different classifier from Hugging Face's models of type 'bert'")


def test_family_without_a_class(tmp_path, monkeypatch):
    nlp = make_nlp({"name": toy.save_encoder(tmp_path / "encoder", "bert"), "window": 0})
    nlp.initialize(lambda: [Example(nlp.make_doc("a"), Doc(nlp.vocab, words=["a"], ents=["B-X"]))])
    monkeypatch.setitem(
        sys.modules["spacy_bert_ner.hf.heads"].REFUSED, "bert", "it stands for another here"
    )
    with pytest.raises(ValueError, match="a model of type 'bert': it stands for another here"):
        to_huggingface(nlp, tmp_path / "out")


# Folders


def test_folder_is_written_as_a_whole(tmp_path):
    path = tmp_path / "a" / "b"
    with pytest.raises(RuntimeError, match="half way"), write_folder(path) as folder:
        (folder / "first").touch()
        raise RuntimeError("half way")
    assert not list(path.parent.iterdir())
    with write_folder(path) as folder:
        (folder / "first").touch()
        assert not path.exists()
    assert [found.name for found in path.iterdir()] == ["first"]
    with pytest.raises(RuntimeError, match="half way"), write_folder(path, force=True) as folder:
        raise RuntimeError("half way")
    assert [found.name for found in path.iterdir()] == ["first"]
    with write_folder(path, force=True) as folder:
        (folder / "second").touch()
    assert [found.name for found in path.iterdir()] == ["second"]
    assert [found.name for found in path.parent.iterdir()] == ["b"]


def test_the_working_directory_is_filled(tmp_path, monkeypatch):
    """Moved away, it would leave the shell in a folder that is no more."""
    path = tmp_path / "here"
    path.mkdir()
    monkeypatch.chdir(path)
    inode = path.stat().st_ino
    with pytest.raises(RuntimeError, match="half way"), write_folder(Path(".")) as folder:
        (folder / "first").touch()
        raise RuntimeError("half way")
    assert not list(path.iterdir())
    with write_folder(Path(".")) as folder:
        (folder / "first").touch()
        (folder / "more").mkdir()
    assert path.stat().st_ino == inode
    assert sorted(found.name for found in path.iterdir()) == ["first", "more"]
    for name in (".", "..", tmp_path):
        with pytest.raises(ValueError, match="it is the working directory, or contains it"):
            check_folder(Path(name), force=True)
    assert [found.name for found in tmp_path.iterdir()] == ["here"]


@pytest.mark.parametrize("force", [True, False])
def test_links_to_folders_stay(tmp_path, force):
    (tmp_path / "folder").mkdir()
    if force:
        (tmp_path / "folder" / "before").touch()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    with write_folder(tmp_path / "link", force=force) as folder:
        (folder / "first").touch()
    assert (tmp_path / "link").is_symlink()
    assert [found.name for found in (tmp_path / "folder").iterdir()] == ["first"]
    assert sorted(found.name for found in tmp_path.iterdir()) == ["folder", "link"]


def test_export_over_a_folder(checkpoint, tmp_path):
    nlp = from_huggingface(checkpoint)
    (tmp_path / "out").mkdir()
    to_huggingface(nlp, tmp_path / "out")  # it is empty
    with pytest.raises(ValueError, match=r"the folder isn't empty.*--force"):
        to_huggingface(nlp, tmp_path / "out")
    to_huggingface(nlp, tmp_path / "out", force=True)


def test_crf_is_refused(tiny_encoder, tmp_path):
    """Its transitions would be lost."""
    nlp = make_nlp(
        {"name": tiny_encoder, "window": 0},
        head={"@architectures": "spacy-bert-ner.LinearCRF.v1", "tok2vec": LISTENER},
        component={"loss": {"@losses": "spacy-bert-ner.CRFLikelihood.v1"}},
    )
    nlp.initialize(lambda: [make_example(nlp)])
    with pytest.raises(ValueError, match="is a CRF.*LinearSoftmax.v1"):
        to_huggingface(nlp, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_mixed_layers(tiny_encoder, tmp_path):
    nlp = make_nlp({"name": tiny_encoder, "window": 0, "mixed_layers": 2})
    nlp.initialize(lambda: [make_example(nlp)])
    check_refused(nlp, tmp_path, "uses the mean of the last 2 layers of its encoder")


@pytest.mark.parametrize("window", [None, 0])
def test_sentences_are_marked_where_they_matter(checkpoint, tmp_path, window):
    """For windows of a sentence each, and for decoding by sentence."""
    nlp = from_huggingface(checkpoint, window=window)
    assert ("sentencizer" in nlp.pipe_names) == (window == 0)
    nlp.get_pipe("bert_ner").cfg["decode_scope"] = "sentence"
    to_huggingface(nlp, tmp_path / "out")
    back = from_huggingface(tmp_path / "out")
    assert back.pipe_names == ["sentencizer", "transformer", "bert_ner", "doc_cleaner"]
    assert len(list(back("Anna lives in Oslo. She met Karl.").sents)) == 2


def test_documents_that_were_read_whole_still_are(tiny, tmp_path):
    """With `window = 0` and nothing that marks sentences, they are one each."""
    to_huggingface(tiny, tmp_path / "out")
    assert "sentencizer" not in from_huggingface(tmp_path / "out").pipe_names
    assert "sentencizer" in from_huggingface(tmp_path / "out", window=0).pipe_names
    tiny.add_pipe("sentencizer", first=True)
    to_huggingface(tiny, tmp_path / "out", force=True)
    assert "sentencizer" in from_huggingface(tmp_path / "out").pipe_names


def test_context_comes_back(tiny_encoder, tmp_path):
    nlp = make_nlp({"name": tiny_encoder, "window": 0, "context": 7})
    nlp.initialize(lambda: [make_example(nlp)])
    to_huggingface(nlp, tmp_path / "checkpoint")
    back = from_huggingface(tmp_path / "checkpoint")
    assert back.get_pipe("transformer").model.attrs["settings"].context == 7
