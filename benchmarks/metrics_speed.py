"""How long scores take beside torch-fidelity's own functions, from the same features, in one process and one thread.

OMP_NUM_THREADS=1 python benchmarks/metrics_speed.py [REPEATS]

5,000 samples against 10,000 real images: 192 features and 10 classes, about what the trained classifier has, and 2048
and 1008, which the 2015 Inception network has. The network's pass is in neither. What depends on real images alone is
worked out once by `prepare` and has a column of its own. For FID torch-fidelity can keep the like, so its statistics of
the real images are not in its time. Ours and theirs run in turn; the fastest of REPEATS (3) counts.
"""

import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from gansweep.metrics.entropy import inception_score
from gansweep.metrics.features import FeatureMetric
from gansweep.metrics.frechet import FID
from gansweep.metrics.kernel import KID
from gansweep.metrics.neighbours import PrecisionRecall

NUM_SAMPLES, NUM_REAL = 5_000, 10_000
REPEATS = int(sys.argv[1]) if len(sys.argv) > 1 else 3


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def compare(score: str, once: float, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(REPEATS)]
    mine, other = (min(column) for column in zip(*pairs, strict=True))
    print(f"| {score} | {once:.3f} | {mine:.3f} | {other:.3f} | {mine / other:.2f} |", flush=True)


def compare_metric(metric: FeatureMetric, samples: Tensor, real: Tensor, theirs: Callable[[], object]) -> None:
    kept = {name: torch.from_numpy(array) for name, array in metric.condense(iter(real.split(2048))).items()}
    started = time.perf_counter()
    kept |= {name: torch.from_numpy(array) for name, array in metric.derive(kept).items()}
    once = time.perf_counter() - started
    label = f"{', '.join(metric.columns)}, {real.shape[1]} features"
    compare(label, once, lambda: metric.score(samples, kept), theirs)


def main(num_features: int, num_classes: int) -> None:
    stream = torch.Generator().manual_seed(0)
    mix = torch.randn(num_features, num_features, generator=stream) / num_features**0.5
    samples, real = ((torch.randn(n, num_features, generator=stream) @ mix).relu() for n in (NUM_SAMPLES, NUM_REAL))
    logits = 3 * torch.randn(NUM_SAMPLES, num_classes, generator=stream)
    known = fid_features_to_statistics(real)

    def fid() -> object:
        return fid_statistics_to_metric(fid_features_to_statistics(samples), known, False)

    def kid() -> object:
        return kid_features_to_metric(samples, real, verbose=False, rng_seed=0)

    def prc() -> object:
        return prc_features_to_metric(samples, real, verbose=False)

    label = f"inception_score, {num_classes} classes"
    compare(label, 0, lambda: inception_score(logits.numpy(), 10), lambda: isc_features_to_metric(logits))
    compare_metric(FID(), samples, real, fid)
    compare_metric(KID(num_samples=NUM_SAMPLES), samples, real, kid)
    compare_metric(PrecisionRecall(), samples, real, prc)


torch.set_num_threads(1)  # as in a worker
print("| score | once (s) | gansweep (s) | torch-fidelity (s) | ratio (wanted: at most 1) |\n|---|---|---|---|---|")
main(num_features=192, num_classes=10)
main(num_features=2048, num_classes=1008)
