"""The exported folder goes on with the run in Python as the lab itself does: the same losses, step by step.

    pip install -r www/further/requirements.txt
    cargo xtask build
    python tests/peft/further.py

Not part of `cargo xtask test`, which needs no Python.
"""

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# Two libraries' sums in 32 bits, over eight steps.
TOLERANCE = 2e-4


def compare(folder, want):
    """The largest difference of what the script logged from the lab's own steps."""
    with open(folder / "continued.csv", newline="") as file:
        got = list(csv.DictReader(file))
    assert len(got) == len(want) == 8
    worst = 0.0
    for ours, theirs in zip(got, want):
        for name in ("step", "loss", "heldOutLoss", "learningRate", "gradNorm"):
            if name not in theirs:
                assert ours[name] == "", f"{name} at step {theirs['step']}: {ours[name]}, the lab did not evaluate"
                continue
            difference = abs(float(ours[name]) - theirs[name])
            worst = max(worst, difference)
            if difference > TOLERANCE:
                sys.exit(f"{name} at step {theirs['step']}: {ours[name]}, the lab says {theirs[name]}")
    return worst


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        subprocess.run(["node", HERE / "further.mjs", folder], check=True)
        want = json.loads((folder / "expected.json").read_text())
        environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
        for processes in (1, 2):
            run = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes), folder / "train.py"]
            subprocess.run(run if processes > 1 else [sys.executable, folder / "train.py"], check=True, env=environment)
            worst = compare(folder, want)
            print(f"{processes} process(es): eight steps differ by at most {worst:.1e} in loss, unseen loss, learning rate and norm of the gradient")


main()
