"""Goes on with a LoRA fine-tuning that LoRA Lab began in a browser: same base, adapter, optimizer state, settings, and
the same windows of the text.

    pip install -r requirements.txt
    python train.py                        # to the end of the run, or so many steps more: --more 200
    accelerate launch train.py --batch 32  # on all GPUs of the machine; a batch is spread over them

Reads base/, adapter/ and run.safetensors; writes continued/ (what PEFT loads) and continued.csv.
On one device, with the settings as they came, the losses are those that the browser would have gone on to.

Run on 2026-11-25 with torch 2.15, transformers 5.24, PEFT 0.21 and Accelerate 1.15, on one and two CPU processes.
"""

import argparse
import csv
import json
import math
from pathlib import Path

import torch
from accelerate import Accelerator
from peft import PeftModel
from safetensors import safe_open
from transformers import GPT2LMHeadModel

HERE = Path(__file__).resolve().parent
MASK = 2**64 - 1


def splitmix(state):
    """SplitMix64 (Steele, Lea and Flood, 2014): the next state and 64 bits."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return state, z ^ (z >> 31)


def window(train, block, seed, step, sequence):
    """`block + 1` tokens: a function of seed, step and sequence, so that any process can draw any of them."""
    state = seed
    for part in (step, sequence):
        _, bits = splitmix(state)
        state = bits ^ ((part * 0xD6E8FEB86659FD93) & MASK)
    _, bits = splitmix(state)
    start = (bits * (len(train) - block)) >> 64
    return train[start : start + block + 1]


def held_out_windows(held_out, block, count):
    """At most `count` windows spread evenly over the held-out part, always the same."""
    if len(held_out) < 2 or count == 0:
        return []
    length = min(block + 1, len(held_out))
    last = len(held_out) - length
    count = min(count, last // max(block, 1) + 1)
    starts = [0] if count == 1 else [last * i // (count - 1) for i in range(count)]
    return [held_out[start : start + length] for start in starts]


def factor(step, steps, warmup, least, schedule):
    """Of the learning rate at `step`, from 0: linear warm-up, then half a cosine down to `least`."""
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    done = min(1.0, (step - warmup) / max(1, steps - warmup - 1))
    return least + (1 - least) * 0.5 * (1 + math.cos(math.pi * done))


def loss_of(model, windows):
    """Mean loss in nats a token of `windows (count, block + 1)`."""
    logits = model(input_ids=windows[:, :-1]).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), windows[:, 1:].flatten())


def moments_of(parameters, run):
    """AdamW's two moments for each parameter. The file holds them layer by layer by name, A before B, and both transposed."""
    order = sorted(parameters, key=lambda name: (name.split(".lora_")[0], ".lora_B." in name))
    at, moments = 0, {}
    for name in order:
        parameter = parameters[name]
        columns, rows = parameter.shape
        part = slice(at, at + parameter.numel())
        moments[name] = [run[kind][part].reshape(rows, columns).T.contiguous() for kind in ("moment1", "moment2")]
        at += parameter.numel()
    if at != len(run["moment1"]):
        raise SystemExit(f"the adapter has {at} parameters, run.safetensors the state of {len(run['moment1'])}")
    return moments


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--more", type=int, help="steps to take; as many as the run has left, or if it is done as it had")
    options.add_argument("--batch", type=int, help="sequences a step; that of the run")
    options.add_argument("--lr", type=float, help="largest learning rate; that of the run")
    options = options.parse_args()

    with safe_open(HERE / "run.safetensors", "pt") as file:
        run = {name: file.get_tensor(name) for name in file.keys()}
        state = json.loads(file.metadata()["lora_lab_state"])
    config, step = state["config"], state["step"]
    ids = run["ids"].long()
    train, held_out = ids[: state["held_out_from"]], ids[state["held_out_from"] :]
    more = options.more or (config["steps"] - step) or config["steps"]
    steps = max(config["steps"], step + more)
    sequences = options.batch or config["batchSize"] * config["accumulation"]
    rate = options.lr or config["learningRate"]

    accelerator = Accelerator()
    world, rank = accelerator.num_processes, accelerator.process_index
    if sequences % world:
        raise SystemExit(f"{sequences} sequences a step cannot be spread evenly over {world} processes: choose --batch")

    # GPT-2's configuration has dropout unless it says otherwise; the browser's has none.
    none = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    base = GPT2LMHeadModel.from_pretrained(HERE / "base", dtype=torch.float32, **none)
    model = PeftModel.from_pretrained(base, HERE / "adapter", is_trainable=True)
    parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.AdamW(
        parameters.values(),
        lr=rate,
        betas=(config["beta1"], config["beta2"]),
        eps=config["epsilon"],
        weight_decay=config["weightDecay"],
    )
    for name, (first, second) in moments_of(parameters, run).items():
        optimizer.state[parameters[name]] = {"step": torch.tensor(float(step)), "exp_avg": first, "exp_avg_sq": second}
    model, optimizer = accelerator.prepare(model, optimizer)

    block, device = config["blockSize"], accelerator.device
    unseen = held_out_windows(held_out, block, config["evaluationWindows"])

    def evaluate():
        model.eval()
        with torch.no_grad():
            tokens = sum(len(one) - 1 for one in unseen)
            total = sum(loss_of(model, one[None].to(device)).item() * (len(one) - 1) for one in unseen)
        model.train()
        return total / tokens if tokens else float("nan")

    accelerator.print(f"step {step} of {steps}, {sequences} sequences of {block} tokens on {world} process(es), {device}")
    accelerator.print(f"loss on unseen text: {evaluate():.4f}")
    log = []
    model.train()
    for step in range(step, step + more):
        own = [window(train, block, config["seed"], step, sequence) for sequence in range(rank, sequences, world)]
        loss = loss_of(model, torch.stack(own).to(device))
        accelerator.backward(loss)
        norm = None
        if config["gradientClip"] > 0:
            norm = accelerator.clip_grad_norm_(model.parameters(), config["gradientClip"])
        now = rate * factor(step, steps, config["warmupSteps"], config["minLearningRateRatio"], config["schedule"])
        for group in optimizer.param_groups:
            group["lr"] = now
        optimizer.step()
        optimizer.zero_grad()
        mean = accelerator.reduce(loss.detach(), "mean").item()
        every = config["evaluateEvery"]
        due = bool(every) and ((step + 1) % every == 0 or step + 1 == steps)
        unseen_loss = evaluate() if due else ""
        log.append([step + 1, mean, unseen_loss, now, "" if norm is None else float(norm)])
        accelerator.print(f"step {step + 1}: loss {mean:.4f}" + (f", on unseen text {unseen_loss:.4f}" if due else ""))

    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        accelerator.unwrap_model(model).save_pretrained(HERE / "continued")
        with open(HERE / "continued.csv", "w", newline="") as file:
            csv.writer(file).writerows([["step", "loss", "heldOutLoss", "learningRate", "gradNorm"], *log])
    accelerator.print("the adapter is in continued/: load it with PeftModel.from_pretrained, or drop its two files on LoRA Lab")
    accelerator.end_training()


if __name__ == "__main__":
    main()
