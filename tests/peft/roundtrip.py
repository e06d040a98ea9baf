"""Adapters go to PEFT and come back: the same logits, in both directions.

    cargo xtask peft              # makes an environment and runs this in it, then further.py

or, where torch, transformers and peft are installed and `cargo xtask build` has run, `python tests/peft/roundtrip.py`.

- The lab trains an adapter of each kind that it knows on the tiny model. PEFT loads its files: the same logits, and the same again when
  both merge the adapter into the weights. PEFT saves it anew, and the lab reads that.
- PEFT trains an adapter of each kind that the lab computes, and the lab reads its files.
- PEFT writes the kinds that the lab does not compute, and the lab refuses each by its name.
- The recipes in Python of docs/recipes.md run as they stand, on the tiny model in the place of a larger one.

Not part of `cargo xtask test`, which needs no Python: there, tests/parity.rs compares with numbers that PEFT gave once.
"""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel

HERE = Path(__file__).parent
TINY = HERE.parent.parent / "www/models/tiny"
# Logits are some 10 in size: two libraries' sums in 32 bits, through four blocks.
TOLERANCE = 1e-4
# An adapter that changes logits by less than this would not show that it is read at all.
LEAST_EFFECT = 0.1

ALL = ["c_attn", "c_fc", "attn.c_proj", "mlp.c_proj"]
# By name: what LoraConfig gets.
KINDS = {
    "plain": {"r": 6, "lora_alpha": 9, "target_modules": ALL},
    "defaults": {"target_modules": ALL},
    "pefts-own-targets": {"r": 4, "lora_alpha": 8},
    "all-linear": {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"},
    "rslora": {"r": 16, "lora_alpha": 16, "target_modules": ALL, "use_rslora": True},
    "patterns": {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ALL,
        "rank_pattern": {"c_fc": 12, r"h\.1\.attn\.c_attn": 2},
        "alpha_pattern": {"h.0.attn.c_proj": 3},
    },
    "rslora-patterns": {
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ALL,
        "use_rslora": True,
        "rank_pattern": {"mlp.c_proj": 9},
        "alpha_pattern": {"mlp.c_proj": 5},
    },
    "expression": {"r": 4, "lora_alpha": 8, "target_modules": r".*\.h\.[02]\.(attn|mlp)\.c_proj"},
    "blocks": {"r": 4, "lora_alpha": 8, "target_modules": ["c_attn", "mlp.c_proj"], "layers_to_transform": [1, 3]},
    "one-block": {"r": 4, "lora_alpha": 8, "target_modules": ALL, "layers_to_transform": 2},
    "excluded": {"r": 4, "lora_alpha": 8, "target_modules": ALL, "exclude_modules": ["c_attn"]},
    "excluded-expression": {"r": 4, "lora_alpha": 8, "target_modules": ALL, "exclude_modules": r".*\.h\.3\..*"},
    "fractional": {"r": 4, "lora_alpha": 7.5, "target_modules": ALL},
    "dropout": {"r": 4, "lora_alpha": 8, "target_modules": ALL, "lora_dropout": 0.1},
    "gaussian": {"r": 4, "lora_alpha": 8, "target_modules": ALL, "init_lora_weights": "gaussian"},
    "orthogonal": {"r": 4, "lora_alpha": 8, "target_modules": ALL, "init_lora_weights": "orthogonal"},
}
# Kinds whose files the lab must not read as if they were plain: what LoraConfig gets, and the word by which it is refused.
REFUSED = {
    "dora": ({"use_dora": True}, "use_dora"),
    "bias": ({"bias": "lora_only"}, "bias"),
    "lora-bias": ({"lora_bias": True}, "lora_bias"),
    "saved-modules": ({"modules_to_save": ["ln_f"]}, "modules_to_save"),
    "tokens": ({"trainable_token_indices": [1, 2]}, "trainable_token_indices"),
    "pissa": ({"init_lora_weights": "pissa"}, "pissa"),
    "olora": ({"init_lora_weights": "olora"}, "olora"),
}
# The same adapter in the other types that a file may hold; PEFT computes with them in 32 bits, as the lab does.
TYPES = {"f16": torch.float16, "bf16": torch.bfloat16}


class Comparison:
    """Compares logits, prints each difference, keeps the largest; what is too large is told at the end."""

    def __init__(self, unchanged):
        self.unchanged, self.worst, self.count, self.failed = unchanged, 0.0, 0, []

    def logits(self, name, got, want):
        difference, effect = (got - want).abs().max().item(), (want - self.unchanged).abs().max().item()
        print(f"{name:44} differs by at most {difference:.1e}; the adapter changes logits by up to {effect:.2f}")
        # Written so that NaN is no agreement.
        self.claim(difference <= TOLERANCE and effect > LEAST_EFFECT, name)
        self.worst = max(self.worst, difference)

    def claim(self, holds, name):
        self.count += 1
        if not holds:
            self.failed.append(name)

    def end(self):
        if self.failed:
            sys.exit(f"roundtrip: {len(self.failed)} of {self.count} are not as they should be: {'; '.join(self.failed)}")
        print(f"roundtrip: {self.count} comparisons hold, logits differ by at most {self.worst:.1e} of {TOLERANCE:.0e}")


def lab(command, *folders):
    subprocess.run(["node", HERE / "lab.mjs", command, *folders], check=True)


def base():
    # The file holds 16-bit floats, and the lab computes in 32 bits.
    return GPT2LMHeadModel.from_pretrained(TINY, dtype=torch.float32).eval()


def logits(model, ids):
    with torch.no_grad():
        return model(ids).logits[0]


def read(file, like):
    return torch.tensor(json.loads(file.read_text())).view_as(like)


def trained(config, ids):
    """A model with an adapter that PEFT trained for some steps: at its start B is zero, and any file would do."""
    torch.manual_seed(0)
    model = get_peft_model(base(), LoraConfig(fan_in_fan_out=True, task_type="CAUSAL_LM", **config)).train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(20):
        model(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def from_the_lab(ours, again, ids, compare):
    """Adapters that the lab wrote, in PEFT; saved by PEFT into `again`."""
    wanted = {}
    for adapter in sorted(path.parent for path in ours.glob("*/adapter_config.json")):
        name = adapter.name
        wanted[name] = read(adapter / "lab_logits.json", compare.unchanged)
        model = PeftModel.from_pretrained(base(), adapter).eval()
        compare.logits(f"lab → PEFT, {name}", logits(model, ids), wanted[name])
        model.save_pretrained(again / name)
        merged = read(adapter / "lab_merged.json", compare.unchanged)
        compare.logits(f"lab → PEFT, {name}, merged", logits(model.merge_and_unload(), ids), merged)
    lab("import", again)
    for name, want in wanted.items():
        into_the_lab(f"lab → PEFT → lab, {name}", again / name, want, compare)


def into_the_lab(name, adapter, want, compare):
    refused = adapter / "lab_refused.json"
    if refused.exists():
        print(f"{name:44} is refused: {refused.read_text()}")
        compare.claim(False, name)
    else:
        compare.logits(name, read(adapter / "lab_logits.json", want), want)


def from_peft(folder, ids, compare):
    """Adapters that PEFT trained and wrote, in the lab."""
    wanted = {}
    for name, config in KINDS.items():
        model = trained(config, ids)
        model.save_pretrained(folder / name)
        wanted[name] = logits(model, ids)
    for name, dtype in TYPES.items():
        (folder / name).mkdir()
        (folder / name / "adapter_config.json").write_text((folder / "plain/adapter_config.json").read_text())
        tensors = load_file(folder / "plain/adapter_model.safetensors")
        save_file({key: tensor.to(dtype) for key, tensor in tensors.items()}, folder / name / "adapter_model.safetensors", {"format": "pt"})
        wanted[name] = logits(PeftModel.from_pretrained(base(), folder / name).eval(), ids)
    for name, (config, _) in REFUSED.items():
        get_peft_model(base(), LoraConfig(fan_in_fan_out=True, target_modules=["c_attn", "c_fc"], task_type="CAUSAL_LM", **config)).save_pretrained(folder / name)
    lab("import", folder)
    for name, want in wanted.items():
        into_the_lab(f"PEFT → lab, {name}", folder / name, want, compare)
    for name, (_, word) in REFUSED.items():
        refused = folder / name / "lab_refused.json"
        said = json.loads(refused.read_text()) if refused.exists() else {"code": "nothing: it is read", "message": ""}
        print(f"{f'PEFT → lab, {name}':44} {said['code']}: {said['message']}")
        compare.claim(said["code"] == "unsupported" and word in said["message"], name)


def recipes(ours, folder, ids, compare):
    """What docs/recipes.md tells whoever writes Python: to load the lab's adapter, and to save a checkpoint that the lab loads."""
    folder.mkdir()
    shutil.copytree(ours / "default", folder / "adapter", ignore=shutil.ignore_patterns("lab_*"))
    (folder / "models").symlink_to(TINY.parent)
    text = (HERE.parent.parent / "docs/recipes.md").read_text()
    # The third is a notebook's, which tests/page/docs.test.js runs.
    snippets = [code for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if "transformers" in code]
    compare.claim(len(snippets) == 2, "docs/recipes.md: two snippets for transformers")
    names = {}
    with contextlib.chdir(folder):
        for code in snippets:
            exec(code.replace('"gpt2"', '"models/tiny"'), names)
    want = read(ours / "default/lab_logits.json", compare.unchanged)
    # As it stands the recipe keeps the file's 16-bit floats, and would compute in them.
    compare.logits("recipe, the lab's adapter", logits(names["model"].float().eval(), ids), want)
    lab("import", folder, folder / "model")
    into_the_lab("recipe, on a checkpoint of transformers'", folder / "adapter", want, compare)


def main():
    with tempfile.TemporaryDirectory() as folder:
        ours, again, theirs, told = (Path(folder) / name for name in ("lab", "again", "peft", "recipes"))
        lab("export", ours)
        first = json.loads((ours / "base.json").read_text())
        ids = torch.tensor([first["ids"]])
        got = logits(base(), ids)
        compare = Comparison(torch.tensor(first["logits"]).view_as(got))
        difference = (got - compare.unchanged).abs().max().item()
        print(f"{'the base':44} differs by at most {difference:.1e}")
        compare.claim(difference <= TOLERANCE, "the base")
        from_the_lab(ours, again, ids, compare)
        from_peft(theirs, ids, compare)
        recipes(ours, told, ids, compare)
        compare.end()


if __name__ == "__main__":
    main()
