"""Documents on their way to another process of this computer. `Doc.to_bytes` and `Doc.from_bytes`
would call msgpack up to eight times for a document, and srsly searches the metadata of all
installed packages in each call: together milliseconds, as much as an encoder needs for a text."""

import pickle
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Tuple

from spacy.tokens import Doc, Span, SpanGroup
from spacy.vocab import Vocab

# Left out: what `PackedDoc` has, and what no format writes.
LEFT_OUT = ("user_data", "spans", "tensor", "user_hooks")


class PackedDoc(NamedTuple):
    """A document, to be pickled.

    tokens (Dict[str, Any]): Its tokens, their annotation and its categories, from `Doc.to_dict`.
    user_data (bytes): Its user data, without what can't be pickled, such as spans: no format can
        write that.
    groups (List[Tuple]): For each key in `doc.spans`, the group's name, attributes and spans: first
        token, the one after the last, label, knowledge base id and id.
    """

    tokens: Dict[str, Any]
    user_data: bytes
    groups: List[Tuple[str, str, Dict[str, Any], List[Tuple[int, int, int, int, int]]]]


def pack(docs: Iterable[Doc]) -> List[PackedDoc]:
    """RETURNS (List[PackedDoc]): Documents, to send to another process.

    docs (Iterable[Doc]): The documents.
    """
    return [
        PackedDoc(
            doc.to_dict(exclude=LEFT_OUT),
            _pickle(doc.user_data),
            [
                (key, group.name, dict(group.attrs), [_to_ids(span) for span in group])
                for key, group in doc.spans.items()
            ],
        )
        for doc in docs
    ]


def unpack(vocab: Vocab, packed: Iterable[PackedDoc]) -> Iterator[Doc]:
    """YIELDS (Doc): The documents.

    vocab (Vocab): Their vocabulary.
    packed (Iterable[PackedDoc]): The output of `pack`.
    """
    for tokens, user_data, groups in packed:
        doc = Doc(vocab, user_data=pickle.loads(user_data)).from_dict(tokens)
        for key, name, attrs, spans in groups:
            found = [_to_span(doc, ids) for ids in spans]
            doc.spans[key] = SpanGroup(doc, name=name, attrs=attrs, spans=found)
        yield doc


def _pickle(user_data: Dict[Any, Any]) -> bytes:
    try:
        return pickle.dumps(user_data)
    # Any exception: classes raise their own, such as E112 of spans.
    except Exception:
        return pickle.dumps({key: user_data[key] for key in user_data if _is_sent(user_data[key])})


def _is_sent(value: Any) -> bool:
    try:
        pickle.dumps(value)
    except Exception:
        return False
    return True


def _to_ids(span: Span) -> Tuple[int, int, int, int, int]:
    return span.start, span.end, span.label, span.kb_id, span.id


def _to_span(doc: Doc, ids: Tuple[int, int, int, int, int]) -> Span:
    start, end, label, kb_id, span_id = ids
    return Span(doc, start, end, label=label, kb_id=kb_id, span_id=span_id)
