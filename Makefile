# Graphbed: `make quickstart` and `make test` are the two to know.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP_FLAGS := --quiet --disable-pip-version-check --constraint constraints.txt
# Where torch comes from, if not from pip's own index: one with CPU builds saves two gigabytes.
TORCH_INDEX ?=

.PHONY: help setup quickstart test soak e2e e2e-images lint protos docs clean

help: ## show the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP) ## make .venv with everything and compile the kernels

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Graphbed needs Python 3.11 or newer with venv (Debian: apt-get install python3-venv)"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install $(PIP_FLAGS) $(if $(TORCH_INDEX),--no-deps --index-url $(TORCH_INDEX)) 'torch==2.13.0'
	$(BIN)/pip install $(PIP_FLAGS) --editable '.[dev]'
	$(BIN)/python -m graphbed.model.warm graphbed/datasets/fb15k-237/job.yaml
	touch $@

quickstart: setup ## train, evaluate and query a real graph with embedded defaults
	$(BIN)/graphbed quickstart

test: setup ## all tests, with real Redis and S3 servers
	$(BIN)/python -m pytest -n 2 --dist loadgroup

e2e: e2e-images ## the whole cluster in containers under every fault; renews tests/e2e/record
	$(BIN)/python -m tests.e2e

e2e-images: setup ## a Docker engine, if none answers, and the images that e2e needs
	sh deploy/offline/engine.sh
	COMPOSE=$(BIN)/docker-compose sh deploy/offline/images.sh

soak: setup ## an hour of simulated and real faults: a million steps, a thousand faults (as root: some disks get full)
	$(BIN)/python -m tests.simulation --seeds 0 1000 --out benchmarks/results/simulation.json
	$(BIN)/python benchmarks/chaos.py --seed 1 --faults 1000

lint: setup ## ruff, mypy --strict, import-linter, generated files, hadolint, compose files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/protos.py --check
	$(BIN)/python tools/config_docs.py --check
	$(BIN)/python -m tools.metrics_docs --check
	$(BIN)/python -m tools.dashboards --check
	$(BIN)/hadolint Dockerfile deploy/offline/Dockerfile
	$(BIN)/docker-compose -f docker-compose.yml config --quiet
	$(BIN)/docker-compose -f docker-compose.yml -f docker-compose.offline.yml config --quiet

protos: setup ## regenerate graphbed/v1 from protos/
	$(BIN)/python tools/protos.py

docs: setup ## regenerate docs/config.md, docs/job.schema.json, docs/metrics.md and the dashboards
	$(BIN)/python tools/config_docs.py
	$(BIN)/python -m tools.metrics_docs
	$(BIN)/python -m tools.dashboards

clean: ## remove what the targets made
	rm -rf $(VENV) runs build *.egg-info
