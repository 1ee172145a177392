"""How the data goes through the modules: calls from one module of the package into another while a tile is scored.

    python tests/benchmarks/hops.py TILE [--mpp 0.5]

Prints how many different pairs of calling and called modules there are, and the same for what is at the package's top.
"""

import argparse
import contextlib
import io
import sys
import tempfile
from pathlib import Path

PACKAGE = "ihcscore"


def hops(run):
    """Run a function and collect the pairs of modules between which calls go."""
    found = set()

    def profile(frame, event, argument):
        if event == "call" and frame.f_back is not None:
            called, calling = (each.f_globals.get("__name__", "") for each in (frame, frame.f_back))
            inside = called.startswith(PACKAGE) and calling.startswith(PACKAGE)
            if inside and called != calling and frame.f_code.co_name not in ("<module>", "__getattr__"):
                found.add((calling, called))

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tile", type=Path)
    parser.add_argument("--mpp", default="0.5")
    given = parser.parse_args()

    from ihcscore.cli.app import main as command

    def score():
        with tempfile.TemporaryDirectory() as out:
            sys.argv = ["ihcscore", "score", str(given.tile), "--mpp", given.mpp, "-o", f"{out}/results"]
            with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
                command()

    score()  # imports apart
    found = hops(score)
    rooms = {tuple(".".join(name.split(".")[:2]) for name in pair) for pair in found}
    rooms = {pair for pair in rooms if pair[0] != pair[1]}
    for what, pairs in (("modules", found), ("folders and modules at the package's top", rooms)):
        print(f"{len(pairs)} pairs of {len({name for pair in pairs for name in pair})} {what}")


if __name__ == "__main__":
    main()
