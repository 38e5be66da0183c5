# Two commands do everything on a machine with Python 3.11 or newer: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.requirements

.PHONY: run test test-slow lint format benchmark gallery clean

run: $(STAMP)
	$(BIN)/python -m streamlit run app.py

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The shipped digits runs and their evaluations, made from this repository.
gallery: $(STAMP)
	$(BIN)/python -m ddcore gallery

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
