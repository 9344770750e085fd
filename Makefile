# make study    the embedded study, to its report        make test    everything that is checked
# Set-up happens by itself, in .venv, from the hash-pinned locks in envs/.

PYTHON ?= python3
STUDY ?= config.yaml
BIN := .venv/bin
UV := $(BIN)/uv
# Every job is a process of its own. Compiled once here, its imports take half the time, also where
# PYTHONDONTWRITEBYTECODE (set in many containers) would have each process compile everything anew.
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes

.DEFAULT_GOAL := help
.PHONY: help study test test-fast lint lock clean

help:
	@echo "make study                 run the embedded study (config.yaml) to its report, on all cores"
	@echo "make study STUDY=my.yaml   run another study"
	@echo "make test                  linters and all tests"
	@echo "make test-fast             linters and the quick tests"
	@echo "make lock                  compile the pins in envs/ anew"
	@echo "make clean                 remove the environment; results stay"

study: .venv/.core
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores all --configfile $(STUDY) --quiet host rules

# Two workers: a file's tests share fixtures that take long to make.
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

test: lint
	$(PYTEST)

test-fast: lint
	$(PYTEST) -m "not slow"

lint: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --lint

$(UV): envs/uv.lock
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/uv.lock
	@touch $@

.venv/.core: envs/core.lock $(UV)
	$(INSTALL) -r envs/core.lock
	@touch $@

.venv/.dev: envs/dev.lock .venv/.core
	$(INSTALL) -r envs/dev.lock
	@touch $@

LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

lock: $(UV)
	$(LOCK) envs/uv.in -o envs/uv.lock
	$(LOCK) envs/core.in -o envs/core.lock
	$(LOCK) -c envs/core.lock envs/dev.in -o envs/dev.lock
	$(LOCK) -c envs/core.lock envs/slurm.in -o envs/slurm.lock

clean:
	rm -rf .venv
