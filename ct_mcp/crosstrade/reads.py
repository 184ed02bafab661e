"""The half of the client that only reads: one method for each endpoint, our words in and out.

A failed read raises; it is never an empty answer.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from types import TracebackType
from typing import Self, TypedDict, TypeVar, Unpack

import anyio
import httpx

from ct_mcp.crosstrade.api_catalog import ApiCatalog, Route, parse_routes
from ct_mcp.crosstrade.connection import Connection
from ct_mcp.crosstrade.endpoints import REFERENCES
from ct_mcp.crosstrade.failures import NoPosition
from ct_mcp.crosstrade.rate_limit import Allowance, Budget
from ct_mcp.crosstrade.request import USUAL_TIMEOUTS, Call, CallOptions, CallTimeouts, account_path
from ct_mcp.crosstrade.schemas import accounts, market, orders, strategies
from ct_mcp.crosstrade.schemas.bracket import ASSUMED_FIELDS, BracketFields, parse_bracket_fields
from ct_mcp.crosstrade.schemas.reply import Reply
from ct_mcp.domain.account import Account, AccountSnapshot, Direction, Position, Watermarks
from ct_mcp.domain.instrument import Instrument, parse_instrument
from ct_mcp.domain.market import Bar, Period, Quote, Session
from ct_mcp.domain.order import LONGEST_LOOKBACK_SECONDS, Execution, Lifecycle, Order
from ct_mcp.domain.products import roots_alike
from ct_mcp.domain.strategy import Strategy
from ct_mcp.errors import BadRequest, BudgetExhausted, NotFound, UpstreamError

MOST_BARS = 8000
TellsFigures = Callable[[Sequence[Account]], Awaitable[None]]
HearsBooks = tuple[
    Callable[[str | None, Sequence[Position]], None],
    Callable[[str | None, Sequence[Order]], None],
]
"""Who hears the open positions that were read, and the orders: of one account, or with None of all."""
_T = TypeVar("_T")


class ClientOptions(TypedDict, total=False):
    """What the client meets outside, each with a default that is real."""

    transport: httpx.AsyncBaseTransport | None
    clock: Callable[[], datetime]
    budget: Budget
    sleep: Callable[[float], Awaitable[None]]


class ReadOnlyClient:
    """CrossTrade for whoever changes nothing. Views made from it share its connection and its budget."""

    def __init__(
        self,
        base_url: str,
        token: str | None,
        timeouts: CallTimeouts = USUAL_TIMEOUTS,
        **options: Unpack[ClientOptions],
    ) -> None:
        """Touch no network: connections are made by the first call. Without a token every call says so.

        Raises:
            ConfigError: The address is neither https nor on this machine.
        """
        self.connection = Connection(base_url, token, timeouts, **options)
        self._options = CallOptions()
        self._catalog = ApiCatalog()
        self._figures_told: list[TellsFigures] = []  # all views share both
        self._books_told: list[HearsBooks] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.connection.aclose()

    # --- views ---

    def urgent(self) -> Self:
        """Give the same client with the right to the budget's reserve: for exits and their read-backs."""
        return self._with(replace(self._options, urgent=True))

    def checked_by(self, last_check: Callable[[], Awaitable[None]]) -> Self:
        """Give the same client, running a check after the wait for the budget and right before anything is sent.

        What the check raises goes to the caller, and then nothing was sent.
        """
        return self._with(replace(self._options, last_check=last_check))

    def heard_by(self, hear: Callable[[str], None]) -> Self:
        """Give the same client, telling the warnings that came beside the success of a read; writes return theirs."""
        return self._with(replace(self._options, hear=hear))

    def tell_figures(self, tell: TellsFigures) -> None:
        """Hand on every account that is read from now on, with its figures, by whatever view of this client."""
        self._figures_told.append(tell)

    def tell_books(self, hears: HearsBooks) -> None:
        """Hand on every list of positions or orders that is read from now on, by whatever view of this client."""
        self._books_told.append(hears)

    async def allowance(self) -> Allowance:
        """Say what is left of the request budget; asks nobody."""
        return await self.connection.budget.snapshot(self.connection.clock())

    def held_up(self) -> str:
        """Say why the service is to be asked less just now; empty where it is not."""
        return self.connection.pace.why(anyio.current_time())

    # --- accounts and positions ---

    async def accounts(self) -> tuple[Account, ...]:
        """Read all accounts that the add-on sees; a row may hold nothing but the name."""
        return await self._with_figures_told(await self._ask(Call("ListAccounts"), accounts.parse_accounts))

    async def account(self, name: str) -> Account:
        """Read one account with its balances, by its canonical name."""
        call = Call("GetAccount", account_path(name))
        read = await self._ask(call, lambda reply: accounts.parse_asked_account(reply, name))
        return (await self._with_figures_told((read,)))[0]

    async def snapshot(self) -> tuple[AccountSnapshot, ...]:
        """Read all active accounts with their open positions, up to three seconds old."""
        reports = await self._ask(Call("GetAccountSummary"), accounts.parse_snapshots)
        await self._with_figures_told(tuple(report.account for report in reports))
        return reports

    async def watermarks(self, name: str) -> Watermarks:
        """Read the session's high-water marks; needs no add-on."""
        call = Call("GetWatermarks", {"account": name})
        return await self._ask(call, lambda reply: accounts.parse_watermarks(reply, name))

    async def positions(self, account: str) -> tuple[Position, ...]:
        """Read every open position of one account; none means that they said it is flat."""
        call = Call("ListPositions", {"account": account})
        return self._positions_told(account, await self._ask(call, lambda r: accounts.parse_positions(r, account)))

    async def all_positions(self) -> tuple[Position, ...]:
        """Read every open position of every account."""
        call = Call("GetAllPositions", query={"includeFlat": "false"})
        return self._positions_told(None, await self._ask(call, lambda r: accounts.parse_positions(r, None)))

    async def position(self, account: str, instrument: Instrument) -> Position:
        """Read one position, FLAT where they say that there is none.

        Their single look-up has called short positions flat: nothing may be opened on its word without the list.
        """
        call = Call("GetPosition", {"account": account}, {"instrument": str(instrument)})
        try:
            return await self._ask(call, lambda reply: accounts.parse_asked_position(reply, account, instrument))
        except NoPosition:
            return Position(account, instrument, Direction.FLAT, 0, average_price=Decimal(0))

    def _positions_told(self, account: str | None, read: tuple[Position, ...]) -> tuple[Position, ...]:
        held = _open(read)
        for hears, _ in self._books_told:
            hears(account, held)
        return held

    # --- orders and executions ---

    async def orders(self, account: str, *, active_only: bool) -> tuple[Order, ...]:
        """Read the orders of one account; closed ones are pruned after a while, so their absence proves nothing."""
        call = Call("ListOrders", {"account": account}, {"activeOnly": _yes_or_no(active_only)})
        return self._orders_told(account, await self._ask(call, lambda reply: orders.parse_orders(reply, account)))

    async def all_orders(self, *, active_only: bool) -> tuple[Order, ...]:
        """Read the orders of every account."""
        call = Call("GetAllOrders", query={"activeOnly": _yes_or_no(active_only)})
        return self._orders_told(None, await self._ask(call, lambda reply: orders.parse_orders(reply, None)))

    def _orders_told(self, account: str | None, read: tuple[Order, ...]) -> tuple[Order, ...]:
        for _, hears in self._books_told:
            hears(account, read)
        return read

    async def order(self, account: str, order_id: str) -> Order:
        """Read one order by their id or ours; by ours it can be missed while it lives."""
        call = Call("GetOrder", order_path(account, order_id))
        return await self._ask(call, lambda reply: orders.parse_asked_order(reply, account))

    async def lifecycle(self, account: str, order_id: str) -> Lifecycle:
        """Read the history of one order, by their id or ours: the evidence after an unknown outcome."""
        call = Call("GetOrderLifecycle", order_path(account, order_id))
        return await self._ask(call, lambda reply: orders.parse_lifecycle(reply, account))

    async def executions(self, account: str, lookback_seconds: int) -> tuple[Execution, ...]:
        """Read the executions of at most the last 15 minutes."""
        if not 1 <= lookback_seconds <= LONGEST_LOOKBACK_SECONDS:
            raise BadRequest(f"executions reach back 1 to {LONGEST_LOOKBACK_SECONDS} seconds, found {lookback_seconds}")
        call = Call("ListExecutions", {"account": account}, {"lookbackTime": str(lookback_seconds)})
        return await self._ask(call, lambda reply: orders.parse_executions(reply, account))

    async def executions_of_order(self, account: str, order_id: str) -> tuple[Execution, ...]:
        """Read the executions of one order. Its path is our assumption; where it fails, the live one is asked for."""
        call = Call("GetExecutionsByOrderId", order_path(account, order_id))
        return await self._ask(call, lambda reply: orders.parse_executions_of_order(reply, account))

    # --- the market ---

    async def quotes(self, names: Sequence[str]) -> tuple[Quote, ...]:
        """Read one quote for each name, in the order asked; a name is any spelling, the quote tells the contract.

        Raises:
            BadRequest: There is no name, or one that is no instrument.
            BadReply: Not every name got its own quote.
        """
        if not names:
            raise BadRequest("instruments is empty; name at least one")
        call = Call("GetQuote", query={"instrument": ",".join(map(self._as_they_spell, names))})
        return await self._ask_of(names, call, lambda reply: market.parse_quotes(reply, names))

    async def session(self, name: str) -> Session:
        """Read the trading session of an instrument in any spelling."""
        call = Call("MarketInfo", query={"instrument": self._as_they_spell(name)})
        return await self._ask_of([name], call, lambda reply: market.parse_session(reply, name))

    async def bars(
        self, name: str, period: Period, *, count: int, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[Instrument, tuple[Bar, ...]]:
        """Read the newest bars of the span, oldest first, with the contract that the name stands for."""
        spelt = self._as_they_spell(name)
        if not 1 <= count <= MOST_BARS:
            raise BadRequest(f"count must be 1 to {MOST_BARS}, found {count}")
        if start is not None and end is not None and end <= start:
            raise BadRequest("end must lie after start")
        call = Call("GetBars", body=market.bars_body(spelt, period, count, start, end))
        return await self._ask_of([name], call, lambda reply: market.parse_bars(reply, name, count))

    async def _ask_of(self, names: Sequence[str], call: Call, parse: Callable[[Reply], _T]) -> _T:
        """Ask of instruments; where one is not there, say which are alike or that its month is over."""
        try:
            return await self._ask(call, parse)
        except NotFound as error:
            if not call.endpoint.path_is_assumed:
                error.advice = "; ".join(_instead_of(name, self._today()) for name in names)
            raise

    # --- strategies ---

    async def all_strategies(self, *, include_terminal: bool) -> tuple[Strategy, ...]:
        """Read the strategies of every account; the list of one account has left some out and shown old ones.

        What is started by CrossTrade's own deployments is known there under other ids, and not by these calls.
        """
        call = Call("ListAllStrategies", query={"includeTerminal": _yes_or_no(include_terminal)})
        return await self._ask(call, lambda reply: strategies.parse_strategies(reply, None))

    async def strategy(self, account: str, strategy_id: str) -> Strategy:
        """Read one strategy."""
        call = Call("GetStrategy", strategy_path(account, strategy_id))
        return await self._ask(call, lambda reply: strategies.parse_asked_strategy(reply, account, strategy_id))

    async def atm_templates(self) -> tuple[str, ...]:
        """Read the names of the ATM templates where NinjaTrader runs; an order with another is rejected."""
        return await self._ask(Call("ListAtmTemplates"), strategies.parse_templates)

    # --- what the service tells of itself ---

    async def endpoints(self) -> tuple[Route, ...]:
        """Read the live catalogue of routes, which is never empty."""
        return await self._ask(Call("_endpoints"), parse_routes)

    async def reference(self, name: str) -> str:
        """Read one of the documents that the service gives of itself, as it is."""
        if name not in REFERENCES:
            raise BadRequest(f"reference must be one of {', '.join(REFERENCES)}")
        return await self._ask(Call(name, is_document=True), lambda reply: str(reply.value))

    async def bracket_fields(self) -> BracketFields:
        """Say how CancelAndBracket spells its prices, by the live openapi.json; our assumption where that is silent.

        Asked once; where it could not be read, asked again the next time. Costs nothing to ask ahead of a proposal.
        """
        if self._catalog.bracket is None:
            try:
                document = await self.reference("openapi.json")
            except (UpstreamError, BudgetExhausted):
                return ASSUMED_FIELDS
            self._catalog.bracket = parse_bracket_fields(document)
        return self._catalog.bracket

    # --- how a call is made ---

    async def _ask(self, call: Call, parse: Callable[[Reply], _T]) -> _T:
        try:
            return await self.connection.ask(self._catalog.with_live_path(call), parse, self._options)
        except NotFound as error:
            moved = await self._moved(call, error)
        return await self.connection.ask(moved, parse, self._options)

    async def _moved(self, call: Call, error: NotFound) -> Call:
        """Give the call at another path than we assumed, if the live catalogue knows one; else the error."""
        if call.endpoint.path_is_assumed and self._catalog.routes is None:
            with suppress(UpstreamError, BudgetExhausted):
                self._catalog.routes = await self.endpoints()
                if (moved := self._catalog.with_live_path(call)).address != call.address:
                    return moved
        raise self._catalog.explain_not_found(call, error) from None

    async def _with_figures_told(self, read: tuple[Account, ...]) -> tuple[Account, ...]:
        for tell in self._figures_told:
            await tell(read)
        return read

    def _with(self, options: CallOptions) -> Self:
        view = copy(self)
        view._options = options
        return view

    def _as_they_spell(self, name: str) -> str:
        """Write any spelling as one that they know: a contract with its month, or the root of the front month."""
        return str(parse_instrument(name, self._today()))

    def _today(self) -> date:
        return self.connection.clock().astimezone(UTC).date()


def order_path(account: str, order_id: str) -> dict[str, str]:
    """Name an order in a path."""
    return {"account": account, "order_id": order_id}


def strategy_path(account: str, strategy_id: str) -> dict[str, str]:
    """Name a strategy in a path."""
    return {"account": account, "strategy_id": strategy_id}


def _open(rows: tuple[Position, ...]) -> tuple[Position, ...]:
    return tuple(row for row in rows if row.direction is not Direction.FLAT)


def _yes_or_no(value: bool) -> str:  # noqa: FBT001 - a yes or no is what it writes
    return "true" if value else "false"


def _instead_of(name: str, today: date) -> str:
    """What to try where an instrument is not there."""
    meant = parse_instrument(name, today)
    if isinstance(meant, Instrument) and meant.is_past(today):
        return f"{meant} is over, its contract month has passed: name a later one, or {meant.root} for the front month"
    alike = ", ".join(roots_alike(meant.root))
    others = f"known symbols that are alike: {alike}" if alike else "no known symbol is alike"
    return f"{meant.root} may be misspelt, or NinjaTrader has no data of it; {others}; ask the person which is meant"
