"""Trainings and evaluations, as spaCy's commands do them."""

import os
from contextlib import redirect_stdout

from spacy.cli.evaluate import evaluate
from spacy.cli.train import train


def train_pipeline(config, output, overrides=None, gpu_id=-1):
    """Train in this process, without a word.

    config (Path): Config file.
    output (Path): Folder of model-best and model-last.
    overrides (Optional[dict]): Settings by their dotted names.
    gpu_id (int): -1 for the CPU.
    """
    overrides = {"training.logger.progress_bar": False, **(overrides or {})}
    with open(os.devnull, "w") as devnull, redirect_stdout(devnull):
        train(config, output, overrides=overrides, use_gpu=gpu_id)


def evaluate_pipeline(model, data, gpu_id=-1):
    """Evaluate a saved pipeline in this process.

    model (Path): Its folder.
    data (Path): Labelled documents in spaCy's format.
    gpu_id (int): -1 for the CPU.
    RETURNS (dict): The scores.
    """
    return evaluate(str(model), data, use_gpu=gpu_id, silent=True)
