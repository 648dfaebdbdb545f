# Every target works from a fresh clone: `setup` makes what is missing and is done at once when nothing changed.

PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup console demo test test-all lint format docs screenshots bench bench-rewards bench-serve bench-console clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Make or refresh .venv (PYTHON=… chooses the interpreter, TUNEWARD_TORCH=… another torch)
	@$(PYTHON) scripts/setup_env.py

console: ## Build the web console into the package (make setup does it too)
	@$(PYTHON) scripts/build_console.py

demo: setup ## Fetch the small model and train it on this machine
	$(BIN)/tuneward models pull smollm2-135m
	$(BIN)/tuneward demo

test: lint ## Lint and the fast tests
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile

test-all: lint ## Lint and all tests, the slow ones too
	$(BIN)/pytest -n 2 --dist loadfile

lint: setup ## Formatting, style, types, the direction of imports, and the console's own checks
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/build_console.py --check

format: setup ## Format the code and repair what can be repaired by itself
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: setup ## Write the generated pages of docs/ again
	$(BIN)/python scripts/write_docs.py
	$(BIN)/python -m scripts.compatibility

screenshots: setup ## Draw every page of the console into docs/images, in both themes and on a phone
	$(BIN)/python scripts/screenshots.py

bench: setup ## Compare with TRL on this machine (makes .venv-trl; takes long; ARGS=… go to bench.py)
	@$(PYTHON) scripts/setup_env.py --trl
	$(BIN)/python benchmarks/bench.py $(ARGS)

bench-rewards: setup ## Measure how fast scoring is, and what of it training waits for (ARGS=--quick: no training)
	$(BIN)/python benchmarks/rewards.py $(ARGS)

bench-serve: setup ## Measure the server under load; writes bench-serve.json (ARGS=--quick: short)
	$(BIN)/python benchmarks/serving.py $(ARGS)

bench-console: setup ## Measure the console: 100,000 points drawn, a million rollouts paged, 20 tabs beside training
	$(BIN)/python benchmarks/console_charts.py
	$(BIN)/python benchmarks/console_rollouts.py
	$(BIN)/python benchmarks/console_tabs.py

clean: ## Remove both environments, caches and build results; runs/ stays
	rm -rf .venv .venv-trl build dist console/node_modules src/tuneward/console .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	find src tests scripts benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +
