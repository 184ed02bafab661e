"""The house: who imports whom, how large things may be, and what stands nowhere."""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent
Tree = dict[Path, ast.Module]
Function = ast.FunctionDef | ast.AsyncFunctionDef


def _parsed(folder: str) -> Tree:
    files = sorted((ROOT / folder).rglob("*.py"))
    return {file.relative_to(ROOT): ast.parse(file.read_text(encoding="utf-8")) for file in files}


@pytest.fixture(scope="module")
def package() -> Tree:
    """Every module of the package, parsed."""
    return _parsed("ct_mcp")


@pytest.fixture(scope="module")
def tests() -> Tree:
    """Every module of the tests, parsed."""
    return _parsed("tests")


def _nodes(tree: Tree) -> Iterator[tuple[Path, ast.AST]]:
    return ((file, node) for file, module in tree.items() for node in ast.walk(module))


def _calls(tree: Tree) -> Iterator[tuple[str, str, ast.Call]]:
    """Every call: where it stands, what is called as it is written, and the call."""
    calls = ((file, node) for file, node in _nodes(tree) if isinstance(node, ast.Call))
    return ((f"{file}:{call.lineno}", ast.unparse(call.func), call) for file, call in calls)


def _function_lengths(tree: Tree) -> dict[str, int]:
    """Lines of each function's body, without its docstring; bodies that only promise (``...``) do not count."""
    functions = [(file, node) for file, node in _nodes(tree) if isinstance(node, Function)]
    lengths = {f"{file}:{node.lineno} {node.name}": _body_length(node) for file, node in functions}
    return {place: length for place, length in lengths.items() if length}


def _body_length(function: Function) -> int:
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body or (isinstance(body[0], ast.Expr) and ast.unparse(body[0]) == "..."):
        return 0
    return (body[-1].end_lineno or body[-1].lineno) - body[0].lineno + 1


def _expect_none(offenders: list[str]) -> None:
    assert not offenders, "\n".join((f"{len(offenders)} found:", *offenders))


def test_the_import_contracts_are_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)  # the linter adds the folder itself; this takes it away again
    broken = lint_imports(no_cache=True, no_logo=True)
    assert not broken, capsys.readouterr().out


def test_no_file_is_longer_than_three_hundred_lines(package: Tree) -> None:
    lengths = {str(file): len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in package}
    _expect_none([f"{file}: {length}" for file, length in lengths.items() if length > 300])


def test_no_function_is_longer_than_sixty_lines(package: Tree) -> None:
    lengths = _function_lengths(package)
    _expect_none([f"{place}: {length}" for place, length in lengths.items() if length > 60])


def test_half_of_the_functions_have_eight_lines_or_fewer(package: Tree) -> None:
    assert median(_function_lengths(package).values()) <= 8


def test_nine_in_ten_functions_have_twenty_five_lines_or_fewer(package: Tree) -> None:
    lengths = _function_lengths(package)
    longest = sorted(lengths, key=lambda place: -lengths[place])[:20]
    assert quantiles(lengths.values(), n=10)[-1] <= 25, {place: lengths[place] for place in longest}


def test_nothing_is_imported_from_a_front(package: Tree) -> None:
    fronts = {file for file in package if file.name == "__init__.py" and file.parent.name != "ct_mcp"}
    _expect_none([str(file) for file in fronts if package[file].body])


def test_every_room_of_the_package_is_a_package() -> None:
    folders = {file.parent for file in (ROOT / "ct_mcp").rglob("*.py")}
    _expect_none([str(folder) for folder in folders if not (folder / "__init__.py").exists()])


def test_no_module_is_named_after_nothing(package: Tree) -> None:
    nothing = {"utils", "helpers", "common", "base", "misc", "manager", "service", "engine"}
    _expect_none([str(file) for file in package if nothing & {file.stem, file.parent.name}])


def test_only_the_command_line_prints(package: Tree) -> None:
    outside = {file: module for file, module in package.items() if file.parts[1] != "cli"}
    _expect_none([place for place, name, _ in _calls(outside) if name == "print"])


def test_every_module_says_what_it_is(package: Tree, tests: Tree) -> None:
    modules = {file: module for file, module in (package | tests).items() if module.body}
    _expect_none([str(file) for file, module in modules.items() if not ast.get_docstring(module)])


def test_every_public_function_and_class_says_what_it_is_for(package: Tree) -> None:
    defined = (
        (f"{file}:{node.lineno} {node.name}", node)
        for file, module in package.items()
        for node in module.body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    )
    _expect_none([place for place, node in defined if not ast.get_docstring(node)])


def test_files_are_read_and_written_in_a_named_encoding(package: Tree, tests: Tree) -> None:
    calls = [
        (place, call) for place, name, call in _calls(package | tests) if name.endswith((".read_text", ".write_text"))
    ]
    _expect_none([place for place, call in calls if "encoding" not in {keyword.arg for keyword in call.keywords}])


def test_no_test_sleeps(tests: Tree) -> None:
    sleeps = {"time.sleep", "asyncio.sleep", "anyio.sleep", "sleep"}
    calls = [(place, ast.unparse(call)) for place, name, call in _calls(tests) if name in sleeps]
    _expect_none([f"{place} {call}" for place, call in calls if call != "anyio.sleep(0)"])
