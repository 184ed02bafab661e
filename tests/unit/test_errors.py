"""Our errors: what one carries beside its message goes on with it."""

from ct_mcp.errors import AuthFailed, AuthReason, OutcomeUnknown, RateLimited


def test_a_failure_in_other_words_carries_on_what_it_carried() -> None:
    door = AuthFailed("no plan", AuthReason.PLAN, next_step="look there").rephrased("nothing of that kind")
    assert (door.what, door.reason, door.advice) == ("nothing of that kind", AuthReason.PLAN, "look there")
    assert str(door).startswith("AUTH_FAILED: nothing of that kind.")
    assert RateLimited("slow down", retry_after_seconds=3.0).rephrased("wait").retry_after_seconds == 3.0


def test_what_was_said_before_stands_nowhere_in_the_other_words() -> None:
    secret, told = OutcomeUnknown("it said tok-3f9a"), "it said [hidden]"
    other = secret.rephrased(told)
    assert "tok-3f9a" not in f"{other} {other!r} {vars(other)}"
    assert secret.what == "it said tok-3f9a"
