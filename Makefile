# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# the longest files first, so that none runs alone at the end
LONG := $(patsubst %,tests/test_%.py,launch tracking dashboard_browser every_study faults)
TESTS := $(LONG) $(filter-out $(LONG),$(sort $(wildcard tests/test_*.py)))
# a file stays in one process, which makes its homes and servers once, and files start in the order given
TWO := -n 2 --dist loadfile --no-loadscope-reorder
HOME_DIR ?= $(or $(GANSWEEP_HOME),gansweep-home)

.PHONY: demo test test-long test-slow test-trained check chaos format benchmarks clean

$(BIN)/gansweep: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(BIN)/gansweep  ## install, run the main study at its smallest size, print the report's path
	$(BIN)/gansweep launch studies/arch_robustness.py --preset smoke --home $(HOME_DIR)

test: $(BIN)/gansweep  ## the whole suite but what takes minutes
	$(BIN)/python -m pytest $(TWO) $(TESTS)

test-long: $(BIN)/gansweep  ## every study's smallest preset, with its report in a browser, and what can befall a sweep
	$(BIN)/python -m pytest -m long -n 2 --dist load --durations 20 $(shell grep -l mark.long tests/test_*.py)

test-slow: $(BIN)/gansweep  ## rarer faults, several machines, compilers
	$(BIN)/python -m pytest -m slow $(TWO) $(filter-out tests/test_trained.py,$(TESTS))

test-trained: $(BIN)/gansweep  ## studies with known answers at their laptop size: hours
	$(BIN)/python -m pytest -m slow tests/test_trained.py

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
