"""Entry of a sandboxed reward process: `python -P inside.py <requests> <answers>`, two descriptors.

The first frame on `requests` is the setup. The limits that do not depend on the program hold already.
"""

import importlib
import os
import sys
import types
from pathlib import Path

if __name__ == "__main__":
    package = types.ModuleType("_tuneward_keeper")
    package.__path__ = [str(Path(__file__).parent)]
    sys.modules[package.__name__] = package
    requests, answers = map(int, sys.argv[1:])
    for fd in (requests, answers):
        os.set_inheritable(fd, False)
    importlib.import_module(f"{package.__name__}.worker").serve_inside(requests, answers)
