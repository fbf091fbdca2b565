# `make demo` runs the demo, `make test` the tests. Each sets up what it needs, once.

PYTHON := .local/venv/bin/python
BIN := .local/venv/bin
export PATH := $(CURDIR)/.local/venv/bin:$(CURDIR)/.local/uv/bin:$(PATH)
MODEL ?=
ID ?=
URL ?=
LIVE ?=
BESIDE ?=
ONLY ?=
NAME ?=
BUILT ?=
STAGE ?= dev
# pytest keeps the test modules that it has rewritten, which saves seconds from the second run on.
export PYTHONDONTWRITEBYTECODE :=
# Two workers, whatever the machine: tests that hold a time against the clock are made for two processors.
PARALLEL := -n 2 --dist worksteal
# As it was typed: a name may hold what make or the shell would read as theirs.
export DEMO_MODEL := $(value MODEL)
export WEBHOOK_URL := $(value URL)

.DEFAULT_GOAL := help
.PHONY: help setup setup-sam setup-tests setup-audit setup-bench demo up check unit test test-full lint format bench build deploy admin \
	stripe-webhook verify-quote audit contract image image-test lock notice openapi preview clean

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:
	@python3 scripts/bootstrap.py

setup-sam:
	@python3 scripts/bootstrap.py --sam

setup-tests:
	@python3 scripts/bootstrap.py --sam --audit

setup-audit:
	@python3 scripts/bootstrap.py --audit

setup-bench:
	@python3 scripts/bootstrap.py --bench

demo: $(if $(BUILT),build,setup) ## From sign-up to a paid invoice (MODEL=path.stl, BUILT=1 runs what `make build` made)
	@$(PYTHON) -m scripts.demo $(if $(value MODEL),--model "$$DEMO_MODEL") $(if $(BUILT),--built)

up: $(if $(BUILT),build,setup) ## Serve the stack in the foreground; .local/stack.json says where
	@$(PYTHON) -m devstack $(if $(BUILT),--built)

check: ## What one runs at every save: lint and the unit tests, side by side
	@$(MAKE) --no-print-directory -j2 lint unit

unit: setup
	@$(PYTHON) -m pytest tests/unit -m "not full" $(PARALLEL)

test: setup-tests ## Unit, integration, contract, template and end-to-end tests
	@$(PYTHON) -m pytest -m "not full" $(PARALLEL)

test-full: setup-tests ## The same, with the full sizes of load, race and fuzz tests
	@$(PYTHON) -m pytest $(PARALLEL)

lint: setup ## ruff, mypy strict, import contracts, and every call of an SQL function against its declaration
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@PYTHONPATH=layers/common $(BIN)/lint-imports --no-logo --cache-dir .local/import-linter > .local/lint-imports.log || { cat .local/lint-imports.log; exit 1; }
	@$(PYTHON) -m scripts.sql_calls
	@$(PYTHON) -m scripts.typecheck

format: setup ## Let ruff write the code's form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup-bench ## Ratios against a named rival, in the same run
	@PYTHONPATH=layers/common LOG_LEVEL=ERROR $(PYTHON) -m benchmarks

build: setup-sam ## sam build of the functions and both layers, into .aws-sam/build (the image: make image)
	@echo "  sam build, into .aws-sam/build …"
	@SAM_CLI_TELEMETRY=0 .local/sam/bin/sam build --exclude SlicerFunction > .local/build.log 2>&1 \
		|| { tail -40 .local/build.log; exit 1; }

admin: setup ## EMAIL=… makes that login an admin, on the stack that `make up` serves or the one in the environment
	@$(PYTHON) -m scripts.admin "$(EMAIL)"

stripe-webhook: setup ## URL=…/api/stripe/webhook is where Stripe's events go from now on (LIVE=1 for real money)
	@PYTHONPATH=layers/common $(PYTHON) -m scripts.stripe_webhook $(if $(value URL),--url "$$WEBHOOK_URL") $(if $(LIVE),--live) $(if $(BESIDE),--beside)

verify-quote: setup ## ID=… computes a quote's prices again from its snapshot, on the same, and says where it differs
	@PYTHONPATH=layers/common $(PYTHON) -m scripts.verify_quote "$(ID)"

audit: setup-audit ## Every locked package against published advisories; fails for one that was skipped
	@$(PYTHON) -m scripts.audit

preview: setup ## Print every document in every state as PDF and PNG, in .local/preview (ONLY=invoice for some)
	@PYTHONPATH=layers/common LOG_LEVEL=ERROR $(PYTHON) -m scripts.preview --only "$(ONLY)"

contract: setup ## The suite of Supabase's documented behaviour (SUPABASE_CONTRACT_URL=… for a hosted project)
	@$(PYTHON) -m pytest tests/contract

image: setup ## Build the slicer's container image, with or without a Docker engine
	@slicer-container/build-image.sh

image-test: image ## The same figures from PrusaSlicer 2.9 in the image
	@slicer-container/check-image.sh -m "not full"
	@$(PYTHON) -m scripts.image

migration: setup ## NAME=… writes what changed in supabase/schemas as a migration
	@$(PYTHON) -m scripts.migration "$(NAME)"

release-migrations: setup ## Record the migrations as released: from then on they are never edited
	@$(PYTHON) -m scripts.migration --release

lock: setup ## Resolve the requirement files again, with hashes
	@$(PYTHON) -m scripts.lock

notice: setup ## List the licences of everything that is shipped, in NOTICE
	@$(PYTHON) -m scripts.notice

openapi: setup ## Describe every route anew, in functions/docs/openapi.json
	@$(PYTHON) -m scripts.openapi

deploy: setup-sam ## Build everything and deploy it: STAGE=dev or prod of samconfig.toml (needs AWS credentials and Docker)
	@.local/sam/bin/sam build && .local/sam/bin/sam deploy --config-env $(STAGE)

clean: ## Remove what was built, the runs and the demo's output; `.local` itself keeps the set-up
	@! $(PYTHON) -c "from devstack import is_served; raise SystemExit(not is_served())" 2>/dev/null \
		|| { echo "A stack is being served from here; stop that make up first." >&2; exit 1; }
	rm -rf .aws-sam demo-output .local/run .local/stack.json .pytest_cache .mypy_cache .ruff_cache .hypothesis
