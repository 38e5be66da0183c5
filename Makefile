# Two commands do everything on a machine with Python 3.11 or newer: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.requirements
# A process per core; tests of a file share what they compute.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

.PHONY: run test test-slow lint format benchmark gallery clean

run: $(STAMP)
	$(BIN)/python -m streamlit run app.py

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(PYTEST)

test-slow: $(STAMP)
	$(PYTEST) -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The shipped digits runs with their evaluations and analyses, made from this repository.
gallery: $(STAMP)
	$(BIN)/python -m ddcore gallery
	$(BIN)/python -m analysis gallery

benchmark: $(STAMP)
	for f in benchmarks/[a-z]*.py; do $(BIN)/python $$f; done

# uv inside the environment installs in a fraction of pip's time; plain pip works too.
$(STAMP): requirements.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -c "import sys; assert sys.version_info >= (3, 11), 'Python 3.11 or newer is needed'"
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --python $(BIN)/python -r requirements.txt
	touch $(STAMP)

clean:
	rm -rf .venv
