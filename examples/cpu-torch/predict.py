import torch
from cog import BaseRunner, Input


class Predictor(BaseRunner):
    def setup(self) -> None:
        self.weights = torch.tensor([[2.0, 0.0], [0.0, 3.0]])

    def run(
        self,
        first: float = Input(description="first coordinate"),
        second: float = Input(description="second coordinate"),
    ) -> list[float]:
        return (self.weights @ torch.tensor([float(first), float(second)])).tolist()
