import torch

ones = torch.ones(64, 64)
print(torch.matmul(ones, ones)[0, 0].item(), flush=True)
