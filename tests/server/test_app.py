"""Requests and answers, with a pipeline in its thread."""

import asyncio
import json
import logging
import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import spacy
from fastapi.testclient import TestClient
from spacy.tokens import Doc

from spacy_bert_ner.server import app as app_module
from spacy_bert_ner.server import predictor as predictor_module
from spacy_bert_ner.server.app import make_app
from spacy_bert_ner.server.limits import Limits
from spacy_bert_ner.server.predictor import Predictor

from ..util import EXPECTED, TEXT, Elements, get_ents

TOKEN = "a-token-of-the-tests"
SECRET = "Wilhelmina"  # of texts: must be in no log
JSON = {"Content-Type": "application/json"}
LIMITS = Limits(max_body=2000, max_text=500, max_queue=8, max_wait=1.0, timeout=20.0)


@pytest.fixture
def serve(predicting_path):
    """Starts a server. RETURNS (Callable): Gives a client of it."""
    opened = []

    def start(limits=LIMITS, token=None, pipeline=predicting_path):
        app = make_app(Predictor(str(pipeline)), limits, token)
        client = TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False)
        opened.append(client)
        return client.__enter__()

    yield start
    for client in opened:
        client.__exit__(None, None, None)


@pytest.fixture
def predicting_path(trained_path):
    return trained_path


@pytest.fixture
def gate(monkeypatch):
    """While it isn't set, no batch ends. `gate.began` is set when one begins."""
    gate, predict = threading.Event(), predictor_module._predict
    gate.began = threading.Event()

    def wait(nlp, asked):
        if threading.current_thread().name.startswith("pipeline") and gate.is_used:
            gate.began.set()
            assert gate.wait(20)
        return predict(nlp, asked)

    gate.is_used = False
    monkeypatch.setattr(predictor_module, "_predict", wait)
    yield gate
    gate.set()


def ask(client, text=TEXT, **settings):
    return client.post("/entities", json={"text": text, **settings})


@pytest.mark.parametrize("precision", ["torch", "fp32"])
def test_entities_are_those_of_the_pipeline(precision, serve, trained_path, exported_paths):
    path = trained_path if precision == "torch" else exported_paths[precision]
    client, nlp = serve(pipeline=path), spacy.load(path)
    texts = [TEXT, "", "Anna 👍 Berg\n\nlives", TEXT.replace("Oslo", "Ɓérgen")]
    response = ask(client, texts)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.json()[0] == ask(client).json()
    for text, answer in zip(texts, response.json(), strict=True):
        doc, read = nlp(text), Doc(nlp.vocab).from_json(answer)
        assert (read.text, get_ents(read)) == (text, get_ents(doc))
        assert [token.idx for token in read] == [token.idx for token in doc]
        scores = [ent["score"] for ent in answer["ents"]]
        assert scores == pytest.approx([ent._.score for ent in doc.ents], abs=1e-5)
    assert get_ents(nlp(TEXT)) == EXPECTED


def test_shape_of_hugging_face(serve):
    client = serve()
    ents = ask(client).json()["ents"]
    expected = [
        {
            "entity_group": ent["label"],
            "score": pytest.approx(ent["score"], abs=1e-5),
            "word": word,
            "start": ent["start"],
            "end": ent["end"],
        }
        for ent, (word, _) in zip(ents, EXPECTED, strict=True)
    ]
    assert ask(client, format="huggingface").json() == expected
    assert ask(client, [TEXT, ""], format="huggingface").json() == [expected, []]
    assert ask(client, []).json() == []


def test_entities_without_scores(serve, ruler_path):
    client = serve(pipeline=ruler_path)
    assert ask(client, "In Oslo").json()["ents"] == [
        {"start": 3, "end": 7, "label": "LOC", "score": None}
    ]


DEEP = '{"text": ' + "[" * 900 + "]" * 900 + "}"
PROBLEMS = {
    "no json": (b'{"text": ', JSON, 400, "EOF"),
    "broken utf-8": (b'{"text": "\xff"}', JSON, 400, "UTF-8"),
    "half a pair": (b'{"text": "\\ud800"}', JSON, 400, "hex escape"),
    "deep": (DEEP, JSON, 400, "recursion"),
    "no text": ("{}", JSON, 422, "text: Field required"),
    "a number": ('{"text": 1}', JSON, 422, "text: Input should be a valid string"),
    "a number in a list": ('{"text": ["a", 1]}', JSON, 422, "Text 2: Input should be a valid str"),
    "an unknown format": ('{"text": "", "format": "x"}', JSON, 422, "'spacy' or 'huggingface'"),
    "an unknown key": ('{"txet": ""}', JSON, 422, "key 'txet' is unknown"),
    "an array": ("[]", JSON, 422, "the request"),
    "a form": ('{"text": ""}', {"Content-Type": "text/plain"}, 415, "application/json"),
    "compressed": ("{}", {**JSON, "Content-Encoding": "gzip"}, 415, "compressed"),
    "no type": ('{"text": ""}', {}, 415, "application/json"),
    "a long body": (json.dumps({"text": "a" * 2000}), JSON, 413, "2,012 bytes, the limit is 2,000"),
    "a long text": (json.dumps({"text": ["", "ü" * 501]}, ensure_ascii=False).encode(), JSON, 413,
                    "Text 2 has 501 characters, the limit is 500"),
    "many texts": (json.dumps({"text": ["a"] * 9}), JSON, 413, "9 texts, the limit is 8"),
}  # fmt: skip


@pytest.fixture(scope="module")
def client(trained_path):
    app = make_app(Predictor(str(trained_path)), LIMITS)
    with TestClient(app, "http://localhost", raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("case", PROBLEMS)
def test_problems(case, client, caplog):
    content, headers, status, detail = PROBLEMS[case]
    response = client.post("/entities", content=content, headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (
        status,
        "application/problem+json",
    )
    answer = response.json()
    assert answer["status"] == status and detail in answer["detail"], answer
    assert re.search(r"\. (Send|Divide) ", answer["detail"]), "no way out"
    if status == 413:
        assert answer["value"] > answer["limit"]
    assert not caplog.records
    assert ask(client).status_code == 200


def test_a_byte_order_mark(client):
    content = json.dumps({"text": TEXT}).encode("utf-8-sig")
    assert client.post("/entities", content=content, headers=JSON).json() == ask(client).json()


def test_chunks_without_a_length_are_counted(client):
    chunks = (b"a" * 500 for _ in range(5))
    response = client.post("/entities", content=chunks, headers=JSON)
    assert (response.status_code, response.json()["value"]) == (413, 2500)


def test_other_paths(client):
    assert client.get("/texts").json() == {"status": 404, "detail": "Not Found"}
    assert client.get("/entities").status_code == 405
    assert client.get("/health").json() == {"status": "ok"}
    for path in ("/", "/health"):
        assert client.head(path).status_code == 200
    for path in ("/docs", "/redoc"):
        assert client.get(path).status_code == 404


def test_description_for_programs(client, serve):
    described = client.get("/openapi.json").json()
    query = described["paths"]["/entities"]["post"]
    assert "text" in query["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert {"200", "413", "503"} <= set(query["responses"])
    assert "security" not in query and "RETURNS" not in str(described)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    described = serve(token=TOKEN).get("/openapi.json", headers=headers).json()
    assert described["paths"]["/entities"]["post"]["security"] == [{"HTTPBearer": []}]
    assert "security" not in described["paths"]["/health"]["get"]


@pytest.mark.parametrize("path", ["/", "/health", "/texts", "/entities"])
def test_headers_of_all_answers(path, client):
    headers = client.get(path, headers={"Origin": "http://example.com"}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert not [name for name in headers if name.startswith("access-control")]


def test_metrics(client):
    before = client.get("/metrics").text
    ask(client, ["a b", "c"])
    ask(client, 1)
    after = client.get("/metrics").text

    def grown(name):
        pattern = rf"^{re.escape(name)} ([\d.e+]+)$"
        one, other = (re.search(pattern, text, re.MULTILINE) for text in (before, after))
        return float(other[1]) - (float(one[1]) if one else 0)

    assert grown('bert_ner_requests_total{path="/entities",status="200"}') == 1
    assert grown('bert_ner_requests_total{path="/entities",status="422"}') == 1
    assert grown("bert_ner_batch_texts_sum") == 2
    assert grown("bert_ner_characters_total") == 4
    assert grown("bert_ner_request_seconds_count") == 2
    assert "bert_ner_queue_texts 0.0" in after


@pytest.mark.parametrize("host,status", [
    ("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("[::1]", 200),
    ("example.com", 421), ("localhost.example.com:8000", 421), ("", 421),
])  # fmt: skip
def test_other_names_of_the_host_are_refused(host, status, client):
    response = client.get("/", headers={"Host": host})
    assert response.status_code == status
    assert client.get("/health", headers={"Host": host}).status_code == 200


def test_the_address_is_a_name_of_the_host(trained_path):
    app = make_app(Predictor(str(trained_path)), LIMITS, address="127.0.0.2")
    with TestClient(app) as client:
        for host, status in (("127.0.0.2:8000", 200), ("127.0.0.3", 421)):
            response = client.get("/", headers={"Host": host})
            assert response.status_code == status
    assert "localhost, 127.0.0.1, [::1], 127.0.0.2." in response.json()["detail"]


def test_token(serve):
    client = serve(token=TOKEN)
    for header in ("", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer", "Bearer é"):
        headers = {"Authorization": header.encode("latin-1")}
        for path in ("/metrics", "/openapi.json", "/texts"):
            response = client.get(path, headers=headers)
            assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
        response = client.post("/entities", json={"text": TEXT}, headers=headers)
        assert response.status_code == 401
    for path in ("/", "/health"):
        assert client.get(path, headers={"Host": "example.com"}).status_code == 200
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {TOKEN}"}
        assert client.post("/entities", json={"text": TEXT}, headers=headers).status_code == 200


def test_a_full_queue(serve, gate):
    client = serve()
    gate.is_used = True
    with ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(ask, client, [TEXT] * 3)]
        assert gate.began.wait(20)
        waiting.append(threads.submit(ask, client, [TEXT] * 5))
        while "bert_ner_queue_texts 8.0" not in client.get("/metrics").text:
            pass
        response = ask(client)
        gate.set()
        assert [len(future.result().json()) for future in waiting] == [3, 5]
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert "8 texts wait, the limit is 8" in response.json()["detail"]
    assert ask(client).status_code == 200


def test_texts_that_take_too_long(serve, gate):
    client = serve(LIMITS._replace(timeout=0.05))
    gate.is_used = True
    response = ask(client)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert "within 0.05 seconds" in response.json()["detail"]
    gate.set()
    assert "bert_ner_queue_texts 0.0" in client.get("/metrics").text


@pytest.mark.parametrize("path,status", [("/entities", 408), ("/texts", 404)])
def test_requests_that_do_not_arrive(path, status, trained_path):
    """The beginning of a body, and never the rest."""
    predictor = Predictor(str(trained_path))
    app = make_app(predictor, LIMITS._replace(timeout=0.05))
    parts = [{"type": "http.request", "body": b'{"text": "', "more_body": True}]
    sent = []

    async def receive():
        return parts.pop() if parts else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    asyncio.run(asyncio.wait_for(app(make_scope(path), receive, send), 20))
    predictor.close()
    assert sent[0]["status"] == status
    assert json.loads(sent[1]["body"])["status"] == status


def make_scope(path):
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": headers,
        "query_string": b"",
    }


def test_answers_that_are_not_received(serve, monkeypatch):
    """They keep their places until the time is over."""
    monkeypatch.setattr(app_module, "PART", 10)
    client = serve(LIMITS._replace(timeout=1.0))
    places, taken = get_service(client).places, []
    parts = [{"type": "http.request", "body": b'{"text": ["a", "b"]}'}]

    async def receive():
        return parts.pop() if parts else await asyncio.Event().wait()

    async def send(message):
        if message.get("body"):
            taken.append(places.n_taken)
            await asyncio.Event().wait()

    client.portal.call(client.app, make_scope("/entities"), receive, send)
    assert (taken, places.n_taken) == ([2], 0)
    assert 'path="/entities",status="499"' in client.get("/metrics").text


def test_errors_are_those_of_their_text(serve, monkeypatch, caplog):
    client, predict = serve(), predictor_module._predict

    def fail(nlp, asked):
        for one in asked:
            if SECRET in one.text:
                raise ValueError(f"Can't read {one.text}")
        return predict(nlp, asked)

    monkeypatch.setattr(predictor_module, "_predict", fail)
    with ThreadPoolExecutor(8) as threads, caplog.at_level(logging.DEBUG):
        texts = [SECRET if i % 4 == 1 else TEXT for i in range(8)]
        responses = list(threads.map(lambda text: ask(client, text), texts))
    codes = [response.status_code for response in responses]
    assert codes == [500 if text == SECRET else 200 for text in texts]
    assert "in its log" in responses[1].json()["detail"]
    assert "ValueError (message left out)" in caplog.text
    assert "raise ValueError" in caplog.text
    assert SECRET not in caplog.text.replace("SECRET in", "")


def get_service(client):
    routes = client.app.app.routes
    return next(route.endpoint.__self__ for route in routes if route.path == "/entities")


def test_health_of_a_server_that_reads_nothing(serve):
    client = serve()
    client.portal.call(get_service(client).batcher.stop)
    assert client.get("/health").status_code == 503


def test_words_are_forgotten(serve):
    client = serve()
    service = get_service(client)
    strings = service.predictor.nlp.vocab.strings
    n_strings = len(strings)
    ask(client, [f"{SECRET}{i} Xyz{i}" for i in range(8)])
    assert len(strings) == n_strings


def test_page(client, serve):
    response = client.get("/")
    elements = Elements(response.text).found
    assert response.headers["content-type"].startswith("text/html")
    for tag, attrs in elements:
        # What the policy forbids, or would load something.
        assert not {"src", "style", "onclick", "onload"} & set(attrs), (tag, attrs)
        assert tag not in ("link", "iframe", "object")
    policy = dict(
        part.strip().split(" ", 1)
        for part in response.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    for tag in ("script", "style"):
        assert [name for name, _ in elements].count(tag) == 1
        assert re.fullmatch(r"'sha256-[\w+/]+='", policy[f"{tag}-src"])
    ids = [attrs.get("id") for _, attrs in elements]
    assert "token" not in ids
    fields = [attrs.get("id") for _, attrs in Elements(serve(token=TOKEN).get("/").text).found]
    assert "token" in fields
