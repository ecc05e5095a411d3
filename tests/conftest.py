"""What the tests share: one thread, a tiny trial and images like the smallest data set's."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import torch
    from playwright.sync_api import Browser

    from gansweep.data.training_set import ImageSet
    from gansweep.trial import TrialConfig


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Sums have one order everywhere, and the machine stays usable."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def cpu() -> torch.device:
    import torch

    return torch.device("cpu")


@pytest.fixture(scope="module")  # while it is open, nothing else in this process can run an event loop
def browser() -> Iterator[Browser]:
    """A Chromium without a window."""
    from tests.chromium import chromium

    with chromium() as opened:
        yield opened


@pytest.fixture(scope="session")
def as_home(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Makes a folder a home with an empty tracking store: creating the tables of one takes seconds, copying it none."""
    from gansweep import records
    from gansweep.tracking import connect

    template = tmp_path_factory.mktemp("empty")
    connect(records.default_uri(template))

    def make(folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        shutil.copy(template / "mlflow.db", folder)
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_images() -> ImageSet:
    """40 images [1, 16, 16] of 4 classes: grey discs on black, like digits in range; the class is the disc's size."""
    import torch

    from gansweep.data.training_set import ImageSet

    generator = torch.Generator().manual_seed(0)
    centre = torch.rand(40, 2, 1, 1, generator=generator) * 6 + 5
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    distance = ((y - centre[:, 0]).square() + (x - centre[:, 1]).square()).sqrt()
    labels = torch.arange(40) % 4
    radius = (4 + labels / 2).view(-1, 1, 1)
    return ImageSet((255 * (1 - distance / radius).clamp(0, 1)).to(torch.uint8).unsqueeze(1), labels, 4)


@pytest.fixture(scope="session")
def tiny() -> TrialConfig:
    """A standard GAN with batch normalisation that trains a step in milliseconds."""
    from gansweep import Adam, DCGANDiscriminator, DCGANGenerator, Digits, Latent, NonSaturating, TrialConfig

    return TrialConfig(
        data=Digits(size=16),
        generator=DCGANGenerator(width=2),
        discriminator=DCGANDiscriminator(width=2),
        loss=NonSaturating(),
        generator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.999),
        discriminator_optimizer=Adam(lr=2e-4, beta1=0.5, beta2=0.999),
        latent=Latent(size=8),
        batch_size=8,
        steps=6,
        report_every=2,
        evaluate_every=2,
        seed=3,
    )
