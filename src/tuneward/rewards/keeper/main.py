"""Entry of the keeper process: `python -P main.py <trainer's pid>`.

Makes this folder a package of a private name: `tuneward` itself stays unimported (it would cost start time and
memory), and no name here can hide a module that lies beside the user's file.
"""

import importlib
import sys
import types
from pathlib import Path

if __name__ == "__main__":
    package = types.ModuleType("_tuneward_keeper")
    package.__path__ = [str(Path(__file__).parent)]
    sys.modules[package.__name__] = package
    importlib.import_module(f"{package.__name__}.warden").main(int(sys.argv[1]))
