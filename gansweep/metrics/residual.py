"""A small residual image classifier and its training, for sets that the Inception network does not fit."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansweep.data.cache import Images, to_unit


class ResidualClassifier(nn.Module):
    """float [N, C, S, S] in [-1, 1] -> logits [N, K].

    A stem of `width` channels, then stages that halve the resolution down to 4 x 4 and double the width (up
    to 8 times `width`); the last two end in a residual block. Batch normalisation, ReLU, global average
    pooling, a linear head: He et al. 2016, "Deep residual learning", shortened.
    """

    def __init__(self, channels: int, num_classes: int, width: int, size: int) -> None:
        super().__init__()
        num_stages = max(1, math.ceil(math.log2(size / 4)))
        widths = [width * min(8, 2**i) for i in range(num_stages + 1)]
        self.stem = _conv(channels, width)
        self.stages = nn.Sequential()
        for i, (before, after) in enumerate(itertools.pairwise(widths)):
            self.stages.append(_conv(before, after, stride=2))
            if i >= num_stages - 2:
                self.stages.append(_Residual(after))
        self.head = nn.Linear(widths[-1], num_classes)

    def features(self, images: Tensor) -> Tensor:
        """What the head sees: [N, F]."""
        maps: Tensor = self.stages(self.stem(images))
        return maps.mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [N, K]."""
        logits: Tensor = self.head(self.features(images))
        return logits


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.second(self.first(x))
        return y


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


@dataclass(frozen=True)
class Recipe:
    """How to train: stochastic gradient descent with Nesterov momentum and one cycle of the learning rate."""

    epochs: int
    max_images: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    mirror: bool
    seed: int

    def num_steps(self, num_images: int) -> int:
        """Steps for a training set of that size: `epochs` passes, but no more than `max_images` images."""
        return math.ceil(min(self.epochs * num_images, self.max_images) / self.batch_of(num_images))

    def batch_of(self, num_images: int) -> int:
        """Images per step: `batch_size`, smaller for sets of which it would be more than a twentieth."""
        return max(2, min(self.batch_size, num_images // 20))


def train(
    network: nn.Module, images: Images, recipe: Recipe, device: torch.device, report: Callable[[str], None]
) -> None:
    """Train `network` (on `device`) from a private random stream; it ends in evaluation mode."""
    steps = recipe.num_steps(len(images.train_labels))
    optimiser = torch.optim.SGD(
        network.parameters(),
        lr=recipe.learning_rate,
        momentum=0.9,
        nesterov=True,
        weight_decay=recipe.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=steps + 1, pct_start=0.25
    )
    network.train().to(memory_format=torch.channels_last)
    for step, (batch, labels) in enumerate(_batches(images, recipe, steps, device)):
        loss = F.cross_entropy(network(batch), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % max(1, steps // 10) == 0:
            report(f"classifier for {images.name}: step {step} of {steps}, loss {loss.item():.3f}")
    network.eval()


def _batches(images: Images, recipe: Recipe, steps: int, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
    stream = torch.Generator().manual_seed(recipe.seed)
    pixels, labels = torch.from_numpy(images.train_images), torch.from_numpy(images.train_labels)
    size = recipe.batch_of(len(labels))
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(order) < size:
            order = torch.cat([order, torch.randperm(len(labels), generator=stream)])
        rows, order = order[:size], order[size:]
        batch = augment(pixels[rows], recipe.mirror, stream)
        yield to_unit(batch.to(device)).contiguous(memory_format=torch.channels_last), labels[rows].to(device)


def augment(images: Tensor, mirror: bool, stream: torch.Generator) -> Tensor:
    """Each image shifted by up to an eighth of its size, edges repeated; with `mirror`, half are mirrored."""
    num, _, height, width = images.shape
    reach = width // 8
    shift = torch.randint(-reach, reach + 1, (2, num, 1), generator=stream)
    rows = (torch.arange(height) + shift[0]).clamp(0, height - 1)
    columns = (torch.arange(width) + shift[1]).clamp(0, width - 1)
    if mirror:
        flipped = torch.rand(num, 1, generator=stream) < 0.5
        columns = torch.where(flipped, columns.flip(1), columns)
    return images[torch.arange(num)[:, None, None], :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)
