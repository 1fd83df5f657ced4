# Python 3.11+ and make are all that is needed. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo ui test integration lint lock clean

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

install: $(STAMP)  ## create .venv with everything in it

# --no-deps: requirements.lock is complete, and leaves out the OpenCV wheel with a window system that one package asks for.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 13) else "Python 3.11 or 3.12 is needed: make PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV): about 2 GB, some minutes the first time …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install  ## three sample hospitals through the whole graph
	@$(BIN)/gradient demo

ui: install  ## the Dagster UI on http://127.0.0.1:3000
	@$(BIN)/gradient ui

lint: install  ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A process more than most machines of CI have processors: tests wait for time-outs and for each other's servers.
test: lint  ## all tests, and the rules above
	$(BIN)/pytest -n 3 --dist loadgroup

# Two processes, of which one runs a whole network of hospitals: it waits for servers most of the time. A Flink cluster takes 2 GB
# in each. Parts are fetched once, into ~/.cache/gradient-parts.
integration: install  ## tests against real servers and engines (Go, Java and Maven are needed for all of them)
	$(BIN)/pytest -n 2 --dist loadgroup --durations 10 tests/integration

COMPILE := uv pip compile --quiet --universal --python-version 3.11 --override requirements.overrides --no-header --no-annotate \
	--no-emit-index-url pyproject.toml requirements.in

lock:  ## write requirements.lock and the images' anew (needs uv)
	$(COMPILE) --extra dev -o requirements.lock
	$(COMPILE) --extra postgres --extra kubernetes --constraint requirements.lock -o deploy/requirements.lock

clean:  ## remove what make and the demo made
	rm -rf $(VENV) gradient_home build *.egg-info
