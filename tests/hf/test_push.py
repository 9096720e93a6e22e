"""Uploads to a server that answers as the API of the Hugging Face hub does."""

import json
import os
import shutil
import zipfile
from base64 import b64decode
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import huggingface_hub.constants
import pytest
import spacy
import srsly
from huggingface_hub.utils import get_session
from markdown_it import MarkdownIt

from spacy_bert_ner import push
from spacy_bert_ner.errors import UserError
from spacy_bert_ner.hf import hub as hub_module
from spacy_bert_ner.hf import pipeline_repo
from spacy_bert_ner.hf.pipeline_card import make_pipeline_card

from ..util import EXPECTED, TEXT, get_ents, run_cli

REPO = "someone/en_pipeline"
TOKEN = "hf_SECRET"
WHEEL, ANY = "en_pipeline-0.0.0-py3-none-any.whl", "en_pipeline-any-py3-none-any.whl"


class Hub(BaseHTTPRequestHandler):
    """The part of the API that uploads need. `server.refused` has the answers, by the beginnings of
    paths, that are errors. There is no answer for paths that begin with `server.hanging`."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self._refuse():
            return
        hub, kind = self.server, self.path.split("/")
        if self.path == "/api/validate-yaml":
            hub.cards.append(json.loads(body)["content"])
            errors = [{"message": message} for message in hub.card_errors]
            self._answer({"errors": errors, "warnings": []}, 400 if errors else 200)
        elif self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = f"{asked['organization']}/{asked['name']}"
            status = 409 if repo in hub.private else 200
            hub.private.setdefault(repo, asked.get("private", False))
            self._answer({"url": f"{hub.url}/{repo}", "name": repo}, status)
        elif kind[-1] == "batch":
            objects = [
                {**one, "actions": {"upload": {"href": f"{hub.url}/lfs/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]
            self._answer({"transfer": "basic", "objects": objects})
        elif kind[-2] == "branch":
            hub.branches.append(kind[-1])
            self._answer({})
        elif kind[-2] == "preupload":
            files = [
                {"path": f["path"], "uploadMode": "lfs" if f["path"].endswith("whl") else "regular"}
                for f in json.loads(body)["files"]
            ]
            self._answer({"files": [{**f, "shouldIgnore": False} for f in files]})
        elif kind[-2] == "commit":
            head, *items = map(json.loads, body.splitlines())
            hub.commits[kind[-1]].append((head["value"]["summary"], items))
            oid = "0" * 40
            self._answer({"commitUrl": f"{hub.url}/{REPO}/commit/{oid}", "commitOid": oid})
        else:
            self.send_error(404)

    def do_PUT(self):
        if self._refuse():
            return
        self.server.stored.append(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer({})

    def do_GET(self):
        repo = "/".join(self.path.split("/")[3:5])
        if self._refuse():
            return
        if repo in self.server.private:
            self._answer({"id": repo, "private": self.server.private[repo], "siblings": []})
        else:
            self._answer({"error": "Repository not found"}, 404)

    def _refuse(self):
        if self.path.startswith(self.server.hanging):
            self.server.has_ended.wait(60)
            return True
        if self.command != "PUT":  # its address has a signature instead
            self.server.tokens.append(self.headers["Authorization"])
        for start, (status, message) in self.server.refused.items():
            if self.path.startswith(start):
                self._answer({"error": message}, status)
                return True
        return False

    def _answer(self, data, status=200):
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.private, server.commits, server.refused = {}, defaultdict(list), {}
    server.cards, server.branches, server.stored, server.tokens = [], [], [], []
    server.card_errors, server.hanging, server.has_ended = [], "nothing", Event()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.has_ended.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_wheel(monkeypatch):
    """A file instead of a wheel, which takes seconds to build."""
    monkeypatch.setattr(
        pipeline_repo, "_build_wheel", lambda folder, project, wheel: wheel.write_bytes(b"wheel")
    )


@pytest.fixture(scope="module")
def written(tiny_pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pushed") / "repo"
    source = folder.parent / "source"
    shutil.copytree(tiny_pipeline, source)
    (source / ".env").write_text("password")
    (source / "notes.txt").write_text("private")
    (source / "vocab" / "secret.txt").write_text("private")
    (source / "bert_ner" / "id_rsa").write_text("private")
    os.mkfifo(source / "vocab" / "pipe")
    (source / "LICENSES_SOURCES").mkdir()
    (source / "LICENSE").write_text("A licence.")
    run = run_cli("push", source, REPO, "--dry-run", folder)
    assert (run.exit_code, run.stdout) == (0, f"Wrote {folder}.\n"), run.output
    return folder


def list_files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_dry_run(written, tiny_pipeline):
    """The files of the pipeline, a card and the wheel: nothing else that is in the folder."""
    own = {"README.md", "LICENSE", WHEEL, ANY}
    assert {*list_files(written)} == {*list_files(tiny_pipeline)} | own
    # spaCy writes the characters of a sentencizer in any order.
    for name in {*list_files(tiny_pipeline)} - {"meta.json", "sentencizer.json"}:
        assert (written / name).read_bytes() == (tiny_pipeline / name).read_bytes()
    assert (written / ANY).read_bytes() == (written / WHEEL).read_bytes()
    meta, before = (srsly.read_json(path / "meta.json") for path in (written, tiny_pipeline))
    assert {**meta, "vectors": None} == {**meta, **before, "vectors": None}
    assert any(name.startswith("spacy-bert-ner") for name in meta["requirements"])
    assert get_ents(spacy.load(written)(TEXT)) == EXPECTED


def test_wheel(written, tmp_path, monkeypatch):
    """Unpacked, as pip does, it is found by its name."""
    with zipfile.ZipFile(written / WHEEL) as wheel:
        assert not [name for name in wheel.namelist() if "notes" in name or "/." in name]
        wheel.extractall(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert get_ents(spacy.load("en_pipeline")(TEXT)) == EXPECTED


def test_card(written):
    _, front, body = (written / "README.md").read_text("utf-8").split("---\n", 2)
    assert srsly.yaml_loads(front) == {
        "library_name": "spacy",
        "pipeline_tag": "token-classification",
        "tags": ["spacy", "token-classification", "named-entity-recognition", "spacy-bert-ner"],
        "language": ["en"],
    }
    assert f'pip install "https://huggingface.co/{REPO}/resolve/main/{WHEEL}"' in body
    assert 'spacy.load("en_pipeline")' in body
    assert "- `LOC`\n- `PER`" in body
    assert "`BertModel` reads one sentence at a time" in body
    assert "## Scores" not in body and "## Limits" in body


def test_scores_in_card(trained):
    many = {"PER": {"p": 1e308, "r": 0.5, "f": 0.5}}
    trained.meta.update(
        license="GNU GPL 3.0",
        performance={"ents_p": 0.5, "ents_r": 0.25, "ents_f": 1 / 3, "ents_per_type": many},
    )
    trained.meta["spacy_bert_ner"] = {"training": {"train": "/home/me/a.spacy", "dev": "b"}}
    trained.get_pipe("bert_ner").cfg["threshold"] = 0.5
    _, front, body = make_pipeline_card(trained, "en_pipeline", "url").split("---\n", 2)
    front = srsly.yaml_loads(front)
    assert front["license"] == "gpl-3.0"
    (index,) = front["model-index"]
    assert index["name"] == "en_pipeline"
    assert [item["value"] for item in index["results"][0]["metrics"]] == [0.5, 0.25, 1 / 3]
    assert "| all | 50.0 | 25.0 | 33.3 |" in body
    assert "inf" not in body
    assert "scores below 0.5 are left out" in body
    assert "Trained on `a.spacy`, and evaluated on `b` during training." in body


def test_card_of_exported(exported_paths):
    card = make_pipeline_card(spacy.load(exported_paths["int8"]), "en_pipeline", "url")
    assert "An encoder for onnxruntime reads" in card


def test_hostile_card(trained):
    """What a pipeline says of itself is shown as it is."""
    hostile = "<img src=x onerror=alert(1)> [a](javascript:alert(1))"
    trained.meta.update(
        dict.fromkeys(("description", "license", "author", "url"), hostile),
        sources=[{"name": hostile, "url": "javascript:alert(1)"}],
        performance="none",
        spacy_bert_ner={"training": {"train": hostile, "dev": [hostile]}},
    )
    trained.rename_pipe("bert_ner", hostile + "\n# ``")
    card = make_pipeline_card(trained, "en_pipeline", "url")
    front, body = card.split("\n---\n\n", 1)
    assert srsly.yaml_loads(front)["license"] == "other"
    html = MarkdownIt("commonmark").enable("table").render(body)
    assert "<img" not in html and "href" not in html and html.count("<h1>") == 1


def test_push(hub, no_wheel, tiny_pipeline, written):
    run = run_cli("push", tiny_pipeline, REPO, "--private", "-m", "First", "--revision", "v1")
    assert run.exit_code == 0, run.output
    assert f"Uploading to {hub.url}/{REPO}." in run.stderr
    assert f"Uploaded {hub.url}/{REPO}/commit/" in run.stdout
    assert f"pip install {hub.url}/{REPO}/resolve/v1/{WHEEL}" in run.stdout
    assert (hub.private, hub.branches, [*hub.commits]) == ({REPO: True}, ["v1"], ["v1"])
    ((message, items),) = hub.commits["v1"]
    assert message == "First"
    paths = [item["value"]["path"] for item in items]
    assert sorted(paths) == [name for name in list_files(written) if name != "LICENSE"]
    assert {*hub.stored} == {b"wheel"}
    assert f"{hub.url}/{REPO}/resolve/v1/{WHEEL}" in hub.cards[0]
    assert {*hub.tokens} == {f"Bearer {TOKEN}"}
    assert TOKEN not in run.output


def test_push_again(hub, no_wheel, tiny_pipeline):
    hub.private[REPO] = False
    pushed = push(str(tiny_pipeline), REPO)
    assert pushed.commit_url.startswith(hub.url)
    assert [*hub.commits] == ["main"]
    with pytest.raises(UserError, match="as private: it exists, and is public. Leave out"):
        push(str(tiny_pipeline), REPO, private=True)
    assert len(hub.commits["main"]) == 1


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/api/repos/create", 401, "(error 401): the token isn't valid. Log in again"),
        ("/api/repos/create", 403, "(error 403): the token may not write to it. Log in"),
        (f"/api/models/{REPO}/commit", 403, "(error 403): the token may not write"),
        (f"/api/models/{REPO}/preupload", 404, "(error 404): there is no such user"),
        (f"/api/models/{REPO}/preupload", 400, "(error 400): Quota of (token) full. Try again"),
    ],
)
def test_refused(path, status, message, hub, no_wheel, tiny_pipeline):
    hub.refused[path] = (status, f"Quota of {TOKEN} full")
    run = run_cli("push", tiny_pipeline, REPO)
    assert (run.exit_code, run.stdout) == (1, "")
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("Error: ")]
    assert line.startswith(f"Error: Can't upload to '{REPO}' {message}"), line
    assert TOKEN not in run.output
    assert not hub.commits


@pytest.mark.parametrize("answer", [[], {}])
def test_another_server(answer, hub, no_wheel, tiny_pipeline, monkeypatch):
    monkeypatch.setattr(Hub, "do_POST", lambda self: self._answer(answer))
    with pytest.raises(UserError, match="127.*doesn't answer like the .* hub. Check .*HF_ENDPOINT"):
        push(str(tiny_pipeline), REPO)


def test_password_of_the_hub(hub, no_wheel, tiny_pipeline, tmp_path, monkeypatch):
    """It isn't shown."""
    endpoint = hub.url.replace("//", "//me:PASSWORD@")
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
    run = run_cli("push", tiny_pipeline, REPO, "--dry-run", tmp_path / "out")
    assert run.exit_code == 0, run.output
    assert f"{hub.url}/{REPO}/resolve/main/{WHEEL}" in (tmp_path / "out/README.md").read_text()
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://me:PASSWORD@127.0.0.1:9")
    failed = run_cli("push", tiny_pipeline, REPO)
    assert "http://127.0.0.1:9 can't be reached, or doesn't answer within 120 sec" in failed.stderr
    assert "PASSWORD" not in run.output + failed.output + (tmp_path / "out/README.md").read_text()


def test_refused_card(hub, no_wheel, tiny_pipeline):
    hub.card_errors.append("license is unknown")
    with pytest.raises(UserError, match="'someone/en_pipeline': .*license is unknown"):
        push(str(tiny_pipeline), REPO)


def test_no_hub(hub, no_wheel, tiny_pipeline, monkeypatch):
    closed = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    monkeypatch.setattr(
        huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{closed.server_port}"
    )
    closed.server_close()
    with pytest.raises(UserError, match="127.0.0.1:.* can't be reached, or .* Check the net"):
        push(str(tiny_pipeline), REPO)


@pytest.mark.parametrize(
    "path",
    [
        "/api/repos/create",
        f"/api/models/{REPO}",  # asked whether it is private
        f"/api/models/{REPO}/branch",
        f"/api/models/{REPO}/preupload",
        "/lfs",
        f"/api/models/{REPO}/commit",
    ],
)
def test_hub_that_hangs(path, hub, no_wheel, tiny_pipeline, monkeypatch):
    """Its client tries some requests again, with pauses, which are left out here."""
    monkeypatch.setattr(hub_module, "TIMEOUT", 0.2)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    hub.hanging = path
    with pytest.raises(UserError, match="Can't upload to 'someone/en_pipeline': .* [Tt]ry again"):
        push(str(tiny_pipeline), REPO, private=True, revision="v1")
    assert not hub.commits
    hub.hanging = "nothing"
    push(str(tiny_pipeline), REPO, private=True)
    assert len(hub.commits["main"]) == 1


def test_settings_of_the_hub_stay(hub, no_wheel, tiny_pipeline):
    """Other programs of the process wait as before."""
    before = getattr(get_session(), "timeout", None)
    push(str(tiny_pipeline), REPO)
    assert getattr(get_session(), "timeout", None) == before
    assert "request" not in vars(get_session())


def test_no_login(hub, tiny_pipeline, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UserError, match=r"there is no token .* \(hf auth login\), or set the env"):
        push(str(tiny_pipeline), REPO)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        push(str(tiny_pipeline), REPO)
    assert not hub.tokens


@pytest.mark.parametrize("repo", ["en_pipeline", "a/b/c", "a/../b", "a b/c", ""])
def test_names_of_no_repository(repo, tiny_pipeline):
    with pytest.raises(UserError, match="name your account or organization on the hub"):
        push(str(tiny_pipeline), repo)


BAD_BRANCHES = ["", "a b", "../../evil", "main?x", "/a", "a/", "a..b", "a.lock", "@", "-x", "a\nb"]


@pytest.mark.parametrize("revision", BAD_BRANCHES)
def test_names_of_no_branch(revision, tiny_pipeline):
    with pytest.raises(UserError, match="to the branch .*: git accepts no such name. Use"):
        push(str(tiny_pipeline), REPO, revision=revision)


def test_branch_in_address(no_wheel, tiny_pipeline, tmp_path):
    pushed = push(str(tiny_pipeline), REPO, revision='a/"<é`', dry_run=tmp_path / "out")
    assert f"/resolve/a%2F%22%3C%C3%A9%60/{WHEEL}" in pushed.wheel_url
    assert f'pip install "{pushed.wheel_url}"' in (tmp_path / "out/README.md").read_text("utf-8")


@pytest.fixture
def changed(tiny_pipeline, tmp_path):
    """A copy of a pipeline, and a function that changes its meta."""
    source = tmp_path / "source"
    shutil.copytree(tiny_pipeline, source)

    def change(**values):
        meta = {**srsly.read_json(source / "meta.json"), **values}
        (source / "meta.json").write_text(json.dumps(meta))
        return source

    return change


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "../../x"}, r"named 'en_../../x': a name has ASCII letters"),
        ({"name": "a__b"}, "named 'en_a__b'"),
        ({"version": "1/../2"}, "version '1/../2': a version is like 1.0.0"),
        ({"name": "a\nb"}, r"named 'en_a\\nb': "),
        ({"name": "a" * 300}, "underscores, at most 100. Change"),
        ({"author": ["x"]}, r"Can't use .*meta.json: .*author"),
        ({"lang": "de"}, r"Can't use .*meta.json: its language is 'de', but 'en' in config.cfg"),
        ({"requirements": ["not valid !!"]}, r"meta.json: \[requirements\] 'not valid !!' isn't"),
        ({"license": "\ud800"}, r"meta.json: \[license\] has a character that isn't valid"),
        ({"sources": [{"name": "\ud800"}]}, r"meta.json: \[sources\] has a character"),
    ],
)
def test_meta_of_no_package(values, message, changed, no_wheel, tmp_path):
    with pytest.raises(UserError, match=message):
        push(str(changed(**values)), REPO, dry_run=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_name_with_language(changed, no_wheel, tmp_path):
    push(str(changed(name="en_pipeline", version="1.0-beta")), REPO, dry_run=tmp_path / "out")
    assert (tmp_path / "out" / "en_pipeline-1.0b0-py3-none-any.whl").exists()
    assert srsly.read_json(tmp_path / "out" / "meta.json")["name"] == "pipeline"


@pytest.mark.parametrize("name", ["tokenizer", "vocab", "vocab/strings.json", "LICENSE"])
def test_links_out_of_the_pipeline(name, changed, no_wheel, tmp_path):
    source = changed()
    path, outside = source / name, tmp_path / "outside"
    if path.exists():
        path.rename(outside)
    else:
        outside.write_text("private")
    path.symlink_to(outside, target_is_directory=outside.is_dir())
    with pytest.raises(UserError, match=rf"upload .*{name}.*: it leads to .*outside.* Replace"):
        push(str(source), REPO, dry_run=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_within_the_pipeline(changed, no_wheel, tmp_path):
    source = changed()
    (source / "tokenizer").rename(source / "vocab" / "tokenizer")
    (source / "tokenizer").symlink_to(Path("vocab", "tokenizer"))
    push(str(source), REPO, dry_run=tmp_path / "out")
    assert not (tmp_path / "out" / "tokenizer").is_symlink()
    assert not (tmp_path / "out" / "vocab" / "tokenizer").exists()


@pytest.mark.parametrize("name", ["more/bert_ner", "LICENSE"])
def test_component_of_another_folder(name, tiny, no_wheel, tmp_path):
    tiny.rename_pipe("bert_ner", name)
    (tmp_path / "source" / name).parent.mkdir(parents=True)
    tiny.to_disk(tmp_path / "source")
    with pytest.raises(UserError, match="Rename the component"):
        push(str(tmp_path / "source"), REPO, dry_run=tmp_path / "out")


def test_two_bert_ners(hub, no_wheel, tiny, tmp_path):
    """Both are described, and no label is listed twice."""
    tiny.add_pipe("bert_ner", "a|`b", source=spacy.load(tiny.path))
    tiny.get_pipe("a|`b").cfg["spans_key"] = "second"
    tiny.to_disk(tmp_path / "source")
    push(str(tmp_path / "source"), REPO)
    ((_, items),) = hub.commits["main"]
    paths = {item["value"]["path"] for item in items}
    assert {"bert_ner/model", "a|`b/model"} <= paths
    assert hub.cards[0].count("- `PER`") == 1
    assert "\n``a|`b``: `BertModel` reads" in hub.cards[0]
    assert "\n`bert_ner`: `BertModel` reads" in hub.cards[0]


def test_exported_pipeline(hub, no_wheel, exported_paths, tmp_path):
    """One without torch: what is uploaded can be loaded."""
    push(str(exported_paths["int8"]), REPO)
    ((_, items),) = hub.commits["main"]
    for item in items:
        if item["key"] == "file":
            value, path = item["value"], tmp_path / item["value"]["path"]
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b64decode(value["content"]))
    assert get_ents(spacy.load(tmp_path)(TEXT)) == EXPECTED


def test_no_bert_ner(ruler_path, tmp_path):
    with pytest.raises(UserError, match=r"no bert_ner, only \['entity_ruler'\]. Use the package"):
        push(str(ruler_path), REPO, dry_run=tmp_path / "out")


def test_full_folder(tiny_pipeline, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="isn't empty"):
        push(str(tiny_pipeline), REPO, dry_run=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_wheel_that_cant_be_built(tiny_pipeline, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline_repo, "BUILD", "raise ImportError('no bdist_wheel')")
    with pytest.raises(UserError, match="Can't build en_pip.*: ImportError: no bdist_wheel. Insta"):
        push(str(tiny_pipeline), REPO, dry_run=tmp_path / "out")
    assert not (tmp_path / "out").exists()
