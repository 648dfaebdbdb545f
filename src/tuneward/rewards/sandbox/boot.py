"""Entry of `run_python`: `python -I -S boot.py <packages> <script> <arguments>`.

The interpreter starts without its `site` module, which takes longer than everything else; the folders of installed
packages, joined by `:`, are added here instead, so that they can be imported all the same.
"""

import sys

if __name__ == "__main__":
    sys.path += sys.argv[1].split(":")
    del sys.argv[:2]
    __file__ = sys.argv[0]
    with open(__file__, "rb") as file:  # noqa: PTH123 (pathlib takes longer to import than all the rest)
        code = compile(file.read(), __file__, "exec")
    del file, globals()["__doc__"]
    exec(code)
