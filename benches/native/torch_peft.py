"""The same training step in PyTorch and PEFT, natively: how far a browser is from what a machine can do.

    target/peft/bin/python benches/native/torch_peft.py    # writes benches/results/native.json and the tables anew

needs Node.js, torch, peft and transformers (measured with 2.15, 0.21 and 5.24), as `cargo xtask peft` installs them. The model and the first step's tokens are those of
`cargo xtask bench web steps`, and the first loss has to agree with its result to 0.001 before anything is timed. Each
number of threads has a process of its own, so that its peak memory is its own. The probe of the SIMD peak runs between them; if it reads
far below what the browser's run gave, the run is void and writes nothing.
"""

import argparse
import datetime
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benches" / "results"
WARM, ROUNDS = 2, 9
# As in benches/web/report.js: a probe so far below the browser's says that something else used the machine.
VOID_BELOW = 0.8
PROBE = """
import { median, probe } from "./benches/web/probe.js";
const { lanes, accumulators, sample } = probe("simd128");
console.log(JSON.stringify({ lanes, accumulators, gflops: median(Array.from({ length: 11 }, () => sample())) }));
"""
BATCH, BLOCK, RANK, ALPHA, LEARNING_RATE = 4, 128, 8, 16, 1e-3


def measure(folder: pathlib.Path, threads: int, starts: list[int], expected: float) -> dict:
    """One process: loads the model, compares its first loss, times steps."""
    import peft
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    # GPT-2's own special tokens are outside of these vocabularies.
    described = json.loads((folder / "config.json").read_text())
    config = GPT2Config(**described, bos_token_id=None, eos_token_id=None)
    base = GPT2LMHeadModel.from_pretrained(folder, config=config, attn_implementation="sdpa")
    model = peft.get_peft_model(
        base,
        peft.LoraConfig(
            r=RANK,
            lora_alpha=ALPHA,
            lora_dropout=0.0,
            # The regular expression leaves no doubt that all four linears of each block are meant.
            target_modules=r".*\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)",
            fan_in_fan_out=True,
        ),
    )
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    count = len(trained)
    wanted = 8 * base.config.n_layer
    if count != wanted:
        raise SystemExit(f"{folder}: {count} tensors train, expected {wanted}: A and B of four linears a block")
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=0.01)
    ids = torch.tensor(json.loads((folder / "tokens.json").read_text()))
    windows = torch.stack([ids[start : start + BLOCK + 1] for start in starts])
    inputs, targets = windows[:, :-1].contiguous(), windows[:, 1:].contiguous()

    def step() -> float:
        # The loss here and not in the model, which would shift the targets once more.
        logits = model(input_ids=inputs, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    first = step()
    # Written so that NaN is no agreement.
    if not abs(first - expected) <= 1e-3:
        raise SystemExit(f"the first loss is {first}, in the browser {expected}: not the same training")
    samples = []
    for index in range(WARM + ROUNDS):
        start = time.perf_counter()
        step()
        if index >= WARM:
            samples.append(1000 * (time.perf_counter() - start))
    milliseconds = statistics.median(samples)
    versions = [str(module.__version__).split("+")[0] for module in (torch, peft)]
    return {
        "name": f"PyTorch {versions[0]}, PEFT {versions[1]}, native, {threads} thread{'' if threads == 1 else 's'}",
        "threads": threads,
        "milliseconds": rounded(milliseconds),
        "tokensPerSecond": rounded(BATCH * BLOCK / milliseconds * 1000),
        # The whole process's, Python and its libraries included; Linux counts in kilobytes.
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "firstLoss": first,
        "samples": [rounded(sample) for sample in samples],
    }


def rounded(x: float) -> float:
    return float(f"{x:.4g}")


def peak() -> dict:
    """What one core can do now, by the benchmark's own probe."""
    command = ["node", "--input-type=module", "--eval", PROBE]
    found = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=60).stdout)
    return {**found, "gflops": rounded(found["gflops"])}


def machine() -> str:
    """As Node names it in the other results."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return f"{os.cpu_count()} × {model}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--child", nargs=4, metavar=("FOLDER", "THREADS", "STARTS", "LOSS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        folder, threads, starts, loss = options.child
        print(json.dumps(measure(pathlib.Path(folder), int(threads), json.loads(starts), float(loss))))
        return
    browser = RESULTS / "steps.json"
    if not browser.exists():
        raise SystemExit(f"{browser} is missing: `cargo xtask bench web steps` writes the losses to compare with")
    begun = time.perf_counter()
    date = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    result = {"part": "native", "date": date, "machine": machine(), "configs": {}}
    configs = json.loads(browser.read_text())["configs"]
    peaks = [peak()]
    for name, config in configs.items():
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["node", "benches/web/model.js", name, folder], cwd=ROOT, check=True, timeout=120)
            contenders = []
            for threads in options.threads:
                child = [folder, str(threads), json.dumps(config["starts"]), str(config["contenders"][0]["firstLoss"])]
                command = [sys.executable, __file__, "--child", *child]
                done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=600)
                contenders.append(json.loads(done.stdout.splitlines()[-1]))
                peaks.append(peak())
                print(f"{name}: {contenders[-1]['name']}: {contenders[-1]['tokensPerSecond']:.0f} tokens/s")
        kept = {key: config[key] for key in ("flopsPerToken", "tokens")}
        result["configs"][name] = {**kept, "contenders": contenders}
    result["peaks"] = [min(peaks, key=lambda found: found["gflops"])]
    usual = max(
        found["gflops"] for config in configs.values() for found in config["peaks"] if found["lanes"] == "simd128"
    )
    if result["peaks"][0]["gflops"] < VOID_BELOW * usual:
        raise SystemExit(f"void: the probe reads {result['peaks'][0]['gflops']} GFLOP/s, in the browser's run {usual}")
    result["seconds"] = round(time.perf_counter() - begun)
    (RESULTS / "native.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    subprocess.run(["node", "benches/web/run.js", "--tables"], cwd=ROOT, check=True, timeout=60)


if __name__ == "__main__":
    main()
