"""Words per second of every system on the same texts, in one run."""

from functools import partial

from harness import fastest, measure, report, to_rows
from systems import (
    count_words,
    load_bert_ner,
    load_spacy_ner,
    make_hf_pipeline,
    make_hf_token_pipe,
    make_raw,
    split_sentences,
)

from spacy_bert_ner.model.encoder.precision import has_bf16

BATCH_SIZES = (1, 8, 32)
LIMIT = "raw limit"
SLOW = "spaCy transformer + ner, sentence spans"
NOTES = (
    "raw limit: tokenizer and forward pass alone, sentences sorted by length, torch's own kernels. "
    "In our kernels: the same as bert_ner runs it.",
    "Hugging Face's batch size is the fastest of 1, 8 and 32; its pipeline gets sentences.",
)


def make_systems(texts, *, batch_size, without=()):
    """RETURNS (dict): Functions without arguments, by name; each has run once."""
    sentences = split_sentences(texts)
    some, some_sentences = texts[: max(1, len(texts) // 8)], sentences[: len(sentences) // 8]

    def pipe(nlp, texts=texts):
        return list(nlp.pipe(texts, batch_size=batch_size))

    precisions = ["fp32", "bf16"] if has_bf16("cpu") else ["fp32"]
    systems = {LIMIT: partial(make_raw(), sentences)}
    for precision in precisions:
        systems[f"raw, our kernels, {precision}"] = partial(make_raw(precision), sentences)
    for precision in precisions:
        for window in (128, 0):
            nlp = load_bert_ner(precision=precision, window=window)
            systems[f"bert_ner, {precision}, window {window}"] = partial(pipe, nlp)
    hf = make_hf_pipeline()
    best = fastest({size: partial(hf, some_sentences, size) for size in BATCH_SIZES})
    systems[f"Hugging Face pipeline, batch size {best}"] = partial(hf, sentences, best)
    peers = {size: make_hf_token_pipe(size) for size in BATCH_SIZES[:2]}
    if all(peers.values()):
        best = fastest({size: partial(pipe, nlp, some) for size, nlp in peers.items()})
        systems[f"hf_token_pipe, batch size {best}"] = partial(pipe, peers[best])
    for spans in ("strided", "sentences"):
        name = SLOW if spans == "sentences" else f"spaCy transformer + ner, {spans} spans"
        if name not in without:
            systems[name] = partial(pipe, load_spacy_ner(spans))
            pipe(systems[name].args[0], some)
    for name, run in systems.items():
        if "raw" in name or "bert_ner" in name:
            run()
    return systems


def compare(name, title, texts, *, repeats, batch_size, without=()):
    """Measure all systems and report."""
    n_words = count_words(texts)
    systems = make_systems(texts, batch_size=batch_size, without=without)
    rows = to_rows(measure(systems, repeats), n_words, LIMIT)
    title = f"{title}: {len(texts):,} texts, {n_words:,} words"
    notes = [*NOTES, f"Medians of {repeats} rounds in turn; nlp.pipe with batch_size {batch_size}."]
    report(name, title, rows, notes=notes)
