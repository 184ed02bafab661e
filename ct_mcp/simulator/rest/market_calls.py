"""Calls about the market: quotes, hours, bars, templates."""

import re
from datetime import UTC, datetime, timedelta

from ct_mcp.simulator.addon import AddOn
from ct_mcp.simulator.atm import TEMPLATES
from ct_mcp.simulator.bars import BarsWanted, bars
from ct_mcp.simulator.refusals import Refusal
from ct_mcp.simulator.rest.args import AccountInstrumentArgs, BarsArgs, InstrumentArgs, MarketInfoArgs, NoArgs
from ct_mcp.simulator.rest.market_rows import bar_row, legacy_quote, market_info, quote_answer, quote_now
from ct_mcp.simulator.rest.market_shapes import (
    BarsAnswer,
    LegacyQuoteAnswer,
    MarketInfoAnswer,
    QuoteAnswer,
    TemplatesAnswer,
)
from ct_mcp.simulator.rest.times import day_first

_UTC_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,7})?)?Z")


def get_quote(addon: AddOn, args: InstrumentArgs) -> QuoteAnswer | list[QuoteAnswer]:
    """Quote one instrument; of several, separated by commas, the answer is a bare list."""
    contracts = [addon.contract(text) for text in args.instrument.split(",")]
    quotes = [quote_answer(addon, quote_now(addon, contract)) for contract in contracts]
    return quotes[0] if len(quotes) == 1 else quotes


def get_legacy_quote(addon: AddOn, args: AccountInstrumentArgs) -> LegacyQuoteAnswer | list[LegacyQuoteAnswer]:
    """Quote by the older route, which needs an account for nothing."""
    addon.account(args.account)
    contracts = [addon.contract(text) for text in args.instrument.split(",")]
    quotes = [legacy_quote(addon, quote_now(addon, contract)) for contract in contracts]
    return quotes[0] if len(quotes) == 1 else quotes


def get_market_info(addon: AddOn, args: MarketInfoArgs) -> MarketInfoAnswer:
    """Show the trading hours of an instrument."""
    return market_info(addon, addon.contract(args.instrument or "ES"))


def get_bars(addon: AddOn, args: BarsArgs) -> BarsAnswer:
    """Show bars, oldest first; the newest so many if there are more."""
    contract = addon.contract(args.instrument)
    end = _moment(addon, "to", args.to) or addon.now
    start = _moment(addon, "from", args.from_) or end - timedelta(days=args.days_back)
    wanted = BarsWanted(contract, args.period_type, args.period, start, min(end, addon.now), args.limit)
    rows = [bar_row(contract, bar) for bar in bars(addon.market, wanted)]
    return {
        "instrument": contract.name,
        "periodType": args.period_type,
        "period": args.period,
        "count": len(rows),
        "bars": rows,
    }


def list_atm_templates(_: AddOn, __: NoArgs) -> TemplatesAnswer:
    """List the ATM strategy templates of this computer."""
    return {"success": True, "templates": list(TEMPLATES)}


def _moment(addon: AddOn, name: str, text: str | None) -> datetime | None:
    """Read a moment in UTC.

    Raises:
        Refusal: It is written in another form, or there is no such moment.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(400, f"Invalid '{name}' date format: '{text}'. Use ISO-8601 UTC.") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not 2000 <= moment.year < 2100 or _UTC_FORM.fullmatch(text) is None:
        shown = day_first(addon.local(moment)) if 2000 <= moment.year < 2100 else text
        raise Refusal(400, f"Invalid '{name}' date format: '{shown}'. Use ISO-8601 UTC.")
    return moment
