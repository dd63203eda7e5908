# Everything a person needs: `make run` to see it, `make test` to prove it. All targets are safe to repeat.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
AXE := $(VENV)/axe/axe_playwright_python/axe.min.js
RUN_DATA ?= run-data
CLOUD_PORT ?= 8800
PORTAL_PORT ?= 8801
WORKERS ?= 2

.PHONY: help setup run clean-run test lint types unit e2e test-registration test-fuzz test-netfaults test-postgres test-crash test-night test-wifi test-wifi-sample wifi-image deb test-packages bench messages screenshots format system-packages

help: ## what can be done here
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt scripts/system-packages.sh
	scripts/system-packages.sh run
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cloud,dev]'
	touch $(STAMP)

# The library of a TPM is built here, against Debian's libtss2-dev: only the tests need it.
$(VENV)/.tpm: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[tpm]'
	touch $@

# Only for the script, which the tests of accessibility put into the pages; what it depends on is not wanted.
$(AXE): | $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(VENV)/axe axe-playwright-python==0.1.8

setup: $(STAMP) $(AXE) ## the virtual environment with all libraries

run: $(STAMP) ## the cloud and one simulated station, until Ctrl-C; data stay in run-data/
	@$(BIN)/python -m scripts.run --data $(RUN_DATA) --cloud-port $(CLOUD_PORT) --portal-port $(PORTAL_PORT)

clean-run: $(STAMP) ## the same, from an empty disk
	@$(BIN)/python -m scripts.run --data $(RUN_DATA) --cloud-port $(CLOUD_PORT) --portal-port $(PORTAL_PORT) --clean

test: $(STAMP) $(AXE) ## lint, types and the whole suite with browser, PostgreSQL and real processes
	scripts/system-packages.sh test
	$(MAKE) --no-print-directory $(VENV)/.tpm
	$(MAKE) --no-print-directory lint types
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup --ignore tests/wifi
	$(MAKE) --no-print-directory test-wifi-sample

lint: $(STAMP) ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

format: $(STAMP) ## put the code in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

unit: $(STAMP) ## the suite without browser, PostgreSQL, NetworkManager, whole processes, faults and kills
	$(BIN)/pytest -m 'not browser and not postgres and not networkmanager and not e2e and not netfaults and not crash'

e2e: $(STAMP) ## only the journeys with real processes
	scripts/system-packages.sh test
	$(BIN)/pytest -m e2e

test-fuzz: $(STAMP) ## rubbish in: the interface against its document, and a thousand altered messages at every door
	scripts/system-packages.sh test
	FUZZ_EXAMPLES=200 FUZZ_MESSAGES=1000 FUZZ_FRAMES=1000 $(BIN)/pytest -n $(WORKERS) --dist loadgroup -o timeout=3600 tests/fuzz

test-netfaults: $(STAMP) ## faults of the network between real processes, in network namespaces (needs root)
	scripts/system-packages.sh test
	$(BIN)/pytest -m netfaults

test-postgres: $(STAMP) ## all tests of the cloud that can run on PostgreSQL, with every row of their tables
	scripts/system-packages.sh test
	METEOR_POSTGRES=all $(BIN)/pytest -n $(WORKERS) --dist loadgroup -m postgres tests/cloud tests/fuzz

test-registration: $(STAMP) ## 3,000 registrations at a real cloud with a fault in every tenth request (20 minutes)
	REGISTRATIONS=3000 $(BIN)/pytest -s tests/registration

test-crash: $(STAMP) ## a thousand kills over the road of an event, 1600 simulated power cuts (20 minutes)
	CRASH_CUTS=1000 CRASH_POWER_CUTS=400 $(BIN)/pytest -m crash
	BUFFER_CUTS=1200 $(BIN)/pytest tests/buffer/test_powercut.py -o timeout=900
	DISK_FAULTS=all $(BIN)/pytest tests/buffer/test_disk_faults.py

# Alone, because a virtual machine needs both cores. What it needs and does not get is said and skipped.
test-wifi-sample: $(STAMP)
	-scripts/system-packages.sh wifi
	METEOR_WIFI=sample $(BIN)/pytest -s tests/wifi

test-wifi: $(STAMP) ## real Wi-Fi programs on simulated radios in a virtual machine (tens of minutes)
	scripts/system-packages.sh wifi
	METEOR_WIFI=all $(BIN)/pytest -s tests/wifi tests/hotspot
	$(BIN)/python -m tests.wifi.report

deb: $(STAMP) ## the Debian packages of the last commit, in dist/deb (root, a minute)
	scripts/system-packages.sh deb
	$(BIN)/python -m scripts.debian

test-packages: $(STAMP) ## the packages in a clean Debian: install, run, upgrade, way back, purge (root, four minutes)
	scripts/system-packages.sh deb
	METEOR_PACKAGES=1 $(BIN)/pytest -s tests/packages

wifi-image: $(STAMP) ## only that machine's disk, made once and kept in ~/.cache (needs root)
	scripts/system-packages.sh wifi
	$(BIN)/python -m tests.wifi.vm.image

test-night: $(STAMP) ## 500 events and 2 GB of media from a night without the cloud (10 minutes, 7 GB of disk)
	NIGHT_MEGABYTES=2048 $(BIN)/pytest -m night

$(VENV)/.bench: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	touch $@

bench: $(VENV)/.bench ## what docs/performance.md states, measured on this machine
	$(BIN)/python -m bench

messages: $(STAMP) ## find what pages say, and bring the catalogues of all languages up to date
	$(BIN)/python -m scripts.messages

screenshots: $(STAMP) ## the pictures of the README, from the running product
	scripts/system-packages.sh test
	scripts/system-packages.sh pictures
	$(BIN)/python -m scripts.screenshots
