"""Who holds a lease, and for the how manieth time it has changed hands.

It stands alone, since the store counts it, and desk and journal hand it on.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holder:
    """A process by its name, and the epoch in which it took the lease.

    The epoch grows whenever a lease changes hands, also where it comes back to who had it before: whoever began under
    an earlier one has missed what others did meanwhile, and neither makes nor sends anything of it any more.
    """

    name: str = ""
    epoch: int = 0


NOBODY = Holder()
"""Whoever sent an entry, and acts at once: that needs no lease."""
