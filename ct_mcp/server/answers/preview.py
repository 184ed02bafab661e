"""What would become of an order: every rule's verdict with its figures, and the approval that it would need."""

from decimal import Decimal
from typing import TYPE_CHECKING

from mcp_types import CallToolResult
from pydantic import Field

from ct_mcp.domain.market import Quote
from ct_mcp.domain.ticket import Approval
from ct_mcp.server.present import (
    Answer,
    ReadAnswer,
    age,
    aged,
    answered,
    lines,
    money,
    noted,
    number,
    price,
    signed,
    stamp,
)

if TYPE_CHECKING:  # desk and rules are loaded by the first call, not by the start
    from ct_mcp.desk.facts import Case
    from ct_mcp.guard.figures import OrderFigures
    from ct_mcp.guard.rules import Verdict

_APPROVALS = {
    Approval.NONE: "none: the policy lets it go without the person",
    Approval.FORM: "the person's typed answer, in a form of the client or at a terminal (ct-mcp approve)",
    Approval.PAGE: "the person's, on a page in their browser, or at a terminal (ct-mcp approve)",
    Approval.PAGE_PIN: "the person's, with their PIN",
}
_SIGNS = {"passed": "pass", "denied": "DENY", "not applicable": "n/a"}


class RuleRow(Answer):
    """One rule's verdict."""

    rule: str
    result: str = Field(description="passed, denied or not applicable.")
    figures: str
    not_checked: str = Field(description="What it could not look at; empty where it looked at all.")


class PreviewAnswer(ReadAnswer):
    """Nothing was sent, proposed or written down. Money is in account currency."""

    would_pass: bool = Field(description="Every rule passes now; they are applied again when it is placed.")
    summary: str
    simulated: bool = Field(description="True whenever no real money can move.")
    approval: str = Field(description="none, form, page or page_pin: the least that would count as the person's yes.")
    approval_needed: str
    notional: float | None
    risk: float | None
    risk_ticks: int | None = Field(description="The distance that risk is taken over.")
    reference_price: float | None
    quote_age_seconds: float | None
    ticks_from_market: float | None
    position_now: int | None
    position_after: int | None
    most_long_after: int | None = Field(description="If every open order of that side fills as well.")
    most_short_after: int | None
    rules: list[RuleRow]


def preview_answer(case: "Case") -> CallToolResult:
    """Both halves of a review that changed nothing."""
    from ct_mcp.desk.question import approval_of, summary_of  # noqa: PLC0415  # late, as above
    from ct_mcp.guard.figures import OrderFigures, order_figures  # noqa: PLC0415

    view, quote = case.view, case.view.quote
    figures = order_figures(case.action, view, case.policy) or OrderFigures()
    approval = approval_of(case)
    structure = PreviewAnswer(
        read_at=stamp(view.now) or "",
        notes=list(case.notes),
        would_pass=case.review.passes,
        summary=summary_of(case),
        simulated=case.simulated,
        approval=approval,
        approval_needed=_APPROVALS[approval],
        risk_ticks=figures.risk_ticks or None,
        quote_age_seconds=_quote_age(quote, case),
        position_now=figures.position_now,
        position_after=figures.position_after,
        most_long_after=figures.most_long_after,
        most_short_after=figures.most_short_after,
        rules=[_rule(verdict) for verdict in case.review.verdicts],
        **_amounts(figures),
    )
    return answered(_text(structure, figures), structure)


def _quote_age(quote: Quote | None, case: "Case") -> float | None:
    return None if quote is None else age(quote.at, case.view.now)


def _amounts(figures: "OrderFigures") -> dict[str, float | None]:
    amounts: dict[str, Decimal | None] = {
        "notional": figures.notional,
        "risk": figures.risk,
        "reference_price": figures.reference_price,
        "ticks_from_market": figures.ticks_from_market,
    }
    return {name: number(amount) for name, amount in amounts.items()}


def _rule(verdict: "Verdict") -> RuleRow:
    return RuleRow(rule=verdict.rule, result=verdict.result, figures=verdict.figures, not_checked=verdict.not_checked)


def _text(it: PreviewAnswer, figures: "OrderFigures") -> str:
    return lines(
        (
            f"{'WOULD PASS' if it.would_pass else 'WOULD BE DENIED'} (nothing was sent): {it.summary}",
            f"approval needed: {it.approval_needed}",
            f"notional {money(it.notional)}, risk {money(it.risk)} over {it.risk_ticks or 'unknown'} ticks",
            f"market {price(it.reference_price)}, quote {aged(it.quote_age_seconds)}{_distance(it)}",
            f"position {signed(it.position_now)} now, {signed(it.position_after)} after; with every open order:"
            f" at most {_count(figures.most_long_after)} to {_count(figures.most_short_after)}",
            *(_line(rule) for rule in it.rules),
            *noted(it.notes),
            "simulated: no real money can move" if it.simulated else "REAL MONEY",
        )
    )


def _distance(it: PreviewAnswer) -> str:
    return "" if it.ticks_from_market is None else f", the order stands {it.ticks_from_market:g} ticks away"


def _count(net: int | None) -> str:
    return "unknown" if net is None else f"{net:+d}" if net else "0"


def _line(rule: RuleRow) -> str:
    unchecked = f" (not checked: {rule.not_checked})" if rule.not_checked else ""
    return f"{_SIGNS[rule.result]}  {rule.rule}: {rule.figures}{unchecked}"
