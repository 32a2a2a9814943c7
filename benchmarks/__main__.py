"""Run benchmarks and keep their results with date and hardware.

python -m benchmarks                 all that take minutes
python -m benchmarks kmeans train    these
python -m benchmarks --quick         smaller sizes, nothing written
"""

from __future__ import annotations

import argparse
import importlib

from benchmarks.record import write_result

BENCHMARKS = (
    "catalogue",
    "preprocess",
    "kmeans",
    "features",
    "train",
    "curation",
    "methods",
    "similar",
    "app",
    "active",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="smaller sizes; nothing is written")
    arguments = parser.parse_args()
    for name in arguments.names or BENCHMARKS:
        if name not in BENCHMARKS:
            parser.error(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
        print(f"\n== {name}", flush=True)
        figures = importlib.import_module(f"benchmarks.bench_{name}").main(quick=arguments.quick)
        if not arguments.quick:
            print(f"written: {write_result(name, figures)}")


if __name__ == "__main__":
    main()
