# make demo and make test set up everything themselves; each works alone on a fresh machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell uv --version >/dev/null 2>&1 && echo uv)

ifeq ($(UV),uv)
INSTALL = uv pip install --quiet --python $(BIN)/python -c constraints.txt
MAKE_VENV = uv venv --quiet --allow-existing --python $(PYTHON) $(VENV)
else
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
MAKE_VENV = $(PYTHON) -m venv $(VENV)
endif

# Without cached bytecode every worker spends seconds compiling its libraries anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint format bench clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.runtime  ## launch a small sweep on real digits, work it off, print the table
	$(BIN)/nftlab demo

test: $(VENV)/.dev  ## the default test suite (CPU, no network, under three minutes on two cores)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not ci and not gpu and not slurm and not browser"

test-all: $(VENV)/.dev  ## also the longer tests that CI runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not gpu and not slurm"

lint: $(VENV)/.dev  ## ruff and the type checker
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: $(VENV)/.dev  ## rewrite the code in the house's format
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: $(VENV)/.dev  ## measure the job table
	$(BIN)/python benchmarks/queue.py

clean:  ## remove the virtual environment and caches (never results)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache build dist

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "nftlab needs Python 3.11 or newer: run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "creating $(VENV) (first time: downloads up to 5.5 GB, most of it torch with CUDA)" >&2
	@$(MAKE_VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(BIN)/python
	@$(INSTALL) -e .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@$(INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/.runtime
