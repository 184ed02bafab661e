"""Rules on money: what an order is worth and what it risks."""

from ct_mcp.domain.action import PlaceOrder
from ct_mcp.guard.figures import notional, quote_for, risk_over_band
from ct_mcp.guard.policy import Denial, Policy, View
from ct_mcp.guard.values import written
from ct_mcp.guard.verdict import Finding, Passed, on_risk


@on_risk
def notional_is_within_limit(order: PlaceOrder, view: View, policy: Policy) -> Finding:
    """An order without a limit price is priced as if it slipped by the whole band."""
    worth, maximum = (
        notional(order, quote_for(order, view), policy.limits.price_band_ticks),
        policy.limits.max_order_notional,
    )
    figures = f"notional={written(worth)}, maximum={written(maximum)}"
    if worth is None:
        return Denial("NOTIONAL_UNKNOWN", figures)
    return Denial("NOTIONAL_EXCEEDS_MAXIMUM", figures) if worth > maximum else Passed(figures)


@on_risk
def risk_is_within_limit(order: PlaceOrder, view: View, policy: Policy) -> Finding:
    """No stop stands with an order that is sent by itself, so it is held to lose the whole price band."""
    band, maximum = policy.limits.price_band_ticks, policy.limits.max_order_risk
    risk = risk_over_band(order, quote_for(order, view), band)
    figures = f"risk={written(risk)} over {band} ticks, maximum={written(maximum)}"
    if risk is None:
        return Denial("RISK_UNKNOWN", figures)
    if risk > maximum:
        return Denial("RISK_EXCEEDS_MAXIMUM", figures)
    return Passed(figures, f"no stop stands with this order, so its risk is taken over {band} ticks")
