# Two commands do everything on a machine with Python 3.11 or newer: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.requirements
UV := uv==0.13.9
# A process per core; tests of a file share what they compute.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

.PHONY: run share requirements test test-slow lint format benchmark gallery clean

run: $(STAMP)
	$(BIN)/python serve.py

# For others to look at: make share HOSTS=lab.example.org,10.0.0.5 [ADDRESS=10.0.0.5]; see docs/sharing.md.
share: $(STAMP)
	$(BIN)/python serve.py --share "$(HOSTS)" $(if $(ADDRESS),--address $(ADDRESS))

test: lint
	$(PYTEST)

test-slow: $(STAMP)
	$(PYTEST) -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The shipped digits runs with their evaluations and analyses, made from this repository.
gallery: $(STAMP)
	$(BIN)/python -m ddcore gallery
	$(BIN)/python -m analysis gallery

benchmark: $(STAMP)
	for f in benchmarks/[a-z]*.py; do $(BIN)/python $$f; done

# After a change of requirements.in: everything it needs, with hashes, for every system and Python we support.
requirements: $(STAMP)
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --no-emit-index-url --custom-compile-command "make requirements" requirements.in -o requirements.txt

# uv inside the environment installs in a fraction of pip's time; plain pip works too.
$(STAMP): requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -c "import sys; assert sys.version_info >= (3, 11), 'Python 3.11 or newer is needed'"
	$(BIN)/python -m pip install --quiet $(UV)
	$(BIN)/uv pip install --python $(BIN)/python --require-hashes -r requirements.txt
	touch $(STAMP)

clean:
	rm -rf .venv
