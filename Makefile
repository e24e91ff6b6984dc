# From a fresh clone: `make test` and `make demo`. Both make .venv and find or start a builder first.

PYTHON ?= python3
# Two workers on two cores: the end-to-end tests wait for the builder most of the time.
PYTEST_ARGS ?= -n 2
SOAK_ROUNDS ?= 5

BIN := .venv/bin
RESULTS := .cache/test-results.xml
READY := .venv/ready
SOURCES := pyproject.toml requirements-dev.txt
TYPING := .cache/typing/cogpack

.DELETE_ON_ERROR:
.PHONY: help test lint typecheck unit demo bench bench-layers soak builder stop lock-dev clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 12

test: lint typecheck $(READY) ## lint, types, and every test, the end-to-end ones on a real BuildKit
	$(BIN)/pytest $(PYTEST_ARGS) --junitxml=$(RESULTS)

unit: $(READY) ## the tests that need no builder
	$(BIN)/pytest $(PYTEST_ARGS) -m "not e2e"

lint: $(READY) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(READY) $(TYPING) ## mypy, strict: the package, then its tests and tools
	cd .cache/typing && ../../$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../mypy -p cogpack
	MYPYPATH=.cache/typing:tests:dev:bench $(BIN)/mypy --cache-dir .cache/mypy tests dev bench

demo: $(READY) ## build examples/hello, run the image, show a prediction
	$(BIN)/python dev/demo.py

bench: $(READY) ## how long the commands and the index client take
	PYTHONPATH=dev $(BIN)/python bench/bench_build.py
	$(BIN)/python bench/bench_solver.py
	$(BIN)/python bench/bench_index.py
	$(BIN)/python bench/bench_compat.py

bench-layers: $(READY) ## what a push sends after each kind of change, against Cog's layout
	PYTHONPATH=dev $(BIN)/python bench/bench_layers.py

soak: $(READY) ## the generated tests again and again, with new examples each time
	for round in $$(seq $(SOAK_ROUNDS)); do \
	    $(BIN)/pytest $(PYTEST_ARGS) -m "not e2e" --hypothesis-profile=soak || exit; \
	done

builder: ## find or start a builder, with the base images that the tests build on
	$(PYTHON) dev/builder.py base

stop: ## stop the builder that was started here
	$(PYTHON) dev/builder.py stop

lock-dev: $(READY) ## write requirements-dev.txt anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --upgrade \
	    --python-version 3.11 --no-annotate --custom-compile-command "make lock-dev" \
	    --quiet --output-file requirements-dev.txt

clean: ## remove what was made here; the builder and its caches stay
	rm -rf .venv .cache .hypothesis .pytest_cache .ruff_cache build dist *.egg-info

$(READY): $(SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "cogpack needs Python 3.11 or newer: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv \
	    || { echo "on Debian, venv is a package of its own: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# The root is the package, so a link gives the type checker a folder of its name.
$(TYPING):
	mkdir -p $(@D)
	ln -sfn ../.. $@
