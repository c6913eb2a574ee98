# make demo   a failover and a failback of real hosts on this machine, with a real client writing
# make test   everything: lint, types, unit, stories, drills on real hosts (LAB=trixie for the newer)
# make lab-up, make lab-down   the hosts alone

LAB ?= bullseye
PYTHON := .venv/bin/python
export RELEVO_LAB_GENERATION = $(LAB)
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test lint bench-rto screenshots lab-up lab-down

setup:
	@.ci/setup

demo: setup
	@$(PYTHON) -m tests.demo

lint: setup
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

test: lint
	@$(PYTHON) -m pytest

bench-rto: setup
	@$(PYTHON) -m tests.bench_rto

# The pictures of the README and of docs/, made anew by the browser suite.
screenshots: setup
	@RELEVO_SCREENSHOTS=docs/screenshots $(PYTHON) -m pytest -q tests/drills/ui

lab-up: setup
	@$(PYTHON) -m tests.lab up

lab-down: setup
	@$(PYTHON) -m tests.lab down
