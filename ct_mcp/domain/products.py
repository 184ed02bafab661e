"""Products by their roots: sizes of which, in which currency they are settled, and which are quoted in 32nds.

The service tells ticks and values of a contract, and none of these. What is not listed here is not guessed: it
counts as a whole contract, and its currency is what its exchange settles in, or not known.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from difflib import get_close_matches

from ct_mcp.text import format_price

MINI_OF: Mapping[str, str] = {
    # equity indexes
    "MES": "ES",
    "MNQ": "NQ",
    "MYM": "YM",
    "M2K": "RTY",
    "FDXS": "FDAX",
    "FSXE": "FESX",
    # metals and energy
    "MGC": "GC",
    "SIL": "SI",
    "MHG": "HG",
    "MCL": "CL",
    "MNG": "NG",
    # currencies
    "M6E": "6E",
    "M6A": "6A",
    "M6B": "6B",
    "MCD": "6C",
    "MJY": "6J",
    "MSF": "6S",
    # crypto and interest rates
    "MBT": "BTC",
    "MET": "ETH",
    "MTN": "TN",
    "MWN": "UB",
}
"""The full-size root of each micro. A micro counts as a tenth of it, as firms count, whatever its real size is."""

_OTHER_SIZES: Mapping[str, str] = {
    "FDXM": "FDAX",
    "VXM": "VX",
    "MHI": "HSI",
    "SXM": "SXF",
    "MNI": "NIY",
    "NK225M": "NK225",
    **{"QM": "CL", "QG": "NG", "QO": "GC", "QI": "SI", "QC": "HG"},
    **{"E7": "6E", "J7": "6J"},
}
"""The full-size root of what is smaller and yet no micro: it counts as a whole contract, as firms count."""

MICRO = Decimal("0.1")

_REAL_SIZES: Mapping[str, Decimal] = {
    "FDXS": Decimal("0.04"),
    "SIL": Decimal("0.2"),
    "MBT": Decimal("0.02"),
    "MET": Decimal("0.002"),
}

_OF_ROOT: Mapping[str, str] = {
    **dict.fromkeys(("FSMI", "RF"), "CHF"),
    **dict.fromkeys(("RP", "Z", "FLG", "LLG"), "GBP"),
    **dict.fromkeys(("NIY", "MNI", "TPY", "RY", "JNI", "JGB", "NK225", "NK225M"), "JPY"),
    **dict.fromkeys(("FDAX", "FDXM", "FDXS", "FESX", "FSXE", "FSTX", "FESB", "FVS"), "EUR"),
    **dict.fromkeys(("FGBL", "FGBM", "FGBS", "FGBX", "FOAT", "FBTP", "FBTS", "FCE", "FTI"), "EUR"),
    **dict.fromkeys(("HSI", "MHI", "HHI"), "HKD"),
    **dict.fromkeys(("CGB", "CGF", "CRA", "SXF", "SXM"), "CAD"),
    "AP": "AUD",
    **dict.fromkeys(("ES", "NQ", "YM", "RTY", "EMD", "NKD", "VX", "VXM", "MES", "MNQ", "MYM", "M2K"), "USD"),
    **dict.fromkeys(("CL", "QM", "MCL", "NG", "QG", "MNG", "RB", "HO", "GC", "QO", "MGC", "SI", "SIL", "HG"), "USD"),
    **dict.fromkeys(("ZB", "UB", "ZN", "TN", "ZF", "ZT", "ZQ", "SR3", "SR1", "10Y", "2YY", "30Y", "5YY"), "USD"),
    **dict.fromkeys(("ZC", "ZS", "ZW", "ZM", "ZL", "KE", "LE", "HE", "GF", "PL", "PA", "MHG", "MTN", "MWN"), "USD"),
    **dict.fromkeys(("6A", "6B", "6C", "6E", "6J", "6M", "6N", "6S", "E7", "M6A", "M6B", "M6E", "DX"), "USD"),
    **dict.fromkeys(("BTC", "MBT", "ETH", "MET", "CC", "CT", "KC", "OJ", "SB"), "USD"),
}
_OF_EXCHANGE: Mapping[str, str] = {
    **dict.fromkeys(
        ("globex", "cme", "nymex", "comex", "cbot", "ecbot", "cfe", "iceus", "nybot", "kcbt", "mgex"), "USD"
    ),
    **dict.fromkeys(("eurex", "euronext", "monep"), "EUR"),
    **dict.fromkeys(("hkfe", "hkex"), "HKD"),
    **dict.fromkeys(("ose", "tse", "tocom"), "JPY"),
    **dict.fromkeys(("asx", "sfe"), "AUD"),
}


_POINT_VALUES: Mapping[str, str] = {
    **{"ES": "50", "NQ": "20", "YM": "5", "RTY": "50", "EMD": "100", "MES": "5", "MNQ": "2", "MYM": "0.5", "M2K": "5"},
    **{"CL": "1000", "MCL": "100", "QM": "500", "NG": "10000", "QG": "2500", "MNG": "1000", "RB": "42000"},
    **{"HO": "42000", "GC": "100", "MGC": "10", "QO": "50", "SI": "5000", "SIL": "1000", "HG": "25000", "MHG": "2500"},
    **{"ZB": "1000", "UB": "1000", "ZN": "1000", "TN": "1000", "ZF": "1000", "ZT": "2000", "PL": "50"},
    **{"6E": "125000", "6B": "62500", "6A": "100000", "6C": "100000", "6J": "12500000", "6S": "125000"},
    **{"M6E": "12500", "M6A": "10000", "M6B": "6250", "ZC": "50", "ZS": "50", "ZW": "50", "ZM": "100", "ZL": "600"},
    **{"LE": "400", "HE": "400", "GF": "500", "BTC": "5", "MBT": "0.1", "ETH": "50", "MET": "0.1"},
    **{"FDAX": "25", "FDXM": "5", "FDXS": "1", "FESX": "10", "FGBL": "1000", "FGBM": "1000", "FGBS": "1000"},
}


def usual_point_value(root: str) -> Decimal | None:
    """Say what a point is worth by the exchange's rules, for figures of the past alone; None where it is not listed."""
    value = _POINT_VALUES.get(root)
    return None if value is None else Decimal(value)


IN_32NDS = frozenset(("ZB", "UB", "ZN", "TN", "ZF", "ZT", "Z3N", "MTN", "MWN"))
"""Bonds and notes of the United States: 115'08 is 115 and 8/32. A third digit is the part of a 32nd, cut off."""

# Eighths of a 32nd by their digit: .125, .25, .375 and so on.
_EIGHTHS = {"": 0, "0": 0, "1": 1, "2": 2, "3": 3, "5": 4, "6": 5, "7": 6, "8": 7}
_DIGITS = {eighths: digit for digit, eighths in _EIGHTHS.items() if digit != "0"}
_MOST_POINTS = 10_000
_WRITTEN = re.compile(r"(?P<points>\d{1,4})['\u2019-](?P<parts>[0-2]\d|3[01])(?P<eighths>[0-35-8]?)")


def ticks_in_32nds(instrument: object) -> bool:
    """Say whether an instrument, ``ZB 12-26`` or ``ZB``, is quoted in 32nds."""
    return str(instrument).partition(" ")[0] in IN_32NDS


def price_of(instrument: object, price: Decimal | float | None) -> str:
    """Write a price, and beside it in 32nds where that is the custom of its product: ``115.25 (115'08)``."""
    text = format_price(price)
    written = _in_32nds(Decimal(text)) if price is not None and ticks_in_32nds(instrument) else ""
    return f"{text} ({written})" if written else text


def short_price(instrument: object, price: Decimal, like: Decimal | None = None) -> str:
    """Write a price for an axis: in 32nds alone where that is the custom, else with the decimals of ``like``."""
    if ticks_in_32nds(instrument) and (written := _in_32nds(price)):
        return written
    decimals = 0 if like is None else max(0, -int(like.normalize().as_tuple().exponent))
    text = format_price(price)
    return f"{price:.{decimals}f}" if len(text.partition(".")[2]) < decimals else text


def _in_32nds(price: Decimal) -> str:
    """Nothing for what is no whole number of eighths of a 32nd."""
    if not price.is_finite() or abs(price) >= _MOST_POINTS or (eighths := abs(price) * 256) % 1:
        return ""
    points, rest = divmod(int(eighths), 256)
    return f"{'-' if price < 0 else ''}{points}'{rest // 8:02d}{_DIGITS[rest % 8]}"


def read_32nds(text: str) -> Decimal | None:
    """Read ``115'25``, ``115'255`` or ``115-25``; None for anything else."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        return None
    return int(found["points"]) + Decimal(int(found["parts"]) * 8 + _EIGHTHS[found["eighths"]]) / 256


_KNOWN_ROOTS = sorted({*_OF_ROOT, *MINI_OF, *MINI_OF.values()})
_MOST_ALIKE = 5


def roots_alike(root: str) -> tuple[str, ...]:
    """Name roots that may be meant by one that is not there: its micro or full size, then those spelled alike."""
    kin = [MINI_OF[root]] if root in MINI_OF else [micro for micro, full in MINI_OF.items() if full == root]
    alike = get_close_matches(root, _KNOWN_ROOTS, n=_MOST_ALIKE, cutoff=0.6)
    return tuple(name for name in dict.fromkeys((*kin, *alike)) if name != root)[:_MOST_ALIKE]


def product_of(root: str) -> str:
    """Name the product of a root by the root of its full size: one product has several sizes."""
    return MINI_OF.get(root) or _OTHER_SIZES.get(root, root)


def minis(root: str, contracts: int) -> Decimal:
    """Count contracts in mini equivalents."""
    return contracts * (MICRO if root in MINI_OF else Decimal(1))


def real_size(micro: str) -> Decimal:
    """Give what a micro is worth of its full size, in money; not every micro is a tenth."""
    return _REAL_SIZES.get(micro, MICRO)


def currency_of(root: str, exchange: str) -> str | None:
    """Name the currency that a contract's money is in, ``EUR``; None where it is not known."""
    return _OF_ROOT.get(root) or _OF_EXCHANGE.get(exchange.casefold().replace(" ", ""))
