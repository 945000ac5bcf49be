"""Write the gradients and updated weights that tests/starter_step compares the native step with.

The model is small and its weights, teacher, tokens and loss weights follow from a formula that the
test repeats. The file holds bfloat16 arrays of one value per parameter, in the order of
named_parameters: the gradient of the cross entropy, the gradient with a teacher, the change of
the weights by two updates of optim.py that each take the first gradient as it stands in the file,
with the Newton-Schulz iteration in float64.
"""
import argparse

import torch

import optim
from check_native import torch_gradient
from model import LanguageModel

SHAPE = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 96, "num_hidden_layers": 2,
         "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32, "rms_norm_eps": 1e-5,
         "rope_theta": 10000.0}
ROWS, LENGTH = 3, 96


def noise(count, seed):
    """Return `count` values in [-0.5, 0.5) that any language can repeat."""
    index = torch.arange(count, dtype=torch.int64) + seed * 1000003
    return ((index * 2654435761 % 2**32) >> 8 & 0xffff).float() / 65536 - 0.5


def orthogonalise(gradients, steps=5):
    """optim.orthogonalise without roundings."""
    a, b, c = optim._COEFFICIENTS
    x = gradients.double() / (gradients.double().norm(dim=(1, 2), keepdim=True) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2) if tall else x
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.transpose(1, 2) if tall else x).float()


def make_model(seed):
    model, at = LanguageModel(SHAPE), 0
    values = noise(sum(p.numel() for p in model.parameters()), seed)
    with torch.no_grad():
        for p in model.parameters():
            part = values[at:at + p.numel()].view(p.shape)
            p.copy_(1 + 0.2 * part if p.dim() == 1 else 0.3 * part)
            at += p.numel()
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    model, teacher = make_model(1), make_model(2)
    count = ROWS * LENGTH
    ids = ((noise(count + 1, 3) + 0.5) * SHAPE["vocab_size"]).long()
    weights = torch.where(noise(count, 4) > 0, 1.0, 0.125).view(ROWS, LENGTH)
    batch = ids[:-1].view(ROWS, LENGTH), ids[1:].view(ROWS, LENGTH), weights
    loss, gradient = torch_gradient(model, *batch, None, False)
    teacher_loss, distilled = torch_gradient(model, *batch, teacher, False)
    stored = gradient.bfloat16().float()
    begin = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    optim.orthogonalise = orthogonalise
    optimizer, at = optim.Optimizer(model), 0
    for p in model.parameters():
        p.grad = stored[at:at + p.numel()].view(p.shape).clone()
        at += p.numel()
    optimizer.step(0.5)
    optimizer.step(1.0)
    updated = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    with open(args.out, "wb") as file:
        for values in (gradient, distilled, updated - begin):
            file.write(values.bfloat16().view(torch.int16).numpy().tobytes())
    print(f"{gradient.numel()} parameters, losses {loss:.6f} and {teacher_loss:.6f}")


if __name__ == "__main__":
    main()
