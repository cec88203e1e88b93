# Everything a person needs: `make quickstart` (environment and main job) and `make test`.

PYTHON ?= python3
CONFIG ?= configs/quickstart.yaml
BIN := .venv/bin
RIVALS := rectools recbole
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup  # a thread each, or they stall each other

.PHONY: quickstart env test test-all browser pictures lint format docs notebook benchmarks rivals warprec off-policy clean

quickstart: env  ## make the environment and run the main job on real data
	$(BIN)/lethe run $(CONFIG)

env: .venv/.made  ## make .venv with .venv/bin/lethe, once

.venv/.made: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,system]'
	touch $@

test: env  ## the tests, but for heavy ones, in two processes
	$(PYTEST)

test-all: env .venv/.cluster  ## all tests, the cluster's among them
	$(PYTEST) -m ''

.venv/.cluster: .venv/.made
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,cluster]'
	touch $@

browser: env .venv/.browser  ## the pages, and MLflow's, in a Chromium that is installed
	$(PYTEST) -m slow tests/harness/browser

pictures: env .venv/.browser  ## the pictures of the documentation, of a main job on real data: docs/images
	$(BIN)/python -m tests.harness.browser.pictures

.venv/.browser: .venv/.made
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,browser]'
	touch $@

lint: env  ## style, types, and which room may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.docs  ## the pages, into docs/build/html: a warning or a link that leads nowhere fails
	$(BIN)/sphinx-build -W --keep-going -q -b html -d docs/build/doctrees docs docs/build/html
	$(BIN)/python docs/links.py docs/build/html

notebook: .venv/.docs  ## run the notebook from its first cell to its last
	mkdir -p docs/build
	$(BIN)/jupyter execute docs/notebooks/first-steps.ipynb --output=../build/first-steps.ipynb

.venv/.docs: .venv/.made
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch $@

benchmarks: env  ## timings against plain single-process fits, in one run
	$(BIN)/python -m benchmarks.search_cost

rivals: env $(RIVALS:%=.venv-rivals/%/.made)  ## published rivals on the queries of CONFIG, library models included
	$(BIN)/python -m benchmarks.rivals $(CONFIG)

warprec: env .venv-rivals/warprec/.made  ## what Ray costs, beside WarpRec (which needs PYTHON=python3.12 or later)
	$(BIN)/python -m benchmarks.search_warprec

.venv-rivals/%/.made: benchmarks/rivals/requirements-%.txt
	$(PYTHON) -m venv .venv-rivals/$*
	echo '*' > .venv-rivals/.gitignore
	.venv-rivals/$*/bin/pip install --quiet $(shell grep ^torch benchmarks/rivals/requirements-$*.txt)
	.venv-rivals/$*/bin/pip install --quiet --requirement $<
	touch $@

off-policy: env .venv-rivals/obp/.made  ## off-policy estimators beside obp and beside known truths
	$(BIN)/python -m benchmarks.off_policy

# obp pins old packages that it does not need: it is put beside newer ones, without its own.
.venv-rivals/obp/.made: benchmarks/off_policy/requirements-obp.txt
	$(PYTHON) -m venv .venv-rivals/obp
	echo '*' > .venv-rivals/.gitignore
	.venv-rivals/obp/bin/pip install --quiet $(shell grep ^torch benchmarks/off_policy/requirements-obp.txt)
	.venv-rivals/obp/bin/pip install --quiet --requirement $<
	.venv-rivals/obp/bin/pip install --quiet --no-deps --ignore-requires-python obp==0.5.7
	touch $@

clean:  ## forget all work, models and reports (the data stay)
	rm -rf .lethe mlflow.db mlartifacts
