"""Adapters go to PEFT and come back: the same logits, in both directions.

    pip install torch peft            # CPU builds do
    cargo xtask build
    python tests/peft/roundtrip.py

The lab trains adapters of several kinds on the tiny model, PEFT loads their files and its logits are compared with the lab's;
then PEFT trains an adapter of its own, saves it, and the lab's logits with it are compared with PEFT's.
Not part of `cargo xtask test`, which needs no Python: there, tests/parity.rs compares with numbers that PEFT gave once.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import GPT2LMHeadModel

HERE = Path(__file__).parent
TINY = HERE.parent.parent / "www/models/tiny"
TOLERANCE = 1e-4


def lab(command, folder):
    subprocess.run(["node", HERE / "lab.mjs", command, folder], check=True)


def base():
    # The file holds 16-bit floats, and the lab computes in 32 bits.
    return GPT2LMHeadModel.from_pretrained(TINY, dtype=torch.float32).eval()


def logits(model, ids):
    with torch.no_grad():
        return model(ids).logits[0]


def compare(name, got, want, unchanged):
    """The largest difference, and how much the adapter changes: a comparison with the base's own logits would prove nothing."""
    difference, effect = (got - want).abs().max().item(), (want - unchanged).abs().max().item()
    print(f"{name:28} differs by at most {difference:.1e}; the adapter changes logits by up to {effect:.2f}")
    if not (difference <= TOLERANCE and effect > 0.1):
        sys.exit(f"{name}: not the same")


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        lab("export", folder)
        first = json.loads((folder / "base.json").read_text())
        ids = torch.tensor([first["ids"]])
        shape = (len(first["ids"]), -1)
        unchanged = torch.tensor(first["logits"]).view(shape)
        difference = (logits(base(), ids) - unchanged).abs().max().item()
        print(f"{'the base':28} differs by at most {difference:.1e}")
        assert difference <= TOLERANCE
        for adapter in sorted(path.parent for path in folder.glob("*/adapter_config.json")):
            ours = torch.tensor(json.loads((adapter / "lab_logits.json").read_text())).view(shape)
            model = PeftModel.from_pretrained(base(), adapter).eval()
            compare(f"lab → PEFT, {adapter.name}", logits(model, ids), ours, unchanged)

        torch.manual_seed(0)
        config = LoraConfig(r=6, lora_alpha=9, target_modules=["c_attn", "c_fc", "attn.c_proj", "mlp.c_proj"], fan_in_fan_out=True, task_type="CAUSAL_LM")
        model = get_peft_model(base(), config)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
        for _ in range(20):
            model(ids, labels=ids).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        model.eval()
        model.save_pretrained(folder / "peft")
        lab("import", folder / "peft")
        ours = torch.tensor(json.loads((folder / "peft/lab_logits.json").read_text())).view(shape)
        compare("PEFT → lab", ours, logits(model, ids), unchanged)


main()
