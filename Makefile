# Every target sets up what it needs: a virtual environment with the pinned packages of
# constraints.txt, and the jar compiled against the Lucene of the installed Pyserini.
# `make help` lists the targets and the variables.

SHELL := /bin/bash
.DEFAULT_GOAL := help

# An interpreter by name or path. python3.12 is also looked up among pyenv's, whose shims refuse
# versions that are not switched on.
PYTHON ?=
INTERPRETER := $(shell .ci/find-python "$(PYTHON)")
ifeq ($(INTERPRETER),)
  $(error no Python 3.11 or newer found$(if $(PYTHON), under the name $(PYTHON)): install one, or name it with PYTHON=/path/to/python3)
endif
VERSION := $(shell $(INTERPRETER) -c 'import sys; print("%d.%d" % sys.version_info[:2])')

VENV ?= .venv-$(VERSION)
RUN := $(VENV)/bin/python
READY := $(VENV)/.ready
LUCENE10 := .cache/lucene10
SOURCES := $(shell find java -name '*.java')

# What the commands take; empty means the default of `python -m hypserini...`.
COLLECTION ?=
COLLECTION_PATH ?=
MODEL ?=
INDEX ?=
TOPICS ?=
QUERY ?=
OUTPUT ?=
HITS ?=
DEVICE ?=
ARGS ?=
DEMO_DOCS ?=
TESTS ?= tests
WORKERS ?= 2
EXTRAS ?=
INPUTS ?= 100000

flag = $(if $(2),--$(1) "$(2)")

.PHONY: help setup jar demo index search test test-device test-crash test-cluster fuzz lint format bench bench-search bench-effectiveness bench-heads train-small wheel docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-19s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PYTHON=python3.12 chooses the interpreter (now $(INTERPRETER), environment $(VENV))."
	@echo "  index and search take COLLECTION, COLLECTION_PATH, MODEL, INDEX, TOPICS, QUERY, OUTPUT,"
	@echo "  HITS, DEVICE and ARGS (any further flags); demo takes DEMO_DOCS; test takes TESTS, WORKERS,"
	@echo "  EXTRAS, fuzz INPUTS."

$(READY): pyproject.toml constraints.txt
	$(INTERPRETER) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

setup: $(READY) ## make the virtual environment with the pinned packages

jar: $(READY) ## compile the Java sources against the installed Pyserini's Lucene
	$(RUN) -m hypserini.jvm

demo: jar ## a first look: index the installed packages' documentation, ask, evaluate
	$(RUN) -m hypserini.demo $(call flag,documents,$(DEMO_DOCS)) $(ARGS)

index: jar ## build an index (COLLECTION=, MODEL=, INDEX=; alone: the demo's)
	$(RUN) -m hypserini.index $(call flag,collection,$(COLLECTION)) \
	  $(call flag,collection-path,$(COLLECTION_PATH)) $(call flag,model,$(MODEL)) \
	  $(call flag,index,$(INDEX)) $(call flag,device,$(DEVICE)) $(ARGS)

search: jar ## search an index (TOPICS= or QUERY=, INDEX=, OUTPUT=, HITS=)
	$(RUN) -m hypserini.search $(call flag,topics,$(TOPICS)) $(call flag,query,$(QUERY)) \
	  $(call flag,index,$(INDEX)) $(call flag,model,$(MODEL)) $(call flag,output,$(OUTPUT)) \
	  $(call flag,hits,$(HITS)) $(call flag,device,$(DEVICE)) $(ARGS)

# The fat jar of the newer Pyserini, for the tests of the Java side on the newer Lucene line under
# a Python that only the older one supports. Without it (offline) those tests skip and say so.
$(LUCENE10)/.ready: | $(READY)
	@mkdir -p $(LUCENE10)
	@case $(VERSION) in 3.11) \
	  $(RUN) -m pip download --quiet --no-deps --python-version 3.12 --no-binary=:none: \
	    --dest $(LUCENE10) pyserini==2.4.0 && \
	  $(RUN) .ci/extract_jar.py $(LUCENE10) && touch $@ || \
	  echo "could not fetch Pyserini 2.4.0: the tests on Lucene 10.5 will be skipped" ;; esac

test: jar $(LUCENE10)/.ready ## run the tests (offline, no GPU needed)
	$(if $(EXTRAS),$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[$(EXTRAS)]')
	OMP_WAIT_POLICY=PASSIVE HYPSERINI_LUCENE10_JAR_DIR=$(CURDIR)/$(LUCENE10) \
	  $(RUN) -m pytest $(TESTS) --numprocesses $(WORKERS) \
	  --dist loadfile --no-loadscope-reorder $(ARGS)

test-device: jar ## search in every mode on a simulated device, whose tensors mix with no others
	HYPSERINI_TEST_DEVICE=simulated OMP_WAIT_POLICY=PASSIVE $(RUN) -m pytest -n $(WORKERS) \
	  tests/test_gpu.py tests/search/resident $(ARGS)

test-crash: jar ## kill builds, changes, searches and encodings 300 times, check what is left
	OMP_WAIT_POLICY=PASSIVE $(RUN) -m pytest $(TESTS) -m slow -s $(ARGS)

test-cluster: jar ## kill processes and nodes of a local Ray cluster 30 times (installs Ray), check
	$(RUN) -m pip install --quiet --constraint constraints.txt --editable '.[cluster]'
	OMP_WAIT_POLICY=PASSIVE $(RUN) -m pytest tests/test_cluster_crash.py -m slow -s $(ARGS)

fuzz: $(READY) ## give every reader strange files (INPUTS=100000), name what none should raise
	OMP_WAIT_POLICY=PASSIVE $(RUN) -m tests.fuzz $(call flag,inputs,$(INPUTS)) $(ARGS)

lint: $(READY) ## check format, style and types
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

format: $(READY) ## format the code and mend what ruff can mend
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

bench: jar ## measure speed and memory; prints tables and what they ran on
	OMP_WAIT_POLICY=PASSIVE $(RUN) -m benchmarks $(ARGS)

bench-search: jar ## compare approximate search with exhaustive; prints tables, draws a picture
	OMP_WAIT_POLICY=PASSIVE $(RUN) -m benchmarks.search $(ARGS)

bench-effectiveness: jar ## train small models (hours), compare them with BM25; prints tables
	OMP_WAIT_POLICY=PASSIVE $(RUN) -m benchmarks.effectiveness $(ARGS)

bench-heads: jar ## train heads over frozen vectors (hours; ARGS="--pairs ... --encoder ..."), compare
	OMP_WAIT_POLICY=PASSIVE $(RUN) -m benchmarks.heads $(ARGS)

train-small: jar ## train the bundled model again (hours; see its README)
	$(RUN) -m hypserini.demo.train_small $(ARGS)

# The fat jar of the other line of Pyserini, which the wheel's second jar is compiled against.
OTHER := $(if $(filter 3.11,$(VERSION)),$(LUCENE10),.cache/lucene9)

.cache/lucene9/.ready: | $(READY)
	@mkdir -p $(@D)
	$(RUN) -m pip download --quiet --no-deps --python-version 3.11 --no-binary=:none: \
	  --dest $(@D) pyserini==1.6.0
	$(RUN) .ci/extract_jar.py $(@D) && touch $@

wheel: jar $(OTHER)/.ready ## build a wheel with the jars of both Lucene lines: no compiler is needed
	ANSERINI_CLASSPATH=$(CURDIR)/$(OTHER) $(RUN) -m hypserini.jvm
	$(RUN) -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(RUN) .ci/check_wheel.py dist

# In an environment of their own: the demo's collection is the documentation of what is installed.
docs: .venv-docs/.ready ## build the documentation as a site: build/site/index.html
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/python -m mkdocs build --quiet --strict
	@! grep -rE '<(script|link|img|iframe)[^>]*(src|href)="?https?:' build/site --include='*.html' \
	  || { echo "these pages ask another host for something"; exit 1; }

.venv-docs/.ready: pyproject.toml constraints.txt
	$(INTERPRETER) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --upgrade pip
	.venv-docs/bin/python -m pip install --quiet --constraint constraints.txt \
	  $$($(INTERPRETER) .ci/extra.py docs)
	@touch $@

clean: ## remove what the targets made, but for collections, indexes and runs
	rm -rf .venv-* .cache build dist hypserini/jars .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
