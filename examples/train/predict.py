import json

from cog import BaseRunner, Path


class Predictor(BaseRunner):
    def setup(self, weights: Path | None = None) -> None:
        self.counts = json.loads(Path(weights).read_text()) if weights else {}

    def run(self, word: str) -> int:
        return self.counts.get(word, 0)
