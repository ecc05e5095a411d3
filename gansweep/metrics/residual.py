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

    A stem of `width` channels, which halves images of 24 pixels and more; then two or more stages that halve
    the resolution to 4 x 4 or less by max pooling and double the width, up to 4 times `width`. A halving stem
    and each stage end in a residual convolution. Batch normalisation, ReLU, global average pooling, a linear
    head: He et al. 2016, "Deep residual learning", shortened to what a CPU trains in minutes.
    """

    def __init__(self, channels: int, num_classes: int, width: int, size: int) -> None:
        super().__init__()
        halved = size >= 24
        num_stages = max(2, math.ceil(math.log2(size / (8 if halved else 4))))
        widths = [width * min(4, 2**i) for i in range(num_stages + 1)]
        if halved:
            strided = nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False)
            self.stem = nn.Sequential(strided, _active(width), _Residual(width))
        else:
            self.stem = nn.Sequential(_conv(channels, width), _active(width))
        self.stages = nn.Sequential()
        for before, after in itertools.pairwise(widths):
            self.stages.append(
                nn.Sequential(_conv(before, after), nn.MaxPool2d(2, ceil_mode=True), _active(after), _Residual(after))
            )
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
        self.branch = nn.Sequential(_conv(width, width), _active(width))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.branch(x)
        return y


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def _active(width: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(inplace=True))


@dataclass(frozen=True)
class Recipe:
    """How to train: stochastic gradient descent with Nesterov momentum and one cycle of the learning rate.

    With `bfloat16` a CPU computes convolutions in that type; weights, normalisation's statistics, loss and
    updates stay float32.
    """

    epochs: int
    max_images: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    mirror: bool
    bfloat16: bool
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
        optimiser, recipe.learning_rate, total_steps=max(steps, 4) + 1, pct_start=0.25
    )
    network.train().to(memory_format=torch.channels_last)
    for step, (batch, labels) in enumerate(_batches(images, recipe, steps, device)):
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            logits = network(batch)
        loss = F.cross_entropy(logits.float(), labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % max(1, steps // 10) == 0:
            report(f"classifier for {images.name}: step {step} of {steps}, loss {loss.item():.3f}")
    network.eval()


def computes_bfloat16(device: torch.device) -> bool:
    """Whether `device` is a CPU with matrix units for bfloat16 (AMX); without them the type is no faster."""
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16", False))


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
    """Each image shifted by up to a sixteenth of its size (at least 1 pixel), edges repeated.

    With `mirror`, half of the images are mirrored.
    """
    num, _, height, width = images.shape
    reach = max(1, width // 16)
    shift = torch.randint(-reach, reach + 1, (2, num, 1), generator=stream)
    rows = (torch.arange(height) + shift[0]).clamp(0, height - 1)
    columns = (torch.arange(width) + shift[1]).clamp(0, width - 1)
    if mirror:
        flipped = torch.rand(num, 1, generator=stream) < 0.5
        columns = torch.where(flipped, columns.flip(1), columns)
    return images[torch.arange(num)[:, None, None], :, rows[:, :, None], columns[:, None, :]].movedim(3, 1)
