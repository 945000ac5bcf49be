"""Compare the native training step with torch: gradients of every parameter, update, losses.

The torch side runs in float32, so the differences are the bfloat16 roundings of the native
products; torch's own autocast step is measured beside it as the yardstick.
"""
import argparse
import copy
import time

import torch
import torch.nn.functional as F

from data import PackedRows
from model import LanguageModel, load_config
from native import NativeStep
from optim import Optimizer
from tokenizer import Tokenizer


def torch_loss(model, inputs, targets, weights, teacher, autocast):
    """Return the weighted mean loss, as train.py computes it."""
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        logits = model(inputs)
    logits = logits.float().flatten(0, 1)
    if teacher is None:
        losses = F.cross_entropy(logits, targets.reshape(-1), reduction="none")
    else:
        with torch.no_grad():
            wanted = teacher(inputs).float().flatten(0, 1).softmax(-1)
        losses = -(wanted * logits.log_softmax(-1)).sum(-1)
    weights = weights.reshape(-1)
    return (losses * weights).sum() / weights.sum()


def torch_gradient(model, *arguments):
    model.zero_grad(set_to_none=True)
    loss = torch_loss(model, *arguments)
    loss.backward()
    return loss.item(), torch.cat([p.grad.reshape(-1) for p in model.parameters()])


def relative(value, wanted):
    return ((value - wanted).norm() / (wanted.norm() + 1e-30)).item()


def compare_gradients(model, library, batch, teacher=None, native_teacher=None):
    """Print the largest relative error over the parameters; return it."""
    rows, length = batch[0].shape
    step = NativeStep(library, copy.deepcopy(model), rows * length, length)
    loss = step.gradient(*batch, teacher=native_teacher)[0]
    gradient = step.read_gradient()
    wanted_loss, wanted = torch_gradient(model, *batch, teacher, False)
    _, rounded = torch_gradient(model, *batch, teacher, True)
    at, worst = 0, {"native": (0.0, ""), "autocast": (0.0, "")}
    for name, p in model.named_parameters():
        part = slice(at, at + p.numel())
        at += p.numel()
        for key, value in (("native", gradient), ("autocast", rounded)):
            worst[key] = max(worst[key], (relative(value[part], wanted[part]), name))
    print(f"rows {rows} x {length}: loss {loss:.6f} torch {wanted_loss:.6f}; relative error of gradients: "
          f"all {relative(gradient, wanted):.5f} (autocast {relative(rounded, wanted):.5f}), worst "
          f"{worst['native'][0]:.5f} {worst['native'][1]} (autocast {worst['autocast'][0]:.5f} {worst['autocast'][1]})",
          flush=True)
    return worst["native"][0]


def compare_update(model, library, batch):
    """Print the relative difference of the weights' changes after each of three updates."""
    ours, theirs = copy.deepcopy(model), copy.deepcopy(model)
    begin = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    rows, length = batch[0].shape
    step = NativeStep(library, ours, rows * length, length)
    optimizer = Optimizer(theirs)
    for number in range(3):
        step.gradient(*batch)
        # Both sides take the native gradient, so that only the update is compared.
        gradient, at = step.read_gradient(), 0
        for p in theirs.parameters():
            p.grad = gradient[at:at + p.numel()].view(p.shape).clone()
            at += p.numel()
        step.update(0.5)
        optimizer.step(0.5)
        after = torch.cat([p.detach().reshape(-1) for p in theirs.parameters()])
        print(f"update {number + 1}: relative difference {relative(step.flat - begin, after - begin):.5f}")
        at = 0
        for p in theirs.parameters():   # from here on the same weights again
            p.data.copy_(step.flat[at:at + p.numel()].view(p.shape))
            at += p.numel()


def compare_curves(model, library, tokenizer, steps, rows=8, length=256):
    """Train both sides on the same rows and print both losses."""
    ours, theirs = copy.deepcopy(model), copy.deepcopy(model)
    for p in theirs.parameters():
        p.requires_grad_(True)
    step, optimizer = NativeStep(library, ours, rows * length, length), Optimizer(theirs)
    stream, seconds, sums = PackedRows(tokenizer, "curves"), [0.0, 0.0], [0.0, 0.0]
    for number in range(steps):
        batch, scale = stream.batch(rows, length), min(1.0, (number + 1) / 40)
        start = time.time()
        sums[0] += step.gradient(*batch)[0]
        step.update(scale)
        middle = time.time()
        loss = torch_loss(theirs, *batch, None, True)
        loss.backward()
        optimizer.step(scale)
        theirs.zero_grad(set_to_none=True)
        sums[1] += loss.item()
        seconds[0] += middle - start
        seconds[1] += time.time() - middle
        if (number + 1) % 20 == 0:
            print(f"step {number + 1}: loss native {sums[0] / 20:.4f} torch {sums[1] / 20:.4f}; tokens/s native "
                  f"{20 * rows * length / seconds[0]:.0f} torch {20 * rows * length / seconds[1]:.0f}", flush=True)
            seconds, sums = [0.0, 0.0], [0.0, 0.0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", required=True)
    parser.add_argument("--config", required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--teacher", help="model folder to distil from")
    parser.add_argument("--steps", type=int, default=0, help="also compare the losses of so many steps")
    parser.add_argument("--lengths", type=int, nargs="+", default=[256, 2048])
    args = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(2)
    tokenizer = Tokenizer.load(args.tokenizer)
    model = LanguageModel(load_config(args.config))
    with torch.no_grad():   # away from the symmetric start: norms that are not one
        for p in model.parameters():
            p.add_(torch.randn_like(p) * (0.1 if p.dim() == 1 else 0.02))
    batches = [PackedRows(tokenizer, "check").batch(max(1, 768 // length), length) for length in args.lengths]
    for batch in batches:
        compare_gradients(model, args.library, batch)
    if args.teacher:
        from export import load_model
        teacher = load_model(args.teacher).eval()
        native = NativeStep(args.library, copy.deepcopy(teacher), 2048, 2048, train=False)
        compare_gradients(model, args.library, batches[0], teacher, native)
    compare_update(model, args.library, batches[0])
    if args.steps:
        compare_curves(model, args.library, tokenizer, args.steps)


if __name__ == "__main__":
    main()
