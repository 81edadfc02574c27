# One target a need. Everything is installed into .venv by the first target that needs it.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
DEMO_HOME := $(CURDIR)/var/demo
CLUSTER_HOME := $(CURDIR)/var/cluster-demo

.DEFAULT_GOAL := help
.PHONY: help install demo cluster-demo cluster-down unit test up down status lint format bench lock faults machine hostile audit images

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: $(VENV)/.installed ## everything into .venv (the other targets call it)

$(VENV)/.installed: requirements.txt requirements-dev.txt include/pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v[:2] == (3, 11) else f"Python 3.11 is needed, {sys.executable} is {v[0]}.{v[1]}: run make PYTHON=/path/to/python3.11")'
	@echo "[sluicegate] installing into $(VENV) (about 1.3 GB, a minute or two)" >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install -q --disable-pip-version-check uv
	@$(BIN)/uv pip install -q --python $(BIN)/python -r requirements-dev.txt
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e include
	@touch $@

demo: install ## real flights through the whole loop: one promotion, two reverts (3 to 6 minutes)
	@$(BIN)/python -m sluicegate_demo

cluster-demo: install ## the same in the cluster of KUBECONFIG, all steps in pods (docs/kubernetes.md; ARGS="--load 'kind load docker-image'")
	@$(BIN)/python -m sluicegate_demo --cluster $(ARGS)

cluster-down: install ## stop it and take it out of the cluster and the store
	@$(BIN)/python -m sluicegate_demo --remove

unit: install ## the tests that start neither the stack, a gateway nor a cluster, but for the slow ones: a minute or two
	@$(BIN)/python -m pytest -q -n 2 -m "not stack and not gateway and not cluster and not slow" $(ARGS)

test: install ## all tests, or some: make test ARGS="-k lease"
	@$(BIN)/python -m tests $(ARGS)

up: install ## start the local stack and wait until it is healthy
	@$(BIN)/python -m sluicegate.local up

down: install ## stop it, and a demo that was left running
	@$(BIN)/python -m sluicegate.local down
	@for home in $(DEMO_HOME) $(CLUSTER_HOME); do \
	  if [ -e $$home ]; then SLUICEGATE_HOME=$$home $(BIN)/python -m sluicegate.local down; fi; done

status: install ## what runs and where
	@$(BIN)/python -m sluicegate.local status
	@if [ -e $(DEMO_HOME)/supervisor ]; then echo; echo "demo:"; SLUICEGATE_HOME=$(DEMO_HOME) $(BIN)/python -m sluicegate.local status; fi

lint: install ## ruff, mypy (strict), import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@PYTHONPATH=plugins $(BIN)/lint-imports

format: install ## let ruff rewrite
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

faults: install ## kill at random on a live stack and check the invariants: make faults ARGS="--rounds 20 --seed 1" (--help)
	@$(BIN)/python -m tests.faults $(ARGS)

machine: install ## 10 000 sequences of runs, people, crashes and outages over the release verbs: make machine ARGS="--sequences 500 --seed 7"
	@$(BIN)/python -m sluicegate.testing.machine $(ARGS)

hostile: install ## 10 000 malformed inputs each to server, gateway, ingest and specs: make hostile ARGS="--count 500 --only server"
	@$(BIN)/python -m tests.hostile $(ARGS)

audit: install ## pins, licences and known vulnerabilities of what we depend on; needs the vulnerability service
	@$(BIN)/python .ci/audit.py

bench: install ## all benchmarks, a table each
	@for b in benchmarks/*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

images: install ## an image for each role, with docker or buildah; what did not change is not built again (ARGS="--registry R --push")
	@$(BIN)/python docker/build.py $(ARGS)

lock: ## resolve requirements.in and requirements-dev.in again, and the images' parts of them
	@$(BIN)/uv pip compile -q --no-header --python-version 3.11 requirements.in -o requirements.txt
	@$(BIN)/uv pip compile -q --no-header --python-version 3.11 requirements-dev.in -o requirements-dev.txt
	@for role in docker/requirements/*.in; do \
	  $(BIN)/uv pip compile -q --no-header --no-annotate --python-version 3.11 -c requirements.txt $$role -o $${role%.in}.txt || exit 1; done
