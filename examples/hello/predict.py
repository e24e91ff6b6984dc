from cog import BaseRunner, Input


class Predictor(BaseRunner):
    def setup(self) -> None:
        self.greeting = "hello"

    def run(self, text: str = Input(description="whom to greet")) -> str:
        return f"{self.greeting} {text}"
