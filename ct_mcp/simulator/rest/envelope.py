"""What stands around the payload of an answer, spelled as the service spells it."""

from typing import NotRequired

from typing_extensions import TypedDict


class Success(TypedDict):
    """What stands beside the payload of most answers."""

    success: bool


class ErrorAnswer(TypedDict):
    """A no."""

    error: str
    success: NotRequired[bool]
    detail: NotRequired[str]
    did_you_mean: NotRequired[str | None]
    retryAfter: NotRequired[float]
