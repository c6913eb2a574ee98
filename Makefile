# make demo   a failover and a failback of real hosts on this machine, with a real client writing
# make test   everything: lint, types, unit, stories, drills on real hosts (LAB=trixie for the newer)
# make lab-up, make lab-down   the hosts alone

LAB ?= bullseye
PYTHON := .venv/bin/python
export RELEVO_LAB_GENERATION = $(LAB)
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test lint lab-up lab-down

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

lab-up: setup
	@$(PYTHON) -m tests.lab up

lab-down: setup
	@$(PYTHON) -m tests.lab down
