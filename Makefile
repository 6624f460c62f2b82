# Everything starts from Python 3.11+, make and git: `make spectra` and `make test` do the rest.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Exists only when the environment is whole.
ENV    := $(VENV)/.complete

RECIPE  := data/recipes/poster.toml
OUT     := out
TABLE   := $(OUT)/spectra.h5
FIGURE  := $(OUT)/figure3.png
SAMPLES ?= 24
#: Two processes; a file's tests stay in one of them, with what they share.
TWO := -n 2 --dist loadfile
#: With numba's compiler off, so that the lines of compiled functions count; small problems only.
INTERPRETED = NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -m "slow or not slow" --cov --cov-report= \
	tests/kernels/test_interpreted.py tests/kernels/test_scaled.py tests/kernels/test_moments.py
#: What users may leave out, and what tests and lint need.
EXTRAS  := all,test,lint
#: Runs that are trained for a figure, each by data/recipes/NAME.toml.
TRAINED := figure1 figure2 sphere ten cloud-uniform cloud-quadrature
#: The tests start many processes, and each would compile all modules that it imports.
unexport PYTHONDONTWRITEBYTECODE
SOURCES := $(wildcard kernels/*.py) $(shell find ntkspec -name '*.py')

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help environment spectra test test-all coverage test-slurm test-browser test-readers test-release
.PHONY: test-pythons bench bench-neural-tangents lint figures atlas atlas-full docs clean

help: ## List these targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 24

environment: $(ENV) ## Make the environment in .venv, once
	@echo "the environment is in $(VENV); . $(BIN)/activate puts its commands at hand"

spectra: $(OUT)/.verified $(FIGURE) ## Compute the default table, check it, draw Figure 3
	@echo "$(TABLE) is complete and checked; Figure 3 is in $(FIGURE) and $(FIGURE:.png=.svg)"

test: $(ENV) ## Run the tests and the doctests
	$(BIN)/python -m pytest $(TWO)

test-all: $(ENV) ## Run the slow, wide tests too, and measure the coverage
	$(INTERPRETED)
	$(BIN)/python -m pytest $(TWO) --hypothesis-profile=thorough --cov --cov-append -m "not slurm and not browser and not readers and not release"

coverage: $(ENV) ## Measure the coverage by `make test`, lines of compiled functions included
	$(INTERPRETED)
	$(BIN)/python -m pytest $(TWO) --cov --cov-append

test-slurm: $(ENV) ## Run sweeps on a SLURM that is installed and started for it; needs root
	$(BIN)/python -m pytest -m slurm tests/sweeps

test-browser: $(ENV) ## Drive the explorer in a headless Chromium that is installed (Debian: chromium)
	$(BIN)/python -m pytest -m browser tests/explorer

test-readers: $(ENV) ## Read tables with GNU Octave and HDF5's tools, if installed (Debian: octave, hdf5-tools)
	$(BIN)/python -m pytest -m readers tests/tables

test-release: $(ENV) ## Build wheel and sdist, install each into an empty environment, try it
	$(BIN)/python -m pytest -m release tests/project

# Each has an environment of its own; the suite is the same.
test-pythons: ## Run the tests with each of Python 3.11 to 3.14 that is installed
	@for version in 3.11 3.12 3.13 3.14; do \
	  if python$$version -c '' 2>/dev/null; then \
	    $(MAKE) --no-print-directory test PYTHON=python$$version VENV=.venv-$$version || exit 1; \
	  else echo "python$$version is not installed: not tested"; fi; done

bench: $(ENV) ## Measure speed and accuracy against what else there is; keep it in bench/results.json
	$(BIN)/python -m bench
	$(BIN)/python -m bench.measured

bench-neural-tangents: $(ENV) ## Pointwise kernels against neural-tangents (environment of its own)
	$(BIN)/python -m bench pointwise

lint: $(ENV) ## Check style, types and the walls between the modules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

figures: $(FIGURE) $(TRAINED:%=$(OUT)/figures/%.png) ## Train and draw the poster's figures
	@echo "the figures are in $(FIGURE) and $(OUT)/figures, as PNG and SVG, with their numbers"

atlas: $(ENV) ## Make the table that is installed with the package, data/atlas.*, anew
	@mkdir -p $(OUT)
	$(BIN)/ntkspec sweep data/recipes/atlas.toml -o $(OUT)/atlas.h5
	$(BIN)/python -m ntkspec.sweeps.described $(OUT)/atlas.h5
	@echo "the atlas is made, checked and in its place; commit data/atlas.h5, .jsonl and .sha256"

atlas-full: $(ENV) ## Make a larger table, out/atlas-full.h5: more networks, dimensions, degrees
	@mkdir -p $(OUT)
	$(BIN)/ntkspec sweep data/recipes/atlas-full-shallow.toml -o $(OUT)/atlas-full-shallow.h5
	$(BIN)/ntkspec sweep data/recipes/atlas-full.toml -o $(OUT)/atlas-full-deep.h5
	$(BIN)/ntkspec merge $(OUT)/atlas-full-shallow.h5 $(OUT)/atlas-full-deep.h5 -o $(OUT)/atlas-full.h5
	@echo "$(OUT)/atlas-full.h5 is complete and checked"

docs: $(ENV) ## Build the manual, the examples of its gallery run
	$(BIN)/pip install -q -c constraints.txt -e ".[docs]"
	$(BIN)/python -m pytest -q tests/project/test_manual.py -k reference_shows
	$(BIN)/sphinx-build -W -q docs docs/_build/html
	@echo "the manual is in docs/_build/html/index.html"

clean: ## Remove all that was made, but for the environment
	rm -rf out build dist docs/_build docs/auto_gallery docs/sg_execution_times.rst *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# Made afresh, so that nothing of an interrupted installation stays.
$(ENV): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo >&2 \
	  "ntkspec needs Python 3.11 or newer, and '$(PYTHON)' is not; try: make PYTHON=python3.12"; exit 1; }
	@echo "making the environment in $(VENV)"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e ".[$(EXTRAS)]"
	@touch $@

# The sweep knows what is done already; the touch tells make.
$(TABLE): $(RECIPE) $(SOURCES) $(ENV)
	@mkdir -p $(@D)
	$(BIN)/ntkspec sweep $(RECIPE) -o $@
	@touch $@

# Other entries at each check.
$(OUT)/.verified: $(TABLE)
	$(BIN)/ntkspec verify $(TABLE) --samples $(SAMPLES) --seed "$$(date +%s)"
	@touch $@

# The .svg first: the .png stands for both.
$(FIGURE): $(TABLE) $(OUT)/.verified
	$(BIN)/ntkspec plot $(TABLE) -o $(FIGURE:.png=.svg) -o $@

# Trained anew where the recipe has changed; killed, the same command goes on.
$(OUT)/figures/%.png: data/recipes/%.toml $(ENV)
	@mkdir -p $(OUT)/runs $(@D)
	$(BIN)/ntkspec train $< -o $(OUT)/runs/$*.h5
	$(BIN)/ntkspec plot $(OUT)/runs/$*.h5 -o $(@:.png=.svg) -o $@ --numbers $(@:.png=.csv)
