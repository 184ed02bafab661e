"""The CrossTrade token: where it is found, and how it is kept from showing."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from ct_mcp.config.readers import UNEXPANDED
from ct_mcp.config.table import not_blank

NAMES = ("CROSSTRADE_TOKEN", "XTRADE_TOKEN")
_TOKEN = re.compile(r"[!#-&(-~]+")  # what a header may carry, without blanks and quotation marks


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that shows itself only where `reveal` is called."""

    _value: str

    def __repr__(self) -> str:
        return "Secret(***)"

    def reveal(self) -> str:
        """The text itself; for the header that needs it and for nothing else."""
        return self._value


def token_from_keyring() -> str | None:
    """Ask the keyring of the operating system; None where the optional package or the entry is missing.

    Raises:
        OSError: There is a keyring, but it is locked or broken.
    """
    try:
        keyring, errors = import_module("keyring"), import_module("keyring.errors")
    except ImportError:
        return None
    try:
        token: str | None = keyring.get_password("ct-mcp", "crosstrade")
    except errors.KeyringError as error:
        raise OSError(type(error).__name__) from error
    return token


def read_token(
    environ: Mapping[str, str], keyring: Callable[[], str | None], faults: list[str], warnings: list[str]
) -> Secret | None:
    """The token of the environment, else of the keyring; no fault or warning repeats it."""
    given = not_blank({name: environ.get(name) for name in NAMES}) or _kept(keyring, warnings)
    if len(set(given.values())) > 1:
        faults.append(f"{' and '.join(NAMES)}: found two different tokens, expected one of the variables only")
    for place, text in given.items():
        if flaw := _flaw(text):
            faults.append(f"{place}: {flaw}")
    return Secret(next(iter(given.values()))) if given else None


def _kept(keyring: Callable[[], str | None], warnings: list[str]) -> dict[str, str]:
    try:
        return not_blank({"the keyring's entry for ct-mcp": keyring()})
    except OSError as error:
        warnings.append(f"the keyring cannot be read ({error}); there is no token")
        return {}


def _flaw(text: str) -> str:
    if UNEXPANDED.search(text):
        return "found a variable, expected the token; the program that starts this server did not fill it in"
    if not _TOKEN.fullmatch(text):
        return "found blanks, quotation marks or other characters that no token has, expected the token alone"
    return ""
