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


def train(work):
    """A step of AdamW, of heads as products of all of them at once."""
    batch, pos, vocab, d, heads, layers = 128, 85, 128, 48, 4, 2
    make = lambda *shape: torch.nn.Parameter(0.1 * torch.randn(*shape))
    embed, places, unembed, bias = make(vocab, d), make(pos, d), make(d, vocab), make(vocab)
    blocks = [{name: make(d, d) for name in "qkvo"} | {name: make(d) for name in "QKVO"} for _ in range(layers)]
    parameters = [embed, places, unembed, bias, *(p for block in blocks for p in block.values())]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=1.0)
    tokens = torch.randint(0, vocab, (batch, pos))
    mask = torch.full((pos, pos), -math.inf).triu(1)

    @torch.enable_grad()
    def step():
        optimizer.zero_grad()
        x = embed[tokens] + places
        for block in blocks:
            flat = x.reshape(-1, d)
            q, k, v = (
                torch.addmm(block[name.upper()], flat, block[name]).view(batch, pos, heads, -1).transpose(1, 2)
                for name in "qkv"
            )
            pattern = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(d // heads) + mask, -1)
            z = (pattern @ v).transpose(1, 2).reshape(-1, d)
            x = x + torch.addmm(block["O"], z, block["o"]).view(batch, pos, d)
        logits = (x @ unembed + bias)[:, :-1].reshape(-1, vocab)
        loss = torch.nn.functional.cross_entropy(logits, tokens[:, 1:].reshape(-1))
        loss.backward()
        optimizer.step()
        return loss

    return step


kinds = {
    "train": train,
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
