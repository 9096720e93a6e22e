"""A real GPU, with the names of `gpu`."""

from contextlib import contextmanager

from thinc.api import require_cpu, require_gpu

IS_REAL = True


def install():
    """Use the GPU from now on, in this thread."""
    require_gpu()


@contextmanager
def using_cpu():
    """Use the CPU for a while."""
    require_cpu()
    try:
        yield
    finally:
        require_gpu()
