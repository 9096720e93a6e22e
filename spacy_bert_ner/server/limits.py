"""What a server accepts."""

from typing import NamedTuple


class Limits(NamedTuple):
    """What a server accepts, and how long it waits.

    max_body (int): Bytes of a request.
    max_text (int): Characters of a text.
    max_queue (int): Texts that aren't answered yet, of all requests together. A request that is
        being received counts as one.
    max_wait (float): Milliseconds that a text waits for others to be read with it, if the pipeline
        is free.
    timeout (float): Seconds in which a request must arrive, and seconds in which it is answered.
    """

    max_body: int = 1_000_000
    max_text: int = 100_000
    max_queue: int = 256
    max_wait: float = 5.0
    timeout: float = 30.0
