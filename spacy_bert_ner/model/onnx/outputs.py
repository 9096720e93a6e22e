"""What an encoder has just read, so that it reads each document once for all components of a
pipeline that share it."""

import threading
from typing import Callable, FrozenSet, List, NamedTuple, Optional, Sequence
from weakref import ReferenceType, WeakKeyDictionary, ref

import numpy
from spacy.tokens import Doc
from thinc.shims import Shim

from ...types import Bools1d, Floats2d
from ..encoder.windows import Windows

# The vectors of this many wordpieces are kept for other components: 100 MB with a width of 384.
KEPT_PIECES = 65_536

UserT = ReferenceType[Shim]


class Output(NamedTuple):
    """The output of an encoder for a document.

    user (ReferenceType[Shim]): Who has read the document last.
    waiting (FrozenSet[ReferenceType[Shim]]): Who hasn't read it yet.
    windows (Windows): What was read.
    vectors (Optional[Floats2d]): Vectors of the wordpieces, float32, (n_rows, width); None if
        nobody waits for them.
    """

    user: UserT
    waiting: FrozenSet[UserT]
    windows: Windows
    vectors: Optional[Floats2d]

    def find(self, windows: Windows) -> Optional[Floats2d]:
        """RETURNS (Optional[Floats2d]): The vectors, if these are the windows that were read, and
        they are kept.

        windows (Windows): The windows of the document now.
        """
        is_same = numpy.array_equal(self.windows.ids, windows.ids) and numpy.array_equal(
            self.windows.starts, windows.starts
        )
        return self.vectors if is_same else None


class RecentOutputs(threading.local):
    """The outputs of an encoder for the last documents of a thread. Components that share the
    encoder get vectors from here instead of running it again, if they read the same wordpieces in
    the same windows. Vectors are kept until all who have used the encoder in this thread got them,
    or until it reads other documents, and never longer than their document exists."""

    def __init__(self) -> None:
        self._users: FrozenSet[UserT] = frozenset()
        self._outputs: WeakKeyDictionary[Doc, Output] = WeakKeyDictionary()

    def read(
        self,
        shim: Shim,
        docs: Sequence[Doc],
        cut: Sequence[Windows],
        encode: Callable[[List[Windows]], List[Floats2d]],
    ) -> List[Floats2d]:
        """Read documents, unless others that share the encoder have just read them.

        shim (Shim): Who reads them.
        docs (Sequence[Doc]): The documents.
        cut (Sequence[Windows]): Their windows.
        encode (Callable): Runs the encoder on the windows of documents, and returns the vectors of
            each document.
        RETURNS (List[Floats2d]): Vectors of wordpieces, float32, (n_rows, width).
        """
        before = [self._outputs.get(doc) for doc in docs]
        known = [old and old.find(windows) for old, windows in zip(before, cut)]
        unknown = [windows for windows, X in zip(cut, known) if X is None]
        if unknown:
            self._outputs = WeakKeyDictionary()
        new = iter(encode(unknown))
        user = ref(shim)
        vectors = []
        room = KEPT_PIECES
        for doc, windows, old, X in zip(docs, cut, before, known):
            waiting = self._get_waiting(user, old)
            X = next(new) if X is None else X
            room -= len(windows.ids)
            is_kept = waiting and room >= 0
            self._outputs[doc] = Output(user, waiting, windows, X if is_kept else None)
            vectors.append(X)
        self._users = frozenset(other for other in self._users if other() is not None) | {user}
        return vectors

    def _get_waiting(self, user: UserT, old: Optional[Output]) -> FrozenSet[UserT]:
        """RETURNS (FrozenSet[ReferenceType[Shim]]): Who hasn't read a document after this user: all
        others if it is the first."""
        is_first = old is None or (user in self._users and user not in old.waiting)
        return (self._users if old is None or is_first else old.waiting) - {user}

    def get_read(self, shim: Shim, docs: Sequence[Doc]) -> List[Optional[Bools1d]]:
        """Find the tokens that have wordpieces, in documents that were just read.

        shim (Shim): Who has read them.
        docs (Sequence[Doc]): The documents.
        RETURNS (List[Optional[Bools1d]]): bool, (n_tokens,); None where it is unknown.
        """
        return [self._find_read(shim, doc) for doc in docs]

    def _find_read(self, shim: Shim, doc: Doc) -> Optional[Bools1d]:
        output = self._outputs.get(doc)
        if output is None or output.user() is not shim:
            return None
        has_pieces = output.windows.has_pieces
        return has_pieces if len(has_pieces) == len(doc) else None  # tokens may be merged
