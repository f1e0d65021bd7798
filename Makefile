# The front door. `make` alone says what there is; every target makes what it needs first.
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
.PHONY: help demo up test check format bench kill attack hostile authorship lock clean

help: ## Say what there is
	@echo "Firsthand: a person's plan, in that person's own hand."
	@echo
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo
	@echo "The first run fills $(VENV) from the lock files. PYTHON=python3.13 chooses another Python;"
	@echo "ARGS='…' is handed on by demo, up, test, bench, kill, attack, hostile and authorship."

demo: $(READY) ## Tell a true-to-life story over HTTP, then clear up
	@$(BIN)/firsthand demo $(ARGS)

up: $(READY) ## Run everything on this machine until Ctrl-C
	@exec $(BIN)/firsthand up $(ARGS)

test: $(DEV) ## Run all tests on every store and queue there is here
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: $(DEV) ## Formatting, lint, types, directions of imports, house rules
	@$(BIN)/ruff format --check --quiet --output-format concise . || { echo "Remedy: make format"; exit 1; }
	@$(BIN)/ruff check --quiet --output-format concise .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/python -m pytest -q tests/house

format: $(DEV) ## Lay the code out and mend what can be mended safely
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(DEV) ## Measure ours and its peers side by side; draw the plots
	@$(BIN)/python -m tests.benchmarks.run $(ARGS)

kill: $(DEV) ## Kill everything everywhere and count what is lost into build/kill.json
	@$(BIN)/python -m tests.chaos.kill $(ARGS)

attack: $(DEV) ## Attack a real one as a review did; what others notice goes into build/attack.json
	@$(BIN)/python -m tests.attack $(ARGS)

hostile: $(DEV) ## Try 200 examples of each operation as each role; count them into build/hostile.json
	@HOSTILE_EXAMPLES=$(or $(EXAMPLES),200) $(BIN)/python -m pytest -p no:randomly -q \
	  tests/hostile/test_schemathesis.py $(ARGS)

authorship: $(DEV) ## Rule on 300,000 random events twice, by decide and a model: build/authorship.json
	@$(BIN)/python -m tests.authorship.run $(ARGS)

lock: ## Choose versions anew from pyproject.toml and write the lock files
	@$(PYTHON) -m venv --clear build/locker
	@build/locker/bin/python -m pip -qq --disable-pip-version-check install $(LOCKER)
	@$(call write_lock,requirements.lock,build,what the services need)
	@$(call write_lock,requirements-dev.lock,dev,the same and what tests and checks need)
	@$(call write_lock,requirements-crosschecks.lock,crosschecks,other readers of our formats,3.12,\
	  --constraint requirements-dev.lock)
	@rm -rf build/locker

clean: ## Remove what was built here: .venv, build, caches (your ledger in .firsthand stays)
	@rm -rf $(VENV) build firsthand.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find shared services tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# A lock is universal: one file for Python 3.11 and later, on Linux and macOS. It holds no address.
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
	@echo "Making $(VENV) from requirements.lock ..."
	@$(PYTHON) -m venv --clear $(VENV) \
	  || { echo "Python's venv module is missing (Debian: apt-get install python3-venv)"; exit 1; }
	@$(PIP) install --require-hashes -r requirements.lock
	@touch $@

$(READY): $(RUNTIME) pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.lock requirements-crosschecks.lock $(RUNTIME) | $(READY)
	@echo "Adding what tests and checks need from requirements-dev.lock ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --require-hashes --ignore-requires-python -r requirements-crosschecks.lock
	@touch $@
