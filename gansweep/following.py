"""Records read again and again while a sweep writes them, as a dashboard does: what has ended is read only once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from gansweep import records, tracking
from gansweep.parts import misspelt

FRESH_SECONDS = 1.0  # several readers of one run within this time share an answer


class Store:
    """A tracking store that is followed. Methods may be called from any thread.

    Where it does not answer, they raise `ValueError` (`TrackingUnreachable`) or `OSError`; the next call asks again.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._planned: dict[str, dict[str, Any]] = {}

    def overview(self) -> list[dict[str, Any]]:
        """Every recorded run, the last launched first: run, study, question, preset and the counts, which add up."""
        with self._lock, _told_plainly(self.uri):
            store = records.source(self.uri)
            parents = store.parents()
            seen = {tags["gansweep.run"]: (run_id, tags) for run_id, tags, _ in reversed(parents)}
            states = store.states()
            return [self._counted(store, run, *seen[run], states) for run in reversed(seen)]

    def _counted(
        self, store: records.Source, run: str, parent: str, tags: dict[str, str], states: dict[str, dict[str, int]]
    ) -> dict[str, Any]:
        key = parent + tags["gansweep.launched"]
        if key not in self._planned:
            plan = records.design_card(store, parent)
            self._planned[key] = {name: plan.get(name) for name in ("question", "preset", "planned")}
        told = self._planned[key]
        found = {name: states.get(parent, {}).get(name, 0) for name in ("done", "failed", "cancelled", "running")}
        left = (told["planned"] or sum(found.values())) - sum(found.values())
        return {"run": run, "study": tags["gansweep.study"], **told, **found, "not_started": left}

    def read(self, run: str) -> tuple[int, records.Results]:
        """A run as it is now, and a number that grows whenever it has changed. An unknown run is a `ValueError`."""
        with self._lock:
            followed = self._runs.setdefault(run, _Run(self.uri, run))
            results = followed.read()
            return followed.version, results


class _Run:
    """One run, with what of it can no longer change.

    After the store was away the run counts as changed, so that what was drawn meanwhile without it is drawn again.
    """

    def __init__(self, uri: str, run: str) -> None:
        self.uri, self.run = uri, run
        self.version = 0
        self.missed = self.made_up_for = 0  # how often the store did not answer, and of these before the last reading
        self._begin("")

    def _begin(self, launched: str) -> None:
        self.launched = launched
        self.read_at = float("-inf")
        self.tags: dict[str, dict[str, str]] = {}
        self.steps: pd.DataFrame | None = None
        self.live: tuple[dict[str, dict[str, str]], int] | None = None
        self.results: records.Results | None = None
        self.plan: dict[str, Any] = {}

    def read(self) -> records.Results:
        if self.results is not None and time.monotonic() - self.read_at < FRESH_SECONDS:
            return self.results
        with self._missing():
            self._read()
        assert self.results is not None
        return self.results

    def _read(self) -> None:
        missed, store = self.missed, records.source(self.uri)
        parents = {tags["gansweep.run"]: (run_id, tags) for run_id, tags, _ in reversed(store.parents())}
        if self.run not in parents:
            raise misspelt("recorded run", self.run, parents or ["(nothing is recorded here yet)"])
        parent, tags = parents[self.run]
        state = {run: ended for found in store.children(parent).values() for run, ended in found.items()}
        launched = parent + tags["gansweep.launched"]
        if launched != self.launched or not set(self.tags) <= set(state):
            self._begin(launched)
            self.plan = records.read_plan(store, self.run, parent)
        asked = [run for run in state if run not in self.tags]
        tags_of, metrics = store.child_tags(parent, asked), store.metrics(parent, asked)
        running = {run: tags for run, tags in tags_of.items() if not state[run]}
        live = running, int(metrics["run_id"].isin(list(running)).sum())
        changed = live != self.live or len(running) < len(tags_of)
        if self.results is None or changed or missed > self.made_up_for:
            self._take(store, state, tags_of, metrics)
            self.live, self.made_up_for = live, missed
            self.version += 1
        self.read_at = time.monotonic()

    @contextlib.contextmanager
    def _missing(self) -> Iterator[None]:
        try:
            with _told_plainly(self.uri):
                yield
        except (tracking.TrackingUnreachable, OSError):
            self.missed += 1
            raise

    def _fetched(self, fetch: Callable[..., Any]) -> Callable[..., Any]:
        """The same for a file that is fetched where it is needed."""

        def fetched(*asked: str) -> Any:
            with self._missing():
                return fetch(*asked)

        return fetched

    def _take(
        self, store: records.Source, state: dict[str, bool], tags_of: dict[str, dict[str, str]], metrics: pd.DataFrame
    ) -> None:
        """New results from what was read of the runs that had not ended; those that have now are kept for good."""
        trials = records.trials_of(self.plan, self.tags | tags_of)
        new = records.steps_of(self.plan, metrics, trials)
        steps = new if self.steps is None else pd.concat([self.steps, new], ignore_index=True)
        self.results = records.Results(
            self.plan,
            trials,
            records.in_order(steps, trials),
            self._fetched(records.samples_of(store, trials)),
            self._fetched(records.portraits_of(store, trials)),
        )
        over = [run for run in tags_of if state[run]]
        self.tags |= {run: tags_of[run] for run in over}
        ended = set(trials.loc[trials["run_id"].isin(over), "trial"])
        kept = new[new["trial"].isin(ended)]
        self.steps = kept if self.steps is None else pd.concat([self.steps, kept], ignore_index=True)


@contextlib.contextmanager
def _told_plainly(uri: str) -> Iterator[None]:
    import sqlalchemy

    told = tracking.told_plainly(uri) if uri.startswith(("http://", "https://")) else contextlib.nullcontext()
    try:
        with told:
            yield
    except sqlalchemy.exc.DBAPIError as error:
        why = tracking.masked(str(error.orig).splitlines()[0])
        raise tracking.TrackingUnreachable(f"{tracking.masked(uri)} cannot be read: {why}") from error
