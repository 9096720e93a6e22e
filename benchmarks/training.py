"""How fast is training, and does it learn the same?

    python benchmarks/training.py [--steps 30]

Every step is taken by each system in turn, on the same 32 sentences of the sample corpus: a plain
Hugging Face loop (padded to the longest, first pieces labelled, AdamW), bert_ner with the same
weights to begin with, and spaCy's transformer + ner. Dropout is that of the encoder's config.
Writes results/training.md, .json and .png.
"""

import argparse
import statistics
import time

import torch
from harness import report
from systems import (
    BATCH_SIZE,
    LEARN_RATE,
    TRAIN,
    make_bert_ner,
    make_examples,
    make_hf_inputs,
    make_hf_model,
    make_spacy_ner,
    read_tagged,
    update,
)
from thinc.api import Adam, fix_random_seed
from transformers import AutoTokenizer

from spacy_bert_ner.model.encoder.precision import has_bf16

HF = "Hugging Face loop"
N_WARM_UP = 2


def make_hf_step(tags, state):
    """RETURNS (Callable): Takes sentences, words and tags; returns the loss."""
    from systems import ENCODER

    model = make_hf_model(tags)
    model.classifier.load_state_dict(state)
    tokenizer = AutoTokenizer.from_pretrained(ENCODER)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARN_RATE, weight_decay=0.01)
    model.train()

    def step(batch):
        inputs = make_hf_inputs(tokenizer, batch, model.config.label2id)
        loss = model(**inputs).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step


def make_spacy_step(nlp, head):
    """RETURNS (Callable): As `make_hf_step`.

    head (str): Name of the component whose loss is returned.
    """
    optimizer = Adam(LEARN_RATE, L2=0.01, grad_clip=1.0, use_averages=False)
    return lambda batch: update(nlp, make_examples(nlp, batch), optimizer)[head]


def make_systems(data):
    """RETURNS (dict): Functions that take a batch and return the loss, by name."""
    fix_random_seed(0)
    first = make_bert_ner()
    layer = first.get_pipe("bert_ner").model.get_ref("output_layer")
    head = {name: layer.get_param(name).copy() for name in ("W", "b")}
    tags = first.get_pipe("bert_ner").tag_set.tags
    state = {"weight": torch.from_numpy(head["W"]), "bias": torch.from_numpy(head["b"])}
    systems = {HF: make_hf_step(tags, state)}
    for precision in ["fp32", "bf16"] if has_bf16("cpu") else ["fp32"]:
        nlp = make_bert_ner(precision=precision)
        for name, value in head.items():
            nlp.get_pipe("bert_ner").model.get_ref("output_layer").set_param(name, value.copy())
        systems[f"bert_ner, {precision}"] = make_spacy_step(nlp, "bert_ner")
    systems["spaCy transformer + ner"] = make_spacy_step(make_spacy_ner("strided"), "ner")
    return systems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    args = parser.parse_args()
    data = read_tagged([TRAIN])
    systems = make_systems(data)
    losses = {name: [] for name in systems}
    speeds = {name: [] for name in systems}
    for i in range(args.steps):
        first = i * BATCH_SIZE % (len(data) - BATCH_SIZE)
        batch = data[first : first + BATCH_SIZE]
        n_words = sum(len(words) for words, _ in batch)
        for name, step in systems.items():
            start = time.perf_counter()
            losses[name].append(step(batch))
            speeds[name].append(n_words / (time.perf_counter() - start))
    rows = []
    thirds = [slice(k * args.steps // 3, (k + 1) * args.steps // 3) for k in range(3)]
    for name in systems:
        ratios = [a / b for a, b in zip(speeds[name], speeds[HF])][N_WARM_UP:]
        row = {
            "system": name,
            "words_per_second": round(statistics.median(speeds[name][N_WARM_UP:])),
            "of_Hugging_Face_loop": round(statistics.median(ratios), 2),
        }
        for label, third in zip(("first", "second", "last"), thirds):
            row[f"loss_of_{label}_third"] = round(statistics.mean(losses[name][third]), 3)
        rows.append(row)

    def plot(axes):
        for name in systems:
            if "spaCy" not in name:  # whose loss is another one
                axes.plot(losses[name], label=name)
        axes.set_xlabel("step")
        axes.set_ylabel("mean cross-entropy")
        axes.legend()

    notes = (
        f"{args.steps} steps of {BATCH_SIZE} sentences, each by all systems in turn; medians of "
        "the steps and of their ratios. The loss of spaCy's ner is another one.",
    )
    report("training", "Training", rows, notes=notes, plot=plot)


if __name__ == "__main__":
    main()
