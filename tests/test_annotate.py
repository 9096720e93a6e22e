from typer.testing import CliRunner

from spacy_bert_ner.annotate import annotate
from spacy_bert_ner.cli import app


def test_annotate_prints_entities_with_scores(trained_path, tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("Anna Berg lives in Oslo . She met Karl in New York .", encoding="utf-8")
    rows = annotate(str(trained_path), path)
    assert ("Oslo", "LOC") in [(row.text, row.label) for row in rows]
    assert all(row.score is not None and 0 < row.score <= 1 for row in rows)
    result = CliRunner().invoke(app, ["annotate", str(trained_path), str(path)])
    assert result.exit_code == 0
    for row in rows:
        assert f"{row.score:.3f}" in result.output


def test_annotate_with_wrong_input(trained_path, tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("Zürich".encode("latin-1"))
    result = CliRunner().invoke(app, ["annotate", str(trained_path), str(path)])
    assert result.exit_code == 2
    assert "codec" in result.output
    result = CliRunner().invoke(app, ["annotate", str(tmp_path / "nothing"), str(path)])
    assert result.exit_code == 2
    assert "E050" in result.output


def test_annotate_without_file(trained_path, tmp_path):
    result = CliRunner().invoke(app, ["annotate", str(trained_path), str(tmp_path / "none.txt")])
    assert result.exit_code == 2
    assert "none.txt" in result.output
