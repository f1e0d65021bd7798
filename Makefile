# `make` lists the targets. Each target first creates what it needs.
PYTHON ?= python3
WORKERS ?= 3
ARGS ?=
LOCKER := uv==0.13.9

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input
RUNTIME := $(VENV)/.runtime
READY := $(VENV)/.ready
DEV := $(VENV)/.dev

export PIP_ROOT_USER_ACTION = ignore

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo up test compose-test check format bench kill attack hostile authorship lock clean

help: ## List the targets
	@echo "Firsthand: a person's plan, in that person's own hand."
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo
	@echo "The first run fills $(VENV) from the lock files. PYTHON=python3.13 chooses another Python;"
	@echo "ARGS='…' is passed on by demo, up, test, compose-test, bench, kill, attack, hostile and authorship."

demo: $(READY) ## Run a realistic story over HTTP, then clean up
	@$(BIN)/firsthand demo $(ARGS)

up: $(READY) ## Run everything on this machine until Ctrl-C
	@exec $(BIN)/firsthand up $(ARGS)

test: $(DEV) ## Run all tests on every available store and queue
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

compose-test: $(DEV) ## Run docker-compose.yml on a private engine (root on Debian; else skipped)
	@$(BIN)/python -m tests.compose $(ARGS)

check: $(DEV) ## Check formatting, lint, types, import layers and house rules
	@$(BIN)/ruff format --check --quiet --output-format concise . || { echo "Remedy: make format"; exit 1; }
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/python -m pytest -q tests/house

format: $(DEV) ## Format the code and apply safe lint fixes
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(DEV) ## Benchmark Firsthand and its peers; draw the plots
	@$(BIN)/python -m tests.benchmarks.run $(ARGS)

kill: $(DEV) ## Kill processes at every step; count lost events in build/kill.json
	@$(BIN)/python -m tests.chaos.kill $(ARGS)

attack: $(DEV) ## Repeat the review's attacks on real processes: build/attack.json
	@$(BIN)/python -m tests.attack $(ARGS)

hostile: $(DEV) ## Send 200 requests per operation and role; counts: build/hostile.json
	@HOSTILE_EXAMPLES=$(or $(EXAMPLES),200) $(BIN)/python -m pytest -p no:randomly -q \
	  tests/hostile/test_schemathesis.py $(ARGS)

authorship: $(DEV) ## Compare decide with a model on 300,000 random events: build/authorship.json
	@$(BIN)/python -m tests.authorship.run $(ARGS)

lock: ## Resolve the versions of pyproject.toml again and write the lock files
	@$(PYTHON) -m venv --clear build/locker
	@build/locker/bin/python -m pip -qq --disable-pip-version-check install $(LOCKER)
	@$(call write_lock,requirements.lock,build,packages of the services)
	@$(call write_lock,requirements-dev.lock,dev,the same and what tests and checks need)
	@$(call write_lock,requirements-crosschecks.lock,crosschecks,other readers of our formats,3.12,\
	  --constraint requirements-dev.lock)
	@rm -rf build/locker

clean: ## Remove .venv, build and caches (your ledger in .firsthand stays)
	@rm -rf $(VENV) build firsthand.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find shared services tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# A lock file is universal: Python 3.11 and later, on Linux and macOS. It contains no address.
define write_lock
	build/locker/bin/uv pip compile pyproject.toml --group $(2) --universal --python-version $(or $(4),3.11) \
	  --generate-hashes --no-header --quiet --upgrade $(5) --output-file build/$(1) >/dev/null && \
	{ echo "# Exact versions and hashes: $(3)."; \
	  echo "# Written by \`make lock\` from pyproject.toml; edit that, not this."; \
	  cat build/$(1); } > $(1) && rm build/$(1) && echo "$(1) written"
endef

$(RUNTIME): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Firsthand needs Python 3.11 or later; try: make PYTHON=python3.13"; exit 1; }
	@echo "Creating $(VENV) from requirements.lock ..."
	@$(PYTHON) -m venv --clear $(VENV) \
	  || { echo "Python's venv module is missing (Debian: apt-get install python3-venv)"; exit 1; }
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

$(READY): $(RUNTIME) pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock requirements-crosschecks.lock $(RUNTIME) | $(READY)
	@echo "Adding the packages of tests and checks from requirements-dev.lock ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --require-hashes --ignore-requires-python -r requirements-crosschecks.lock
	@touch $@
