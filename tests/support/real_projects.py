"""Real projects, as people write them: what `bench/bench_open.py` and the tests resolve.

Their answers change with the public index, so nothing here says which versions they get.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["PROJECTS", "RealProject", "default_builds", "write"]


@dataclass(frozen=True)
class RealProject:
    """A project. conflict: words that its explanation holds, when it has no solution."""

    name: str
    lines: tuple[str, ...]
    python: str = "3.12"
    gpu: bool = True
    constraints: tuple[str, ...] = ()
    conflict: tuple[str, ...] = ()


SIX = "six==1.16.0 --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254"

PROJECTS = (
    RealProject("diffusion", ("transformers", "accelerate", "diffusers", "safetensors", "pillow")),
    RealProject(
        "embeddings",
        ("sentence-transformers", "faiss-cpu", "fastapi", "uvicorn[standard]"),
    ),
    RealProject("vllm pinned", ("vllm==0.8.5.post1",)),
    # One of its dependencies is an sdist whose setup.py alone tells that it needs nothing.
    RealProject("vllm old", ("vllm==0.6.3.post1",)),
    RealProject("xformers pinned old", ("xformers==0.0.22", "transformers<4.40"), python="3.10"),
    RealProject("two frameworks", ("tensorflow==2.19.*", "torch==2.6.0", "scikit-learn")),
    RealProject("jax", ("jax[cuda12]", "flax", "optax")),
    RealProject("torchvision pinned", ("torch", "torchvision==0.21.0", "timm")),
    RealProject("configuration", ("ruamel.yaml", "pydantic[email]>=2", "python-dotenv"), gpu=False),
    RealProject(
        "markers",
        (
            "numpy<2",
            "pandas>=2.2",
            "pywin32; sys_platform == 'win32'",
            "importlib-metadata; python_version < '3.13'",
        ),
        gpu=False,
    ),
    RealProject("hashes", (SIX,), gpu=False),
    RealProject("constraints", ("pandas", "matplotlib"), gpu=False, constraints=("numpy<2",)),
    RealProject("extras", ("fastapi[all]", "uvicorn[standard]", "httpx[http2]"), gpu=False),
    RealProject(
        "old tensorflow",
        ("tensorflow==2.10.*", "opencv-python-headless<4.9"),
        python="3.10",
    ),
    # Some 150 packages.
    RealProject(
        "medium",
        ("gradio", "datasets", "openai", "jupyterlab", "sqlalchemy", "scikit-image"),
    ),
    RealProject(
        "large",
        (
            "gradio", "datasets", "peft", "bitsandbytes", "trl", "evaluate", "wandb", "langchain",
            "openai", "boto3", "sqlalchemy", "celery[redis]", "jupyterlab", "scikit-image",
        ),
    ),
    RealProject(
        "conflict",
        ("numpy<1.20", "pandas>=2.2"),
        gpu=False,
        conflict=("numpy<1.20 (requirements.txt:1)", "pandas>=2.2 (requirements.txt:2)"),
    ),
)  # fmt: skip


def write(project: RealProject, folder: Path) -> Path:
    """The project as a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [*project.lines]
    if project.constraints:
        (folder / "constraints.txt").write_text("\n".join(project.constraints) + "\n")
        lines.append("-c constraints.txt")
    (folder / "requirements.txt").write_text("\n".join(lines) + "\n")
    (folder / "cog.yaml").write_text(
        f'build:\n  python_version: "{project.python}"\n  gpu: {str(project.gpu).lower()}\n'
        "  python_requirements: requirements.txt\nrun: predict.py:Predictor\n"
    )
    (folder / "predict.py").write_text(
        "from cog import BasePredictor\n\n\nclass Predictor(BasePredictor):\n"
        "    def predict(self, text: str) -> str:\n        return text\n"
    )
    return folder


def default_builds(folder: Path) -> Path:
    """Tables to lay over cogpack's own, in which every build comes from the default index.

    For where torch's own index cannot be reached: what the default index lacks is then learned.
    """
    import csv

    import cogpack

    folder.mkdir(parents=True, exist_ok=True)
    tables = Path(cogpack.__file__).parent / "compat"
    with (tables / "torch.csv").open(encoding="utf-8", newline="") as source:
        reader = csv.DictReader(source)
        rows = [row for row in reader if row["index_url"]]
        columns = reader.fieldnames or []
    with (folder / "torch.csv").open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, columns, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "index_url": ""})
    return folder
