# Everything runs from .venv, which these targets make and keep up to date by themselves.
PYTHON ?= python3
PYTHON313 ?= python3.13
BIN := .venv/bin
SOAK_PAGE ?= docs/soak.md
SOURCES := $(shell find src -name '*.py' -o -name '*.c') hatch_build.py pyproject.toml LICENSE

.PHONY: run test edge-figures edge-runtimes edge-test faults scale soak check format lock bench bench-peers neighbours clean

run: .venv/run.stamp  ## the gateway on http://127.0.0.1:8787 with its demo parts: no key, no service, no network
	@$(BIN)/wws dev --demo

test: .venv/dev.stamp .venv/run.stamp  ## every test
	$(BIN)/pytest

edge-test: .venv/dev.stamp .venv/run.stamp edge-runtimes  ## the scenarios on the edge runtimes themselves, and the folder that is deployed there
	WWS_SCENARIO_HOSTS=workerd,deno $(BIN)/pytest -q -p no:randomly tests/scenarios edge/tests
	cd edge && node core.mjs pyodide .packages # CPython 3.14 and 3.13 as Pyodide has them, so every machine can
	cd edge && node core.mjs pyodide-313 .packages
	@if $(PYTHON313) -c "" 2>/dev/null; then $(PYTHON313) -I edge/core.py edge/.packages; else echo "no $(PYTHON313) here: 3.13 was tried in Pyodide alone"; fi

edge-figures: .venv/dev.stamp .venv/run.stamp edge-runtimes  ## what the gateway costs on workerd and Deno; writes docs/platforms.md
	$(BIN)/python -m edge.figures

edge-runtimes: edge/node_modules/.stamp edge/.packages/.stamp  ## workerd, Deno, Pyodide and wrangler, from npm at the versions of edge/package-lock.json

edge/node_modules/.stamp: edge/package.json edge/package-lock.json
	@cd edge && npm install --ignore-scripts --silent # as locked; npm ci wants the packages of every other system too
	@touch $@

edge/.packages/.stamp: .venv/base.stamp edge/core.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade --target edge/.packages -r edge/core.txt
	@touch $@

faults: .venv/dev.stamp .venv/run.stamp  ## sixteen faults of AI providers; prints what the caller sees and writes docs/failure-behaviour.md
	FAULTS_TABLE=docs/failure-behaviour.md $(BIN)/pytest -q -p no:randomly tests/faults

scale: .venv/dev.stamp .venv/run.stamp  ## what takes minutes: fifty reloads under load, rolling restarts behind nginx
	$(BIN)/pytest -q -p no:randomly -m scale tests

soak: .venv/dev.stamp .venv/run.stamp  ## ten minutes of everything a gateway meets (SOAK_SECONDS): memory, descriptors and tasks stay flat; writes docs/soak.md
	SOAK_PAGE=$(SOAK_PAGE) $(BIN)/python -m tests.soak

check: .venv/dev.stamp  ## format, lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --no-logo

format: .venv/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/dev.stamp .venv/run.stamp  ## the budget table against nginx, in one run
	$(BIN)/python -m bench

bench-peers: .venv/dev.stamp .venv/run.stamp  ## the same shapes on other gateways, each installed into its own folder
	$(BIN)/python -m bench.peers

neighbours: .venv/dev.stamp .venv/run.stamp  ## what the neighbour of a function that loops, blocks or eats memory notices: a table
	$(BIN)/python -m bench.neighbours

lock: .venv/base.stamp  ## new lock files from requirements/*.in
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet --upgrade requirements/run.in -o requirements/run.txt
	$(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --quiet --upgrade -c requirements/run.txt requirements/dev.in -o requirements/dev.txt

.venv/base.stamp: requirements/run.txt
	@$(PYTHON) -c 'import sys; sys.exit("WWS needs Python 3.11 or newer; say: make PYTHON=/path/to/python3.12") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@touch $@

# Installed as users get it: a wheel whose hot modules are compiled. WWS_PURE=1 leaves them plain Python, which is installed
# at once and follows every edit, and serves the same at about twice the CPU.
.venv/run.stamp: .venv/base.stamp $(SOURCES)
	@echo "installing wws$(if $(WWS_PURE),, (compiling what every request runs through: about a minute, when the source has changed)) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --force-reinstall $(if $(WWS_PURE),--editable) .
	@touch $@

.venv/dev.stamp: .venv/base.stamp requirements/dev.txt
	@echo "installing the tools for tests into .venv (once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache bench/.work edge/node_modules edge/.packages
