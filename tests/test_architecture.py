"""The house: who imports whom, how large things may be, what is done in one place alone, and what stands nowhere."""

import ast
import gc
import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from statistics import median, quantiles

import pytest

from ct_mcp.domain.commands import KINDS

ROOT = Path(__file__).parent.parent
COMMANDS = {kind.__name__ for kind in KINDS} | {
    "Command",
    "OrderCommand",
    "PositionCommand",
    "StrategyCommand",
}
# Where commands are told apart by their type: what each says, does, shows and becomes on disk; everything else reads
# its effect. How each is sent stands in the table of handlers, which needs no such question.
MATCHES_COMMANDS = {
    "ct_mcp/domain/commands.py",
    "ct_mcp/guard/effect.py",
    "ct_mcp/desk/approval_request.py",
    "ct_mcp/desk/reconcile.py",
}
# One question about one type of command, where no effect can answer it.
ASKS_FOR_A_COMMAND = {
    "ct_mcp/domain/approval.py",  # what the new group of an order is called
    "ct_mcp/desk/book_import.py",  # which orders have filled, of the journal of before
    "ct_mcp/domain/plan.py",  # what an order of before had planned
    "ct_mcp/desk/dispatch.py",
    "ct_mcp/desk/exit_tickets.py",
    "ct_mcp/desk/together.py",
    "ct_mcp/desk/watch_tickets.py",
    "ct_mcp/guard/effect_model.py",
    "ct_mcp/guard/effect_orders.py",
    "ct_mcp/guard/rule.py",
    "ct_mcp/guard/rules/account.py",
    "ct_mcp/guard/rules/limits.py",
    "ct_mcp/guard/rules/order.py",
    "ct_mcp/guard/rules/position.py",
    "ct_mcp/guard/rules/watch.py",
    "ct_mcp/store/duties.py",
    "ct_mcp/store/ticket_codec.py",
    "ct_mcp/web/ticket_view.py",
}
# The methods of the store that write what the person controls, and who calls them.
WRITES_OF_CONTROLS = {
    "set_halt": {"ct_mcp/desk/controls.py", "ct_mcp/desk/circuit_breaker.py"},
    "clear_halt": {"ct_mcp/desk/controls.py"},
    "arm": {"ct_mcp/desk/controls.py"},
    "disarm": {"ct_mcp/desk/controls.py"},
    "tell_floor": {"ct_mcp/desk/controls.py"},
    "keep_pin": {"ct_mcp/desk/pin.py"},
}
# The person settles by the controls, the desk by having looked.
SETTLES = {"ct_mcp/desk/controls.py", "ct_mcp/desk/reconcile.py"}
# Where text that others wrote is read by a pattern: settings, names and prices that are typed, and the service's words.
# Whatever we know ourselves is typed, so nothing else has a use for one.
READS_BY_PATTERN = {
    "ct_mcp/cli/http_settings.py",
    "ct_mcp/config/faults.py",
    "ct_mcp/config/news.py",
    "ct_mcp/config/sources.py",
    "ct_mcp/config/values.py",
    "ct_mcp/crosstrade/api_catalog.py",
    "ct_mcp/crosstrade/client.py",
    "ct_mcp/crosstrade/diagnostics.py",
    "ct_mcp/crosstrade/failures.py",
    "ct_mcp/crosstrade/schemas/bracket.py",
    "ct_mcp/crosstrade/schemas/orders.py",
    "ct_mcp/crosstrade/schemas/strategies.py",
    "ct_mcp/crosstrade/schemas/values.py",
    "ct_mcp/domain/grid_cells.py",
    "ct_mcp/domain/instrument.py",
    "ct_mcp/domain/level.py",
    "ct_mcp/domain/market.py",
    "ct_mcp/domain/products.py",
    "ct_mcp/server/references.py",
    "ct_mcp/server/tools/exit_levels.py",
    "ct_mcp/server/tools/watch_words.py",
    "ct_mcp/text.py",
}
# Under these names we keep what is said to somebody.
SENTENCES = {
    *("advice", "blocked_reason", "denial", "denials", "figures", "finding", "findings", "headline", "next_step"),
    *("note", "notes", "reason", "reasons", "summary", "warning", "warnings", "what", "why"),
}
# And under these what says the same to programs: a member of an enumeration.
CODES = {"code", "codes", "kind", "reason", "state", "status", "suspicion"}
LOOKS_INTO_TEXT = {
    *("count", "endswith", "find", "findall", "finditer", "fullmatch", "index", "match", "partition", "removeprefix"),
    *("removesuffix", "replace", "rfind", "rindex", "rpartition", "rsplit", "search", "split", "startswith", "sub"),
}
# What may hold a sentence up to the light all the same, each for its reason.
MAY_READ_SENTENCES = {
    "ct_mcp/cli/demo_steps.py",  # a client on the far side of the protocol, which is given nothing else of a denial
    "ct_mcp/cli/demo_tour.py",  # the same; it answers in the person's place, who reads the question
    "ct_mcp/cli/journal.py",  # what the person types of an outcome is one of those that there are
    "ct_mcp/crosstrade/stream/frames.py",  # the service's words for the end of a stream
}
Tree = dict[Path, ast.Module]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def _texts_of(folder: str) -> dict[Path, str]:
    files = sorted((ROOT / folder).rglob("*.py"))
    return {file.relative_to(ROOT): file.read_text(encoding="utf-8") for file in files}


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_collected() -> Iterator[None]:
    """Half a million nodes, all of them kept: looking through them meanwhile takes three times as long."""
    gc.disable()
    yield
    _parsed.cache_clear()
    _walked.cache_clear()
    _calls_in.cache_clear()
    gc.enable()


@pytest.fixture(scope="module")
def package() -> Tree:
    """Every module of the package, parsed."""
    return {file: _parsed(text) for file, text in _texts_of("ct_mcp").items()}


def _with_a_word(word: str, *folders: str) -> Tree:
    """The modules in whose text a word stands, parsed: to parse all that the tests are takes seconds."""
    texts = (each for folder in folders for each in _texts_of(folder).items())
    return {file: _parsed(text) for file, text in texts if word in text}


@cache
def _walked(module: ast.Module) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(module))


@cache
def _calls_in(module: ast.Module) -> tuple[tuple[str, ast.Call], ...]:
    """What is called, as it is written, and the call: each module is walked and written once, for all rules."""
    return tuple((_written(node.func), node) for node in _walked(module) if isinstance(node, ast.Call))


def _written(called: ast.expr) -> str:
    """As it is written. Names with dots are most of it, and `ast.unparse` takes long for each."""
    match called:
        case ast.Name():
            return called.id
        case ast.Attribute():
            return f"{_written(called.value)}.{called.attr}"
        case _:
            return ast.unparse(called)


def _nodes(tree: Tree) -> Iterator[tuple[Path, ast.AST]]:
    return ((file, node) for file, module in tree.items() for node in _walked(module))


def _calls(tree: Tree) -> Iterator[tuple[str, str, ast.Call]]:
    """Every call: where it stands, what is called as it is written, and the call."""
    calls = ((file.as_posix(), *found) for file, module in tree.items() for found in _calls_in(module))
    return ((f"{file}:{call.lineno}", name, call) for file, name, call in calls)


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


def _file_lengths(tree: Tree) -> dict[Path, int]:
    return {file: len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in tree}


def _commands_in(node: ast.AST) -> set[str]:
    """The commands that a pattern or the second argument of ``isinstance`` names."""
    return COMMANDS & {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def _without_the_simulator(tree: Tree) -> Tree:
    return {file: module for file, module in tree.items() if file.parts[1] != "simulator"}


def _sentences_read(tree: Tree) -> Iterator[str]:
    """Wherever something looks into a text under a name of ours, or compares one, or a code, with words."""
    ours = {name.id for _, node in _nodes(tree) for name in _names_of_sentences(node)}
    for file, node in _nodes(tree):
        if (isinstance(node, ast.Call) and _looks_into_a_sentence(node)) or (
            isinstance(node, ast.Compare) and _compares_words(node, ours)
        ):
            yield f"{file}:{node.lineno} {ast.unparse(node)}"


def _looks_into_a_sentence(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in LOOKS_INTO_TEXT:
        return False
    only_tidies = call.func.attr == "split" and not call.args
    receiver = call.func.value
    return not only_tidies and (_is_code(receiver) or any(_is_said(each) for each in (receiver, *call.args)))


def _compares_words(compare: ast.Compare, ours: set[str]) -> bool:
    sides = [compare.left, *compare.comparators]
    if not all(isinstance(each, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for each in compare.ops):
        return False
    if any(_is_sentence(side) or (isinstance(side, ast.Name) and side.id in ours) for side in sides):
        return True
    return any(_is_said(side, but=CODES | {"figures"}) for side in sides) or (
        any(map(_is_code, sides)) and any(map(_is_word, sides))
    )


def _names_of_sentences(node: ast.AST) -> list[ast.Name]:
    """The constants that are given a sentence, or several."""
    if not isinstance(node, ast.Assign) or not _is_sentence(node.value):
        return []
    return [target for target in node.targets if isinstance(target, ast.Name) and target.id.isupper()]


def _texts(node: ast.expr) -> list[str]:
    """The text that this is, or those of a collection that stands there."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "frozenset" and node.args:
        node = node.args[0]
    parts = node.elts if isinstance(node, ast.Set | ast.Tuple | ast.List) else [node]
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


def _is_sentence(node: ast.expr) -> bool:
    return any(len(text.split()) > 1 for text in _texts(node))


def _is_word(node: ast.expr) -> bool:
    return any(_texts(node))


def _is_code(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(attr=name):
            return name in CODES
        case ast.Name(id=name):
            return name in {"code", "codes"}
        case _:
            return False


def _is_said(node: ast.expr, *, but: Collection[str] = ()) -> bool:
    """Whether it is a text of ours by its name, whatever leaves it a text being done to it, as ``it[0].lower()``."""
    match node:
        case ast.JoinedStr(values=parts):
            return any(_is_said(part.value) for part in parts if isinstance(part, ast.FormattedValue))
        case ast.Call(func=ast.Name(id="str"), args=[inner]):
            # A failure that is made a text says what it says, whatever it is called.
            return _is_said(inner) or ast.unparse(inner) in {"error", "failure"}
        case ast.Call(func=ast.Attribute(attr="casefold" | "lower" | "upper" | "strip", value=inner)):
            return _is_said(inner, but=but)
        case ast.Subscript(value=inner, slice=key) if not _texts(key):
            return _is_said(inner, but=but)
        case _:
            return _name_of(node) in SENTENCES.difference(but)


def _name_of(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=key) | ast.Call(func=ast.Attribute(attr="get"), args=[key, *_]):
            return next(iter(_texts(key)), "")
        case _:
            return ""


def _expect_none(offenders: list[str]) -> None:
    assert not offenders, "\n".join((f"{len(offenders)} found:", *offenders))


def test_the_import_contracts_are_kept() -> None:
    """In a process of its own: the linter silences every logger that there is, and with them the tests that follow."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_is_longer_than_four_hundred_lines(package: Tree) -> None:
    _expect_none([f"{file}: {length}" for file, length in _file_lengths(package).items() if length > 400])


def test_a_module_of_less_than_sixty_lines_says_why_it_stands_alone(package: Tree) -> None:
    short = [file for file, length in _file_lengths(package).items() if length < 60 and file.name != "__init__.py"]
    words = {file: set(re.findall(r"\w+", ast.get_docstring(package[file]) or "")) for file in short}
    _expect_none([str(file) for file in short if not {"alone", "apart"} & words[file]])


def test_no_function_is_longer_than_sixty_lines(package: Tree) -> None:
    lengths = _function_lengths(package)
    _expect_none([f"{place}: {length}" for place, length in lengths.items() if length > 60])


def test_half_of_the_functions_have_six_lines_or_fewer(package: Tree) -> None:
    assert median(_function_lengths(package).values()) <= 6


def test_nine_in_ten_functions_have_fifteen_lines_or_fewer(package: Tree) -> None:
    lengths = _function_lengths(package)
    longest = sorted(lengths, key=lambda place: -lengths[place])[:20]
    assert quantiles(lengths.values(), n=10)[-1] <= 15, {place: lengths[place] for place in longest}


def test_nothing_is_imported_from_a_front(package: Tree) -> None:
    fronts = {file for file in package if file.name == "__init__.py" and file.parent.name != "ct_mcp"}
    _expect_none([str(file) for file in fronts if package[file].body])


def test_every_room_of_the_package_is_a_package() -> None:
    folders = {file.parent for file in (ROOT / "ct_mcp").rglob("*.py")}
    _expect_none([str(folder) for folder in folders if not (folder / "__init__.py").exists()])


def test_no_module_is_named_after_nothing(package: Tree) -> None:
    nothing = {"utils", "helpers", "common", "base", "misc", "manager", "service", "engine"}
    _expect_none([str(file) for file in package if nothing & {file.stem, file.parent.name}])


def test_no_two_classes_have_one_name(package: Tree) -> None:
    classes: dict[str, list[str]] = {}
    for file, node in _nodes(package):
        if isinstance(node, ast.ClassDef):
            classes.setdefault(node.name, []).append(str(file))
    _expect_none([f"{name}: {', '.join(files)}" for name, files in classes.items() if len(files) > 1])


def test_commands_are_matched_where_their_meaning_is_said_and_nowhere_else(package: Tree) -> None:
    matches = {
        file.as_posix()
        for file, node in _nodes(package)
        if isinstance(node, ast.match_case) and _commands_in(node.pattern)
    }
    assert matches == MATCHES_COMMANDS


def test_a_command_is_asked_for_its_type_only_where_no_effect_can_answer(package: Tree) -> None:
    asks = {
        place.rpartition(":")[0]
        for place, name, call in _calls(package)
        if name == "isinstance" and _commands_in(call.args[1])
    }
    assert asks - MATCHES_COMMANDS == ASKS_FOR_A_COMMAND


@pytest.mark.parametrize(("method", "writers"), WRITES_OF_CONTROLS.items())
def test_only_the_controls_write_what_the_person_controls(package: Tree, method: str, writers: set[str]) -> None:
    written = {
        place.rpartition(":")[0]
        for place, name, _ in _calls(package)
        if name.endswith(f"store.{method}") and not place.startswith("ct_mcp/store/")
    }
    assert written == writers


def test_only_the_person_and_what_was_read_settle_an_outcome(package: Tree) -> None:
    settles = {
        place.rpartition(":")[0]
        for place, name, call in _calls(package)
        if name == "NewEntry" and any(ast.unparse(argument) == "EntryKind.SETTLED" for argument in call.args)
    }
    assert settles == SETTLES


def test_only_text_that_others_wrote_is_read_by_a_pattern(package: Tree) -> None:
    readers = {
        file.as_posix()
        for file, node in _nodes(_without_the_simulator(package))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and "re" in {getattr(node, "module", None), *(alias.name for alias in node.names)}
    }
    assert readers == READS_BY_PATTERN


def test_no_sentence_of_ours_is_taken_apart(package: Tree) -> None:
    ours = {file: module for file, module in package.items() if file.as_posix() not in MAY_READ_SENTENCES}
    _expect_none(list(_sentences_read(_without_the_simulator(ours))))


@pytest.mark.parametrize(
    "line",
    [
        "str(denials[0]).split(':')[0]",
        "entry.detail.get('what') == WRONG",
        "failure.what == NO_TOKEN",
        "PLAN.search(failure.what)",
        "re.search('plan', str(error))",
        "'plan' in failure.what.casefold()",
        "'active elsewhere' in text.casefold()",
        "answer.code.startswith('QUOTE_')",
        "codes == {'EXIT_ON_ITS_WAY'}",
        "link.state != 'broken'",
        "account.kind == 'simulated'",
        "entry.detail['reasons'][0].partition(':')",
        "said == 'not read'",
        "said == NO_TOKEN",
        "said in BOTH",
        "any(reason.startswith('X') for reason in reasons)",
        "NO_TOKEN in str(error)",
        "f'{denial}'.split(':')",
    ],
)
def test_a_sentence_that_is_taken_apart_is_found(line: str) -> None:
    module = "NO_TOKEN = 'there is no token'\nBOTH = frozenset({NO_TOKEN, 'a plan'})\n"
    assert len(list(_sentences_read({Path("x.py"): ast.parse(module + line)}))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "denial.code in NO_QUOTE",
        "failure.reason is AuthReason.PLAN",
        "entry.detail.get('suspicion') == Suspicion.WRONG_TEXT",
        "link.state is LinkState.OK",
        "'why' in row",
        "text == ''",
        "answer.split(',')",
        "if_none = reasons or warnings",
        "len(reasons) == 2",
        "scope['type'] == 'http'",
    ],
)
def test_what_reads_codes_or_the_words_of_others_passes(line: str) -> None:
    assert not list(_sentences_read({Path("x.py"): ast.parse(line)}))


def test_only_the_command_line_prints(package: Tree) -> None:
    outside = {file: module for file, module in package.items() if file.parts[1] != "cli"}
    _expect_none([place for place, name, _ in _calls(outside) if name == "print"])


def test_every_module_says_what_it_is(package: Tree) -> None:
    """One of the tests that does not begin with its text is looked at closely."""
    begun = {file: text for file, text in _texts_of("tests").items() if not text.startswith('"""')}
    assert len(begun) < len(_texts_of("tests")) / 10
    parsed = package | {file: _parsed(text) for file, text in begun.items()}
    modules = {file: module for file, module in parsed.items() if module.body}
    _expect_none([str(file) for file, module in modules.items() if not ast.get_docstring(module)])


def test_every_public_function_and_class_says_what_it_is_for(package: Tree) -> None:
    defined = (
        (f"{file}:{node.lineno} {node.name}", node)
        for file, module in package.items()
        for node in module.body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
        if "overload" not in map(ast.unparse, node.decorator_list)
    )
    _expect_none([place for place, node in defined if not ast.get_docstring(node)])


def test_files_are_read_and_written_in_a_named_encoding() -> None:
    files = _with_a_word("read_text", "ct_mcp", "tests") | _with_a_word("write_text", "ct_mcp", "tests")
    calls = [(place, call) for place, name, call in _calls(files) if name.endswith((".read_text", ".write_text"))]
    assert len(calls) > 10, "they are really looked at"
    _expect_none([place for place, call in calls if "encoding" not in {keyword.arg for keyword in call.keywords}])


def test_no_test_sleeps() -> None:
    sleeps = {"time.sleep", "asyncio.sleep", "anyio.sleep", "sleep"}
    virtual = {"test_virtual_time.py", "test_judges.py"}  # on a virtual clock, where seconds take no time
    timed = {
        file: tree
        for file, tree in _with_a_word("sleep", "tests").items()
        if not (file.parent == Path("tests/resilience/virtual") and file.name in virtual)
    }
    calls = [(place, ast.unparse(call)) for place, name, call in _calls(timed) if name in sleeps]
    _expect_none([f"{place} {call}" for place, call in calls if call != "anyio.sleep(0)"])


def test_commands_that_people_are_told_to_run_are_written_in_one_place(package: Tree) -> None:
    """They carry the flags of the server that tells them, which a text of its own would not."""
    written = re.compile(r"ct-mcp (approve|arm|console|disarm|halt|journal|pin|resume)\b")
    places = list[str]()
    for file, tree in package.items():
        documents = {id(node.value) for node in _walked(tree) if isinstance(node, ast.Expr)}
        for node in _walked(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
                places += [f"{file.name}: {node.value}"] if written.search(node.value) else []
    assert places == ["dashboard.py: ct-mcp console"], "the title of a page"
