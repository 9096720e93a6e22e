"""How fast are many short texts read, a sentence each?

    python benchmarks/short_texts.py [--texts 1000] [--repeats 3] [--batch-size 256]

Writes results/short_texts.md, .json and .png.
"""

import argparse

from systems import make_texts
from throughput import compare


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=256)
    args = parser.parse_args()
    compare(
        "short_texts",
        "Short texts",
        make_texts(args.texts, 1),
        repeats=args.repeats,
        batch_size=args.batch_size,
    )


if __name__ == "__main__":
    main()
