# pipefail is Bash's.
SHELL := bash

# Everything sets itself up in .venv; that is fast when nothing changed.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--constraint constraints.txt
BACKENDS ?= tensorflow jax torch
WORKERS ?= 0

.PHONY: demo test fuzz lint format bench leaderboard docs docs-serve docs-test \
setup clean
.DEFAULT_GOAL := demo

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), \
	'keras_ff needs Python 3.11 or newer, found ' + sys.version"
	@echo "Setting up .venv (a few minutes, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) torch
	@$(PIP) --editable ".[dev]"
	@touch $@

demo: setup
	@$(BIN)/python -m demo

# One process a backend, as Keras has one backend a process, side by side: 3 to
# 4 GiB each. WORKERS a backend on machines of many cores. Bytecode is kept:
# pytest rewrites every assertion, which takes each process seconds.
test: setup
	@$(MAKE) --no-print-directory --keep-going --jobs $(BACKENDS:%=test-%)

test-%: setup
	@set -o pipefail; PYTHONDONTWRITEBYTECODE= KERAS_BACKEND=$* \
	$(BIN)/python -u -m pytest -q -n $(WORKERS) --dist worksteal \
	-o cache_dir=.pytest_cache/$* $(PYTEST_ARGS) 2>&1 | sed -u -e 's/^[0-9].* in [0-9].*s.*/& ($*)/;t' -e 's/^/$*: /'

# Random models; goes on where it stopped. EXAMPLES a backend.
EXAMPLES ?= 200
SEED ?= 0
fuzz: setup
	@for backend in $(BACKENDS); do \
	$(BIN)/python -W ignore -m tests.fuzz --backend $$backend \
	--examples $(EXAMPLES) --seed $(SEED) || exit 1; \
	done

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/codespell
	@$(BIN)/basedpyright --pythonpath $(BIN)/python

format: setup
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: setup
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

# Every method on one network; goes on where it stopped. Hours: see --dry-run.
leaderboard: setup
	@$(BIN)/python -m benchmarks.methods $(LEADERBOARD_ARGS)

# The site, into site/. Runs guides that changed; DOCS_ARGS=--rerun those that an
# older keras_ff ran.
docs: .venv/.docs
	@KERAS_BACKEND=torch $(BIN)/python -m website $(DOCS_ARGS)

docs-serve: docs
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory site 8000

# In a browser, where there is Chromium or Chrome.
docs-test: docs
	@SITE=site KERAS_BACKEND=torch $(BIN)/python -m pytest -q tests/website

.venv/.docs: .venv/.ready
	@$(PIP) --editable ".[docs]"
	@touch $@

clean:
	rm -rf .venv build site *.egg-info demo/metrics.json demo/report.png demo/report.html runs
