"""The settings of a component as one object, and as they are on disk."""

from dataclasses import FrozenInstanceError, asdict

import pytest
import srsly

from spacy_bert_ner.tagging.settings import Settings

NAMES = [
    "scheme",
    "align",
    "decoder",
    "decode_scope",
    "threshold",
    "annotate_ents",
    "overwrite_ents",
    "spans_key",
    "incorrect_spans_key",
]


def test_what_is_saved(tiny, tmp_path):
    """Settings stand in `cfg` by their names, as in pipelines of all versions."""
    pipe = tiny.get_pipe("bert_ner")
    pipe.to_disk(tmp_path, exclude=["vocab"])
    cfg = srsly.read_json(tmp_path / "cfg")
    assert list(cfg) == ["labels", *NAMES, "configured", "checksums"]
    assert {name: cfg[name] for name in NAMES} == cfg["configured"] == asdict(Settings())


def test_follow_cfg(tiny):
    pipe = tiny.get_pipe("bert_ner")
    assert pipe.settings == Settings()
    pipe.cfg.update(threshold=0.5, decode_scope="sentence", annotate_ents=False)
    assert pipe.settings.by_sentence and not pipe.settings.keeps_ents
    assert pipe.settings == Settings(threshold=0.5, decode_scope="sentence", annotate_ents=False)
    with pytest.raises(FrozenInstanceError):
        pipe.settings.threshold = 0.1


@pytest.mark.parametrize("annotate,overwrite,keeps", [(1, 0, 1), (1, 1, 0), (0, 0, 0), (0, 1, 0)])
def test_entities_that_stay(annotate, overwrite, keeps):
    settings = Settings(annotate_ents=bool(annotate), overwrite_ents=bool(overwrite))
    assert settings.keeps_ents == bool(keeps)
