# make run   serve on http://127.0.0.1:5000        make test  run all tests
# make lint  style, packages                        make ink   the ink benchmark
# make docs  build the documentation in docs/_build/html
# make notebooks  run all notebooks anew             make folder  how fast a folder is read
# make photos   the same for photos                make words     bring the translations up to date
# make explain  does "Why?" point at the right thing?
# make bench    how fast, beside others            make load    does it hold under load? ten minutes
# make decode   decoding here, or in a process of its own
# make fuzz     five minutes of inputs that nobody would send; FUZZ_SECONDS=3600 for an hour
PYTHON ?= python3
PORT_SHOWN = $(or $(PORT),5000)
BIN = .venv/bin

.PHONY: run test lint docs ink photos explain folder decode bench load fuzz notebooks screenshots words clean

run: .venv/serve.done
	@echo "Inkling: http://127.0.0.1:$(PORT_SHOWN)"
	@$(BIN)/gunicorn app:app

# With more threads for each worker's linear algebra than cores, they would wait for each other.
test: .venv/dev.done
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal

lint: .venv/dev.done
	$(BIN)/ruff check .
	$(BIN)/python -m tools.audit

docs: .venv/dev.done
	$(BIN)/python -m tools.reference
	$(BIN)/sphinx-build -n -W --keep-going -q -b html docs docs/_build/html

ink: .venv/dev.done
	$(BIN)/python -m benchmarks.ink

photos: .venv/dev.done
	$(BIN)/python -m benchmarks.photos

decode: .venv/dev.done
	$(BIN)/python -m benchmarks.decode

folder: .venv/dev.done
	$(BIN)/python -m benchmarks.folder

explain: .venv/dev.done
	$(BIN)/python -m benchmarks.explain

bench: .venv/dev.done .venv-bench/done
	$(BIN)/python -m benchmarks.bench

load: .venv/dev.done
	$(BIN)/python -m benchmarks.load

fuzz: .venv/fuzz.done
	$(BIN)/python -m tools.fuzz --seconds $(or $(FUZZ_SECONDS),300)

notebooks: .venv/dev.done
	$(BIN)/python -m tools.notebooks

screenshots: .venv/dev.done
	$(BIN)/python -m tools.screenshots

words: .venv/dev.done
	$(BIN)/python -m tools.words

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Inkling needs Python 3.11 or newer: make PYTHON=...")'
	$(PYTHON) -m venv .venv

# A mark per set, renewed when its list of packages changes.
.venv/serve.done: requirements-serve.txt | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-serve.txt
	@touch $@

.venv/dev.done: requirements-dev.txt requirements.txt requirements-serve.txt | .venv/bin/python
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ .venv/serve.done

.venv/fuzz.done: requirements-fuzz.txt .venv/dev.done
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-fuzz.txt
	@touch $@

# Apart, for what is compared with must not be what serves.
.venv-bench/done: requirements-bench.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

clean:
	rm -rf .venv .venv-bench .pytest_cache .ruff_cache
