"""What a study file may import, and that importing it costs nothing."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import gansweep
from gansweep.parts import is_part

STUDIES = sorted((Path(__file__).parents[1] / "studies").glob("*.py"))
RECIPES = gansweep._HOMES["recipes"].split()  # values, see tests/test_recipes.py
HEAVY = ("torch", "torchvision", "ray", "mlflow", "plotly", "pandas", "optuna", "scipy", "sklearn", "dash")


@pytest.mark.parametrize("name", [name for name in gansweep.__all__ if name not in RECIPES])
def test_every_public_name_can_be_imported_and_is_documented(name: str) -> None:
    value = getattr(gansweep, name)
    assert callable(value)
    assert inspect.getdoc(value)
    assert value.__name__ == name
    assert value.__module__.startswith("gansweep.")


def test_the_public_names_are_sorted_and_each_is_there_once() -> None:
    assert gansweep.__all__ == sorted(set(gansweep.__all__))
    assert dir(gansweep) == gansweep.__all__


def test_a_public_name_is_the_object_of_its_module() -> None:
    from gansweep.losses.objectives import Wasserstein

    assert gansweep.Wasserstein is Wasserstein


def test_a_private_or_unknown_name_is_not_public() -> None:
    for name in ("Studdy", "train", "Wasserstien"):
        with pytest.raises(AttributeError, match=f"module 'gansweep' has no attribute '{name}'"):
            getattr(gansweep, name)


def test_every_public_class_is_a_part() -> None:
    classes = [value for name in gansweep.__all__ if inspect.isclass(value := getattr(gansweep, name))]
    assert classes
    assert all(is_part(object.__new__(kind)) for kind in classes)


def loaded_by(code: str) -> list[str]:
    """Which heavy packages a fresh interpreter holds after running `code`."""
    listing = f"import sys\n{code}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True, timeout=120)
    return done.stdout.split()


@pytest.mark.parametrize(
    "code",
    [
        "import gansweep",
        "import gansweep.cli",
        "import gansweep.selection, gansweep.study, gansweep.plan, gansweep.trial, gansweep.space, gansweep.randomness",
        "from gansweep import Study, TrialConfig, choice, Diverged",
    ],
)
def test_importing_loads_nothing_heavy(code: str) -> None:
    assert loaded_by(code) == []


def test_the_check_for_heavy_packages_can_fail() -> None:
    assert "torch" in loaded_by("from gansweep import Wasserstein")


def test_the_help_starts_without_anything_heavy() -> None:
    code = """
from typer.testing import CliRunner
import gansweep.cli
assert CliRunner().invoke(gansweep.cli.app, ["--help"]).exit_code == 0
"""
    assert loaded_by(code) == []


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_study_file_imports_through_the_public_surface_only(file: Path) -> None:
    tree = ast.parse(file.read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert all(isinstance(node, ast.ImportFrom) and node.module == "gansweep" for node in imports)
    names = [alias.name for node in imports for alias in node.names]
    assert set(names) <= set(gansweep.__all__)


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_a_study_file_reads_like_a_methods_section(file: Path) -> None:
    tree = ast.parse(file.read_text())
    question = (ast.get_docstring(tree) or "").splitlines()[0]
    assert question.endswith("?")
    kinds = ast.FunctionDef | ast.Lambda | ast.For | ast.While | ast.If | ast.ClassDef | ast.ListComp | ast.DictComp
    assert not [node for node in ast.walk(tree) if isinstance(node, kinds)]


def test_the_modules_that_the_surface_names_exist() -> None:
    for home in gansweep._HOMES:
        importlib.import_module(f"gansweep.{home}")
