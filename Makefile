# make repro | make test: each sets up everything it needs, then does its job.

BIN := .venv/bin
PORT ?= 5000
METHOD ?= mdpr

export PATH := $(CURDIR)/$(BIN):$(PATH)
export RAY_USAGE_STATS_ENABLED := 0
export RAY_ENABLE_UV_RUN_RUNTIME_ENV := 0
export RAY_DASHBOARD_STARTUP_TIMEOUT_S ?= 300
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := 1

.PHONY: help setup repro study tune test test-all cluster-test lint ui tidy tidy-now bench
.DEFAULT_GOAL := help

help: ## list these targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## (.*)/make \1	\2/' | expand -t 19

setup: .venv/.ready ## make .venv with the versions of constraints.txt (about 7 GB)

# The first interpreter that is there and new enough.
FIND_PYTHON = for python in $(PYTHON) python3.11 python3 python3.12 python3.13; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11, 4))' 2>/dev/null; then echo $$python; break; fi; done

.venv/.ready: constraints.txt pyproject.toml
	@echo "Setting up .venv: takes some minutes and about 7 GB of disk, most of it PyTorch's GPU libraries;" \
		"free here: $$(df -Ph . | awk 'NR == 2 {print $$4}')."
	@python=$$($(FIND_PYTHON)); \
	if [ -z "$$python" ]; then \
		echo "error: no Python 3.11.4 or newer found; install one, or name it: make setup PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	[ ! -e .venv/.unfinished ] || rm -rf .venv; \
	[ -x $(BIN)/python ] || $$python -m venv .venv
	@# An installation that was stopped leaves packages that pip can't even list.
	@touch .venv/.unfinished
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[pipeline,dev]'
	@# An unpacked source archive has no .git; DVC refuses to work there unless told so.
	@[ -e .git ] || $(BIN)/dvc config --local core.no_scm true
	@rm .venv/.unfinished
	@touch $@

repro: setup ## run the default experiment, print its result table
	@dvc repro
	@python -m stages tables --show
	@python -m pipeline.tracking.recorder

tune: setup ## search better values for METHOD (docs/tuning.md)
	@dvc repro studies/dvc.yaml:compare_tuned@$(METHOD)
	@cat artifacts/tune/$(METHOD)/best.yaml artifacts/compare_tuned/$(METHOD)/gain.md
	@python -m pipeline.tracking.recorder

study: setup ## train all rows with all their seeds, or go on with it
	@dvc repro prepare starts
	@python -m stages study
	@python -m stages tables --study
	@python -m stages tables --study --show
	@cat artifacts/study/claims.md artifacts/study/differences.md
	@python -m pipeline.tracking.recorder

test: setup ## run the test suite, without the slow tests
	@pytest

test-all: setup ## run the test suite with the slow tests
	@pytest -m "not gpu and not cluster"

cluster-test: setup ## test on two simulated machines, as root (docs/cluster.md)
	@pytest -m cluster -rs -s tests/cluster

lint: setup ## check style, types and import rules
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports

ui: setup ## show the recorded runs in a browser, on this machine only
	@python -m pipeline.tracking.recorder
	@python -m pipeline.tracking.views $(PORT)
	@mlflow ui --backend-store-uri sqlite:///$(CURDIR)/mlflow.db --host 127.0.0.1 --port $(PORT) --workers 1

tidy: setup ## list what old runs left behind, with its size
	@python -m stages tidy

tidy-now: setup ## remove what make tidy lists; results are kept
	@python -m stages tidy --remove

bench: setup ## run the benchmarks: minutes to an hour each
	@for script in benchmarks/*.py; do echo "== $$script"; python $$script || exit 1; done
