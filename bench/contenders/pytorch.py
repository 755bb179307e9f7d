"""PyTorch in a process of its own.

Ordinary tensors and ordinary calls: results are newly allocated, as this library's are.
"""

import math

from protocol import serve

torch = None


def open_contender(options):
    global torch
    import torch as imported

    torch = imported
    threads = options.get("threads", 1)
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    return {"torch": f"{torch.__version__}, {threads} thread{'' if threads == 1 else 's'}"}


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


def prepare(work, inputs):
    if work["kind"] not in kinds:
        return "is not asked for this"
    tensors = []
    for given in inputs:
        with open(given["path"], "rb") as file:
            data = bytearray(file.read())
        dtype = torch.float64 if given["dtype"] == "float64" else torch.float32
        tensors.append(torch.frombuffer(data, dtype=dtype).clone().reshape(given["shape"]))
    return kinds[work["kind"]](work, *tensors), lambda value: flat(work, value)


serve(open_contender, prepare)
