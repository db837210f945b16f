# Every target makes .venv from requirements.lock first, if it is not there.
PYTHON ?= python3
BIN := .venv/bin
SHELL := /bin/sh

.PHONY: help setup repro test lint bench controls table preset clean clean-scratch lock

help:
	@echo "make repro          set up, then run everything and print the metrics"
	@echo "make controls       train what would refute the method, three seeds each, and print it beside the method"
	@echo "make table NAME=... another table of tables/params.yaml"
	@echo "make preset NAME=... [ROOT=/path/to/clips]   parameters of presets/NAME.yaml"
	@echo "make test | lint    the tests | ruff and mypy"
	@echo "$(BIN)/usol compare A B   whether revision B's metrics are better than A's; the exit status says so"
	@echo "make bench          ratios against what a user would write, small; docs/scale.md has the full sizes"
	@echo "make clean          remove what the stages made; make clean-scratch: only unfinished and superseded work"

repro: setup
	@$(BIN)/usol check
	@$(BIN)/dvc repro
	@$(BIN)/usol tables

controls: setup
	@$(MAKE) --no-print-directory table NAME=controls

table: setup
	@$(BIN)/usol check --table "$(NAME)"
	@$(BIN)/dvc repro "tables/dvc.yaml:$(NAME)"
	@$(BIN)/usol tables "$(NAME)"

preset: setup
	@$(BIN)/usol preset $(NAME) $(if $(ROOT),--root "$(ROOT)")

test: setup
	@$(BIN)/pytest -n auto

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Small sizes, a few minutes on two cores; benchmarks/results keeps those of the full ones.
bench: setup
	@$(BIN)/python -m benchmarks.search --most 20 --results .scratch/bench
	@$(BIN)/python -m benchmarks.grid --clips 512 --results .scratch/bench
	@$(BIN)/python -m benchmarks.shards --clips 512 --results .scratch/bench
	@$(BIN)/python -m benchmarks.scaling --clips 256 --rounds 1 --few 500 --many 1500 --results .scratch/bench
	@$(BIN)/python -m benchmarks.extract --clips 5 --results .scratch/bench
	@$(BIN)/python -m benchmarks.pipeline --clips 20 --results .scratch/bench
	@$(BIN)/python -m benchmarks.costs --results .scratch/bench

clean:
	rm -rf .scratch data/worlds data/source data/frames data/waveforms data/rejected data/regions data/bottom_up data/sounds \
		data/model data/heat data/overlays .dvc/cache

# A finished piece is a hard link to what an out or DVC's cache holds; one with no other name than its own is free to go.
clean-scratch:
	@rm -rf .scratch/cells
	@[ ! -d .scratch ] || find .scratch -mindepth 2 -maxdepth 2 -type d | while read -r piece; do \
		[ -n "$$(find "$$piece" -type f -links +1 | head -n 1)" ] || rm -rf "$$piece"; \
	done

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "make: no $(PYTHON) here; install Python 3.11, 3.12 or 3.13, or name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "make: $(PYTHON) is $$("$(PYTHON)" -V 2>&1), and 3.11, 3.12 or 3.13 is needed; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) has no venv module; install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Setting up .venv: some 150 packages. To download: 0.5 GB (2 GB on disk) where pip finds a CPU build of torch;"
	@echo "about 3 GB (7 GB on disk) where it takes the CUDA build, as on Linux unless told otherwise (see README)."
	@"$(PYTHON)" -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@
	@echo "Set up."

# The lock: exact versions as tested, without this machine's build of torch and without the project itself.
lock:
	$(BIN)/python -m pip freeze --exclude usol | sed 's/+cpu$$//' > requirements.lock
