"""What ends the rest of a loop that looks for work every so many seconds."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Wake(asyncio.Event):
    """Set when there may be work; the loop clears it before it looks."""

    async def rest(self, seconds_max: float) -> None:
        """Until it is set, or for `seconds_max`, whichever comes first."""
        # Not wait_for: before Python 3.12 it may lose a cancellation.
        with suppress(TimeoutError):
            async with asyncio.timeout(max(seconds_max, 0.0)):
                await self.wait()
