# `make` lists the targets. Everything that a target needs, it sets up by itself.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SCENARIO ?= jacket
EVERY ?= 6
JUDGE := services/commerce/policy,services/commerce/law,services/commerce/risk,services/commerce/quote,services/commerce/judgement,services/commerce/decide
LONG := tests/blackbox/test_every_message.py tests/blackbox/test_every_move.py tests/blackbox/test_outage.py \
    tests/integration/chassis/test_crashes.py tests/deploy/test_kubernetes_types.py
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: test-long bench-judge coverage mutants payment-matrix help setup demo up check format test integration chaos simulate simulate-breaks bench compose compose-tests containers collector schemas lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make the virtual environment and install everything from the lock file

$(STAMP): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11"; exit 1; }
	@if command -v uv >/dev/null; then \
	    [ -x $(BIN)/python ] || uv venv --quiet --python $(PYTHON) $(VENV); \
	    uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock && \
	    uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	else \
	    [ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV); \
	    $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock && \
	    $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	fi
	@$(BIN)/returns doctor --fetch
	@touch $@

demo: setup ## Start everything, play a return to the end, verify it, stop (SCENARIO=name)
	@$(BIN)/returns demo $(SCENARIO)

up: setup ## Start everything and keep it running until Ctrl-C
	@$(BIN)/returns up

check: setup ## Format, lint, types, architecture, style, schemas (< 60 s)
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo >/dev/null || $(BIN)/lint-imports --no-logo
	@$(BIN)/python -m contracts.schemas --check
	@$(BIN)/python -m contracts.asyncapi --check
	@$(BIN)/python -m pytest -q tests/style

format: setup ## Format the code and mend what can be mended by machine
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .

test: setup ## All tests that need no container engine, on real Kafka, PostgreSQL and HTTP
	@$(PYTEST) --durations 12 tests --ignore tests/compose --ignore tests/chaos $(LONG:%=--ignore %)
	@EMBEDDED_BROKER=librdkafka $(PYTEST) -q tests/blackbox/test_bus.py tests/integration/chassis/test_running.py

test-long: setup ## Tests of half a minute and more: every message, goods, half a minute's outages, Kubernetes' types, crashes on librdkafka's broker
	@$(PYTEST) -q $(LONG)
	@EMBEDDED_BROKER=librdkafka $(PYTEST) -q tests/integration/chassis/test_crashes.py -k "not kill_at_any or before_commit or after_publish"

integration: setup ## The integration tests: on containers where an engine answers, else on both embedded brokers
	@if docker compose ls >/dev/null 2>&1; then \
	    RETURNS_TEST_BACKEND=containers $(PYTEST) -q tests/integration && \
	    RETURNS_TEST_BACKEND=containers $(BIN)/python -m pytest -q deploy/examples/integration-test; \
	else \
	    EMBEDDED_BROKER=kafka $(PYTEST) -q tests/integration tests/blackbox && \
	    EMBEDDED_BROKER=librdkafka $(PYTEST) -q tests/integration tests/blackbox; \
	fi

chaos: setup ## Break the running system in every way, without pause; then compare all books (MINUTES=n SEED=x DRAIN=seconds)
	@$(BIN)/python -m pytest -q tests/chaos
	@$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED)) $(if $(DRAIN),--drain $(DRAIN))

simulate: setup ## Seeds of the simulation: faults at every place, invariants after every step (SEEDS=n or SEED=x)
	@$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),100)) $(if $(RETURNS),--returns $(RETURNS)) $(if $(FAULTS),--faults $(FAULTS)) $(if $(KIND),--kind $(KIND))

simulate-breaks: setup ## Break the code on purpose, once per invariant: a seed of the simulation must find each (ONLY=I7)
	@$(BIN)/python -m tests.simulation.breaking $(ONLY)

payment-matrix: setup ## SIGKILL of payment at every named place under every behaviour of the processor
	@KILL_MATRIX=all $(BIN)/python -m pytest -q tests/integration/payment/test_crashes.py

bench: setup ## Measure completed returns per second beside the bare pipeline, and refunds per second
	@$(BIN)/python -m tests.benchmarks
	@$(BIN)/python -m tests.benchmarks.refunds

compose: ## The production shape in containers: up, every scenario, all books, down (needs an engine)
	@deploy/compose/check

compose-tests: setup ## Measures, rights, settings and kills of the deployment in containers (needs an engine)
	@$(BIN)/python -m pytest -q -s tests/compose --timeout 600

containers: setup ## What only containers show, where an engine can be had: deployment, frontends, another team's tests
	@.ci/containers

collector: ## Build the OpenTelemetry collector with which tests/deploy checks its configuration (needs Go)
	@cd tests/deploy/collector && go build -o ../../../.cache/collector .

bench-judge: setup ## Microseconds of one decision, and a backtest of 100,000 documents
	@$(BIN)/python -m tests.benchmarks.judgement && $(BIN)/python -m tests.benchmarks.backtest

coverage: setup ## Branches of the judge and the process that the unit tests reach: at least 95 %
	@$(BIN)/python -m coverage run --branch --source=$(JUDGE) -m pytest -q tests/unit/commerce
	@$(BIN)/python -m coverage report --show-missing --skip-covered && $(BIN)/python -m tests.mutation.branches

mutants: setup ## Changes in quote, law and policy that the unit tests notice: at least 85 % (EVERY=n)
	@$(BIN)/python -m tests.mutation $(EVERY)

schemas: setup ## Generate contracts/schemas and contracts/asyncapi.json anew
	@$(BIN)/python -m contracts.schemas
	@$(BIN)/python -m contracts.asyncapi

lock: ## Resolve the dependencies anew into the lock files (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --extra embedded \
	    -o requirements.lock pyproject.toml
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --extra dev --extra embedded \
	    --constraint requirements.lock -o requirements-dev.lock pyproject.toml

clean: ## Remove the virtual environment and all caches of this folder
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
