"""How an instrument may be written, and which contract that means today."""

import re
from datetime import date

from ct_mcp.simulator.products import MONTH_CODES, PRODUCTS, Contract, front_month, is_listed

_MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DATED = re.compile(r"([A-Z]{2,3}) ([0-9]{2})-([0-9]{2})")
_NAMED_MONTH = re.compile(rf"([A-Z]{{2,3}}) ?({'|'.join(_MONTH_NAMES)}) ?([0-9]{{2}})")
_MONTH_CODE = re.compile(rf"([A-Z]{{2,3}}?)([{MONTH_CODES}])([0-9]{{1,2}}|20[0-9]{{2}})")
_CONTINUOUS = re.compile(r"([A-Z]{2,3})1!")


def resolve(text: str, today: date) -> Contract | None:
    """Find the contract: as written, then with its spaces put right, then as the front month of its root."""
    return _dated(text, today) or _normalised(text, today) or _front(text, today)


def _dated(text: str, today: date) -> Contract | None:
    match = _DATED.fullmatch(text)
    if match is None:
        return None
    return _listed(match[1], 2000 + int(match[3]), int(match[2]), today)


def _normalised(text: str, today: date) -> Contract | None:
    """Read the dated form in any case and spacing, the name of the month, and the exchange's month code."""
    tidy = " ".join(text.upper().split())
    found = _dated(tidy, today)
    if found is not None:
        return found
    if match := _NAMED_MONTH.fullmatch(tidy):
        return _listed(match[1], 2000 + int(match[3]), _MONTH_NAMES.index(match[2]) + 1, today)
    if match := _MONTH_CODE.fullmatch(tidy):
        return _coded(match[1], match[2], match[3], today)
    return None


def _coded(root: str, code: str, year: str, today: date) -> Contract | None:
    """Read `ESZ26`; of a single digit, the year nearest to today."""
    month = MONTH_CODES.index(code) + 1
    if len(year) > 1:
        return _listed(root, int(year) % 100 + 2000, month, today)
    decades = (today.year - today.year % 10 + int(year) + shift for shift in (-10, 0, 10))
    return _listed(root, min(decades, key=lambda near: abs(near - today.year)), month, today)


def _front(text: str, today: date) -> Contract | None:
    tidy = text.strip().upper()
    match = _CONTINUOUS.fullmatch(tidy)
    root = match[1] if match else tidy
    return front_month(root, today) if root in PRODUCTS else None


def _listed(root: str, year: int, month: int, today: date) -> Contract | None:
    if root not in PRODUCTS or not 1 <= month <= 12:
        return None
    contract = Contract(root, year, month)
    return contract if is_listed(contract, today) else None
