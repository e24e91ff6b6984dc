import asyncio

from cog import BaseRunner


class Predictor(BaseRunner):
    async def setup(self) -> None:
        self.running = 0
        self.all_here = asyncio.Event()

    async def run(self, wait_for: int) -> int:
        """Answers when `wait_for` predictions run at the same time."""
        self.running += 1
        if self.running >= wait_for:
            self.all_here.set()
        await asyncio.wait_for(self.all_here.wait(), timeout=20)
        return self.running
