"""How long a refresh of the tables takes with a warm cache, and how many requests it makes.

Run: `python bench/bench_compat.py [--rounds N]`. It refreshes, in memory, the tables that the
default index tells (PyTorch's own index and registries may be out of reach). The peer is bare
conditional GETs of the same pages over as many connections, in the same run: the network of the
moment decides both. Each mode is a process of its own, imports included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TABLES = ("tensorflow", "jax", "pins", "cog", "triton", "cuda", "tools")
CONNECTIONS = 4


def refresh() -> None:
    """Refresh the tables in memory; say what was asked for."""
    from cogpack.compat.tables import OWN
    from cogpack.compat.updater.request import Request, run
    from cogpack.index import Fetcher

    asked: list[bool] = []
    real = Fetcher.get

    def counted(self: Fetcher, url: str, **options: object) -> object:
        headers = options.get("headers")
        names = set(headers) if isinstance(headers, Mapping) else set()
        asked.append(bool(names & {"if-none-match", "if-modified-since"}))
        return real(self, url, **options)  # type: ignore[arg-type]

    Fetcher.get = counted  # type: ignore[assignment,method-assign]
    refreshed = run(Request(TABLES), OWN, os.environ)
    told = {
        "requests": len(asked),
        "conditional": sum(asked),
        "tables": len(TABLES),
        "changed": list(refreshed.changed),
        "missed": [missed.reason for missed in refreshed.missed],
    }
    print(json.dumps(told))


def bare() -> None:
    """GET the same pages, conditionally where an earlier run left a validator; read nothing."""
    import httpx

    from cogpack.compat.cells import sheets_of
    from cogpack.compat.tables import Tables
    from cogpack.compat.updater.subjects import SUBJECTS, chosen
    from cogpack.index import find_sources
    from cogpack.index.client import PAGE_ACCEPT

    default = find_sources(os.environ).default
    assert default is not None, "the configuration says: no index"  # noqa: S101
    sheets = sheets_of(Tables.load())
    names = {page for table in chosen(TABLES) for page in SUBJECTS[table].pages(sheets)}
    urls = sorted(default.page_url(name) for index, name in names if not index)
    kept = Path(os.environ["BARE_VALIDATORS"])
    validators = json.loads(kept.read_text()) if kept.exists() else {}
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    with (
        httpx.Client(limits=limits, timeout=60, follow_redirects=True) as client,
        ThreadPoolExecutor(CONNECTIONS) as pool,
    ):

        def get(url: str) -> httpx.Response:
            known = validators.get(url)
            condition = {"if-none-match": known} if known else {}
            return client.get(url, headers={"accept": PAGE_ACCEPT, **condition})

        answers = dict(zip(urls, pool.map(get, urls), strict=True))
    etags = {
        url: answer.headers["etag"] for url, answer in answers.items() if "etag" in answer.headers
    }
    kept.write_text(json.dumps({**validators, **etags}))
    print(
        json.dumps({"requests": len(urls), "conditional": sum(url in validators for url in urls)})
    )


def main() -> int:
    """Time both and print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--mode", choices=["refresh", "bare"])
    options = parser.parse_args()
    if options.mode:
        (refresh if options.mode == "refresh" else bare)()
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        environ = {
            **os.environ,
            "COGPACK_CACHE": str(Path(scratch, "cache")),
            "BARE_VALIDATORS": str(Path(scratch, "validators.json")),
        }
        cold, _ = timed("refresh", environ)
        timed("bare", environ)
        seconds: dict[str, list[float]] = {"refresh": [], "bare": []}
        told: dict[str, Mapping[str, object]] = {}
        for _ in range(options.rounds):
            for mode in seconds:
                taken, told[mode] = timed(mode, environ)
                seconds[mode].append(taken)
    peer = statistics.median(seconds["bare"])
    print("| tables that the default index tells | seconds | x bare GET | requests | conditional |")
    print("|---|---|---|---|---|")
    print(f"| refresh, cold | {cold:.2f} | {cold / peer:.1f} | | |")
    for mode, name in (("refresh", "refresh, warm"), ("bare", "bare conditional GETs, warm")):
        taken = statistics.median(seconds[mode])
        counts = f"{told[mode]['requests']} | {told[mode]['conditional']}"
        print(f"| {name} | {taken:.2f} | {taken / peer:.1f} | {counts} |")
    if told["refresh"]["missed"]:
        print(f"not reached: {told['refresh']['missed']}", file=sys.stderr)
        return 75
    return 0


def timed(mode: str, environ: Mapping[str, str]) -> tuple[float, Mapping[str, object]]:
    """Run a mode in a process of its own: seconds, and what it says."""
    command = [sys.executable, __file__, "--mode", mode]
    start = time.perf_counter()
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - start, json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
