# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# the longest files first, so that none runs alone at the end
LONG := $(patsubst %,tests/test_%.py,launch chaos faults sequential_search)
TESTS := $(LONG) $(filter-out $(LONG),$(sort $(wildcard tests/test_*.py)))
HOME_DIR ?= $(or $(GANSWEEP_HOME),gansweep-home)

.PHONY: demo test test-slow check chaos format benchmarks clean

$(BIN)/gansweep: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(BIN)/gansweep  ## install, run the main study at its smallest size, print the report's path
	$(BIN)/gansweep launch studies/arch_robustness.py --preset smoke --home $(HOME_DIR)

test: $(BIN)/gansweep  ## the whole suite but what takes minutes
	$(BIN)/python -m pytest -n 2 --dist worksteal $(TESTS)

test-slow: $(BIN)/gansweep  ## the tests that take minutes each
	$(BIN)/python -m pytest -m slow tests

check: $(BIN)/gansweep  ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: $(BIN)/gansweep  ## thirty SIGKILLs of workers, drivers, nodes and the tracking server, and nothing lost or doubled
	$(BIN)/python -m tests.storm --kills 30

format: $(BIN)/gansweep
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmarks: $(BIN)/gansweep  ## ratios, each measured in one run
	for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean:
	rm -rf .venv build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
