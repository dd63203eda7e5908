# Everything a person needs: `make run` to see it, `make test` to prove it. All targets are safe to repeat.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
RUN_DATA ?= run-data
CLOUD_PORT ?= 8800
PORTAL_PORT ?= 8801

.PHONY: help setup run clean-run test lint types unit e2e test-crash bench screenshots format system-packages

help: ## what can be done here
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt scripts/system-packages.sh
	scripts/system-packages.sh run
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cloud,dev]'
	touch $(STAMP)

setup: $(STAMP) ## the virtual environment with all libraries

run: $(STAMP) ## the cloud and one simulated station, until Ctrl-C; data stay in run-data/
	@$(BIN)/python -m scripts.run --data $(RUN_DATA) --cloud-port $(CLOUD_PORT) --portal-port $(PORTAL_PORT)

clean-run: $(STAMP) ## the same, from an empty disk
	@$(BIN)/python -m scripts.run --data $(RUN_DATA) --cloud-port $(CLOUD_PORT) --portal-port $(PORTAL_PORT) --clean

test: $(STAMP) ## lint, types and the whole suite with browser, PostgreSQL and real processes
	scripts/system-packages.sh test
	$(MAKE) --no-print-directory lint types
	$(BIN)/pytest

lint: $(STAMP) ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

format: $(STAMP) ## put the code in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unit: $(STAMP) ## the suite without browser, PostgreSQL, NetworkManager and whole processes
	$(BIN)/pytest -m 'not browser and not postgres and not networkmanager and not e2e'

e2e: $(STAMP) ## only the journeys with real processes
	scripts/system-packages.sh test
	$(BIN)/pytest -m e2e

test-crash: $(STAMP) ## a thousand simulated power cuts over the buffer (minutes)
	BUFFER_CUTS=1200 $(BIN)/pytest tests/buffer/test_powercut.py -o timeout=900

bench: $(STAMP) ## what docs/performance.md states, measured on this machine
	$(BIN)/python -m bench

screenshots: $(STAMP) ## the pictures of the README, from the running product
	scripts/system-packages.sh test
	$(BIN)/python -m scripts.screenshots
