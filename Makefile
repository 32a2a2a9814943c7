# Needs Python >= 3.11 and make, nothing else: each target makes its environment first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

.PHONY: help install demo test test-all lint bench bench-gpu clean

help:
	@echo "make demo      simulate a small survey, run the whole chain, write a report"
	@echo "make test      the fast tests"
	@echo "make test-all  all tests, with slow ones and those on real observations (SKYSIFT_DATA)"
	@echo "make lint      ruff, mypy --strict, the floors"
	@echo "make bench     speed against peers, into benchmarks/results/"
	@echo "make bench-gpu training on one GPU: two epochs of 178,057 images, into benchmarks/results/train-gpu.json"

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(INSTALLED)
	$(BIN)/skysift demo

test: $(INSTALLED)
	$(PYTEST) -m "not slow and not realdata"

test-all: $(INSTALLED)
	$(PYTEST)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks

bench-gpu: $(INSTALLED)
	$(BIN)/python -m benchmarks.bench_gpu

clean:
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist skysift-demo
