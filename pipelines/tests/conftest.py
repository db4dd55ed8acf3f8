"""The module as the engine loads it: its main class has the name of dagger.json's module."""

import json
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
os.environ["DAGGER_MAIN_OBJECT"] = json.loads((ROOT / "dagger.json").read_text())["name"].capitalize()
