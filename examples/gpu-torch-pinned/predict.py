import torch
import torchvision
from cog import BaseRunner


class Predictor(BaseRunner):
    def run(self) -> dict[str, str]:
        return {
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "cuda": str(torch.version.cuda),
            "gpu": str(torch.cuda.is_available()),
        }
