"""Tiny checkpoints of token classifiers."""

import torch
import transformers

from .. import toy

# Our order of tags is another one: the rows have to be permuted.
NAMES = ["B-LOC", "I-LOC", "O", "I-PER", "B-PER"]
TEXTS = [
    "Anna lives in Oslo , she says .",
    "ab oslo cd in Oslo",
    "a",
    "Karl met Anna , in New York !",
]

LISTENER = {
    "@architectures": "spacy-transformers.TransformerListener.v1",
    "grad_factor": 1.0,
    "pooling": {"@layers": "spacy-bert-ner.reduce_first.v1"},
}


def make_checkpoint(
    folder, family="bert", names=NAMES, *, model_class="TokenClassification", sharp=True, **settings
):
    """Save a random token classifier with a tokenizer.

    names (list): Names of its labels.
    model_class (str): Another Auto class, by what follows AutoModelFor.
    sharp (bool): Give it a strong opinion on each piece, so that it finds many entities.
    RETURNS (str): The folder.
    """
    encoder = toy.make_encoder(family, **settings)
    config = encoder.model.config
    config.id2label = dict(enumerate(names))
    config.label2id = {name: i for i, name in enumerate(names)}
    torch.manual_seed(1)
    auto_class = getattr(transformers, f"AutoModelFor{model_class}")
    model = auto_class.from_config(config).eval()
    if sharp:
        with torch.no_grad():
            for name, param in model.named_parameters():
                if name.split(".")[0] in ("classifier", "score"):
                    param.normal_(std=2.0)
    model.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    return str(folder)


def get_hf_logits(path, texts):
    """Logits of Hugging Face's own class at the first piece of each word between spaces.

    RETURNS (list): By text, float32, (n_words, n_labels).
    """
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    model = transformers.AutoModelForTokenClassification.from_pretrained(path).eval()
    output = []
    for text in texts:
        inputs = tokenizer(text, return_offsets_mapping=True, return_tensors="pt")
        offsets = inputs.pop("offset_mapping")[0].tolist()
        with torch.inference_mode():
            result = model(inputs["input_ids"], attention_mask=inputs["attention_mask"])
            logits = result.logits[0].numpy()
        starts = [i for i, char in enumerate(text) if char != " " and (not i or text[i - 1] == " ")]
        rows = [
            next(j for j, (a, b) in enumerate(offsets) if a <= start < b and text[a:b].strip())
            for start in starts
        ]
        output.append(logits[rows])
    return output
