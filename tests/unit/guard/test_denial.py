"""What a denial is about: the call, the moment, or the limits that the person has set."""

from ct_mcp.guard.denial import NO_QUOTE, OF_THE_CALL, OF_THE_MOMENT, DenialCode


def test_no_code_is_about_the_call_and_the_moment() -> None:
    assert not OF_THE_CALL & OF_THE_MOMENT


def test_limits_and_who_may_trade_are_about_the_settings() -> None:
    about_them = {code for code in DenialCode if code.endswith(("_EXCEEDS_MAXIMUM", "_EXCEEDED", "_EXCEED_MAXIMUM"))}
    about_them |= {DenialCode.MODE_READ_ONLY, DenialCode.ACCOUNT_NOT_SIMULATED, DenialCode.INSTRUMENT_NOT_ALLOWED}
    assert not about_them & (OF_THE_CALL | OF_THE_MOMENT)


def test_a_quote_that_is_missing_may_come() -> None:
    assert NO_QUOTE - {DenialCode.CLOCK_WRONG} <= OF_THE_MOMENT, "a wrong clock has to be set right"
