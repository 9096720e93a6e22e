"""What the tests of formats share."""

import json

import spacy
from spacy.tokens import Doc

from spacy_bert_ner.formats import Report, read_docs, write_docs

NLP = spacy.blank("xx")


def make_doc(words, tags, **settings):
    """A document of IOB tags, with - for tokens that are missing annotation."""
    ents = ["O" if tag == "-" else tag for tag in tags]
    doc = Doc(NLP.vocab, words=words, ents=ents, **settings)
    missing = [doc[i : i + 1] for i, tag in enumerate(tags) if tag == "-"]
    doc.set_ents([], missing=missing, default="unmodified")
    return doc


def read_records(tmp_path, records, name, suffix=".json"):
    """Documents of records, or of one, and the report."""
    path, report = tmp_path / f"records{suffix}", Report()
    records = [records] if isinstance(records, dict) else records
    path.write_text(json.dumps(records), encoding="utf-8")
    return list(read_docs(path, NLP, name, report)), report


def write_records(tmp_path, docs, name):
    """What is written of documents, and the report."""
    path, report = tmp_path / "written", Report()
    write_docs(path, docs, name, report)
    text = path.read_text(encoding="utf-8")
    if text.startswith("["):
        return json.loads(text), report
    return [json.loads(line) for line in text.splitlines()], report


def ents_of(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


def words_of(doc):
    return [token.text for token in doc]


def sents_of(doc):
    return [len(sent) for sent in doc.sents]


def tags_of(doc):
    """IOB tags, - for tokens that are missing annotation."""
    return [
        f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else token.ent_iob_ or "-"
        for token in doc
    ]


def found(report):
    """Counts of what doesn't fit, by the words that its description begins with."""
    return {what: finding.n for what, finding in report.findings.items()}
