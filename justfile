# The commands of every day; `just` alone lists them, and .ci/run calls the same. just comes with the dev extra.
# They use the environment that is active: python -m venv .venv, then activate it.

set windows-shell := ["powershell.exe", "-NoLogo", "-Command"]

_list:
    @just --list --unsorted

# Install the project for development at the locked versions, and the checks that run before each commit
setup:
    python -m pip install -c requirements-dev.lock -e ".[dev]"
    pre-commit install

# Run every test; arguments go to pytest: just test tests/unit/guard -x
test *arguments:
    pytest {{ arguments }}

# Run the tests that end in minutes
test-fast *arguments:
    pytest -m "not slow" {{ arguments }}

# Run every test and count the lines they reach, those of started processes too; before each release
coverage *arguments:
    pytest --cov --cov-report=term-missing:skip-covered --cov-fail-under=95 {{ arguments }}

# Check format, lint, import contracts and spelling
lint:
    ruff format --check .
    ruff check .
    lint-imports --no-cache --no-logo
    typos

# Check types
types:
    mypy

# Check that README and docs say what the code does, and that their links lead somewhere
docs:
    pytest -q tests/test_readme.py tests/test_docs.py

# Write docs/configuration.md anew, after a change of the settings
settings-page:
    python docs/configuration.py

# Pack the bundle that Claude Desktop installs: dist/ct-mcp.mcpb (needs Node)
bundle:
    npx --yes @anthropic-ai/mcpb@2.1.2 validate manifest.json
    npx --yes @anthropic-ai/mcpb@2.1.2 pack . dist/ct-mcp.mcpb

# Show the whole road in a terminal, against the simulator
demo:
    ct-mcp demo

# Measure; arguments go to the benchmark: just bench --quick
bench *arguments:
    python benchmarks/run.py {{ arguments }}

# Run everything that a change has to pass
gate:
    bash .ci/run
