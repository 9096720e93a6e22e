"""spaCy's own format: DocBin, which is read and written as a whole."""

import json
import zlib
from pathlib import Path
from typing import IO, Any, Dict, Iterable, Iterator, List, NamedTuple

import numpy
import srsly
from spacy.attrs import DEP, ENT_ID, ENT_KB_ID, ENT_TYPE, LEMMA, MORPH, NORM, ORTH, POS, TAG
from spacy.errors import Errors
from spacy.language import Language
from spacy.parts_of_speech import NAMES
from spacy.tokens import Doc, DocBin

from ..errors import UserError
from ..tagging.soft_labels import get_soft_labels
from .files import RECORD_KEY, open_bytes
from .output import replace_file
from .report import FormatError, Report
from .source import Source, Watched
from .spans import INCORRECT_KEY

# Number of bytes for the length of a piece.
SIZE = 8
# Maximum size of an unpacked file: this many bytes, or this many times the size of the file. A
# million tokens need about 120 MB, and a tenth to a thirtieth of that in a file.
MOST = 1 << 28
MOST_TIMES = 200
# Attributes of tokens that are hashes of strings.
STRINGS = (ORTH, TAG, LEMMA, DEP, NORM, MORPH, ENT_TYPE, ENT_KB_ID, ENT_ID)
UNLABELED = (
    "documents have span groups and no entities: the groups are kept, but not read as entities"
)


class Piece(NamedTuple):
    """A document of a DocBin, and its number from 1."""

    path: Path
    number: int
    packed: DocBin


def read(source: Source) -> Iterator[Piece]:
    """YIELDS (Piece): The documents, one at a time.
    RAISES (ValueError): For a file that isn't a DocBin, or is too large when unpacked.

    source (Source): The input.
    """
    packed = _load(source.path)
    if isinstance(source.path, Watched):
        source.path.n_records = len(packed)
    for string in packed.strings:
        source.nlp.vocab.strings.add(string)
    for i in range(len(packed)):
        yield Piece(source.path, i + 1, _pick(packed, i))


def _load(path: Path) -> DocBin:
    """RETURNS (DocBin): The documents of a file.
    RAISES (ValueError): For a file that isn't a DocBin, or is too large when unpacked.
    """
    with open_bytes(path) as file:
        data = file.read()
    try:
        _check_lengths(srsly.msgpack_loads(_unpack(path, data)))
        packed = DocBin().from_bytes(data)
        packed.strings = {str.__str__(string) for string in packed.strings}  # TypeError for others
        parts: List[Any] = [packed.tokens, packed.spaces, packed.cats]
        parts += [packed.span_groups, packed.flags]
        if not all(isinstance(part, list) for part in parts):
            raise TypeError("its parts aren't lists.")
        lengths = set(map(len, parts))
    except FormatError:
        raise
    # Any exception: which one is raised depends on the content of the file.
    except Exception as error:
        raise FormatError(f"Can't read {path}: {Errors.E1014} {_show(error)}") from error
    if len(lengths) > 1:
        counts = ", ".join(map(str, sorted(lengths)))
        raise FormatError(
            f"Can't read {path}: its parts contain different numbers of documents ({counts}), so "
            "it is damaged. Create it again."
        )
    return packed


def _unpack(path: Path, data: bytes) -> bytes:
    """RETURNS (bytes): The unpacked content of a file.
    RAISES (ValueError): If it is too large. zlib.error: If it isn't compressed.
    """
    limit = max(MOST, MOST_TIMES * len(data))
    message = zlib.decompressobj().decompress(data, limit + 1)
    if len(message) > limit:
        raise FormatError(
            f"Can't read {path}: its {len(data)} bytes unpack to more than {limit} bytes, the "
            "limit. If the file is yours, write it as several files, each with a part of the "
            "documents."
        )
    return message


def _check_lengths(message: Dict[str, Any]) -> None:
    """RAISES (ValueError): If the lengths of the documents don't add up to the number of tokens:
    spaCy would cut off the last tokens."""
    lengths = numpy.frombuffer(message["lengths"], dtype="int32")
    n_tokens = len(message["spaces"])
    if (lengths < 0).any() or lengths.sum() != n_tokens:
        raise UserError(f"the lengths of its documents don't add up to its {n_tokens} tokens.")
    if len(message["tokens"]) != 8 * len(message["attrs"]) * n_tokens:
        raise UserError(f"it doesn't have the attributes of {n_tokens} tokens.")


def _pick(packed: DocBin, i: int) -> DocBin:
    """A DocBin with only one document, so that it can be left out."""
    piece = DocBin()
    for name in ("tokens", "spaces", "cats", "span_groups", "flags", "user_data"):
        setattr(piece, name, getattr(packed, name)[i : i + 1])
    piece.attrs = packed.attrs
    return piece


def _show(error: Exception) -> str:
    """An error in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def parse(nlp: Language, piece: Piece, report: Report) -> Doc:
    """RETURNS (Doc): The document, with all its data in the file.
    RAISES (ValueError): For a damaged document, with its number.

    nlp (Language): Its tokenizer and vocabulary are used.
    piece (Piece): The document in the file.
    report (Report): Counts what doesn't fit.
    """
    try:
        _check_tokens(nlp, piece.packed)
        (doc,) = piece.packed.get_docs(nlp.vocab)
        _check_doc(doc)
    # Any exception, see `_load`.
    except Exception as error:
        raise FormatError(
            f"Can't read record {piece.number} of {piece.path}, which is damaged: {_show(error)} "
            "Create it again, or skip it with --on-error skip (convert, annotate)."
        ) from error
    if set(doc.spans) - {INCORRECT_KEY} and not doc.has_annotation("ENT_IOB"):
        report.add(UNLABELED, f"{', '.join(doc.spans)} (record {piece.number})")
    return doc


def _check_tokens(nlp: Language, packed: DocBin) -> None:
    """RAISES (ValueError): For hashes without a string. spaCy only raises an error when they are
    used."""
    (tokens,) = packed.tokens
    for attr, column in zip(packed.attrs, tokens.T):
        values: List[int] = numpy.unique(column).tolist()
        if attr in STRINGS:
            strings: Any = nlp.vocab.strings
            unknown = [value for value in values if value and value not in strings]
        else:
            unknown = [value for value in values if attr == POS and value not in NAMES]
        if unknown:
            raise UserError(f"no string has the hash {unknown[0]}.")


def _check_doc(doc: Doc) -> None:
    """RAISES (ValueError): For entities, spans and other data that can't be used."""
    if not isinstance(doc.cats, dict):
        raise UserError(f"its categories have the type {type(doc.cats).__name__}, not dict.")
    json.dumps(_get_record(doc))
    get_soft_labels(doc)
    list(doc.ents)  # raises an error for an I- tag without a beginning
    for key, group in doc.spans.items():
        for span in group:
            if not 0 <= span.start <= span.end <= len(doc):
                raise UserError(
                    f"a span of '{key}' covers tokens {span.start} to {span.end} of {len(doc)}."
                )
            if span.label and span.label not in doc.vocab.strings:
                raise UserError(f"no string has the hash {span.label}.")


def _get_record(doc: Doc) -> Any:
    record = doc.user_data.get(RECORD_KEY, {})
    if not isinstance(record, dict):
        raise UserError(f"its record has the type {type(record).__name__}, not dict.")
    return record


class DocBinWriter:
    """Writes documents with their span groups and their user data. The format begins with data of
    all documents: they are packed in pieces, which are merged at the end."""

    def write(self, path: Path, docs: Iterable[Doc], report: Report) -> None:
        """See `Writer.write`."""
        packed = DocBin(store_user_data=True, docs=docs)
        with replace_file(path) as file:
            file.write(packed.to_bytes())

    def pack(self, docs: Iterable[Doc], report: Report, is_first: bool) -> Iterator[bytes]:
        """YIELDS (bytes): The length of a piece, then the piece.

        docs (Iterable[Doc]): A batch.
        report (Report): Not used: nothing is left out.
        is_first (bool): Not used: all pieces have the same form.
        """
        packed = DocBin(store_user_data=True, docs=docs)
        if len(packed):
            piece = packed.to_bytes()
            yield len(piece).to_bytes(SIZE, "big") + piece

    def end(self, is_empty: bool) -> bytes:
        """See `Writer.end`."""
        return b""

    def place(self, file: IO[bytes], part: Path, target: Path) -> None:
        """Merge the pieces, which are all loaded into memory.

        file (IO[bytes]): The pieces, open and locked.
        part (Path): Path of the pieces.
        target (Path): Path of the output.
        RAISES (ValueError): If the pieces were changed.
        """
        packed = DocBin(store_user_data=True)
        file.seek(0)
        try:
            while size := file.read(SIZE):
                piece = file.read(int.from_bytes(size, "big"))
                packed.merge(DocBin(store_user_data=True).from_bytes(piece))
        # Any exception, see `_load`.
        except Exception as error:
            raise FormatError(
                f"Can't finish {target}: {part} was changed after it was written, and can't be "
                f"read ({_show(error)}). Use --restart to start from the beginning."
            ) from error
        with replace_file(target) as merged:
            merged.write(packed.to_bytes())
        file.close()
        part.unlink()
