# Everything sets itself up; `make help` lists what there is.
VENV ?= .venv
SALT ?= 3008
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-3006 lint bench bench-release bench-backup bench-failover docs format audit clean setup custodian-lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  \033[1mmake %-13s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: setup ## build an environment on this machine, end to end, and look at it
	@$(BIN)/python -m saltlick.demo

test: ## all tests: lint, unit, functional, packaging, integration, formulas, e2e
	@tools/test.sh $(PARTS)

test-3006: ## unit and functional tests on Salt 3006 LTS, in .venv-3006
	@VENV=.venv-3006 SALT=3006 tools/test.sh unit functional

lint: setup ## ruff, mypy --strict, yamllint, salt-lint, links in docs
	@$(BIN)/python -m tools.check lint

format: setup ## let ruff write the code its way
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

audit: setup ## known vulnerabilities of everything that is installed for the tests; asks PyPI; fails where PyPI does not answer for one of them
	@$(BIN)/python -m venv .venv-audit && .venv-audit/bin/python -m pip install --quiet 'pip-audit==2.10.1'
	@.venv-audit/bin/pip-audit --strict --path $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') --skip-editable

bench: ## build, re-check and destroy the reference estate beside a hand-optimised script
	@tools/setup.sh $(VENV) requirements/salt-$(SALT).txt bench
	@$(BIN)/python -m bench

bench-release: ## what a release costs: time out of traffic, overhead over bare Salt calls, 1,000 simulated servers
	@tools/setup.sh $(VENV) requirements/salt-$(SALT).txt bench
	@$(BIN)/python -m bench.release

bench-backup: ## what a backup costs: size, time and load beside pg_dump and pg_basebackup, 1 GiB
	@tools/setup.sh $(VENV) requirements/salt-$(SALT).txt bench
	@tools/engine.sh up
	@$(BIN)/python -m bench.backup

bench-failover: ## what a fault of the primary database costs: seconds without writes, writes lost, two primaries at once
	@tools/setup.sh $(VENV) requirements/salt-$(SALT).txt bench
	@tools/engine.sh up
	@$(BIN)/python -m bench.failover

docs: setup ## the documentation as HTML, in build/docs
	@$(BIN)/python tools/docs.py

custodian-lock: setup ## write anew which files `saltlick custodian` installs, with their hashes
	@$(BIN)/python -m tools.custodian_lock

setup:
	@tools/setup.sh $(VENV) requirements/salt-$(SALT).txt test

clean: ## stop the sandbox and what was started for it, remove everything that was made here
	@if [ -d .saltlick/sandbox ] && [ -x $(BIN)/saltlick ]; then . tools/lib.sh; as_root $(BIN)/saltlick sandbox down || true; fi
	@tools/engine.sh down
	@. tools/lib.sh; if [ -d .saltlick ] && [ "$$(stat -c %u .saltlick/* 2>/dev/null | sort -u | head -1)" != "$$(id -u)" ]; then as_root rm -rf .saltlick; fi
	rm -rf .venv .venv-3006 .cache .saltlick build dist *.egg-info src/*.egg-info .mypy_cache .ruff_cache .pytest_cache
