# make run: everything a fresh machine needs, then the dashboard. make test: everything CI checks.
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell command -v python$(v) 2>/dev/null)) python3)
VENV ?= .venv
PY := $(VENV)/bin/python
HOST := 127.0.0.1
PORT ?= 8501
LOCK := uv pip compile --quiet --universal --python-version 3.11 --no-header

.PHONY: run test lint types unit install install-dev browser lock bench faults clean
.DELETE_ON_ERROR:

run: install
	@# nothing configured: build the demo marketplace first, so that its progress is seen
	@test -f .streamlit/secrets.toml || env | grep -q '^PUSHLIFT_' || $(PY) -m core demo --out cache/demo
	$(PY) -m streamlit run app.py --server.address $(HOST) --server.port $(PORT)

test: install-dev browser lint types unit

lint: install-dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: install-dev
	$(PY) -m mypy

# the estimators use both cores themselves; a second thread of each matrix product only waits
unit: install-dev browser
	OPENBLAS_NUM_THREADS=1 $(PY) -m pytest -n 2 --dist loadfile

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Pushlift needs Python 3.11 to 3.13; name one with make PYTHON=python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: requirements.txt | $(VENV)/.python
	$(PY) -m pip install --disable-pip-version-check --progress-bar on -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(PY) -m pip install --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# Debian's Chromium, through apt-get where it may
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq chromium fonts-dejavu-core; \
	  elif command -v sudo >/dev/null; then sudo apt-get update -qq && sudo apt-get install -y -qq chromium fonts-dejavu-core; \
	  else echo "The page tests need Chromium: install Debian's package chromium"; exit 2; fi

lock:
	$(LOCK) requirements.in -o requirements.txt
	$(LOCK) requirements-dev.in -o requirements-dev.txt

bench: install-dev
	$(PY) -m benchmarks.speed

# everything that is done to the data layer on purpose; some 40 minutes, `--quick` takes two
faults: install-dev browser
	OPENBLAS_NUM_THREADS=1 $(PY) -m tests.faults --write docs/faults.md

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
