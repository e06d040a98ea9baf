"""The exported folder goes on with the run in Python as the lab itself does: the same losses, step by step, and the same adapter.

    cargo xtask peft              # makes an environment and runs this in it, after roundtrip.py

or, where www/further/requirements.txt is installed and `cargo xtask build` has run, `python tests/peft/further.py`.

Not part of `cargo xtask test`, which needs no Python.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.torch import load_file

HERE = Path(__file__).parent
STEPS = 8
# Losses, rates and norms are some 1 in size, an adapter's numbers less: two libraries' sums in 32 bits, over eight steps.
TOLERANCE = 1e-5


def compare_steps(folder, want):
    """The largest difference of what the script logged from the lab's own steps."""
    with open(folder / "continued.csv", newline="") as file:
        got = list(csv.DictReader(file))
    if not len(got) == len(want) == STEPS:
        sys.exit(f"further: {len(got)} steps were logged, the lab took {len(want)}, expected {STEPS}")
    worst = 0.0
    for ours, theirs in zip(got, want):
        for name in ("step", "loss", "heldOutLoss", "learningRate", "gradNorm"):
            if theirs.get(name) is None:
                if ours[name] != "":
                    sys.exit(f"further: {name} at step {theirs['step']}: {ours[name]}, the lab did not evaluate")
                continue
            difference = abs(float(ours[name]) - theirs[name])
            # Written so that NaN is no agreement.
            if not difference <= TOLERANCE:
                sys.exit(f"further: {name} at step {theirs['step']}: {ours[name]}, the lab says {theirs[name]}")
            worst = max(worst, difference)
    return worst


def compare_adapters(folder):
    """The largest difference of a number in the adapter that the script wrote from the lab's own at its end."""
    got, want = (load_file(folder / name / "adapter_model.safetensors") for name in ("continued", "expected"))
    if got.keys() != want.keys():
        sys.exit(f"further: the adapters have other tensors: {sorted(got.keys() ^ want.keys())}")
    worst = max((got[name] - want[name]).abs().max().item() for name in want)
    if not worst <= TOLERANCE:
        sys.exit(f"further: the adapters differ by {worst:.1e}")
    return worst


def main():
    worst, worst_number = 0.0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        subprocess.run(["node", HERE / "further.mjs", folder], check=True)
        want = json.loads((folder / "expected.json").read_text())
        environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
        for processes in (1, 2):
            script = folder / "train.py"
            many = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)] if processes > 1 else []
            for name in ("continued.csv", "continued/adapter_model.safetensors"):
                (folder / name).unlink(missing_ok=True)
            subprocess.run([sys.executable, *many, script], check=True, env=environment)
            steps, numbers = compare_steps(folder, want), compare_adapters(folder)
            print(f"{processes} process(es): {STEPS} steps differ by at most {steps:.1e} in loss, unseen loss, learning rate and norm of the gradient; the adapter by {numbers:.1e}")
            worst, worst_number = max(worst, steps), max(worst_number, numbers)
    print(f"further: with 1 and 2 processes {STEPS} steps differ by at most {worst:.1e} of {TOLERANCE:.0e}, the adapter by {worst_number:.1e}")


if __name__ == "__main__":
    main()
