# Everything one types in this repository. `make` alone lists it.
SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PYTEST ?= $(BIN)/python -m pytest
APP    ?= examples.demo:app
PORT   ?= $(or $(TIDEMILL_API_PORT),8080)
# The targets for this machine read settings from .env (see .env.example) where there is one.
DOTENV := set -a; [ ! -f .env ] || . ./.env; set +a;
# What `make test` runs; e.g. `make test TESTS=unit`.
TESTS  ?= unit postgres contract chaos cluster
CODE   := core api worker operator cli examples testbed deploy bench tests tools

export PYTHON VENV

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## ---- this machine

setup: ## make .venv with everything for running and testing (pinned); quick when it is there
	@tools/setup.sh dev

run: ## everything on this machine: Postgres, API on http://localhost:8080, workers (APP=, PORT=)
	@tools/setup.sh run
	@$(DOTENV) exec $(BIN)/tidemill up --app $(APP) --port $(PORT)

db-shell: ## psql on the database of `make run`, or on TIDEMILL_DATABASE_URL
	@tools/setup.sh run
	@$(DOTENV) exec $(BIN)/python -m tidemill_cli.local.dev shell

doctor: ## say what is wrong with that database, and what to do about it
	@tools/setup.sh run
	@$(DOTENV) exec $(BIN)/python -m tidemill_cli.local.dev doctor

migrate-up: ## migrate that database to this version's schema
	@tools/setup.sh run
	@$(DOTENV) exec $(BIN)/python -m tidemill_cli.local.dev migrate-up

migrate-down: ## drop the schema `tidemill` and all tasks in it (development; asks, unless FORCE=1)
	@tools/setup.sh run
	@$(DOTENV) exec $(BIN)/python -m tidemill_cli.local.dev migrate-down

## ---- quality

test: setup ## run the tests: unit, postgres, contract, chaos, cluster (TESTS="unit postgres")
	@exec $(PYTEST) $(addprefix tests/,$(TESTS))

check: setup ## what CI runs, in the same order: format, lint, types, layers, tests
	@$(MAKE) --no-print-directory lint
	$(PYTEST) $(addprefix tests/,$(TESTS))

fuzz: setup ## requests made up from /openapi.json, then malformed bytes: other ones each time, SECONDS each (default 600)
	$(BIN)/python -m tests.support.schema_fuzz $(or $(SECONDS),600)
	$(BIN)/python -m tests.support.raw_fuzz $(or $(SECONDS),600)

fmt: setup ## format the code and mend what can be mended
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format

lint: setup ## format, lint, types and layers, without tests
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	@$(MAKE) --no-print-directory types
	$(BIN)/lint-imports

types: setup ## mypy and pyright, both strict
	$(BIN)/mypy $(wildcard $(CODE))
	$(BIN)/pyright

build: setup ## build the wheel and the source distribution into dist/
	@$(BIN)/python -m build --no-isolation --outdir dist

docs: setup ## make docs/configuration.md, .env.example and docs/chart.md from settings and values
	@$(BIN)/tidemill config -o markdown > docs/configuration.md
	@$(BIN)/tidemill config -o env > .env.example
	@$(BIN)/python -m tools.chart_docs

schema: setup ## write core/tidemill/sql/schema.sql anew from the migrations
	$(BIN)/python -m tests.support.schema_dump

lock: ## resolve the dependencies anew (UPGRADE=1: newest versions)
	@tools/lock.sh

bench: setup ## benchmarks, each beside the pure-SQL limit of the same run
	@exec $(BIN)/python -m bench

## ---- containers (compose.yaml)

docker-build: ## build the image tidemill:dev
	@$(PYTHON) -m deploy build

up: ## start everything in containers, http://localhost:8080
	@tools/compose.sh up --build --detach --wait

down: ## stop the containers; the data stays
	@tools/compose.sh down

destroy: ## stop the containers and delete their data
	@tools/compose.sh down --volumes --remove-orphans

logs: ## follow the containers' logs
	@tools/compose.sh logs --follow --tail=100

ps: ## list the containers
	@tools/compose.sh ps

config: ## show the containers' configuration as compose understands it
	@tools/compose.sh config

## ---- Kubernetes (kind with a Docker engine, else our own test bed on Linux as root)

run-k8s: ## cluster, image, chart and examples/taskqueue.yaml; http://localhost:8080
	@$(PYTHON) -m deploy run

k8s-down: ## remove that cluster with everything in it
	@$(PYTHON) -m deploy down

cluster-up: ## start an empty cluster, for tests and experiments
	@$(PYTHON) -m deploy cluster-up

cluster-down: ## remove it
	@$(PYTHON) -m deploy cluster-down

## ---- housekeeping

check-tools: ## say what this machine has, and what each tool is needed for
	@$(PYTHON) -m tools.check_tools

clean: ## remove what was built; .venv, and the data of `make run`, stay
	rm -rf dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

.PHONY: help setup run db-shell doctor migrate-up migrate-down test check fuzz fmt lint types build docs schema lock bench \
	docker-build up down destroy logs ps config run-k8s k8s-down cluster-up cluster-down \
	check-tools clean
