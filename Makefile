# Two commands do everything on a machine with Python 3.11 or newer: `make run` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.requirements
UV := uv==0.13.9
# Where PyTorch comes from: "auto" is its own index, by the driver that uv finds (without a GPU no CUDA
# libraries); "plain" is requirements-torch.txt, with hashes. `make TORCH=auto` suits an older driver.
TORCH ?= $(if $(filter Linux,$(shell uname -s)),$(if $(wildcard /proc/driver/nvidia/version),plain,auto),plain)
# A process per core; tests of a file share what they compute.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

.PHONY: run share requirements test test-slow lint format benchmark gallery shots clean

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
# ONLY="dm recognition" makes only those of some methods and analyses.
gallery: $(STAMP)
	$(BIN)/python -m ddx gallery $(ONLY:%=--only=%)

# Pictures of eight pages, light and dark, in docs/shots: README's among them. Needs Chromium.
shots: $(STAMP)
	$(BIN)/python -m docs.shots

benchmark: $(STAMP)
	for f in benchmarks/[a-z]*.py; do $(BIN)/python $$f; done

# After a change of requirements*.in: everything they need, with hashes, for every system and Python we support; PyTorch
# and what only its CUDA wheels need in a file of their own.
requirements: $(STAMP)
	cat requirements.txt requirements-torch.txt > .venv/locked.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url requirements.in requirements-test.in -o .venv/locked.txt
	for f in requirements.txt requirements-torch.txt; do echo "# Made by \`make requirements\`." > $$f; done
	awk '/^[a-z]/ {cuda = /^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z]+)==/} \
	  {print >> (cuda ? "requirements-torch.txt" : "requirements.txt")}' .venv/locked.txt

# uv inside the environment installs in a fraction of pip's time. The lists name everything, also what only PyTorch
# or its users ask for, so that the first step needs no PyTorch yet. The last step is the command `ddx`; everything is
# compiled, which where Python may not write beside its modules each process would do anew (PyTorch alone: 4 s).
INSTALL := $(BIN)/uv pip install --python $(BIN)/python --compile-bytecode
BY_DRIVER := $(INSTALL) --no-build --torch-backend=$(TORCH) $$(grep ^torch requirements.in)
$(STAMP): requirements.txt requirements-torch.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -c "import sys; assert sys.version_info >= (3, 11), 'Python 3.11 or newer is needed'"
	$(BIN)/python -m pip install --quiet $(UV)
	$(INSTALL) --no-deps --no-build --require-hashes -r requirements.txt
	@if [ $(TORCH) != plain ] && UV_HTTP_RETRIES=0 UV_HTTP_TIMEOUT=5 $(BY_DRIVER) --dry-run --quiet 2> /dev/null; \
	then $(BY_DRIVER); \
	else [ $(TORCH) = plain ] || echo "PyTorch's own index cannot be reached: taking its usual wheels, with CUDA."; \
	  $(INSTALL) --no-build --require-hashes -r requirements.txt -r requirements-torch.txt; fi
	$(INSTALL) --no-deps --no-build-isolation --quiet --editable .
	$(BIN)/python -m compileall -q ddcore analysis pages tests
	touch $(STAMP)

clean:
	rm -rf .venv
