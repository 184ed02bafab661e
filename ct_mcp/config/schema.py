"""The keys of the settings as pydantic models, and the one place where pydantic's errors become our sentences.

Every model forbids the keys it does not know and converts nothing by itself: each type says what it takes, in words
that follow "expected". A key that a source leaves out is None here; which value holds then is decided by those who use
it. Making the models takes time, so only `settings.load` imports this module, and only when it runs.
"""

from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import ErrorDetails

from ct_mcp.config import values
from ct_mcp.config.faults import KeyPath, Spelling, mismatch, unknown_key
from ct_mcp.config.presets import preset_names
from ct_mcp.domain.approval import Approval
from ct_mcp.guard.firm_policy import Automation, DayLossEnds, DrawdownKind, IfUnknown, ScalingStep
from ct_mcp.guard.policy import FlatBy, IfUnprotected, Mode
from ct_mcp.store.postgres_url import PostgresUrl


def expecting(words: str) -> WrapValidator:
    """Say in our words what was expected where pydantic's own check refuses."""

    def check(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError:
            raise ValueError(words) from None

    return WrapValidator(check)


def seconds(least: str, most: str) -> BeforeValidator:
    """Take a number of seconds within these bounds."""
    return BeforeValidator(values.seconds(least, most))


Contracts = Annotated[int, Field(ge=1, le=1_000_000), expecting("a whole number from 1 to 1000000")]
Money = Annotated[Decimal, BeforeValidator(values.number("0.01", "1000000000", "account currency"))]
Timeout = Annotated[float, seconds("0.1", "300")]
Age = Annotated[float, seconds("0", "60")]
Switch = Annotated[bool, expecting("true or false")]
ModeWord = Annotated[Mode, BeforeValidator(values.word(Mode))]
IfUnprotectedWord = Annotated[IfUnprotected, BeforeValidator(values.word(IfUnprotected))]
ApprovalWord = Annotated[Approval, BeforeValidator(values.word(Approval))]
AutomationWord = Annotated[Automation, BeforeValidator(values.word(Automation))]
PresetName = Annotated[str, BeforeValidator(values.word(preset_names()))]
Minutes = Annotated[int, Field(ge=0, le=1440), expecting("a whole number of minutes from 0 to 1440")]
Groups = tuple[frozenset[str], ...]
LogLevel = Annotated[str, BeforeValidator(values.word(values.LOG_LEVELS))]
Toolsets = Annotated[frozenset[str], BeforeValidator(values.toolsets)]
Address = Annotated[str, BeforeValidator(values.address)]
Folder = Annotated[Path | None, BeforeValidator(values.folder)]
DatabaseUrl = Annotated[PostgresUrl | None, BeforeValidator(values.database)]
StateInFile = Annotated[PostgresUrl | None, BeforeValidator(values.database_without_password("CT_MCP_STATE"))]
PlaneInFile = Annotated[PostgresUrl | None, BeforeValidator(values.database_without_password("CT_MCP_PLANE"))]


class Table(BaseModel):
    """A table of a source: nothing but the keys it knows, and None for those that it leaves out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)

    def given(self) -> dict[str, Any]:
        """Every key that the source names, with its value."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class UpstreamTable(Table):
    """``[upstream]``: where the service is, and how long to wait for it."""

    base_url: Address | None = None
    stream: Switch | None = None
    connect_timeout_seconds: Timeout | None = None
    read_timeout_seconds: Timeout | None = None
    bars_timeout_seconds: Timeout | None = None
    write_timeout_seconds: Timeout | None = None


class FreshTable(Table):
    """``[fresh]``: how old what is known may be when it answers a question."""

    quote_seconds: Age | None = None
    book_seconds: Age | None = None
    figures_seconds: Age | None = None


class ApprovalTable(Table):
    """``[approval]``: how the person is asked, and for how long."""

    simulated: ApprovalWord | None = None
    live: ApprovalWord | None = None
    exits_simulated: ApprovalWord | None = None
    exits_live: ApprovalWord | None = None
    ticket_seconds: Annotated[float, seconds("5", "3600")] | None = None
    wait_seconds: Annotated[float, seconds("0", "300")] | None = None
    form_seconds: Annotated[float, seconds("1", "300")] | None = None


class ProtectionTable(Table):
    """``[protection]``: the stops of entries, and what happens where one does not come to stand."""

    require_stop: Switch | None = None
    deadline_seconds: Annotated[float, seconds("1", "60")] | None = None
    if_unprotected: IfUnprotectedWord | None = None


class WatchesTable(Table):
    """``[watches]``: what goes on without the assistant."""

    most: Annotated[int, Field(ge=0, le=20), expecting("a whole number from 0 to 20")] | None = None
    flat_by_acts: Switch | None = None
    warn_minutes: Annotated[int, Field(ge=0, le=120), expecting("a whole number from 0 to 120")] | None = None


class BookTable(Table):
    """``[book]``: the record of executions."""

    on: Switch | None = None
    keep_days: Annotated[int, Field(ge=30, le=3650), expecting("a whole number from 30 to 3650")] | None = None
    most_executions: (
        Annotated[int, Field(ge=1000, le=200_000), expecting("a whole number from 1000 to 200000")] | None
    ) = None


class LimitsTable(Table):
    """``[limits]``, and the limits of one account or one root."""

    max_order_contracts: Contracts | None = None
    max_position_contracts: Contracts | None = None
    max_account_minis: Annotated[Decimal | None, BeforeValidator(values.minis)] = None
    max_order_notional: Money | None = None
    max_order_risk: Money | None = None
    max_day_loss: Money | None = None
    max_orders_per_minute: Contracts | None = None
    max_orders_per_day: Contracts | None = None
    risk_ticks: Contracts | None = None
    price_band_ticks: Contracts | None = None
    quote_max_age_seconds: Annotated[float, seconds("0.1", "3600")] | None = None
    duplicate_window_seconds: Annotated[float, seconds("0", "3600")] | None = None
    require_open_session: Switch | None = None
    flat_by: Annotated[FlatBy | None, BeforeValidator(values.flat_by)] = None
    instruments: Annotated[frozenset[str] | None, BeforeValidator(values.roots)] = None
    rates: Annotated[dict[str, Decimal] | None, BeforeValidator(values.rates)] = None


class RulesTable(Table):
    """``[accounts."NAME".rules]``: the rules of a funded account, by themselves or narrower than its preset."""

    drawdown: Annotated[DrawdownKind, BeforeValidator(values.word(DrawdownKind))] | None = None
    drawdown_amount: Money | None = None
    start_balance: Money | None = None
    floor_locks_at: Money | None = None
    scaling: Annotated[tuple[ScalingStep, ...] | None, BeforeValidator(values.scaling)] = None
    no_opposite: Switch | None = None
    no_opposite_over_accounts: Switch | None = None
    opposite_groups: Annotated[Groups | None, BeforeValidator(values.groups)] = None
    require_stop: Switch | None = None
    profit_lock: Money | None = None
    news_file: Annotated[Path | None, BeforeValidator(values.file)] = None
    news_before_minutes: Minutes | None = None
    news_after_minutes: Minutes | None = None
    news_no_resting: Switch | None = None
    news_unknown: Annotated[IfUnknown, BeforeValidator(values.word(IfUnknown))] | None = None
    day_loss_ends: Annotated[DayLossEnds, BeforeValidator(values.word(DayLossEnds))] | None = None
    best_day_percent: Annotated[Decimal, BeforeValidator(values.number("1", "100", "percent"))] | None = None


class AccountTable(Table):
    """``[accounts."NAME"]``."""

    approval: ApprovalWord | None = None
    firm: PresetName | None = None
    automation: AutomationWord | None = None
    rules: RulesTable = RulesTable.model_construct()
    limits: LimitsTable = LimitsTable.model_construct()


class InstrumentTable(Table):
    """``[instruments.ROOT]``."""

    limits: LimitsTable = LimitsTable.model_construct()


class SettingsFile(Table):
    """The whole file. The names of accounts and roots are checked with what else no single key shows."""

    mode: ModeWord | None = None
    toolsets: Toolsets | None = None
    log_level: LogLevel | None = None
    state_dir: Folder = None
    state: StateInFile = None
    plane: PlaneInFile = None
    upstream: UpstreamTable = UpstreamTable.model_construct()
    fresh: FreshTable = FreshTable.model_construct()
    approval: ApprovalTable = ApprovalTable.model_construct()
    protection: ProtectionTable = ProtectionTable.model_construct()
    watches: WatchesTable = WatchesTable.model_construct()
    book: BookTable = BookTable.model_construct()
    limits: LimitsTable = LimitsTable.model_construct()
    accounts: dict[str, AccountTable] = {}
    instruments: dict[str, InstrumentTable] = {}


class Overrides(Table):
    """What flags say, and environment variables: texts."""

    config: Annotated[Path, BeforeValidator(values.path)] | None = None
    state_dir: Folder = None
    base_url: Address | None = None
    mode: ModeWord | None = None
    toolsets: Annotated[frozenset[str], BeforeValidator(values.comma_separated_toolsets)] | None = None
    log_level: LogLevel | None = None


class Variables(Overrides):
    """What environment variables alone say: a flag is seen in the list of processes."""

    state: DatabaseUrl = None
    plane: DatabaseUrl = None


T = TypeVar("T", bound=Table)


def read(model: type[T], raw: Mapping[str, Any], spell: Spelling, faults: list[str]) -> T:
    """Read what a source says; what is refused becomes a fault with its place, and the rest is given all the same."""
    if not raw:
        return model.model_construct()
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        refused = {tuple(map(str, detail["loc"])): detail for detail in error.errors(include_url=False)}
    for path in sorted(refused, key=lambda path: _position(raw, path)):
        faults.append(f"{spell(path)}: {_in_words(model, path, refused[path], spell)}")
    return model.model_validate(_without(raw, refused))


def _position(raw: Mapping[str, Any], path: KeyPath) -> list[int]:
    """Where a key stands in its source, so that faults are told in the order in which the person finds them."""
    position = []
    for key in path:
        position.append(list(raw).index(key))
        raw = raw[key]
    return position


def _in_words(model: type[Table], path: KeyPath, detail: ErrorDetails, spell: Spelling) -> str:
    match detail["type"]:
        case "value_error" if path in (("state",), ("plane",)):  # nothing of a URL is repeated: it may hold a password
            return f"expected {detail['ctx']['error']}"
        case "value_error":
            return mismatch(detail["input"], str(detail["ctx"]["error"]))
        case "extra_forbidden":
            return unknown_key(path[-1], _model_at(model, path[:-1]).model_fields, spell)
        case _:  # every type but a table has words of its own
            return mismatch(detail["input"], "a table")


def _model_at(model: type[Table], path: KeyPath) -> type[Table]:
    """Find the model of the table at a place of the file."""
    keys = iter(path)
    for key in keys:
        kind: Any = model.model_fields[key].annotation
        if by_name := get_args(kind):  # tables under names that the operator chose
            kind = by_name[1]
            next(keys)
        model = kind
    return model


def _without(raw: Mapping[str, Any], refused: Collection[KeyPath], at: KeyPath = ()) -> dict[str, Any]:
    """Copy the tables without what was refused."""
    return {
        key: _without(value, refused, (*at, key)) if isinstance(value, Mapping) else value
        for key, value in raw.items()
        if (*at, key) not in refused
    }
