"""A process that is stopped where it stands, as SIGSTOP or a laptop's lid does it, and goes on from there."""

import asyncio

from virtual_store import epoch_of_exits
from virtual_world import Process, World


class Sleeper(Process):
    """A process that can be put to sleep: wherever it stands, it goes on from there when it wakes."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.slept_from = self.woke_at = -1e9
        self.slept_in_epoch = 0
        self._wakes: asyncio.Event | None = None

    @property
    def sleeps(self) -> bool:
        """Whether it stands still."""
        return self._wakes is not None

    def falls_asleep(self) -> None:
        """Stand still, wherever it is."""
        self._wakes, self.slept_from = asyncio.Event(), self._world.now
        self.slept_in_epoch = self._world.database.read(epoch_of_exits)

    def wakes(self) -> None:
        """Go on."""
        if self._wakes is not None:
            self._wakes.set()
            self._wakes, self.woke_at = None, self._world.now

    async def _living(self) -> None:
        while self._wakes is not None:
            await self._wakes.wait()
        await super()._living()
