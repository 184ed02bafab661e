"""Their words, made harmless: nothing invisible, nothing secret, bounded, and between quotation marks that are ours."""

import re
import unicodedata
from collections.abc import Iterable

LONGEST = 300

_HIDDEN = "[hidden]"
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


def _seen(character: str) -> str:
    if character.isspace():
        return " "
    category = unicodedata.category(character)
    is_hidden = category[0] == "C" or category in ("Mn", "Me", "Zl", "Zp") or character in _BLANK_LETTERS
    return "" if is_hidden else character
