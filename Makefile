# make up     sets everything up and serves the demo          make up PORT_OFFSET=100
# make tour   shows what the running demo can do             make tour PORT_OFFSET=100
# make test   linters, types and all tests
# make fuzz   each fuzz target for a while                    make fuzz SECONDS=60
# make chaos  breaks things on purpose, says which promises held, writes a report
# make soak   a mesh under a mix of everything, for leaks    make soak MINUTES=30

PYTHON ?= python3
# Asked besides pip's own index, and only where no NVIDIA driver is found: CPU builds of PyTorch.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PORT_OFFSET ?= 0
CONFIG ?= deploy/demo/penstock.yaml
SECONDS ?= 60
MINUTES ?= 30

BIN := .venv/bin
# Installs what the lock has for `extras`; by a file, since a pipe would hide that it can't be read.
LOCKED = $(BIN)/python deploy/locked.py $$extras > .venv/.locked && \
	$(BIN)/pip install --quiet --require-hashes --no-deps --requirement .venv/.locked
READY := .venv/.ready
TESTABLE := .venv/.testable

.PHONY: up tour test chaos soak lint protos schemas reference manifests lock audit bench fuzz clean

up: $(READY)
	@$(BIN)/python deploy/demo/train.py
	@$(BIN)/penstock up --config $(CONFIG) --port-offset $(PORT_OFFSET) \
		--then "$(BIN)/python deploy/demo/show.py"

tour: $(READY)
	@$(BIN)/penstock tour --config $(CONFIG) --port-offset $(PORT_OFFSET)

# Tests start processes by the hundred: what these import is compiled once.
test: lint
	@$(BIN)/python tests/servers.py
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 2 --no-loadscope-reorder -rs

# All of it takes about twenty minutes; make chaos ONLY="backend-killed redis-hung".
chaos: $(TESTABLE)
	@$(BIN)/penstock-chaos run $(ONLY)

soak: $(TESTABLE)
	@$(BIN)/python -m chaos.soak --minutes $(MINUTES)

lint: $(TESTABLE)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

protos: $(TESTABLE)
	$(BIN)/python -m protos.generate

# The JSON Schemas of the configuration and of routes, for editors.
schemas: $(TESTABLE)
	$(BIN)/penstock config schema > docs/schemas/penstock.json
	$(BIN)/penstock routes schema > docs/schemas/route.json
	$(BIN)/penstock routes schema --kind Privacy > docs/schemas/privacy.json
	$(BIN)/penstock routes schema --kind Output > docs/schemas/output.json

# docs/reference, from the code.
reference: $(TESTABLE)
	$(BIN)/python docs/reference

# Grafana's dashboards, and the plain manifests that the chart makes.
manifests: $(TESTABLE)
	$(BIN)/python deploy/grafana/dashboards.py
	$(BIN)/python deploy/kubernetes/render.py

# Hashes of what constraints.txt names, to be made anew when that or pyproject.toml has changed.
lock: $(TESTABLE)
	$(BIN)/python deploy/lock.py

# Known vulnerabilities of what requirements.lock names; says so if nobody can be asked.
audit: $(TESTABLE)
	@extras=audit; $(LOCKED)
	@$(BIN)/python deploy/audit.py

bench: $(TESTABLE)
	@extras=bench,onnx; $(LOCKED)
	$(BIN)/python -m benchmarks

# From the committed corpus on; what breaks something lies in .fuzz afterwards (docs/fuzzing.md).
fuzz: $(TESTABLE)
	@extras=fuzz; $(LOCKED)
	@failed=; for target in tests/fuzz/targets/*.py; do \
		$(BIN)/python -m tests.fuzz $$(basename $$target .py) --seconds $(SECONDS) || failed=1; \
	done; test -z "$$failed"

# The state folder holds the demo's models and the development secret.
clean:
	rm -rf .venv .penstock *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz

# pip runs only when what is wanted has changed. Tests need more than the demo does.
$(READY): pyproject.toml requirements.lock deploy/install.py deploy/locked.py
	@$(PYTHON) deploy/install.py --torch-index "$(TORCH_INDEX)"
	@touch $@

$(TESTABLE): pyproject.toml requirements.lock deploy/install.py deploy/locked.py
	@$(PYTHON) deploy/install.py --torch-index "$(TORCH_INDEX)" --tests
	@touch $(READY) $@
