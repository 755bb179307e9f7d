"""The protocol of serve.mjs for a contender in Python: lines of JSON in, answers on file descriptor 3.

`serve(open_contender, prepare)`: `open_contender(options)` returns the versions; `prepare(work, inputs)` returns what is
timed, a function without arguments, and what makes a flat tensor of its result, or None where nobody asks; or why not, as text.
"""

import json
import math
import os
import resource
import sys
import time

options = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = str(options.get("threads", 1))

answers = os.fdopen(3, "w", buffering=1)
task = None


def timed(calls):
    run = task[0]
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - start) * 1e3


def warm(message):
    best, unimproved, calls = math.inf, 0, 1
    start = time.perf_counter()
    while True:
        window = time.perf_counter()
        fastest = math.inf
        while True:
            fastest = min(fastest, timed(calls) / calls)
            if (time.perf_counter() - window) * 1e3 >= message["windowMs"]:
                break
        unimproved = unimproved + 1 if fastest > best * 0.97 else 0
        best = min(best, fastest)
        calls = max(1, math.ceil(0.2 / best))
        spent = (time.perf_counter() - start) * 1e3
        if spent >= message["mostMs"] or (spent >= message["leastMs"] and unimproved >= 2):
            return {"callMs": best, "spentMs": spent}


def sample(message):
    if message["before"] > 0:
        timed(message["before"])
    ms = timed(message["calls"]) / message["calls"]
    return {"ms": ms, "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def result(message):
    import torch

    run, flat = task
    value = flat(run())
    torch.from_file(message["path"], shared=True, size=value.numel(), dtype=value.dtype).copy_(value.flatten())
    return {}


def dispose(_):
    global task
    task = None
    return {}


def serve(open_contender, prepare):
    def prepare_task(message):
        global task
        task = None
        prepared = prepare(message["work"], message["inputs"])
        if isinstance(prepared, str):
            return {"skip": prepared}
        task = prepared
        return {}

    commands = {
        "open": lambda _: {"versions": open_contender(options)},
        "prepare": prepare_task,
        "result": result,
        "warm": warm,
        "sample": sample,
        "dispose": dispose,
    }
    for line in sys.stdin:
        message = json.loads(line)
        if message["command"] == "exit":
            break
        try:
            answer = commands[message["command"]](message)
        except Exception as error:  # Whatever goes wrong is the answer.
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
