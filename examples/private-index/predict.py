import house_style
from cog import BaseRunner


class Predictor(BaseRunner):
    def run(self) -> str:
        return house_style.__version__
