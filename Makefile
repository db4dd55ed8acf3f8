# One-line aliases. Set-up happens by itself: what is missing is made, what is there is left alone (0.2 s, no network).
PYTHON ?= python3
UV ?= uv
BIN := .venv/bin
SAGAPROOF := $(BIN)/sagaproof
PYTEST := $(BIN)/python -m pytest
HISTORIES ?= 1000
# Of what the scenarios draw: make test SEED=2 tries others. The same one gives the same tests.
SEED ?= 1
# One more at once than the cores that this is meant for: who waits for a shop leaves them idle.
SIDE_BY_SIDE := -n 3 --dist loadscope --no-loadscope-reorder
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"

# Tests start hundreds of processes: what these compile is kept, whatever the shell says.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run stop logs demo bench bench-console pictures compare test-order test-status test-inventory health-check \
	test test-console test-unit test-integration test-e2e simulate explore mutants prove e2e lint setup setup-dev gen lock clean

help:  ## what there is to say
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup  ## the whole shop on this machine, until Ctrl-C
	@exec $(SAGAPROOF) run

stop: setup  ## end it, from another terminal
	@$(SAGAPROOF) stop

logs: setup  ## the logs of all processes as one story
	@$(SAGAPROOF) logs

demo: setup  ## the five endings of an order, and a service that is killed in the middle of one
	@$(SAGAPROOF) demo

bench: setup  ## how fast it is, on a shop of its own: make bench ARGS="--postgres" (see docs/performance.md)
	@$(SAGAPROOF) bench $(ARGS)

compare: setup  ## both modes under the same load and kills, side by side (see docs/performance.md)
	@$(BIN)/python -m bench.compare_main $(ARGS)

bench-console: setup-dev  ## how soon the console shows an event, in a real browser under load (see docs/console.md)
	@$(BIN)/python -m bench.console $(ARGS)

pictures: setup-dev  ## the README's pictures, taken of a shop of its own
	@$(BIN)/python -m e2e.pictures

test-order: setup  ## place an order and watch it to its end
	@$(SAGAPROOF) order product-1

test-status: setup  ## one order's status: make test-status ORDER=...
	@$(SAGAPROOF) status $(or $(ORDER),$$($(SAGAPROOF) order product-1 --no-watch))

test-inventory: setup  ## the products and their stock
	@$(SAGAPROOF) products

health-check: setup  ## how every process is
	@$(SAGAPROOF) health

test: setup-dev  ## everything that proves it
	@$(MAKE) --no-print-directory -j 2 lint test-console
	@$(PYTEST) -m "not prove" --seed $(SEED) $(SIDE_BY_SIDE) --durations=15 --cov --cov-report=term:skip-covered

test-console: setup-dev  ## the console's types, style and parts, where there is npm
	@if command -v npm >/dev/null; \
		then $(MAKE) --no-print-directory web/node_modules/.package-lock.json && cd web && \
			npm run --silent types && npm run --silent check && npm test --silent; \
		else echo "skipped: the console's own tests need npm"; fi

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --ignore-scripts --silent
	@touch $@

test-unit: setup-dev  ## without a broker
	@$(PYTEST) -m "not integration and not e2e"

test-integration: setup-dev  ## against a real broker
	@$(PYTEST) -m integration

test-e2e: setup-dev  ## against the whole shop
	@$(PYTEST) -m "e2e and not prove"

prove: setup-dev  ## every cell of the matrix and 50,000 histories simulated, then whole shops killed at every crash point
	@$(BIN)/python -m e2e.simulated --matrix
	@$(MAKE) --no-print-directory simulate HISTORIES=25000
	@$(MAKE) --no-print-directory explore
	@$(PYTEST) -m "e2e or prove"

e2e:  ## on a kind with Strimzi in a container, by Dagger: dagger call e-2-e (see docs/dagger.md)
	@command -v dagger >/dev/null || { echo "Dagger is not here: docs.dagger.io says how to install it"; exit 1; }
	@dagger call e-2-e $(ARGS)

simulate: setup-dev  ## HISTORIES simulated shops in each mode, with faults, each held to the checks
	@$(MAKE) --no-print-directory -j 2 simulated-choreographed simulated-orchestrated

simulated-%:
	@$(BIN)/python -m e2e.simulated --mode $* --histories $(HISTORIES)

explore: setup-dev  ## every world of one order, with up to two crashes, and of two orders, each held to the checks
	@$(BIN)/python -m e2e.explored
	@$(BIN)/python -m e2e.explored --what last-unit
	@$(BIN)/python -m e2e.explored --what one-account

mutants: setup-dev  ## the engine and the deciders broken in one way at a time, each to be found by the check named for it
	@$(BIN)/python -m e2e.mutants --at-once 2

lint: setup-dev  ## style, types, import rules, the contract
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/basedpyright
	@said=$$(PYTHONPATH=.:gen $(BIN)/lint-imports --no-cache 2>&1) || { echo "$$said"; exit 1; }
	@$(BIN)/buf lint proto
	@$(BIN)/buf format --diff --exit-code --exclude-path proto/buf proto
	@if git rev-parse --quiet --verify refs/heads/main >/dev/null 2>&1; \
		then $(BIN)/buf breaking proto --against '.git#branch=main,subdir=proto'; \
		else echo "skipped: buf breaking needs a local branch main"; fi

setup:
	@$(PYTHON) -I sagaproof/bootstrap.py run

setup-dev:
	@$(PYTHON) -I sagaproof/bootstrap.py dev

gen: setup-dev  ## the code from proto/, and whatever else has changed

lock:  ## resolve requirements/ anew from pyproject.toml (needs uv: make lock UV=path/of/uv)
	$(LOCK) --group services --group gateway --group launcher -o requirements/run.txt
	for group in services gateway build postgres console; do \
		$(LOCK) --group $$group -c requirements/run.txt -o requirements/$$group.txt || exit 1; done
	$(LOCK) --group services --group gateway --group launcher --group dev -c requirements/run.txt -c requirements/build.txt \
		-o requirements/dev.txt

clean:  ## remove what set-up made here (not the data, not Kafka's jars)
	rm -rf .venv .venv-tools gen gen.new web/dist web/node_modules .pytest_cache .ruff_cache .hypothesis .coverage htmlcov
