"""A short storm: a SIGKILL each of a worker, a driver, a node and the tracking server. `make chaos` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.storm import KINDS, weather


@pytest.mark.slow
def test_a_study_comes_out_the_same_whatever_is_killed_under_it(tmp_path: Path) -> None:
    struck = weather(tmp_path, "short", kills=len(KINDS), seed=0, pause=(0.3, 1.0), limit=600, executor="inline")
    assert all(struck.kills[kind] >= 1 for kind in KINDS)
