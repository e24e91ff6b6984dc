"""An application without cog.yaml: what serves it is found in the requirements."""

from fastapi import FastAPI

app = FastAPI()


@app.get("/greet/{name}")
def greet(name: str) -> dict[str, str]:
    """Greet someone."""
    return {"greeting": f"hello {name}"}
