"""`annotate` in shards: folders, patterns of names and large files, killed and resumed."""

import json
from functools import partial

import pytest
import spacy

from spacy_bert_ner.commands import annotate as module
from spacy_bert_ner.commands import merge_check
from spacy_bert_ner.commands.annotate import annotate
from spacy_bert_ner.commands.merge_check import check_merged
from spacy_bert_ner.formats import read_docs
from spacy_bert_ner.formats.source import Shard

from ..formats.util import NLP
from ..util import plain, run_cli

run = partial(run_cli, "annotate")
N_RECORDS = 23


@pytest.fixture(autouse=True)
def loaded_once(ruler_path, monkeypatch):
    """Tests run many shards, each of which would load the pipeline."""
    nlp = spacy.load(ruler_path)
    for user in (module, merge_check):
        monkeypatch.setattr(user, "load_pipeline", lambda name: nlp)


def write(path, n=N_RECORDS, first=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [{"text": f"new{i} Oslo", "id": i} for i in range(first, first + n)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "in" / "a.jsonl", 5)
    write(tmp_path / "in" / "sub" / "b.jsonl", 4, first=100)
    (tmp_path / "in" / "c.txt").write_text("new Oslo", encoding="utf-8")
    (tmp_path / "in" / "notes.pdf").write_text("not read", encoding="utf-8")
    return tmp_path / "in"


def list_names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def check(ruler_path, *args):
    """RETURNS (Tuple[int, str]): The exit code of --merge-check, and what it prints."""
    result = run(ruler_path, *args, "--merge-check")
    return result.exit_code, result.output.strip()


@pytest.mark.parametrize("shard", ["0/4", "5/4", "0/0", "a/b", "3", "1/2/3", "-1/4"])
def test_wrong_shard(ruler_path, folder, tmp_path, shard):
    result = run(ruler_path, folder, tmp_path / "out", "--to", "jsonl", f"--shard={shard}")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: Can't use --shard '{shard}': ")
    assert result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("shard", "skip"), [((1, 1), 0), ((2, 3), 0), ((3, 3), 2), ((9, 9), 0)])
def test_records_of_a_shard(tmp_path, shard, skip):
    path, shard = write(tmp_path / "in.jsonl", 8), Shard(*shard)
    texts = [doc.text for doc in read_docs(path, NLP, shard=shard, skip=skip)]
    assert texts == [f"new{i} Oslo" for i in range(8)][shard.number - 1 :: shard.total][skip:]


def test_files_are_divided(ruler_path, folder, tmp_path):
    """Each file by one shard. A shard without files has nothing to do."""
    out = tmp_path / "out"
    made = []
    for i in range(1, 5):
        before = list_names(out)
        result = run(ruler_path, folder, out, "--to", "jsonl", "--shard", f"{i}/4")
        assert result.exit_code == 0, result.output
        made.append([name for name in list_names(out) if name not in before])
    assert made == [["a.jsonl"], ["c.jsonl"], ["sub/b.jsonl"], []]
    assert "Shard 4/4 has nothing to do: there are 3 files." in plain(result.output)
    assert check(ruler_path, folder, out, "--to", "jsonl") == (
        0,
        "3 outputs with 10 documents: all documents of the input, each once.",
    )


def test_third_of_two_files(ruler_path, folder, tmp_path):
    pattern, out = f"{folder}/**/*.jsonl", tmp_path / "out"
    result = run(ruler_path, pattern, out, "--to", "spacy", "--shard", "3/16")
    assert result.exit_code == 0, result.output
    assert "there are 2 files" in plain(result.output)
    assert run(ruler_path, pattern, out, "--to", "spacy").exit_code == 0
    assert list_names(out) == ["a.spacy", "sub/b.spacy"]


def test_folder_to_a_file_is_one_output(ruler_path, folder, tmp_path):
    """As before: a folder of .txt files, unless the output is a folder."""
    annotate(str(ruler_path), folder, tmp_path / "out.jsonl")
    assert len((tmp_path / "out.jsonl").read_text("utf-8").splitlines()) == 1
    (tmp_path / "out").mkdir()
    annotate(str(ruler_path), folder, tmp_path / "out", target="jsonl")
    assert list_names(tmp_path / "out") == ["a.jsonl", "c.jsonl", "sub/b.jsonl"]


@pytest.mark.parametrize("target", ["jsonl", "parquet", "spacy", "conll", "label-studio", "lines"])
@pytest.mark.parametrize("n", [1, 30])
def test_records_are_divided(ruler_path, tmp_path, target, n):
    """Also with more shards than records: some outputs are empty."""
    path, out = write(tmp_path / "in.jsonl"), tmp_path / "out"
    for i in range(1, n + 1):
        annotate(str(ruler_path), path, out, target=target, shard=f"{i}/{n}", batch_size=2)
    names = list_names(out)
    assert len(names) == n
    assert names[-1].startswith(f"in-{n:05d}-of-{n:05d}.")
    docs = [list(read_docs(out / name, NLP, target)) for name in names]
    assert sum(map(len, docs)) == N_RECORDS
    merged = check_merged(str(ruler_path), path, out, target=target)
    assert merged == ([], n, N_RECORDS, 0)


def test_finished_outputs_are_skipped(ruler_path, folder, tmp_path, monkeypatch):
    """Without reading them, or loading the pipeline. What a killed run has left is removed."""
    out, told = tmp_path / "out", []
    annotate(str(ruler_path), folder, out, target="jsonl", shard="1/1")
    (out / "a.jsonl").write_text("not read", encoding="utf-8")
    (out / "c.jsonl").unlink()
    (out / "a.jsonl.part").touch()
    (out / "a.jsonl.journal").touch()
    annotate(str(ruler_path), folder, out, target="jsonl", shard="1/1", notify=told.append)
    assert told[0] == "2 finished outputs skipped."
    assert len(told) == 2
    assert list_names(out) == ["a.jsonl", "c.jsonl", "sub/b.jsonl"]
    assert (out / "a.jsonl").read_text("utf-8") == "not read"
    monkeypatch.setattr(module, "load_pipeline", None)
    annotate(str(ruler_path), folder, out, target="jsonl", shard="1/1")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda out: (out / "a.jsonl").unlink(), "a.jsonl is missing. Run its shard."),
        (
            lambda out: (out / "a.jsonl").rename(out / "a.jsonl.part"),
            "a.jsonl is missing: it isn't complete, see",
        ),
        (lambda out: write(out / "x.jsonl"), "x.jsonl isn't an output of this input"),
        (lambda out: write(out / "a.jsonl", 4), "document 5 must be that with the id '4', but is"),
        (lambda out: write(out / "a.jsonl", 6), "document 6 must be none, but is that with the id"),
        (lambda out: write(out / "a.jsonl", 5, first=1), "document 1 must be that with the id '0'"),
        (lambda out: (out / "a.jsonl").write_text("{broken"), "Can't read"),
    ],
)
def test_problems_are_found(ruler_path, folder, tmp_path, spoil, message):
    out = tmp_path / "out"
    annotate(str(ruler_path), folder, out, target="jsonl", shard="1/1")
    spoil(out)
    code, told = check(ruler_path, folder, out, "--to", "jsonl")
    assert code == 1
    assert message in told
    assert told.count("\n") == 0


def test_shards_of_another_number(ruler_path, tmp_path):
    path, out = write(tmp_path / "in.jsonl"), tmp_path / "out"
    for shard in ("1/3", "2/3", "2/2"):
        annotate(str(ruler_path), path, out, target="jsonl", shard=shard)
    code, told = check(ruler_path, path, out, "--to", "jsonl")
    assert code == 1
    assert [line.split("/")[-1] for line in told.splitlines()] == [
        "in-00002-of-00002.jsonl isn't an output of this input: move or delete it.",
        "in-00003-of-00003.jsonl is missing. Run its shard.",
    ]


def test_records_that_cant_be_read(ruler_path, tmp_path):
    path, out = write(tmp_path / "in.jsonl"), tmp_path / "out"
    path.write_text("{broken\n" + path.read_text("utf-8"), encoding="utf-8")
    for i in (1, 2):
        result = run(
            *(ruler_path, path, out, "--from", "jsonl", "--to", "jsonl", "--shard", f"{i}/2"),
            *("--on-error", "skip"),
        )
        assert result.exit_code == 0, result.output
    code, told = check(ruler_path, path, out, "--from", "jsonl", "--to", "jsonl")
    assert (code, told.split("; ")[-1]) == (0, "1 record can't be read.")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["in", "out", "--shard", "1/2"], "name their format with --to"),
        (["in", "--shard", "1/2"], "need an output folder. Add OUTPUT_PATH."),
        (["in", "in/a.jsonl", "--to", "jsonl", "--shard", "1/2"], "it is a file. Name a folder"),
        (["in", "in", "--to", "jsonl", "--shard", "1/2"], "outputs would be read as inputs"),
        (["in", "in/out", "--to", "jsonl", "--shard", "1/2"], "outputs would be read as inputs"),
        (["in/*.jsonl", "in", "--to", "jsonl"], "outputs would be read as inputs"),
        (["in/*/*.jsonl", "in/out", "--to", "jsonl"], "outputs would be read as inputs"),
        (["in/*.spacy", "out", "--to", "jsonl"], "No file has a name like in/*.spacy."),
        (["in", "out", "--from", "spacy", "--to", "jsonl", "--shard", "1/2"], "ends in .spacy."),
        (["in", "out", "--to", "csv", "--shard", "1/2"], "the format 'csv' can only be read"),
        (["in", "in", "--to", "html", "--merge-check"], "the format 'html' can only be written"),
        (
            ["in/a.jsonl", "in", "--to", "spacy", "--merge-check"],
            "There is no output of in/a.jsonl",
        ),
    ],
)
def test_wrong_names(ruler_path, folder, tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    result = run(ruler_path, *args)
    assert result.exit_code == 1, result.output
    assert message in result.output
    assert result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_same_name(ruler_path, folder, tmp_path):
    write(folder / "c.jsonl")
    result = run(ruler_path, folder, tmp_path / "out", "--to", "jsonl", "--shard", "1/2")
    assert result.exit_code == 1
    assert "it would be the output of both" in result.output
