# make launch   from nothing to a real guest that you can log in to        make stop, make clean
# make cluster  all of it twice on real engines, two compute hosts, a guest on each        make cluster-stop
# make ceph     installs Ceph, then tests images, volumes and servers in it, and measures clones
# make grid     every step of a launch times every process that may die, all attacks; see docs/explanation/reliability.md
# make bench    the numbers, as tables and JSON; those of SPEC.md with their bounds
# make docs     the documentation as a site in docs/_build/html, with warnings as errors
# make conformance SUITES=FOLDER   runs other projects' test suites and writes docs/conformance; see docs/explanation/conformance.md
# make test     everything that is tested, a real guest included           make check: lint, types, contracts alone
# make test-quick   tests/unit, tests/service and tests/component without root and without engines: below two minutes
SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
MAKEFLAGS += --jobs=2 --no-print-directory
export PATH := $(PATH):/usr/sbin:/sbin

.PHONY: docs conformance bench bench-peer grid test-quick test-databases launch stop clean cluster cluster-stop ceph test check lint format types contracts venv client system engines browser
launch: system venv client
	@scripts/launch.sh

stop:
	@scripts/stop.sh

clean: stop
	@scripts/clean.sh

cluster: system engines venv client
	@scripts/cluster.sh

cluster-stop: venv
	@scripts/cluster-stop.sh

ceph: venv
	@scripts/install-ceph.sh
	$(BIN)/pytest -q --durations=20 -m ceph
	$(BIN)/python -m benchmarks clones --rounds 2

grid: system engines venv
	$(BIN)/python -m tests.process.cluster.grid
	ATTACK=all $(BIN)/pytest -q -o timeout=3600 tests/process/attack
	GRID=all $(BIN)/pytest -q tests/component/agent/test_crash_grid.py

bench: system engines venv
	$(BIN)/python -m benchmarks --rounds 2

bench-peer: system engines venv
	$(BIN)/python -m benchmarks.peer

test: system engines venv client browser
	@scripts/test.sh

test-quick: venv
	$(BIN)/pytest -q -n 3 --dist worksteal -m 'not engine' tests/unit tests/service tests/component

test-databases: system engines venv
	@scripts/test-databases.sh

conformance: venv
	@test -n "$(SUITES)" || { echo "say where the suites' runners are: make conformance SUITES=FOLDER [RUN=NAMES]"; exit 2; }
	$(BIN)/python -m tools.conformance $(SUITES) $(RUN)

docs: venv
	$(BIN)/python -m sphinx -q -W --keep-going -j 2 -b html docs docs/_build/html

check: lint format types contracts

lint: venv
	$(BIN)/ruff check src tests tools benchmarks docs

format: venv
	$(BIN)/ruff format --check src tests tools benchmarks docs

types: venv
	$(BIN)/mypy -p kilonova

contracts: venv
	$(BIN)/lint-imports

system:
	@scripts/install-system.sh

venv: system
	@scripts/install-python.sh $(VENV)

engines: system
	@scripts/install-engines.sh

client: system
	@scripts/install-client.sh

browser: engines
	@scripts/install-browser.sh
