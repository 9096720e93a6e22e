"""F1 of a plain Hugging Face loop on WNUT-17, with the recipe of benchmarks/wnut17.yml.

    python benchmarks/hugging_face.py assets/wnut17 training/hugging_face [--seeds 1 2 3]

AutoModelForTokenClassification, AdamW, learning rate 2e-4, 32 tweets a step, 4 epochs, 10 %
warm-up, linear decay, the first piece of a word labelled, in float32; checkpoints that are in the
folder already are not trained again. A word has the tag of its first piece. F1 as seqeval counts it
by default, which is conlleval's way. Writes results/hugging_face.md, .json and .png.
"""

import argparse
import statistics
from pathlib import Path

import torch
from harness import plot_bars, report
from hf_equality import BATCH_SIZE, get_checkpoint, read_conll
from seqeval.metrics import f1_score
from systems import make_hf_inputs
from transformers import AutoModelForTokenClassification, AutoTokenizer


def predict(path, sentences):
    """RETURNS (list): The tags of the words of each sentence."""
    model = AutoModelForTokenClassification.from_pretrained(path).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)
    tags = []
    for start in range(0, len(sentences), BATCH_SIZE):
        batch = sentences[start : start + BATCH_SIZE]
        inputs = make_hf_inputs(tokenizer, batch, model.config.label2id)
        with torch.inference_mode():
            best = model(**inputs).logits.argmax(dim=2).tolist()
        for i, (words, _) in enumerate(batch):
            found = ["O"] * len(words)  # for words without pieces
            for tag, word in list(zip(best[i], inputs.word_ids(i)))[::-1]:  # the first is the last
                if word is not None:
                    found[word] = model.config.id2label[tag]
            tags.append(found)
    return tags


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    args = parser.parse_args()
    train = read_conll(args.data / "train.conll")
    rows = []
    for split in ("dev", "test"):
        sentences = read_conll(args.data / f"{split}.conll")
        gold = [tags for _, tags in sentences]
        scores = []
        for seed in args.seeds:
            path = get_checkpoint(train, args.output / f"seed-{seed}", seed)
            scores.append(100 * f1_score(gold, predict(path, sentences)))
        row = {"split": split, "f1": round(statistics.mean(scores), 2)}
        rows.append({**row, "by_seed": " ".join(f"{score:.2f}" for score in scores)})
    report(
        "hugging_face",
        "A plain Hugging Face loop on WNUT-17",
        rows,
        plot=lambda axes: plot_bars(axes, [{"system": row["split"], **row} for row in rows], "f1"),
    )


if __name__ == "__main__":
    main()
