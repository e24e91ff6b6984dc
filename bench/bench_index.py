"""How long the index client takes for 150 popular packages: cold, warm, stale, offline.

Run: `python bench/bench_index.py [--packages N] [--rounds N]`. Each mode is a process of its own,
imports included, against the index that the user's configuration names. Times are told as ratios to
a bare httpx GET of the same pages in the same run: the network of the moment decides both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PACKAGES = tuple(
    """
numpy pandas scipy matplotlib scikit-learn torch torchvision torchaudio tensorflow jax jaxlib
transformers accelerate diffusers datasets tokenizers safetensors huggingface-hub
sentence-transformers requests urllib3 certifi idna charset-normalizer click flask jinja2
werkzeug markupsafe itsdangerous fastapi starlette pydantic pydantic-core uvicorn httpx httpcore
anyio sniffio h11 typing-extensions packaging setuptools wheel pip six python-dateutil pytz
tzdata boto3 botocore s3transfer jmespath aiohttp aiosignal frozenlist multidict yarl attrs
async-timeout cryptography cffi pycparser pyyaml ruamel-yaml protobuf grpcio grpcio-tools
google-api-core google-auth googleapis-common-protos cachetools rsa pyasn1 pyasn1-modules pillow
opencv-python opencv-python-headless imageio tqdm rich pygments markdown-it-py mdurl colorama
filelock fsspec regex sympy mpmath networkx triton psutil pyarrow dill multiprocess xxhash
joblib threadpoolctl nltk spacy thinc blis cymem preshed murmurhash wasabi srsly catalogue typer
shellingham smart-open sqlalchemy greenlet alembic mako redis celery kombu billiard vine amqp
pytest pluggy iniconfig coverage hypothesis sortedcontainers black isort mypy mypy-extensions
pathspec platformdirs virtualenv distlib tox ruff lxml beautifulsoup4 soupsieve html5lib
webencodings nvidia-cublas-cu12 nvidia-cudnn-cu12 xformers vllm bitsandbytes
""".split()  # noqa: SIM905  # a list would be 150 lines
)


def bare(names: Sequence[str]) -> None:
    """GET every page over one pool, look at nothing."""
    import httpx

    from cogpack.index import find_sources
    from cogpack.index.client import PAGE_ACCEPT

    default = find_sources(os.environ).default
    assert default is not None, "the configuration says: no index"  # noqa: S101
    limits = httpx.Limits(max_connections=16, max_keepalive_connections=16)
    headers = {"accept": PAGE_ACCEPT}
    with (
        httpx.Client(limits=limits, timeout=60, follow_redirects=True) as client,
        ThreadPoolExecutor(16) as pool,
    ):
        urls = [default.page_url(name) for name in names]
        size = sum(
            len(answer.content)
            for answer in pool.map(lambda u: client.get(u, headers=headers), urls)
        )
    print(f"{len(names)} pages, {size / 1e6:.1f} MB", file=sys.stderr)


def client(names: Sequence[str], *, metadata: bool, offline: bool = False) -> None:
    """Read every page, and the metadata of the newest final release of each."""
    from cogpack.index import IndexSet, find_sources, open_client

    sources = find_sources(os.environ)
    with open_client(os.environ, sources, offline=offline) as opened:
        index = IndexSet(opened, sources)
        pages = {name: page for name, page in index.pages(names).items() if page}
        if not metadata:
            return
        releases = []
        for name, page in pages.items():
            newest = next((v for v in page.versions if not v.is_prerelease), page.versions[0])
            releases.append((name, page.releases[newest]))
        index.prefetch_metadata(releases)
        for name, files in releases:
            index.metadata_of(name, files)


def run(mode: str, count: int, cache: Path, **environ: str) -> float:
    """Seconds that a mode takes as a process."""
    command = [sys.executable, __file__, "--packages", str(count), "--mode", mode]
    started = time.perf_counter()
    subprocess.run(command, env={**os.environ, "COGPACK_CACHE": str(cache), **environ}, check=True)
    return time.perf_counter() - started


def compare(count: int, rounds: int) -> None:
    """Run all modes and print the best time of each with its ratio to the bare one."""
    times: dict[str, list[float]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            cache = Path(folder)
            times.setdefault("bare GET", []).append(run("bare", count, cache))
            times.setdefault("pages, cold", []).append(run("pages", count, cache))
            times.setdefault("pages, warm", []).append(run("pages", count, cache))
            stale = run("pages", count, cache, COGPACK_INDEX_FRESHNESS="0")
            times.setdefault("pages, stale", []).append(stale)
            times.setdefault("metadata, cold", []).append(run("all", count, cache))
            times.setdefault("all, warm", []).append(run("all", count, cache))
            times.setdefault("all, offline", []).append(run("offline", count, cache))
    base = min(times["bare GET"])
    print(f"{'mode':16}{'seconds':>9}{'ratio':>8}")
    for mode, found in times.items():
        print(f"{mode:16}{min(found):9.2f}{min(found) / base:8.2f}")


def main() -> None:
    """Parse the command line and run one mode or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=int, default=len(PACKAGES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mode", choices=["bare", "pages", "all", "offline"])
    options = parser.parse_args()
    names = PACKAGES[: options.packages]
    if options.mode is None:
        compare(len(names), options.rounds)
    elif options.mode == "bare":
        bare(names)
    else:
        client(names, metadata=options.mode != "pages", offline=options.mode == "offline")


if __name__ == "__main__":
    main()
