PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: venv demo serve test test-crash check fix bench bench-peers clean

venv: $(STAMP)

$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Pixelflight needs Python 3.11 or newer; set PYTHON=…" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: venv  ## A fresh server, real flights pushed through it, a look into the past; then it exits.
	@$(BIN)/pixelflight demo

serve: venv  ## A server to keep: data in ./pixelflight-data, key in ./pixelflight-data/admin.key.
	@$(BIN)/pixelflight serve --data pixelflight-data

test: venv
	$(BIN)/python -m pytest

test-crash: venv  ## The long form of the crash test.
	PIXELFLIGHT_TEST_CRASH=long $(BIN)/python -m pytest tests/end_to_end/test_crash.py -p no:randomly -s --timeout 3000

check: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

fix: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: venv
	$(BIN)/python -m bench

bench-peers: venv
	$(BIN)/python -m bench.peers.install

clean:
	rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis
