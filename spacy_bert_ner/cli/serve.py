from typing import Optional

from typer import Argument, Option

from ._util import USE_GPU, notify

# fmt: off


def serve_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    host: str = Option("127.0.0.1", "--host", "-H", help="Address to listen on. The default only accepts programs on this machine"),
    port: int = Option(8000, "--port", "-p", min=0, max=65535, help="Port to listen on; 0 for any free one"),
    token: Optional[str] = Option(None, "--token", envvar="SPACY_BERT_NER_TOKEN", help="What clients must send, needed unless the host is a loopback address. Other users of this machine see options: rather set the environment variable"),
    batch_size: Optional[int] = Option(None, "--batch-size", "-n", min=1, help="Maximum number of texts that are read at once; default: the batch size of the pipeline"),
    max_wait: float = Option(5.0, "--max-wait", min=0, metavar="MS", help="Milliseconds that a text waits for others to be read with it, if the pipeline is free"),
    max_body: int = Option(1_000_000, "--max-body", min=1, metavar="BYTES", help="Maximum size of a request"),
    max_text: int = Option(100_000, "--max-text", min=1, metavar="CHARACTERS", help="Maximum length of a text"),
    max_queue: int = Option(256, "--max-queue", min=1, metavar="TEXTS", help="Maximum number of texts that aren't answered yet"),
    timeout: float = Option(30.0, "--timeout", min=0.01, metavar="SECONDS", help="Time in which a request must arrive, and time in which it is answered"),
    use_gpu: int = USE_GPU,
) -> None:
    # fmt: on
    """
    Answer requests over HTTP: texts in JSON, entities with scores out.

    POST /entities finds entities, / is a page to try the pipeline, /health
    says whether the server works, and /metrics is for Prometheus.

    Texts of different requests are read together. On SIGTERM, the server
    accepts no new requests, and ends when the others are answered.
    """
    from ..server.limits import Limits
    from ..server.serve import serve

    serve(
        pipeline,
        Limits(max_body, max_text, max_queue, max_wait, timeout),
        host=host,
        port=port,
        token=token,
        batch_size=batch_size,
        use_gpu=use_gpu,
        notify=notify,
    )
