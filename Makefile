# make study    run the embedded study to its report        make test    run all checks
# Both create the environment first, in .venv, from the hash-pinned locks in envs/.

PYTHON ?= python3
STUDY ?= config.yaml
BIN := .venv/bin
UV := $(BIN)/uv
# Each job is a process. If packages are compiled here once, its imports take half the time, also where
# PYTHONDONTWRITEBYTECODE (set in many containers) would make each process compile them again.
INSTALL := $(UV) pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes

ifneq ($(filter %.yaml %.yml,$(MAKECMDGOALS)),)
$(error To run this study, write: make study STUDY=$(firstword $(filter %.yaml %.yml,$(MAKECMDGOALS))))
endif

.DEFAULT_GOAL := help
.PHONY: help study docs test test-fast all-tests quick-tests test-faults test-slurm test-storage lint types style schema lock clean

help:
	@echo "make study                 run the embedded study (config.yaml) to its report, on all cores"
	@echo "make study STUDY=my.yaml   run another study, after installing the extras that it needs"
	@echo "make test                  linters, the type checker and all tests"
	@echo "make test-fast             linters, the type checker and the quick tests"
	@echo "make test-faults           a study that dies at every file operation, on full and read-only disks (minutes)"
	@echo "make test-slurm            the tiny study on the SLURM cluster of this machine (minutes)"
	@echo "make test-storage          the tiny study through an S3 server on this machine, jobs in folders of their own (minutes)"
	@echo "make docs                  build the documentation site: site/index.html"
	@echo "make schema                generate workflow/schemas/config.schema.yaml from the models of the config"
	@echo "make lock                  compile the pins in envs/ again"
	@echo "make clean                 remove the environment; results stay"

study: .venv/.core
	@extras=$$(PYTHONPATH=workflow/lib $(BIN)/python -m variability.config.required_extras $(STUDY)) && \
	for extra in $$extras; do $(MAKE) --no-print-directory .venv/.$$extra || exit 1; done
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --cores all --configfile $(STUDY) --quiet host rules

# Two workers, a file each: its tests share fixtures that are slow to make. Files are taken in the order of testpaths,
# because pytest-xdist would start with the files that have many tests, and slow files have few. Compiled tests are kept.
PYTEST := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

# Optional parts of studies, and what developing the project needs. Plug-ins of Snakemake are tested apart, because it
# imports all of them at every start, and slurm needs a cluster.
PLUGINS := slurm storage storage-test
EXTRAS := $(filter-out core uv,$(patsubst envs/%.in,%,$(wildcard envs/*.in)))

# The type checker takes 20 s of one core: it runs at the same time as the other linters and the tests.
ALONGSIDE := --no-print-directory --jobs 3 types style

test: $(patsubst %,.venv/.%,$(filter-out $(PLUGINS),$(EXTRAS)))
	@$(MAKE) $(ALONGSIDE) all-tests

test-fast: .venv/.dev
	@$(MAKE) $(ALONGSIDE) quick-tests

all-tests:
	$(PYTEST) -m "not faults and not slurm and not storage"

quick-tests:
	$(PYTEST) -m "not slow and not faults and not slurm and not storage"

test-faults: .venv/.dev
	$(PYTEST) -m faults

# Its tests wait for the same cluster, whose nodes must see the folder of their files: make test-slurm SHARED=/scratch/me
test-slurm: .venv/.dev .venv/.slurm
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -m slurm $(if $(SHARED),--basetemp $(SHARED)/slurm-tests)

test-storage: .venv/.dev .venv/.storage-test
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -m storage

lint: .venv/.dev
	@$(MAKE) --no-print-directory --jobs 2 types style

types:
	$(BIN)/basedpyright --level error

style:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile workflow/rules
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/snakemake --lint

docs: .venv/.docs
	PYTHONPATH=workflow/lib:docs:tests $(BIN)/python -m site_builder

schema: .venv/.core
	PYTHONPATH=workflow/lib $(BIN)/python -m variability.config.schema workflow/schemas/config.schema.yaml

# Snakemake starts scripts by a shell command in which the path of Python is not quoted.
CHECK_PATH := import os, shlex, sys; path = os.getcwd(); sys.exit( \
	f"{path} has spaces or special characters, with which Snakemake cannot start jobs; move this checkout") \
	if shlex.quote(path) != path else None

$(UV): envs/uv.lock
	@$(PYTHON) -c '$(CHECK_PATH)'
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11.4 or newer is needed, this is " + sys.version) if sys.version_info < (3, 11, 4) else None'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r envs/uv.lock
	@touch $@

# The library can be imported from any folder, in notebooks too.
$(BIN)/.importable: $(UV)
	@echo "$(CURDIR)/workflow/lib" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/variability.pth"
	@touch $@

.venv/.core: envs/core.lock $(UV) $(BIN)/.importable
	$(INSTALL) -r envs/core.lock
	@touch $@

.venv/.%: envs/%.lock .venv/.core
	$(INSTALL) -r $<
	@touch $@

LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate

# Each lock is compiled with the pins of those before it, so that all of them fit into one environment.
lock: $(UV)
	$(LOCK) envs/uv.in -o envs/uv.lock
	$(LOCK) envs/core.in -c envs/limits.txt -o envs/core.lock
	@pins="-c envs/core.lock"; for extra in $(EXTRAS); do \
	echo $$extra; $(LOCK) $$pins envs/$$extra.in -o envs/$$extra.lock || exit 1; pins="$$pins -c envs/$$extra.lock"; done

clean:
	rm -rf .venv
