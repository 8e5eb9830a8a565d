# make run          serve on http://127.0.0.1:5000
# make check        format, lint, types, unit and web tests: before each commit
# make test         all tests
# make test-fleet   tests on a Ray cluster, in an environment of its own
# make docs         build the documentation in docs/_build/html, warnings are errors
#
# make lint         style, types, imports between rooms, known vulnerabilities
# make format       format the code
# make requirements pin pyproject.toml's dependencies in requirements*.txt
# make wheel        build dist/inkling-*.whl
# make words        update the translation catalogs
# make screenshots  photograph the pages for the documentation
# make notebooks    run all notebooks again
# make fuzz         five minutes of random inputs; FUZZ_SECONDS=3600 for an hour
#
# Benchmarks: make ink, photos, teach, route, explain, ask, folder, decode, fleet (Ray), bench (other servers),
#   load (ten minutes), fair
PYTHON ?= python3
PORT_SHOWN = $(or $(PORT),5000)
BIN = .venv/bin
PIP_INSTALL = pip install --quiet --disable-pip-version-check
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --custom-compile-command "make requirements"

EXTRAS = --extra postgres --extra s3 --extra chat --extra mqtt

.PHONY: run check test test-fleet docs static lint format requirements wheel words screenshots notebooks fuzz \
  ink photos teach route explain ask folder decode fleet bench load fair clean

run: .venv/serve.done
	@echo "Inkling: http://127.0.0.1:$(PORT_SHOWN)"
	@$(BIN)/inkling serve

check: static
	$(TEST) -m "not training" tests/unit tests/web

test: .venv/dev.done .venv-swift/done
	$(TEST) --durations=30

# `tests/conftest.py` needs packages that are not there.
test-fleet: .venv-ray/done .venv-swift/done .venv/dev.done
	OPENBLAS_NUM_THREADS=1 .venv-ray/bin/python -m pytest --confcutdir=tests/fleet --durations=10 tests/fleet

# A process more than there are cores, as tests often wait for a browser or a server, each with one thread of linear
# algebra.
TEST = OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n $(shell expr $$(nproc) + 1) --dist worksteal

docs: .venv/dev.done
	$(BIN)/python -m tools.reference
	$(BIN)/sphinx-build -n -W --keep-going -q -b html docs docs/_build/html

# Everything that reads the code without running it.
static: .venv/dev.done
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lint: static
	$(BIN)/python -m tools.audit

format: .venv/dev.done
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: .venv/dev.done
	$(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

words screenshots notebooks: .venv/dev.done
	$(BIN)/python -m tools.$@

ink photos teach route explain ask folder decode load fair: .venv/dev.done
	$(BIN)/python -m benchmarks.$@

fleet: .venv-ray/done .venv-swift/done .venv/dev.done
	.venv-ray/bin/python -m benchmarks.fleet

bench: .venv/dev.done .venv-bench/done
	$(BIN)/python -m benchmarks.bench
	$(BIN)/python -m benchmarks.grow --plot docs/images/speed.svg

fuzz: .venv/fuzz.done
	$(BIN)/python -m tools.fuzz --seconds $(or $(FUZZ_SECONDS),300)

# ---- Environments ----

# Pin newer versions: make requirements UPGRADE=--upgrade, or UPGRADE="--upgrade-package flask".
requirements: .venv/dev.done
	$(COMPILE) $(UPGRADE) pyproject.toml $(EXTRAS) --extra train --group dev -o requirements-dev.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra train -c requirements-dev.txt -o requirements.txt
	$(COMPILE) $(UPGRADE) pyproject.toml -c requirements-dev.txt -o requirements-serve.txt
	$(COMPILE) $(UPGRADE) --group build -c requirements-dev.txt -o requirements-build.txt
	$(COMPILE) $(UPGRADE) --group fuzz -c requirements-dev.txt -o requirements-fuzz.txt
	$(COMPILE) $(UPGRADE) --group bench -o requirements-bench.txt
	$(COMPILE) $(UPGRADE) --group swift -o requirements-swift.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra postgres --extra s3 --extra ray --group fleet -c requirements-dev.txt -o requirements-ray.txt
	$(COMPILE) $(UPGRADE) pyproject.toml --extra postgres --extra s3 --extra ray -c requirements-ray.txt -o requirements-fleet.txt

.venv/bin/python:
	@$(PYTHON) -m tools.supported
	$(PYTHON) -m venv .venv

# One marker file per set of packages, older than its list if the list has changed.
.venv/serve.done: requirements-serve.txt requirements-build.txt pyproject.toml | .venv/bin/python
	$(BIN)/$(PIP_INSTALL) --require-hashes -r requirements-serve.txt -r requirements-build.txt
	$(BIN)/$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	$(BIN)/inkling models build
	@touch $@

.venv/dev.done: requirements-dev.txt pyproject.toml | .venv/bin/python
	$(BIN)/$(PIP_INSTALL) --require-hashes -r requirements-dev.txt
	$(BIN)/$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	$(BIN)/inkling models build
	@touch $@ .venv/serve.done

.venv/fuzz.done: requirements-fuzz.txt .venv/dev.done
	$(BIN)/$(PIP_INSTALL) --require-hashes -r requirements-fuzz.txt
	@touch $@

# The other servers need other versions, so they have their own environment.
.venv-bench/done: requirements-bench.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/$(PIP_INSTALL) --require-hashes -r requirements-bench.txt
	@touch $@

# Swift and Ray hold old versions of what we use, so they too have their own.
.venv-swift/done: requirements-swift.txt
	$(PYTHON) -m venv .venv-swift
	.venv-swift/bin/$(PIP_INSTALL) --require-hashes -r requirements-swift.txt
	@touch $@

.venv-ray/done: requirements-ray.txt requirements-build.txt
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/$(PIP_INSTALL) --require-hashes -r requirements-ray.txt -r requirements-build.txt
	.venv-ray/bin/$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

clean:
	rm -rf .venv .venv-bench .venv-ray .venv-swift .pytest_cache .ruff_cache .mypy_cache .import_linter_cache dist docs/_build
