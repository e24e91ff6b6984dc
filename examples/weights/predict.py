import json
from pathlib import Path

from cog import BaseRunner


class Predictor(BaseRunner):
    def setup(self) -> None:
        self.scores = json.loads(Path("/weights/words/scores.json").read_text())

    def run(self, text: str) -> int:
        return sum(self.scores.get(word, 0) for word in text.split())
