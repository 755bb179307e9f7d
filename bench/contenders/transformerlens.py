"""TransformerLens 3 in a process of its own: patching, ablation, edges, gradients and scores as its users do them,
on models of random weights.

What a patching function takes ready, the cache of the clean run, is made before the clock runs.
"""

import os

from protocol import serve

os.environ["TQDM_DISABLE"] = "1"
torch = None
lens = None

attention_only = dict(attn_only=True, positional_embedding_type="standard", normalization_type=None, seed=0)
wide = dict(d_model=768, n_heads=12, d_head=64)
# Those of lib/models.mjs.
sizes = {
    "small": dict(**attention_only, n_layers=2, d_model=128, n_heads=8, d_head=16, d_vocab=1024, n_ctx=128),
    "arena": {**attention_only, **wide, "n_layers": 2, "d_vocab": 50278, "n_ctx": 512,
              "positional_embedding_type": "shortformer"},
}  # fmt: skip


def open_contender(options):
    global torch, lens
    import torch as imported
    import transformer_lens
    from importlib.metadata import version

    torch, lens = imported, transformer_lens
    torch.set_num_threads(options.get("threads", 1))
    torch.set_grad_enabled(False)
    return {"transformer_lens": f"{version('transformer_lens')}, torch {torch.__version__}"}


def gradients(size):
    model = lens.HookedTransformer(lens.HookedTransformerConfig(**sizes[size]))
    tokens = torch.tensor([[(37 * i + 11) % model.cfg.d_vocab for i in range(64)]])

    def step():
        model.zero_grad(set_to_none=True)
        with torch.enable_grad():
            loss = model(tokens, return_type="loss")
            loss.backward()
        return loss.detach()

    return step


def whole_run(size, task):
    model = lens.HookedTransformer(lens.HookedTransformerConfig(**sizes[size]))
    tokens = torch.tensor([[(37 * i + 11) % model.cfg.d_vocab for i in range(64)]])

    def attribution():
        """What embeddings and heads add to the logits of the next tokens, of which neither side computes all."""
        _, cache = model.run_with_cache(tokens, return_type=None)
        parts = [cache["embed"][0]]
        if model.cfg.positional_embedding_type == "standard":
            parts.append(cache["pos_embed"][0])
        heads = cache.stack_head_results(-1, apply_ln=False)[:, 0]
        stream = torch.cat([torch.stack(parts), heads])[:, :-1]
        return torch.einsum("cpd,dp->cp", stream, model.W_U[:, tokens[0, 1:]])

    tasks = {
        "forward": lambda: model(tokens),
        "kept": lambda: model.run_with_cache(tokens),
        "attribution": attribution,
    }
    return tasks[task]


def ov_top_1(tokens, d_model, d_head):
    """The plain product, a thousand rows at a time."""
    left = torch.randn(tokens, d_model) @ torch.randn(d_model, d_head)
    right = torch.randn(d_head, d_model) @ torch.randn(d_model, tokens)

    def run():
        hits = 0
        for first in range(0, tokens, 1000):
            best = (left[first : first + 1000] @ right).argmax(-1)
            hits += (best == torch.arange(first, first + len(best))).sum().item()
        return hits / tokens

    return run


def head_scores(size):
    """The detectors of ARENA 1.2, of all heads of a layer at once."""
    model = lens.HookedTransformer(lens.HookedTransformerConfig(**sizes[size]))
    some = [[1 + (37 * i + 101 * b + 11) % (model.cfg.d_vocab - 1) for i in range(50)] for b in range(10)]
    tokens = torch.tensor([[0, *row, *row] for row in some])

    def run():
        _, cache = model.run_with_cache(
            tokens, return_type=None, names_filter=lambda name: name.endswith("hook_pattern")
        )
        scores = []
        for layer in range(model.cfg.n_layers):
            pattern = cache["pattern", layer]
            for offset in (0, 1, 50, 49):
                scores.append(pattern.diagonal(-offset, dim1=-2, dim2=-1).mean(dim=(0, -1)))
            scores.append(pattern[..., 0].mean(dim=(0, -1)))
        return torch.stack(scores)

    return run


def edges(size, count):
    """A run of the model for each edge: into the queries of heads of the last layer, what a head of the first writes
    is exchanged. The model has no norms, so that adds the difference's queries.
    """
    model = lens.HookedTransformer(lens.HookedTransformerConfig(**sizes[size]))
    d_vocab = model.cfg.d_vocab
    clean, corrupted = (torch.tensor([[(37 * i + shift) % d_vocab for i in range(64)]]) for shift in (11, 500))
    name = "blocks.0.attn.hook_z"
    z, other = (model.run_with_cache(tokens, names_filter=name)[1][name] for tokens in (clean, corrupted))

    def cut(sender, reader):
        changed = (other - z)[:, :, sender] @ model.W_O[0, sender]

        def patch(q, hook):
            q[:, :, reader] += changed @ model.W_Q[1, reader]
            return q

        logits = model.run_with_hooks(clean, fwd_hooks=[("blocks.1.attn.hook_q", patch)])
        return logits[0, -1, 5] - logits[0, -1, 9]

    return lambda: torch.stack([cut(edge % model.cfg.n_heads, edge) for edge in range(count)])


def prepare(work, inputs):
    if work["kind"] == "gradients":
        return gradients(work["size"]), None
    if work["kind"] == "wholeRun":
        return whole_run(work["size"], work["task"]), None
    if work["kind"] == "ovTop1":
        return ov_top_1(work["tokens"], work["d_model"], work["d_head"]), None
    if work["kind"] == "headScores":
        return head_scores(work["size"]), None
    if work["kind"] == "edges":
        return edges(work["size"], work["each"]["transformer-lens"]), None
    if work["kind"] != "sweep":
        return "is not asked for this"
    from transformer_lens import patching

    model = lens.HookedTransformer(lens.HookedTransformerConfig(**sizes[work["size"]]))
    d_vocab = model.cfg.d_vocab
    clean, corrupted = (torch.tensor([[(37 * i + shift) % d_vocab for i in range(64)]]) for shift in (11, 500))
    _, cache = model.run_with_cache(clean)

    def metric(logits):
        return logits[0, -1, 5] - logits[0, -1, 9]

    def ablation():
        out = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
        for layer in range(model.cfg.n_layers):
            for head in range(model.cfg.n_heads):

                def silence(z, hook):
                    z[:, :, head] = 0
                    return z

                hooks = [(f"blocks.{layer}.attn.hook_z", silence)]
                out[layer, head] = model.run_with_hooks(clean, return_type="loss", fwd_hooks=hooks)
        return out

    tasks = {
        "stream": lambda: patching.get_act_patch_resid_pre(model, corrupted, cache, metric),
        "heads": lambda: patching.get_act_patch_attn_head_out_all_pos(model, corrupted, cache, metric),
        "ablation": ablation,
    }
    return tasks[work["task"]], None


serve(open_contender, prepare)
