# make help tells what there is. Variables: VENV (where the environment is), PYTHON (what makes it).

VENV ?= .venv
PYTHON ?=
ONCE ?=
READY ?=
# Tests that run side by side.
JOBS ?= 2

CANDIDATES := $(or $(PYTHON),python3.13 python3.12 python3.11 python3.10 python3 python)
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
QUICK_TESTS := tests/unit tests/integration tests/contract
SLOW_TESTS := tests/services tests/browser
MODEL := tests/services/test_outbox_model.py
RANDOM := tests/unit/sandbox/test_fuzz.py tests/unit/sandbox/test_random_carts.py
LARGE := tests/services/faults/test_backlog.py tests/services/faults/test_lanes.py
RULES := tests/services/faults/test_rules_taken_out.py

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all nightly lint quick-tests slow-tests coverage proofs clean

help: ## Show this
	@awk -F ' ## ' '/^[a-z-]+:.* ## / { split($$1, name, ":"); printf "  make %-10s %s\n", name[1], $$2 }' Makefile
	@echo "  Another interpreter or environment: make test PYTHON=python3.13 VENV=.venv313"

demo: $(STAMP) ## Run the example shop with sandbox and worker (ONCE=1: end after the journey; READY=FILE: write the addresses)
	@$(BIN)/python -m example_project.demo $(if $(ONCE),--once) $(if $(READY),--ready "$(READY)")

test: lint quick-tests ## Lint, and run the unit, integration and contract tests (below 5 minutes)

test-all: test slow-tests ## The same, then the services and browser tests (below 35 minutes)

nightly: $(STAMP) ## Each rule of delivery taken out; 100 seeds of the model on two databases; backlogs of 1,000,000 rows; 20,000 random requests (hours)
	SANDBOX_FUZZ=20000 SANDBOX_RANDOM_CARTS=10000 $(BIN)/python -m pytest -n $(JOBS) $(RANDOM)
	TALON_TEST_RULES=all $(BIN)/python -m pytest -n $(JOBS) $(RULES)
	TALON_TEST_SCALE=full TALON_TEST_DATABASE=postgresql $(BIN)/python -m pytest $(LARGE)
	TALON_TEST_SEEDS=100 TALON_TEST_DATABASE=postgresql $(BIN)/python -m pytest -n $(JOBS) $(MODEL)
	TALON_TEST_SEEDS=100 $(BIN)/python -m pytest -n $(JOBS) $(MODEL)

lint: $(STAMP) ## Check style, types, layers and migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run

quick-tests: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) $(QUICK_TESTS)

coverage: $(STAMP) ## The quick tests, measured: 95 % of the package or it fails (7 minutes)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(JOBS) $(QUICK_TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=95

slow-tests: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(SLOW_TESTS)

venv: $(STAMP) ## Make the environment, or bring it up to date with setup.cfg

# An interpreter counts if it runs: what pyenv merely lists does not, nor one without its venv.
$(STAMP): setup.cfg
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  python=; \
	  for candidate in $(CANDIDATES); do \
	    if $$candidate -c 'import ensurepip, sqlite3, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; \
	    then python=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$python" ]; then \
	    echo "Found no Python 3.10 or newer that has venv and sqlite3 (tried: $(CANDIDATES))." >&2; \
	    echo "Install one, or name it: make venv PYTHON=/path/to/python3.11" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$($$python --version)"; \
	  $$python -m venv --clear "$(VENV)" || exit 1; \
	fi
	@echo "Installing django-talon and its tools into $(VENV); this takes a minute, once"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[dev]'
	@touch $(STAMP)

proofs: $(STAMP) ## Write docs/reference/proofs.md from the fault tests
	$(BIN)/python -m tests.proofs

clean: ## Remove what was made: environment, state, caches
	@if [ -f "$(VENV)/pyvenv.cfg" ]; then rm -rf "$(VENV)"; fi
	@rm -rf var build dist .coverage .coverage.* htmlcov .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
