"""Running the examples of a model card where skysift can't be imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import torch

from skysift.encoders import _torchvision

OTHERS = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("fix", sys.argv[1])
fix = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fix)
fix.ensure()  # this machine's torchvision may lack its operators
sys.modules["skysift"] = None
import torch
torch.set_num_threads(1)
images = torch.load(sys.argv[3], weights_only=True)
with torch.no_grad():
    exec(sys.argv[4].replace("FOLDER", sys.argv[2]))
    torch.save(features, sys.argv[5])
assert sys.modules["skysift"] is None
"""


def usage(card: str) -> str:
    """Return the first example of a card."""
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0]


def features_of_others(folder: Path, images: torch.Tensor, code: str, scratch: Path) -> torch.Tensor:
    """Run an example of a card where skysift can't be imported."""
    torch.save(images, scratch / "images.pt")
    words = [_torchvision.__file__, str(folder), str(scratch / "images.pt"), code, str(scratch / "features.pt")]
    done = subprocess.run([sys.executable, "-c", OTHERS, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return torch.load(scratch / "features.pt", weights_only=True)
