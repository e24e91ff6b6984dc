import json

from cog import BaseModel, Input, Path


class TrainingOutput(BaseModel):
    weights: Path
    words: int


def train(
    text: str = Input(description="what to learn from"),
    rounds: int = Input(default=1, ge=1, le=10),
) -> TrainingOutput:
    counts: dict[str, int] = {}
    for word in text.split() * rounds:
        counts[word] = counts.get(word, 0) + 1
    weights = Path("/tmp/weights.json")
    weights.write_text(json.dumps(counts, sort_keys=True))
    return TrainingOutput(weights=weights, words=len(counts))
