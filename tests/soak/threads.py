"""Threads that share one pipeline: every call gives what a single thread gets.

python tests/soak/threads.py [--calls 1000]
"""

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import typer

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.soak.util import HEADS, TEXTS, get_output, make_pipeline

N_THREADS = 8


def run_threads(nlp, n_calls):
    """Have `N_THREADS` threads call a pipeline at the same time.

    n_calls (int): Calls of each thread.
    RETURNS (List[str]): What went wrong, a line for each call.
    """
    expected = [get_output(nlp(text)) for text in TEXTS]
    barrier = Barrier(N_THREADS)

    def work(thread):
        failures = []
        barrier.wait()
        for call in range(n_calls):
            i = (call + thread) % len(TEXTS)
            try:
                output = get_output(nlp(TEXTS[i]))
            except Exception as error:
                failures.append(f"{type(error).__name__}: {error}")
                continue
            if output != expected[i]:
                failures.append(f"{TEXTS[i]!r}: {output} instead of {expected[i]}")
        return failures

    with ThreadPoolExecutor(N_THREADS) as pool:
        return [failure for failures in pool.map(work, range(N_THREADS)) for failure in failures]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000, help="of each thread")
    args = parser.parse_args()
    n_failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for head in HEADS:
            failures = run_threads(make_pipeline(Path(folder) / head, head), args.calls)
            n_failures += len(failures)
            n_calls = N_THREADS * args.calls
            typer.echo(f"{head}: {n_calls} calls of {N_THREADS} threads, {len(failures)} wrong")
            typer.echo("\n".join(failures[:3]))
    return min(n_failures, 1)


if __name__ == "__main__":
    sys.exit(main())
