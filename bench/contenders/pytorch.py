"""PyTorch in a process of its own, speaking the protocol of serve.mjs: lines of JSON in, answers on file descriptor 3.

Ordinary tensors and ordinary calls: results are newly allocated, as this library's are.
"""

import json
import math
import os
import resource
import sys
import time

options = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
threads = options.get("threads", 1)
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = str(threads)

answers = os.fdopen(3, "w", buffering=1)
torch = None
task = None


def open_contender(_):
    global torch
    import torch as imported

    torch = imported
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    return {"versions": {"torch": f"{torch.__version__}, {threads} thread{'' if threads == 1 else 's'}"}}


def matmul(work, a, b):
    return lambda: torch.matmul(a, b)


def softmax(work, x):
    return lambda: torch.softmax(x, -1)


def later_keys(n):
    return torch.triu(torch.ones(n, n, dtype=torch.bool), 1)


def causal_softmax(work, x):
    if work["masked"] == "before":
        return softmax(work, x)
    mask = later_keys(work["shape"][1])
    return lambda: torch.softmax(x.masked_fill(mask, -math.inf), -1)


def attention(work, q, k, v):
    if work["route"] == "fused":
        # Its fused kernel takes [batch, heads, positions, d_head].
        q4, k4, v4 = q[None], k[None], v[None]
        return lambda: torch.nn.functional.scaled_dot_product_attention(q4, k4, v4, is_causal=True)
    mask = later_keys(work["positions"])
    scale = 1 / math.sqrt(work["d_head"])

    def explicit():
        scores = torch.matmul(q * scale, k.transpose(-1, -2))
        return torch.matmul(torch.softmax(scores.masked_fill(mask, -math.inf), -1), v)

    return explicit


def layer_norm(work, x):
    width = (work["shape"][-1],)
    return lambda: torch.nn.functional.layer_norm(x, width)


def single(work, x):
    """One matrix goes as a matrix, not as a batch of one."""
    return x[0] if work["count"] == 1 else x


def eigenvalues(work, x):
    x = single(work, x)
    return lambda: torch.linalg.eigvals(x)


def svd(work, x):
    x = single(work, x)
    return lambda: torch.linalg.svd(x, full_matrices=False)


kinds = {
    "matmul": matmul,
    "softmax": softmax,
    "causalSoftmax": causal_softmax,
    "attention": attention,
    "layerNorm": layer_norm,
    "eigenvalues": eigenvalues,
    "svd": svd,
}


def flat(work, value):
    """The result in the layout of serve.mjs: re then im for each matrix; U, S, V for each matrix."""
    count, size = work.get("count"), work.get("size")
    if work["kind"] == "eigenvalues":
        value = value.reshape(count, size)
        return torch.stack([value.real, value.imag], 1)
    if work["kind"] == "svd":
        U, S, Vh = (part.reshape(count, -1, part.shape[-1]) for part in value)
        V = Vh.transpose(-1, -2)
        return torch.cat([U.reshape(count, -1), S.reshape(count, -1), V.reshape(count, -1)], 1)
    return value


def prepare(message):
    global task
    work = message["work"]
    if work["kind"] not in kinds:
        task = None
        return {"skip": "is not asked for this"}
    tensors = []
    for given in message["inputs"]:
        with open(given["path"], "rb") as file:
            data = bytearray(file.read())
        dtype = torch.float64 if given["dtype"] == "float64" else torch.float32
        tensors.append(torch.frombuffer(data, dtype=dtype).clone().reshape(given["shape"]))
    task = (work, kinds[work["kind"]](work, *tensors))
    return {}


def result(message):
    work, run = task
    value = flat(work, run())
    torch.from_file(message["path"], shared=True, size=value.numel(), dtype=value.dtype).copy_(value.flatten())
    return {}


def timed(calls):
    run = task[1]
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


def dispose(_):
    global task
    task = None
    return {}


commands = {"open": open_contender, "prepare": prepare, "result": result, "warm": warm, "sample": sample, "dispose": dispose}

for line in sys.stdin:
    message = json.loads(line)
    if message["command"] == "exit":
        break
    try:
        answer = commands[message["command"]](message)
    except Exception as error:  # Whatever goes wrong is the answer.
        answer = {"error": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(answer) + "\n")
