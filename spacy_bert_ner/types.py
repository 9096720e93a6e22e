"""Types of NumPy arrays by kind and number of dimensions, for code that only runs on the CPU.
Thinc's types of the same names are for arrays on any device."""

from typing import Any, Literal

import numpy
from numpy.typing import NDArray

Bools1d = NDArray[numpy.bool_]
Bools2d = NDArray[numpy.bool_]
Ints1d = NDArray[Any]
Ints2d = NDArray[Any]
Floats1d = NDArray[Any]
Floats2d = NDArray[Any]
Floats3d = NDArray[Any]
FloatsXd = NDArray[Any]  # of any number of dimensions

# What a model outputs for each tag of a token, see `model.heads.Head`.
Output = Literal["probabilities", "logits", "emissions"]
