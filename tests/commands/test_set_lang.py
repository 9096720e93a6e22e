import pytest
import spacy
import srsly

from spacy_bert_ner.commands.set_lang import change_lang
from spacy_bert_ner.errors import UserError

from ..util import TEXT, get_ents, make_nlp, plain, run_cli


def run(*args):
    return run_cli("set-lang", *args)


def test_same_weights_after_another_tokenizer(tiny_pipeline, tmp_path):
    result = run(tiny_pipeline, tmp_path / "da", "--lang", "da")
    assert result.exit_code == 0, result.output
    assert "'en' is now 'da'" in plain(result)
    before, after = spacy.load(tiny_pipeline), spacy.load(tmp_path / "da")
    assert (after.lang, after.config["nlp"]["lang"], after.vocab.lang) == ("da", "da", "da")
    assert srsly.read_json(tmp_path / "da" / "meta.json")["lang"] == "da"
    assert after.config["components"] == before.config["components"]
    assert after.config["training"] == before.config["training"]
    assert after.pipe_names == before.pipe_names
    assert get_ents(after(TEXT)) == get_ents(before(TEXT)) != []
    for name in ("transformer", "bert_ner"):
        assert after.get_pipe(name).model.to_bytes() == before.get_pipe(name).model.to_bytes()
    # Danish abbreviations are one token, English ones are others.
    assert [token.text for token in after.make_doc("bl.a. don't")] == ["bl.a.", "don't"]
    assert [token.text for token in before.make_doc("don't")] == ["do", "n't"]


def test_settings_sentences_and_meta_are_kept(tiny_encoder, tmp_path):
    nlp = make_nlp({"name": tiny_encoder, "window": 0}, component={"threshold": 0.3})
    nlp.add_pipe("sentencizer", first=True, config={"punct_chars": ["!"]})
    nlp.get_pipe("bert_ner").add_label("PER")
    nlp.initialize()
    nlp.meta.update(name="mine", performance={"ents_f": 0.9})
    nlp.meta["sources"] = [{"name": "a corpus"}]
    new = change_lang(nlp, "sv")
    assert new.meta["name"] == "mine"
    assert new.meta["sources"] == [{"name": "a corpus"}]
    assert "performance" not in new.meta  # that was of the other language
    assert new.meta["lang"] == "sv"
    assert new.get_pipe("bert_ner").cfg["threshold"] == 0.3
    assert [sent.text for sent in new("a. b! c").sents] == ["a. b!", "c"]
    new.to_disk(tmp_path)
    assert spacy.load(tmp_path).get_pipe("bert_ner").labels == ("PER",)


def test_a_tokenizer_of_another_kind(tiny, tmp_path):
    """That of Chinese is not spaCy's, and has settings of its own."""
    new = change_lang(tiny, "zh")
    new.to_disk(tmp_path)
    loaded = spacy.load(tmp_path)
    assert loaded.config["nlp"]["tokenizer"]["@tokenizers"] == "spacy.zh.ChineseTokenizer"
    assert [token.text for token in loaded.make_doc("你好")] == ["你", "好"]


def test_components_of_the_language_are_refused(tiny):
    tiny.add_pipe("lemmatizer", config={"mode": "rule"})
    tiny.add_pipe("tagger", name="tags")
    match = r"2 components .* depend on 'en': 'lemmatizer' \(lemmatizer\), 'tags' \(tagger\)"
    with pytest.raises(UserError, match=match):
        change_lang(tiny, "da")


def test_other_pipelines_are_refused(tiny_encoder):
    blank = spacy.blank("en")
    with pytest.raises(UserError, match="the pipeline has no bert_ner"):
        change_lang(blank, "da")
    blank.add_pipe("bert_ner")  # which reads words, of one language
    with pytest.raises(UserError, match="has none: add it before|isn't in the pipeline"):
        change_lang(blank, "da")


def test_a_tokenizer_of_its_own_is_refused(tiny):
    tiny.config["nlp"]["tokenizer"] = {"@tokenizers": "my.Tokenizer.v1"}
    with pytest.raises(UserError, match="is my.Tokenizer.v1, not spacy.Tokenizer"):
        change_lang(tiny, "da")


def test_wrong_options(tiny_pipeline, tmp_path):
    result = run(tiny_pipeline, tmp_path / "new", "--lang", "zz")
    assert result.exit_code == 1
    assert "spaCy has no language with the code 'zz'" in plain(result)
    assert not (tmp_path / "new").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("a", encoding="utf-8")
    result = run(tiny_pipeline, tmp_path / "full", "--lang", "da")
    assert result.exit_code == 1
    assert "isn't empty" in plain(result)
    assert run(tiny_pipeline, tmp_path / "full", "--lang", "da", "--force").exit_code == 0
    assert spacy.load(tmp_path / "full").lang == "da"
