# make install   the runner and the command `relevo`; none of Debian's packages that tests need
# make demo   a failover and a failback of real hosts on this machine, with a real client writing
# make check  lint, types, unit, stories: what needs no lab, in minutes
# make test   lint, types, unit, stories, drills on real hosts (LAB=bookworm or trixie for others)
# make engine POSTGRES=12  the engine tests on that release of PostgreSQL (12, 14, 16, 17 or 18)
# make release VERSION=0.2.0   sdist and wheel in dist/, of a commit that is that release
# make chaos  stories of accidents, from SEED=1, N=20 of them; docs/chaos.md says what they found
# make compare the same ten accidents for the runbook, repmgr and Relevo; docs/compare.md
# make lab-up, make lab-down   the hosts alone
# make bench-fleet      what 30 and 100 instances cost Prefect a day, on real runs under many names
# make bench-filestore   the engine beside the runbook's rsync (SIZES=10000 is short)
# make soak              ten MINUTES of normal running: does any alarm cry wolf?
# make drill-seeds       20 power cuts of an origin while a client writes: what is lost is named
# make drill-power       N=20 power cuts at random moments of procedures, at either end
# make drill-docs       each page of docs, typed to the letter on hosts that Relevo never saw
# make drill-undo       the time machine: what was deleted comes back, origin and replay notice nothing
# make drill-upgrade     an instance of before the own users, moved by a run that dies at two moments
# make drill-suspended   50 runs that are stopped in the middle, and woken beside a newer one

LAB ?= bullseye
PYTHON := .venv/bin/python
export RELEVO_LAB_GENERATION = $(LAB)
unexport PYTHONDONTWRITEBYTECODE

SEED ?= 1
N ?= 20

.PHONY: install setup demo check test engine lint release chaos compare bench-rto bench-move bench-clone bench-fleet bench-filestore bench-followers drill-seeds drill-power drill-suspended drill-docs drill-undo drill-upgrade soak screenshots lab-up lab-down

install:
	@.ci/setup runner

setup:
	@.ci/setup

demo: setup
	@$(PYTHON) -m tests.demo

lint: setup
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

check: lint
	@$(PYTHON) -m pytest -q -n 2 tests/unit blocks deployments tasks tests/flows

# Two at a time, each with a lab of its own: most of a drill is waiting.
test: lint
	@$(PYTHON) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=12

# Without a release, on the newest that this machine has.
POSTGRES ?=
engine: setup
	@programs=$(if $(POSTGRES),$$(.ci/postgres "$(POSTGRES)")) && \
	    RELEVO_ENGINE_POSTGRES="$$programs" $(PYTHON) -m pytest -q -n 2 tests/engine

release: setup
	@.ci/release "$(VERSION)"

bench-rto: setup
	@$(PYTHON) -m tests.bench_rto

bench-move: setup
	@$(PYTHON) -m tests.bench_move

# Of this machine's release; RELEVO_ENGINE_POSTGRES=`.ci/postgres 17` is another.
bench-clone: setup
	@$(PYTHON) -m tests.bench_clone

# The pictures of the README and of docs/, made anew by the browser suite.
screenshots: setup
	@RELEVO_SCREENSHOTS=docs/screenshots $(PYTHON) -m pytest -q tests/drills/ui

chaos: setup
	@$(PYTHON) -m tests.chaos --seed $(SEED) --stories $(N)

compare: setup
	@$(PYTHON) -m tests.compare
	@$(PYTHON) -m tests.compare.results

lab-up: setup
	@$(PYTHON) -m tests.lab up

# Those of a killed `make test` too.
lab-down: setup
	@for worker in "" -gw0 -gw1; do \
	    $(PYTHON) -m tests.lab down --name "$${RELEVO_LAB_NAME:-relevo}$$worker"; done

SIZES ?= 10000,100000,1000000
bench-filestore: setup
	@$(PYTHON) -m tests.bench --sizes $(SIZES) --rounds 5 --cold 5 --wan 5 --initial 3 --follow 30 $(BENCH)
	@$(PYTHON) -m tests.bench.report

# The figures of another release, from its own checkout, are RELEVO_BEFORE for the page.
bench-fleet: setup
	@$(PYTHON) -m tests.bench_fleet 30 100
	@$(PYTHON) -m tests.bench_fleet_page "$${RELEVO_BEFORE:-docs/benchmarks/fleet.json}" docs/benchmarks/fleet.json

# One follower for each instance beside one for all; docs/benchmarks/followers.md
bench-followers: setup
	@$(PYTHON) -m tests.bench_followers

MINUTES ?= 10
soak: setup
	@MINUTES=$(MINUTES) $(PYTHON) -m tests.soak

drill-seeds: setup
	@RELEVO_SEEDS=20 RELEVO_SEED_DOCUMENTS=600 \
	    RELEVO_SEED_RESULTS=docs/benchmarks/power-cuts.jsonl \
	    $(PYTHON) -m pytest tests/drills/test_45_power_cut.py

drill-power: setup
	@RELEVO_CUTS=$(N) RELEVO_CUT_RESULTS=docs/benchmarks/cuts-at-any-moment.jsonl \
	    $(PYTHON) -m pytest tests/drills/test_46_power_at_any_moment.py

drill-docs: setup
	@RELEVO_DOCS=1 $(PYTHON) -m pytest tests/drills/test_15_documents.py

drill-undo: setup
	@RELEVO_UNDO=1 $(PYTHON) -m pytest tests/drills/test_16_time_machine.py

drill-upgrade: setup
	@RELEVO_LONG=1 $(PYTHON) -m pytest tests/drills/test_12_upgrade.py

drill-suspended: setup
	@RELEVO_SUSPENDED_SEEDS=50 RELEVO_SUSPENDED_RESULTS=docs/benchmarks/suspended.jsonl \
	    $(PYTHON) -m pytest tests/drills/test_46_suspended.py
