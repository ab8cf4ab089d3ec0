"""Runs Autobahn's cases against examples/autobahn.rs and compares every verdict with verdicts.txt.

    .ci/install-peers && .peers/python/bin/python tests/autobahn/run.py [--bless] [CASES ...]

CASES are ids or patterns such as '6.*'; all by default. Any verdict that is not the committed one
fails the run, a better one too: --bless writes what was found. The suite is Autobahn's own, driven
by kosoku; what neither checks (masking, the opening handshake) our own tests do.
"""

import argparse
import asyncio
import fnmatch
import subprocess
import sys
from pathlib import Path

import kosoku

ROOT = Path(__file__).resolve().parents[2]
COMMITTED = Path(__file__).with_name("verdicts.txt")
EXAMPLE = ["--locked", "--quiet", "--example", "autobahn"]
# A client that answers no Close makes each case last its time-out.
TIME_LIMIT = 1200
# Two of these run side by side, each of which keeps a processor busy: the suite bounds the time of a
# case. The servers of the last cases agree only with a client that says beforehand that it compresses
# each message by itself.
AT_ONCE = 2
BY_ITSELF = ["13.2.*", "13.5.*", "13.6.*"]
RUNS = [
    (["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*", "12.*"], [], []),
    (["13.*"], BY_ITSELF, []),
    (BY_ITSELF, [], ["no-context-takeover"]),
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bless", action="store_true", help="write what was found")
    parser.add_argument("cases", nargs="*", default=["*"])
    options = parser.parse_args()
    subprocess.run(["cargo", "build", *EXAMPLE], cwd=ROOT, check=True)
    found = asyncio.run(asyncio.wait_for(everything(options.cases), TIME_LIMIT))
    committed = read(options.cases)
    changed = [
        f"{case}: {committed.get(case, 'not among the committed')} -> {found.get(case, 'not run')}"
        for case in sorted(found.keys() | committed.keys(), key=by_number)
        if found.get(case) != committed.get(case)
    ]
    if options.bless:
        every = read(["*"]) | found
        write({case: every[case] for case in sorted(every, key=by_number)})
    print(*changed, sep="\n", end="\n" if changed else "")
    print(f"autobahn: {len(found)} cases, {summary(found)}; {len(changed)} changed")
    sys.exit(bool(changed) and not options.bless)


async def everything(wanted: list[str]) -> dict[str, str]:
    known = read(["*"])
    turn = asyncio.Semaphore(AT_ONCE)
    runs = []
    for include, exclude, arguments in RUNS:
        cases = [
            case
            for case in known
            if matches(case, include) and not matches(case, exclude) and matches(case, wanted)
        ]
        if cases:
            runs.append(verdicts(cases, arguments, turn))
    found: dict[str, str] = {}
    for verdicts_of_run in await asyncio.gather(*runs):
        found |= verdicts_of_run
    return found


async def verdicts(
    cases: list[str], arguments: list[str], turn: asyncio.Semaphore
) -> dict[str, str]:
    """What the suite says of each case: the messages' verdict, and the closing's where it differs."""
    async with turn, kosoku.run_fuzzingserver(cases, port=0) as server:
        url = f"ws://{server.address}:{server.port}"
        command = ["cargo", "run", *EXAMPLE, "--", url, "wsvisor", *arguments]
        client = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        try:
            try:
                results = await server.get_result()
            except kosoku.FailureError as failure:
                results = failure.results
            assert await client.wait() == 0, "the client failed"
        finally:
            if client.returncode is None:
                client.kill()
    return {result.case_id: verdict(result) for result in results}


def verdict(result: "kosoku.CaseResult") -> str:
    messages, closing = result.behavior.value, result.behavior_close.value
    return messages if closing in ("OK", "INFORMATIONAL") else f"{messages}, closing {closing}"


def read(patterns: list[str]) -> dict[str, str]:
    lines = COMMITTED.read_text().splitlines() if COMMITTED.exists() else []
    pairs = (line.split(" ", 1) for line in lines)
    return {
        case: said
        for case, said in pairs
        if matches(case, patterns)
    }


def matches(case: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns)


def write(every: dict[str, str]) -> None:
    COMMITTED.write_text("".join(f"{case} {said}\n" for case, said in every.items()))


def summary(found: dict[str, str]) -> str:
    said = sorted(found.values())
    return ", ".join(f"{said.count(each)} {each}" for each in sorted(set(said)))


def by_number(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]


if __name__ == "__main__":
    main()
