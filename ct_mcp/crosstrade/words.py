"""Their words, made harmless: nothing invisible, nothing secret, bounded, and between quotation marks that are ours."""

import re
import unicodedata
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from urllib.parse import quote

LONGEST = 300

_HIDDEN = "[hidden]"
# So many characters of a secret in a row are taken for it; fewer may stand in any text.
_PIECE = 12
_SECRETS = re.compile(
    r"(?i)(\bbearer\s+|/v1/send/"
    r"|\b[\w-]{0,20}(?:key|token|secret|authorization)'?\s*[=:]\s*'?(?:bearer\s+)?)[^\s,;&'}]+"
)
_QUOTATION_MARKS = dict.fromkeys(map(ord, '"`´«»“”„‟‹›〝〞❝❞'), "'")  # noqa: RUF001 - look-alikes are the point
# Letters by their category, and blank all the same.
_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def quoted(text: str, secrets: Iterable[str] = ()) -> str:
    """Their words between our quotation marks, which they cannot close; for a sentence that says whose they are."""
    return f'"{cleaned(text, secrets)}"'


def cleaned(text: str, secrets: Iterable[str] = (), longest: int = LONGEST) -> str:
    """Strip control, bidirectional, zero-width and combining characters, hide secrets, bound the length."""
    visible = (_seen(character) for character in unicodedata.normalize("NFKC", text[: 20 * LONGEST]))
    plain = " ".join("".join(visible).translate(_QUOTATION_MARKS).split())
    told = redacted(plain, secrets)
    return told if len(told) <= longest else f"{told[: longest - 1]}…"


def folded(word: str) -> str:
    """One spelling for a word, whatever its case and whatever stands between its parts."""
    return re.sub(r"[\s_-]", "", word).casefold()


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """Hide the secrets, in any case, and whatever stands where a secret would stand."""
    for secret in filter(None, secrets):
        text = re.sub(re.escape(secret), _HIDDEN, text, flags=re.IGNORECASE)
    return _SECRETS.sub(rf"\1{_HIDDEN}", text)


def hidden(text: str, secret: str | None) -> str:
    """Hide a secret wherever it stands in an answer: whole, in pieces that could give it away, or encoded.

    For every answer as it came, before anything is read from it, since a service may echo what it was sent anywhere.
    """
    if not secret or len(secret) < _PIECE:
        return text
    probes, traces = _traces(secret)
    folded_text = text.casefold()
    return traces.sub(_HIDDEN, text) if any(probe in folded_text for probe in probes) else text


@cache
def _traces(secret: str) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """What is looked for first, since it is fast, and everything that is hidden once any of that is there."""
    encoded = [b64encode(text.encode()).decode().rstrip("=") for text in (f"Bearer {secret}", secret)]
    whole = [secret, quote(secret, safe=""), *encoded]
    pieces = [secret[start : start + _PIECE] for start in range(len(secret) - _PIECE + 1)]
    probes = {piece.casefold() for text in whole for piece in (text[:_PIECE], text[-_PIECE:])}
    return tuple(probes), re.compile("|".join(map(re.escape, [*whole, *pieces])), re.IGNORECASE)


def _seen(character: str) -> str:
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    is_hidden = category[0] == "C" or category in ("Mn", "Me", "Zl", "Zp") or character in _BLANK_LETTERS
    return "" if is_hidden else character
