"""A stand-in for CuPy, with arrays in the memory of the CPU. What CuPy refuses raises a TypeError:
arrays of NumPy and tensors of torch among its operands, and conversions to NumPy without `.get()`.
What takes time on a GPU is counted by the package that asked for it: launches of kernels, copies to
the device and to the host, and waits for a value that the host needs.

It has the part of CuPy's interface that thinc and this package use. Only the folder of this file
makes it importable: see tests/gpu/gpu.py.
"""

import sys
import types
from collections import Counter

import numpy

__version__ = "13.4.0"

# An event counts for the package of the innermost frame of one of these modules. So thinc's layers
# count for thinc, and its ops for who uses them.
MODULES = ("spacy_bert_ner", "spacy_transformers", "spacy", "thinc.layers", "thinc.optimizers")
# Numbers of "launches", "to_device", "to_host" and "waits", by package and line.
EVENTS = Counter()


def count(kind, times=1):
    """Count an event for the package that asked for it: see MODULES."""
    frame = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if any(f"{module}.".startswith(f"{name}.") for name in MODULES):
            EVENTS[kind, module.split(".")[0], f"{module}:{frame.f_lineno}"] += times
            return
        frame = frame.f_back
    EVENTS[kind, "other", ""] += times


def to_operand(value):
    """RETURNS (Any): An argument of a kernel as NumPy takes it; arrays may be within lists."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, (list, tuple)):
        return type(value)(map(to_operand, value))
    if isinstance(value, numpy.ndarray) or type(value).__module__.split(".")[0] == "torch":
        raise TypeError(f"Unsupported type {type(value)}")
    return value


def to_result(value):
    """RETURNS (Any): What a function of NumPy gave, with the arrays of this module."""
    if isinstance(value, (numpy.ndarray, numpy.generic)):
        return ndarray(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(to_result, value))
    return value


def launch(function, *args, **kwargs):
    """RETURNS (Any): The result of a function of NumPy for arrays of this module."""
    count("launches")
    kwargs = {name: to_operand(value) for name, value in kwargs.items()}
    return to_result(function(*map(to_operand, args), **kwargs))


class ndarray:
    """An array of the device.

    host (ndarray): Its values.
    """

    def __init__(self, host):
        self._host = numpy.asarray(host)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(self._host, name)
        if not callable(value):  # shape, dtype, size, …
            return value
        return lambda *args, **kwargs: launch(value, *args, **kwargs)

    def __reduce__(self):
        return ndarray, (self._host,)

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed: use `.get()`.")

    def __array_ufunc__(self, function, method, *args, out=None, **kwargs):
        if method != "__call__" or out is not None:
            raise TypeError(f"No kernel for numpy.{function.__name__}.{method}")
        return launch(function, *args, **kwargs)

    def __array_function__(self, function, types, args, kwargs):
        return launch(function, *args, **kwargs)

    def get(self):
        count("to_host")
        return self._host.copy()

    def set(self, array):
        count("to_device")
        self._host[...] = array

    def nonzero(self):
        count("waits")  # for the size of the result
        return launch(self._host.nonzero)

    # Without a kernel.

    @property
    def T(self):
        return ndarray(self._host.T)

    def reshape(self, *shape):
        return ndarray(self._host.reshape(*shape))

    def view(self, dtype):
        return ndarray(self._host.view(dtype))

    def toDlpack(self):
        import torch

        return torch.utils.dlpack.to_dlpack(torch.from_numpy(self._host))

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, places):
        is_view, places = to_index(places)
        if not is_view:
            count("launches")
        return ndarray(self._host[places])

    def __setitem__(self, places, value):
        _, places = to_index(places)
        launch(lambda host: self._host.__setitem__(places, host), value)


def to_index(places):
    """RETURNS (Tuple[bool, Any]): Whether an index gives a view, and the index for NumPy. Lists and
    arrays of NumPy are allowed here, and copied to the device."""
    parts = places if isinstance(places, tuple) else (places,)
    is_view = True
    for part in parts:
        if isinstance(part, (list, numpy.ndarray)):
            count("to_device")
        if isinstance(part, (list, numpy.ndarray, ndarray)):
            is_view = False
            if numpy.asarray(getattr(part, "_host", part)).dtype == bool:
                count("waits")
    taken = tuple(getattr(part, "_host", part) for part in parts)
    return is_view, taken if isinstance(places, tuple) else taken[0]


def _add_operators():
    binary = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or"]
    names = [prefix + name for name in binary for prefix in ("", "r", "i")]
    names += ["lt", "le", "gt", "ge", "eq", "ne", "neg", "abs", "invert"]

    def make(name):
        def operate(self, *args):
            result = launch(getattr(self._host, name), *args)
            return self if name.startswith("__i") and args else result

        return operate

    def make_wait(name):
        def convert(self, *args):
            count("waits")
            return getattr(self._host, name)(*args)

        return convert

    for name in names:
        setattr(ndarray, f"__{name}__", make(f"__{name}__"))
    for name in ("item", "tolist", "__float__", "__int__", "__bool__", "__index__"):
        setattr(ndarray, name, make_wait(name))


_add_operators()


def array(data, dtype=None, copy=True):
    if isinstance(data, ndarray):
        return launch(numpy.array, data, dtype=dtype)
    if type(data).__module__.split(".")[0] == "torch":
        raise TypeError(f"Unsupported type {type(data)}")
    count("to_device")
    host = numpy.array(data, dtype=dtype)
    if host.dtype.kind not in "biuf":
        raise ValueError(f"Unsupported dtype {host.dtype}")
    return ndarray(host)


def asarray(data, dtype=None):
    if isinstance(data, ndarray) and dtype in (None, data.dtype):
        return data
    return array(data, dtype=dtype)


def ascontiguousarray(data, dtype=None):
    host = to_operand(data)
    result = numpy.ascontiguousarray(host, dtype=dtype)
    if result is not host:
        count("launches")
    return ndarray(result)


def concatenate(arrays, axis=0):
    arrays = list(arrays)
    if not all(isinstance(array, ndarray) for array in arrays):
        raise TypeError("Only cupy arrays can be concatenated")
    return launch(numpy.concatenate, arrays, axis=axis)


def split(data, sections, axis=0):
    return to_result(numpy.split(to_operand(data), sections, axis))  # views


def nonzero(data):
    return data.nonzero()


def asnumpy(data):
    return data.get() if isinstance(data, ndarray) else numpy.asarray(data)


def save(file, data):
    numpy.save(file, asnumpy(data))


def get_array_module(*args):
    on_device = any(isinstance(arg, ndarray) for arg in args)
    return sys.modules[__name__] if on_device else numpy


def from_dlpack(capsule):
    import torch

    return ndarray(torch.utils.dlpack.from_dlpack(capsule).numpy())


def __getattr__(name):
    value = getattr(numpy, name)
    if isinstance(value, type) or not callable(value):  # float32, newaxis, …
        return value
    return lambda *args, **kwargs: launch(value, *args, **kwargs)


class ElementwiseKernel:
    """Only that of thinc's Adam."""

    def __init__(self, inputs, outputs, operation, name):
        assert name == "adam", name

    def __call__(self, gradient, learn_rate, keep1, keep2, eps, weights, mom1, mom2):
        def step(gradient, weights, mom1, mom2):
            mom1 += keep1 * (gradient - mom1)
            mom2 += keep2 * (gradient * gradient - mom2)
            weights -= learn_rate * mom1 / (numpy.sqrt(mom2) + eps)

        launch(step, gradient, weights, mom1, mom2)


class _Kernel:
    """A kernel in C, of which thinc makes many. `gpu.install` replaces the functions that run
    them."""

    def __init__(self, *args, **kwargs):
        pass


RawKernel = RawModule = ReductionKernel = _Kernel


def _make_module(name, **content):
    module = types.ModuleType(f"cupy.{name}")
    vars(module).update(content)
    sys.modules[module.__name__] = module
    return module


class _Device:
    def __init__(self, number):
        assert number == 0

    def use(self):
        pass


def _get_norm(vector):
    assert vector.ndim == 1 and vector.flags["C_CONTIGUOUS"]
    return launch(numpy.linalg.norm, vector)


def _draw(function):
    """Random numbers of the device: those of NumPy, so that a seed gives the same on a CPU."""
    return lambda *args: launch(getattr(numpy.random, function), *args)


class _Pool:
    def free_all_blocks(self):
        pass


cublas = _make_module("cublas", nrm2=_get_norm)
random = _make_module(
    "random",
    seed=lambda seed: None,
    **{name: _draw(name) for name in ("uniform", "normal", "random_sample")},
)
cuda = _make_module("cuda")
cuda.device = _make_module("cuda.device", Device=_Device)
cuda.runtime = _make_module("cuda.runtime", getDeviceCount=lambda: 1, CUDARuntimeError=RuntimeError)
linalg = _make_module("linalg", norm=lambda data: launch(numpy.linalg.norm, data))
get_default_memory_pool = _Pool
