# The same verbs for people and CI. Each does its own set-up: python3 (3.10 or newer) and make are all that is needed.
PYTHON ?= python3
VENV ?= .venv
LOWEST ?= .venv-lowest

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# What meets other versions of Ray, RLlib, Gymnasium, torch, NumPy, pandas and pyarrow: environments, learning and its
# checkpoints, policies and networks, tables and ledgers, whole runs.
VERSIONED := tests/envs tests/rllib tests/policies tests/networks tests/evaluation/test_table.py \
	tests/evaluation/test_ledger.py tests/tuning/test_run.py
BENCHMARKS := $(filter-out benchmarks/_%,$(sort $(wildcard benchmarks/*.py)))

.DEFAULT_GOAL := help
.PHONY: help install demo check test test-lowest fuzz bench docs

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv and install natrl into it, with what development needs (PYTHON=python3.12 picks another Python)

demo: $(INSTALLED) ## train, transform and retrain on embedded data; writes a report
	$(BIN)/natrl demo

check: $(INSTALLED) ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: $(INSTALLED) ## all tests (NATRL_DATA=folder for those that need tables and images)
	$(BIN)/python -m pytest -n 2 --dist loadscope --no-loadscope-reorder # two processes, each with one Ray for all of its tests

test-lowest: ## what depends on versions, with the lowest that pyproject.toml permits (in .venv-lowest, 7 GB)
	@$(PYTHON) -m venv --clear $(LOWEST)
	@$(LOWEST)/bin/python -m pip install --quiet --quiet --disable-pip-version-check uv
	@$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct \
		--only-binary :all: --no-binary natrl --editable '.[test]' # from source an old release may not build any more
	$(LOWEST)/bin/python -m pytest -o filterwarnings= $(VERSIONED) # old releases warn of their own age

fuzz: $(INSTALLED) ## every malformed input: each must be refused in one line (tests/fuzz)
	$(BIN)/python -m tests.fuzz

bench: $(INSTALLED) ## every benchmark, one JSON row a line
	@set -e; for script in $(BENCHMARKS); do echo "$$script" >&2; $(BIN)/python "$$script"; done

docs: $(INSTALLED) ## the documentation as pages in site/
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[docs]'
	$(BIN)/python docs/draw.py
	$(BIN)/mkdocs build --strict --quiet

$(INSTALLED): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 10) or sys.exit("natrl needs Python 3.10 or newer, this is " + sys.version.split()[0] + "; name another one: make PYTHON=python3.12")'
	@echo "Installing natrl into $(VENV) (once; torch and Ray are large: some minutes)"
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
