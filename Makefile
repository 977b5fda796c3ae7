# `make demo` and `make test` need Python 3.11 or 3.12 and make; `make PYTHON=/path/to/python3.11` picks one.
# The environment is made with plain venv and pip from the pinned sets of requirements/, once: the
# stamp file lets the next run start at once, until a file it was made from changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BROWSER_TEST := tests
PLAYWRIGHT := $(BROWSER_TEST)/node_modules/.package-lock.json

.PHONY: demo test browser lint results-check clean

demo: $(STAMP)
	$(BIN)/python tools/demo.py --out demo

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

# What the tests of the pages need: Debian's Chromium, Node.js 20 and playwright-core.
browser: $(PLAYWRIGHT)
	command -v chromium || { apt-get update && apt-get install -y --no-install-recommends chromium; }

$(PLAYWRIGHT): $(BROWSER_TEST)/package-lock.json
	npm ci --prefix $(BROWSER_TEST) --no-audit --no-fund
	touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Every table of docs/results from its json again; any difference fails. Part of `make test` too.
results-check: $(STAMP)
	$(BIN)/python -m pytest -q tests/test_results.py

# Leaves .venv, which takes minutes to make again, and work_dirs, which holds trainings.
clean:
	rm -rf demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(STAMP): $(wildcard requirements/*) pyproject.toml setup.py
	test -x $(BIN)/python || { $(PYTHON) requirements/check_python.py && $(PYTHON) -m venv $(VENV); }
	$(BIN)/python requirements/check_python.py
	$(BIN)/python -m pip install -c requirements/constraints.txt -r requirements/tested.txt -r requirements/dev.txt
	$(BIN)/python -m pip install --no-deps --no-build-isolation -r requirements/no-deps.txt
	$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	touch $@
