"""How well and how fast the default classifier learns each data set, against the accuracy that we ask of it.

python benchmarks/classifiers.py [--threads N] [--data NAME[:PATH]] ...

Without `--data` it trains on scikit-learn's digits, 16x16 and 8x8. `--data fashion_mnist --data cifar10:FOLDER` takes
minutes for each. One thread is what `gansweep launch` uses. Every classifier is trained anew.
"""

import argparse
import tempfile
from pathlib import Path

import torch

from gansweep.data.cache import Images, open_images, prepare
from gansweep.data.sources import named
from gansweep.metrics.classifier import TrainedClassifier, read_meta

SIZES = {"digits": (16, 8), "fashion_mnist": (28,), "cifar10": (32,)}
WANTED = {"digits": 0.97, "fashion_mnist": 0.91, "cifar10": 0.85}


def row(images: Images, cache: Path) -> str:
    meta = read_meta(TrainedClassifier().prepare(images, cache, report=lambda line: print(line, flush=True)))
    wanted = f"{WANTED[images.name]:.2f}" if images.name in WANTED else "-"
    cells = [
        images.name,
        f"{images.size}x{images.size}",
        f"{len(images.train_labels):,} / {len(images.test_labels):,}",
        f"{meta['test_accuracy']:.4f}",
        wanted,
        f"{meta['test_inception_score']:.2f} of {len(images.classes)}",
        f"{meta['seconds']:.0f}",
        f"{meta['cpu_seconds']:.0f}",
        meta["trained_in"],
    ]
    return f"| {' | '.join(cells)} |"


parser = argparse.ArgumentParser()
parser.add_argument("--data", action="append", metavar="NAME[:PATH]")
parser.add_argument("--threads", type=int, default=1)
arguments = parser.parse_args()
torch.set_num_threads(arguments.threads)
rows = []
with tempfile.TemporaryDirectory() as folder:
    for text in arguments.data or ["digits"]:
        for size in SIZES.get(text.partition(":")[0], (32,)):
            data = open_images(prepare(named(text, size=size), Path(folder)))
            rows.append(row(data, Path(folder)))
print("| data | size | images (train / test) | accuracy | wanted | real score | seconds | CPU seconds | arithmetic |")
print("|---|---|---|---|---|---|---|---|---|")
print("\n".join(rows))
