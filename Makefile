# Code du Travail Neo. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= $(shell for name in python3.11 python3.10 python3; do \
	$$name -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2])' 2>/dev/null && echo $$name && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RIG ?= ../shared/rigs/vps/rig
QUESTIONS ?= ../shared/data/retrieval_dev.json
# Servers that tests kill share the processors with them: what fails is run once more, and the summary says so.
RERUNS ?= 1
PYTEST_ARGS ?=
LOCKS := $(filter-out %/constraints.txt %/overrides.txt,$(wildcard requirements/*.txt))

.PHONY: help run install install-formats install-ansible test test-deploy test-faults check check-ansible format bench bench-search soak lock audit system-packages clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: $(VENV)/.installed ## Install what is missing, then start the AI core on HOST:PORT (127.0.0.1:8000)
	@exec $(BIN)/python -m ai_core serve --quickstart

install: $(VENV)/.installed ## Install what `make run` needs into .venv

install-ansible: $(VENV)/.installed-ansible ## Install what deploys to hosts (ansible/README.md)

install-formats: $(VENV)/.installed-formats ## Install what other models than GGUF need (TORCH_INDEX=URL of a CPU index)

test: $(VENV)/.installed-dev system-packages ## Install what the tests need, then run them all (PYTEST_ARGS="-k ...")
	$(BIN)/python -m pytest --reruns $(RERUNS) $(PYTEST_ARGS)

test-deploy: $(VENV)/.installed-dev $(VENV)/.installed-ansible system-packages ## Install hosts of their own by the playbooks and look at them (root; RIG=PATH)
	$(RIG) deps
	RIG=$(RIG) $(BIN)/python -m pytest tests/deploy $(PYTEST_ARGS)

test-faults: $(VENV)/.installed-dev system-packages ## Break each part of the running system under load: nothing may be lost (root; FAULTS_ARGS="--only kill --runs 2")
	$(BIN)/python -m tests.faults $(FAULTS_ARGS)

check: $(VENV)/.installed-dev ## Lint and type-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict $$(git ls-files '*.yml' '*.yaml' | grep . || echo /dev/null)

check-ansible: $(VENV)/.installed-ansible ## Lint the playbooks and roles
	cd ansible && PATH="$(CURDIR)/$(BIN):$$PATH" ansible-lint --offline --profile production

format: $(VENV)/.installed-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev system-packages ## Measure engine, search, API, Telegram, mail (MODE=full MODEL=FILE.gguf LLAMA_SERVER=PATH EXAMPLE_SERVER=PATH)
	$(BIN)/python -m tests.benchmarks --mode $(or $(MODE),short) $(if $(MODEL),--model $(MODEL) --engine-model $(MODEL)) \
		$(if $(LLAMA_SERVER),--llama-server $(LLAMA_SERVER)) $(if $(EXAMPLE_SERVER),--example-server $(EXAMPLE_SERVER)) \
		$(if $(wildcard $(QUESTIONS)),--questions $(QUESTIONS)) $(if $(BENCH_ARGS),--engine-arguments="$(BENCH_ARGS)")

soak: $(VENV)/.installed-dev system-packages ## Run everything under steady load and see that nothing grows (MINUTES=30)
	@mkdir -p build
	$(BIN)/python -m tests.benchmarks.soak --minutes $(or $(MINUTES),30) --json build/soak.json --plot build/soak.png $(SOAK_ARGS)

bench-search: $(VENV)/.installed-dev ## Measure retrieval (QUESTIONS=FILE)
	$(BIN)/python -m tests.benchmarks.search --questions $(QUESTIONS)

lock: $(VENV)/.installed-dev ## Lock requirements/*.in again
	$(PIP) install --quiet uv
	PATH="$(CURDIR)/$(BIN):$$PATH" requirements/lock.sh

audit: $(BIN)/python ## Look up known vulnerabilities of all that is locked (needs the internet)
	@$(BIN)/python -m venv build/audit && build/audit/bin/python -m pip install --quiet pip-audit
	@for lock in $(LOCKS); do echo "$$lock"; build/audit/bin/pip-audit --strict --disable-pip --no-deps -r $$lock || failed=1; done; \
		test -z "$$failed"

system-packages:
	@tests/system_packages.sh

clean: ## Remove the virtualenv and the caches; data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.10 or newer is needed: apt-get install python3 python3-venv"; exit 1; }
	@echo "Creating $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV) || { echo "The venv module is missing: apt-get install python3-venv"; exit 1; }

$(VENV)/.installed: requirements/ai_core.txt requirements/ai_core-gguf.txt | $(BIN)/python
	@command -v c++ >/dev/null || { echo "A C++ compiler is needed to build llama.cpp: apt-get install build-essential"; exit 1; }
	@echo "Installing the libraries ..."
	$(PIP) install --quiet --require-hashes -r requirements/ai_core.txt
	@echo "Building llama.cpp for this processor: about 3 minutes on two cores, once ..."
	$(PIP) install --require-hashes -r requirements/ai_core-gguf.txt
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt $(VENV)/.installed $(VENV)/.installed-formats
	@echo "Installing the test tools ..."
	$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.installed-ansible: requirements/ansible.txt | $(BIN)/python
	$(PIP) install --quiet --require-hashes -r requirements/ansible.txt
	@touch $@

$(VENV)/.installed-formats: requirements/torch.txt requirements/ai_core-transformers.txt requirements/ai_core-onnx.txt $(VENV)/.installed
	@echo "Installing PyTorch, transformers and onnxruntime ..."
	$(PIP) install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -r requirements/torch.txt
	$(PIP) install --quiet --require-hashes -r requirements/ai_core-transformers.txt -r requirements/ai_core-onnx.txt
	@touch $@
