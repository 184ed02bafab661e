"""The tool that reviews an order and sends nothing: what each rule says, value, risk, position after."""

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.approval import Approval
from ct_mcp.server.context import ToolContext, desk_of
from ct_mcp.server.format import ReadResult, ToolResult, age_seconds, join_lines, note_lines, to_float, tool_result
from ct_mcp.server.queries import time_limit
from ct_mcp.server.tools.forms import PreviewOrderForm
from ct_mcp.text import aged, command, contracts, format_price, iso, money

if TYPE_CHECKING:  # desk and rules are loaded by the first call, not by the start
    from ct_mcp.guard.figures import OrderFigures
    from ct_mcp.guard.review import Largest, Review, RuleResult

_APPROVALS = {
    Approval.NONE: "none: the policy lets it go without the person",
    Approval.FORM: "the person's typed answer, in a form of the client or at a terminal ({approve})",
    Approval.PAGE: "the person's, on a page in their browser, or at a terminal ({approve})",
    Approval.PAGE_PIN: "the person's, with their PIN",
}
_ADVISED = "automation advise: nothing is ever sent to this account; proposed, it becomes a plan to place by hand"
_SIGNS = {"passed": "pass", "not applicable": "n/a"}


class RuleView(ToolResult):
    """One rule's answer."""

    rule: str
    result: str = Field(description="passed, denied or not applicable.")
    figures: str
    remark: str = Field(description="A warning, an assumption, or what could not be verified; empty without one.")


class PreviewResult(ReadResult):
    """Nothing was sent or proposed. Only a day's loss that reached its limit is noted, as wherever it is read."""

    would_pass: bool = Field(description="Every rule passes now; they are applied again when it is placed.")
    summary: str
    simulated: bool = Field(description="True whenever no real money can move.")
    approval: str = Field(description="none, form, page or page_pin: the least that would count as the person's yes.")
    approval_needed: str
    notional: float | None
    risk: float | None
    currency: str | None = Field(description="Of notional and risk: the contract's own; null where it is not known.")
    risk_ticks: int | None = Field(description="The distance that risk is taken over.")
    risk_is_to_stop: bool = Field(description="To the stop_loss given; else over a distance that is set.")
    gain: float | None = Field(description="At the targets, where they are for all of it.")
    room_of_day: float | None = Field(description="What may still be lost today beside the stops of what is open.")
    rules_of_funded_account: list[str] = Field(description="The room of each such rule once this was stopped out.")
    reference_price: float | None
    bid: float | None
    ask: float | None
    quote_age_seconds: float | None
    ticks_from_market: float | None
    position_now: int | None
    position_after: int | None
    most_long_after: int | None = Field(description="If every open order of that side fills as well.")
    most_short_after: int | None
    passes_at_most: int | None = Field(description="The most contracts of this order that pass now.")
    binding_rule: str = Field(description="Why one more does not.")
    room_in_position: int | None = Field(description="Contracts to the position limit, in however many orders.")
    rules: list[RuleView] = Field(description="What denies, then what has a remark; with details all of them.")


@time_limit()
async def preview_order(ctx: ToolContext, form: PreviewOrderForm) -> Annotated[CallToolResult, PreviewResult]:
    """What place_order would do, without doing it: what denies it, risk, position after, how many pass at most."""
    from ct_mcp.guard.review import as_if_never_sent, as_if_sent, largest_that_passes  # noqa: PLC0415  # the rules come late

    desk = desk_of(ctx)
    asks_for_size = form.quantity is None and form.risk is None
    asked = form.model_copy(update={"quantity": 1}) if asks_for_size else form
    found = await desk.preview(await asked.entry(desk, flatten_first=form.flatten_first))
    judged = as_if_sent(found)
    if asks_for_size:  # how many may be bought has nothing to do with what was sent a moment ago
        judged = as_if_never_sent(judged)
    largest = largest_that_passes(judged)
    if asks_for_size and largest is not None:
        judged = largest.judged
    return preview_result(judged, largest, details=form.details, advised=found.policy != judged.policy)


def preview_result(
    review: "Review", largest: "Largest | None", *, details: bool = False, advised: bool = False
) -> CallToolResult:
    """Make both halves of a review that changed nothing; what passed without a remark is told only in detail.

    ``advised`` says that nothing is ever sent to the account: what passes would be a plan.
    """
    from ct_mcp.desk.approval import approval_of  # noqa: PLC0415  # late, as above
    from ct_mcp.desk.journal_writer import summary_of  # noqa: PLC0415
    from ct_mcp.guard.figures import OrderFigures, order_figures  # noqa: PLC0415
    from ct_mcp.guard.firm_room import firm_facts  # noqa: PLC0415

    context = review.context
    figures = order_figures(review.effect, context, review.policy) or OrderFigures()
    approval = approval_of(review)
    structure = PreviewResult(
        read_at=iso(context.now) or "",
        notes=[*context.unread, *([_ADVISED] if advised else [])],
        would_pass=review.passes,
        summary=summary_of([review]),
        simulated=review.simulated,
        approval=approval,
        approval_needed=_APPROVALS[approval].format(approve=command("approve")),
        currency=figures.currency,
        risk_ticks=figures.risk_ticks or None,
        risk_is_to_stop=figures.has_stop,
        room_of_day=_room_of_day(review),
        rules_of_funded_account=[str(fact) for fact in firm_facts(review.effect, context, review.policy)],
        quote_age_seconds=None if context.quote is None else age_seconds(context.quote.at, context.now),
        position_now=figures.position_now,
        position_after=figures.position_after,
        most_long_after=figures.most_long_after,
        most_short_after=figures.most_short_after,
        passes_at_most=None if largest is None else largest.contracts,
        binding_rule="" if largest is None or largest.binds is None else _binding(largest.binds),
        room_in_position=_room(review),
        rules=[_rule_view(result) for result in sorted(review.results, key=_place) if details or _matters(result)],
        **_amounts(figures),
    )
    return tool_result(_preview_text(structure, figures, details=details), structure)


def _room(review: "Review") -> int | None:
    """How many more contracts the position limit leaves on the side of the order, with all that may still fill."""
    order, before = review.effect.order, review.effect.before
    if order is None or before is None:
        return None
    taken = before.most_long if order.action.sign > 0 else -before.most_short
    return max(0, review.policy.limits.max_position_contracts - taken)


def _room_of_day(review: "Review") -> float | None:
    """What the day has left beside the stop-outs of what is open and working."""
    from ct_mcp.guard.room import day_room  # noqa: PLC0415  # the rules come with the first call

    room = day_room(review.context, review.policy)
    return None if room is None else to_float(room.free)


def _amounts(figures: "OrderFigures") -> dict[str, float | None]:
    amounts: dict[str, Decimal | None] = {
        "notional": figures.notional,
        "risk": figures.risk,
        "gain": figures.gain,
        "reference_price": figures.reference_price,
        "bid": figures.bid,
        "ask": figures.ask,
        "ticks_from_market": figures.ticks_from_market,
    }
    return {name: to_float(amount) for name, amount in amounts.items()}


def _binding(result: "RuleResult") -> str:
    return result.figures


def _place(result: "RuleResult") -> tuple[bool, bool]:
    """What denies comes first, then what has a remark."""
    return result.denial is None, result.finding is None


def _matters(result: "RuleResult") -> bool:
    return result.denial is not None or result.finding is not None


def _rule_view(result: "RuleResult") -> RuleView:
    remark = "" if result.finding is None else str(result.finding)
    return RuleView(rule=result.rule.title, result=result.result, figures=result.figures, remark=remark)


def _preview_text(it: PreviewResult, figures: "OrderFigures", *, details: bool) -> str:
    denials = [rule for rule in it.rules if rule.result == "denied"]
    most = "unknown" if it.passes_at_most is None else it.passes_at_most
    return join_lines(
        (
            f"{'WOULD PASS' if it.would_pass else 'WOULD BE DENIED'} (nothing was sent): {it.summary}",
            *map(_rule_line, denials),
            f"passes with at most {most} in one order{f'; one more: {it.binding_rule}' if it.binding_rule else ''}",
            "" if it.room_in_position is None else f"room to the position limit: {it.room_in_position} in all",
            f"approval needed: {it.approval_needed}",
            f"notional {money(it.notional)}, risk {money(it.risk)} over {it.risk_ticks or 'unknown'} ticks"
            f"{' to the stop' if it.risk_is_to_stop else ''}{_gain(it)} ({it.currency or 'currency unknown'})",
            "" if it.room_of_day is None else f"left of the day beside open stops: {money(it.room_of_day)}",
            *it.rules_of_funded_account,
            f"market {format_price(it.reference_price)}, bid {format_price(it.bid)}, ask {format_price(it.ask)},"
            f" quote {aged(it.quote_age_seconds)}{_distance(it)}",
            f"position {contracts(it.position_now)} now, {contracts(it.position_after)} after; where open orders fill"
            f" as well, between {_signed(figures.most_short_after)} and {_signed(figures.most_long_after)}",
            *(_rule_line(rule, details=details) for rule in it.rules if rule.result != "denied"),
            *note_lines(it.notes),
            "simulated: no real money can move" if it.simulated else "a real account",
        )
    )


def _gain(it: PreviewResult) -> str:
    return "" if it.gain is None else f", gain {money(it.gain)} at the targets"


def _distance(it: PreviewResult) -> str:
    return "" if it.ticks_from_market is None else f", the order stands {it.ticks_from_market:g} ticks away"


def _signed(net: int | None) -> str:
    return "unknown" if net is None else f"{net:+d}" if net else "0"


def _rule_line(rule: RuleView, *, details: bool = False) -> str:
    """A denial without the title, which says the contrary; of a rule that passed its remark alone, but for details."""
    if rule.result == "denied":
        return f"DENIED by {rule.figures}"
    if not details:
        return rule.remark
    remark = f" ({rule.remark})" if rule.remark else ""
    return f"{_SIGNS[rule.result]}  {rule.rule}: {rule.figures}{remark}"
