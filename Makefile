# Everything goes through scripts/setup.py, which makes what is missing and else takes a fraction of a second.
# A machine with Python 3.11 to 3.13 and make is enough.

PYTHON3 ?= python3
PYTHON := .venv/bin/python
TOOLS := $(PYTHON) scripts/local_chain.py --no-chain --
CHAIN := $(PYTHON) scripts/local_chain.py --

# Values from the command line reach the recipes as environment variables: no quoting to get wrong.
export BUNDLE DATA URL ARGS KEYSTORE ADMIN

.DEFAULT_GOAL := help
.PHONY: help setup demo deploy test test-deep fuzz test-engines test-browser test-network coverage lint format build bench bench-claims bench-cohorts bench-deploying bench-evidence bench-idash bench-exports bench-indexing bench-merkle bench-permissions bench-sending bench-serving bench-sizing bench-surviving fraud-report vendor brownie clean distclean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Create what is missing: Python and Node packages, compiler (the other targets do it too)
	@$(PYTHON3) scripts/setup.py

demo: setup ## The whole story on a local chain (BUNDLE=patient.json for your own data, URL=http://… for your chain)
	@set -- $(PYTHON) scripts/demo.py; \
	if [ -n "$$BUNDLE" ]; then set -- "$$@" --bundle "$$BUNDLE"; fi; \
	if [ -n "$$URL" ]; then exec $(TOOLS) "$$@" --url "$$URL"; else exec $(CHAIN) "$$@"; fi

deploy: setup ## Deploy the suite to a chain (URL=https://… KEYSTORE=deployer.json ADMIN=0x…); again to go on
	@set -- $(PYTHON) scripts/deploy.py --url "$$URL"; \
	if [ -n "$$KEYSTORE" ]; then set -- "$$@" --keystore "$$KEYSTORE"; fi; \
	if [ -n "$$ADMIN" ]; then set -- "$$@" --admin "$$ADMIN"; fi; \
	exec $(TOOLS) "$$@" $(ARGS)

test: setup ## All tests, in lanes side by side (ARGS="-k revoke" goes to pytest)
	@exec $(PYTHON) scripts/test.py -- $(ARGS)

test-deep: setup ## The same with many more examples in property and stateful tests
	@exec $(PYTHON) scripts/test.py --deep -- $(ARGS)

fuzz: ## Fuzz the gatekeeper's HTTP interface from its OpenAPI document (MEDPROOF_DEEP=1 for longer)
	@$(PYTHON3) scripts/setup.py --fuzz
	@exec $(TOOLS) .cache/fuzz/bin/python -m pytest tests/fuzz -q --tb=short $(ARGS)

test-engines: ## The research queries on Spark, in an environment of its own (needs Java 17)
	@$(PYTHON3) scripts/setup.py --engines
	@exec $(TOOLS) .cache/engines/bin/python -m pytest tests/engines --confcutdir=tests/engines -q --tb=short $(ARGS)

test-browser: setup ## The pages in a real Chromium, with axe, by keyboard, without scripts (needs Chromium)
	@exec $(TOOLS) $(PYTHON) -m pytest tests/browser -q -rs -p no:pytest-brownie $(ARGS)

test-network: ## The suite on four real geth nodes that die and part (compiles geth where Go is; some minutes)
	@$(PYTHON3) scripts/setup.py --network
	@exec $(TOOLS) $(PYTHON) -m pytest tests/network -p no:pytest-brownie -q -rs --tb=short $(ARGS)

coverage: setup ## Contract tests with branch coverage
	@exec $(PYTHON) scripts/test.py --coverage -- $(ARGS)

lint: setup ## Check Python (ruff, mypy) and Solidity (solhint, prettier)
	@$(PYTHON) scripts/lint.py

format: setup ## Rewrite Python and Solidity in the common format
	@$(PYTHON) scripts/lint.py --fix

build: setup ## Compile the contracts and renew the ABIs that the package ships
	@exec $(TOOLS) $(PYTHON) scripts/build.py $(ARGS)

vendor: setup ## Copy what the pages load from node_modules into the package
	@exec $(PYTHON) scripts/vendor.py

bench: setup ## Measure gas beside other systems, on a chain of its own (ARGS=--check compares with what is committed)
	@exec $(PYTHON) bench/run.py $(ARGS)

bench-claims: setup ## Claim events a second from reading to an anchored proof, and what nullifiers cost (some minutes)
	@exec $(PYTHON) bench/claims.py $(ARGS)

bench-cohorts: setup ## Cohorts counted over 1 and 10 million rules, in memory and over Parquet, against an oracle (some minutes)
	@exec $(PYTHON) bench/cohorts.py $(ARGS)

bench-exports: setup ## Export a million rows, with the Merkle root of all, in each format (some minutes)
	@exec $(PYTHON) bench/exports.py $(ARGS)

bench-deploying: setup ## What a full deployment takes: transactions, gas by contract, time on Anvil and Ganache (a minute)
	@exec $(PYTHON) bench/deploying.py $(ARGS)

bench-idash: setup ## Consent records and queries of the shape of iDASH 2023, on a chain of its own (some minutes)
	@exec $(PYTHON) bench/idash.py $(ARGS)

bench-evidence: setup ## Evidence of consent made and verified, on Anvil and Ganache (some minutes)
	@exec $(PYTHON) bench/evidence.py $(ARGS)

bench-indexing: setup ## Events indexed a second beside a plain loop of web3's, on Anvil and Ganache (some minutes)
	@exec $(PYTHON) bench/indexing.py $(ARGS)

bench-permissions: setup ## Permissions checked a second in bulk, beside a loop of calls, on Anvil (a minute)
	@exec $(PYTHON) bench/permissions.py $(ARGS)

bench-surviving: ## What is lost where nodes die and part, and the time until all goes on, on four geth nodes (some minutes)
	@$(PYTHON3) scripts/setup.py --network
	@exec $(TOOLS) $(PYTHON) bench/surviving.py $(ARGS)

bench-sending: setup ## Transactions a second through the manager, beside a plain loop and the node's ceiling (some minutes)
	@exec $(PYTHON) bench/sending.py $(ARGS)

bench-serving: setup ## Serve records with consent checks and without, from both stores, to 1, 8 and 64 clients
	@exec $(PYTHON) bench/serving.py $(ARGS)

bench-merkle: setup ## A Merkle log of a million leaves: speed, proofs, keccak libraries side by side
	@exec $(PYTHON) bench/merkle.py $(ARGS)

bench-sizing: setup ## Bytes on disk and in memory for each rule, record, entry and message, on Anvil (a minute)
	@exec $(TOOLS) $(PYTHON) bench/sizing.py $(ARGS)

fraud-report: setup ## Try both tiers against injected fraud (DATA="claims.zip more.zip": FHIR R4, X12 5010)
	@exec $(TOOLS) $(PYTHON) scripts/fraud_report.py $$DATA $(ARGS)

brownie: setup ## Any Brownie command with a chain of its own (ARGS="run demo --network ganache-cli", ARGS=console)
	@$(TOOLS) $(PYTHON) scripts/brownie_networks.py
	@exec $(CHAIN) brownie $(ARGS)

clean: ## Remove build products; what the set-up made stays
	rm -rf build dist reports .pytest_cache .mypy_cache .ruff_cache .hypothesis .cache/reports
	find bench medproof scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Remove all that was made here, as after a fresh clone
	rm -rf .venv .cache node_modules bench/node_modules
