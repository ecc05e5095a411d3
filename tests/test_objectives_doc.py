"""`docs/objectives.md` says of each objective and constraint what its docstring says; this file writes and checks it.

Write it anew with `python -m tests.test_objectives_doc`.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gansweep
import gansweep.losses
from gansweep.losses.objective import Objective

ROOT = Path(__file__).parents[1]
DOC = ROOT / "docs" / "objectives.md"
TESTS_SHOWN = 6

HEAD = """# Objectives and constraints

Made from the docstrings by `python -m tests.test_objectives_doc`; a test keeps it so. `D:` and `G:` are what each
network minimises; expectations are means over the batch. x is real, G(z) generated, D(x) the discriminator's raw score
(never passed through a sigmoid), sigmoid(t) = 1 / (1 + exp(-t)). An objective is `TrialConfig.loss`, a constraint
`TrialConfig.constraint`.
"""


def parts() -> Iterator[tuple[type[Any], bool]]:
    """Every public part of `gansweep.losses` in the order of its module and line, and whether it is an objective."""
    found = []
    for module in pkgutil.iter_modules(gansweep.losses.__path__):
        loaded = importlib.import_module(f"gansweep.losses.{module.name}")
        for name, value in vars(loaded).items():
            if dataclasses.is_dataclass(value) and not name.startswith("_") and value.__module__ == loaded.__name__:
                found.append((value, issubclass(value, Objective)))
    order = lambda pair: (not pair[1], pair[0].__module__, inspect.getsourcelines(pair[0])[1])  # noqa: E731
    yield from sorted(found, key=order)


def defaults(kind: type[Any]) -> str:
    fields = dataclasses.fields(kind)
    return ", ".join(f"{f.name}={f.default!r}" for f in fields) or "no fields"


def proofs_of(name: str) -> list[str]:
    """Tests that use the class: by name in their body or decorators first, then by what their file makes of it."""
    found = []
    for file, tree in parsed_tests():
        tests = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        made = {one for node in tree.body if node not in tests and name in names_in(node) for one in defined_by(node)}
        for test in tests:
            named = names_in(test)
            if name in named or named & made:
                found.append((name not in named, f"{file.name}::{test.name}"))
    return [test for _, test in sorted(found, key=lambda pair: pair[0])]


@functools.cache
def parsed_tests() -> list[tuple[Path, ast.Module]]:
    return [(file, ast.parse(file.read_text())) for file in sorted((ROOT / "tests").glob("test_*.py"))]


@functools.cache
def names_in(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def defined_by(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def section(kind: type[Any]) -> str:
    title, _, rest = (inspect.getdoc(kind) or "").partition("\n")
    equations = re.findall(r"^(?:D|G|Adds|After each update): .*(?:\n +.*)*", rest, flags=re.MULTILINE)
    prose = rest
    for equation in equations:
        prose = prose.replace(equation, "")
    tests = proofs_of(kind.__name__)
    shown = [f"`{test}`" for test in tests[:TESTS_SHOWN]]
    more = " and others" if len(tests) > TESTS_SHOWN else ""
    return "\n".join(
        [
            f"### {kind.__name__}",
            "",
            title.removeprefix(f"{kind.__name__}: "),
            "",
            *(["```text", *equations, "```", ""] if equations else []),
            *(
                [
                    "\n\n".join(
                        " ".join(block.split()) for block in re.split(r"\n\s*\n", prose.strip()) if block.strip()
                    ),
                    "",
                ]
            ),
            f"`{kind.__module__}.{kind.__name__}`({defaults(kind)})",
            "",
            f"Tested by {', '.join(shown)}{more}.",
            "",
        ]
    )


def document() -> str:
    lines = [HEAD, "## Objectives", ""]
    objectives = [section(kind) for kind, is_objective in parts() if is_objective]
    constraints = [section(kind) for kind, is_objective in parts() if not is_objective]
    return "\n".join([*lines, *objectives, "## Constraints", "", *constraints]).rstrip() + "\n"


ALL = [kind for kind, _ in parts()]


def without_tests(text: str) -> str:
    return re.sub(r"^Tested by .*$", "", text, flags=re.MULTILINE)


def test_the_document_is_what_the_docstrings_say() -> None:
    assert without_tests(DOC.read_text()) == without_tests(document()), (
        "write it anew: python -m tests.test_objectives_doc"
    )


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_the_tests_that_the_document_names_are_there_and_use_the_class(kind: type[Any]) -> None:
    of_class = DOC.read_text().split(f"### {kind.__name__}\n")[1].split("### ")[0]
    named = re.findall(r"`(test_\w+\.py::test_\w+)`", of_class)
    assert named
    assert set(named) <= set(proofs_of(kind.__name__))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_objective_has_an_equation_a_source_and_a_test_and_is_public(kind: type[Any]) -> None:
    text = inspect.getdoc(kind) or ""
    if issubclass(kind, Objective):
        assert re.search(r"^D: ", text, flags=re.MULTILINE)
        assert re.search(r"^G: ", text, flags=re.MULTILINE)
    assert re.search(r"Source: \w.* (19|20)\d\d|\(\w.* (19|20)\d\d[^)]*\)", text), "no source"
    assert proofs_of(kind.__name__)
    assert kind.__name__ in gansweep.__all__


def test_every_objective_of_the_founding_papers_is_there() -> None:
    names = {kind.__name__ for kind in ALL}
    systems = {
        "NonSaturating",
        "Minimax",
        "LeastSquares",
        "Wasserstein",
        "EBGAN",
        "BEGAN",
        "ACGAN",
        "InfoGAN",
        "CatGAN",
    }
    assert systems | {"SGAN", "ImprovedGAN", "Hinge", "GradientPenalty", "WeightClip"} <= names


if __name__ == "__main__":
    DOC.write_text(document())
