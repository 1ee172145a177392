"""Check wheels: one library each, of the right name, format and processor, with every kernel exported.

    python tests/kernels/check_wheels.py dist

Needs the package `lief`.
"""

import argparse
import re
import zipfile
from pathlib import Path

import lief

from ihcscore.kernels.library import SIGNATURES

PLATFORMS = {  # ending of the tag: name of the library, format and processor
    "manylinux2014_x86_64": ("_kernels.so", lief.ELF.Binary, "ARCH.X86_64"),
    "manylinux2014_aarch64": ("_kernels.so", lief.ELF.Binary, "ARCH.AARCH64"),
    "macosx_11_0_x86_64": ("_kernels.dylib", lief.MachO.Binary, "CPU_TYPE.X86_64"),
    "macosx_11_0_arm64": ("_kernels.dylib", lief.MachO.Binary, "CPU_TYPE.ARM64"),
    "win_amd64": ("_kernels.dll", lief.PE.Binary, "MACHINE_TYPES.AMD64"),
}
OLDEST_GLIBC = (2, 17)
RIGHT = r"^ihcscore(-[^/]*\.dist-info/.*|/.*\.(py|c|h|toml|json|onnx|png|md)|/py\.typed|/kernels/_kernels\.\w+)$"
NEEDED = ("assays/her2.toml", "cells/segmentation/weights/nuclei.onnx", "cells/membrane/weights/slide.onnx", "py.typed")


def processor(binary):
    if isinstance(binary, lief.ELF.Binary):
        return binary.header.machine_type
    return binary.header.cpu_type if isinstance(binary, lief.MachO.Binary) else binary.header.machine


def exported(binary):
    return {function.name.removeprefix("_") for function in binary.exported_functions}


def problems(path):
    """List what is wrong with a wheel."""
    tag = path.stem.split("-")[-1].split(".")[-1]
    if tag not in PLATFORMS or "-py3-none-" not in path.name:
        return [f"unknown tag of {path.name}"]
    name, kind, machine = PLATFORMS[tag]
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        libraries = [each for each in names if re.search(r"_kernels\.(so|dylib|dll|pyd)$", each)]
        if libraries != [f"ihcscore/kernels/{name}"]:
            return [f"libraries: {libraries}"]
        data = wheel.read(libraries[0])
    found = [f"{each} is missing" for each in NEEDED if f"ihcscore/{each}" not in names]
    found += [f"{each} does not belong there" for each in names if not re.search(RIGHT, each)]
    binary = lief.parse(list(data))
    if not isinstance(binary, kind) or str(processor(binary)) != machine:
        return [*found, f"{type(binary).__name__} for {processor(binary)}, not {kind.__name__} for {machine}"]
    missing = {f"ihc_{each}" for each in SIGNATURES} | {"ihc_sources"}
    found += [f"{each} is not exported" for each in sorted(missing - exported(binary))]
    versions = {tuple(map(int, each.split(b"."))) for each in re.findall(rb"GLIBC_(\d+\.\d+)", data)}
    found += [f"needs glibc {'.'.join(map(str, version))}" for version in versions if version > OLDEST_GLIBC]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    wheels = sorted(parser.parse_args().folder.glob("*.whl"))
    wrong = {path.name: problems(path) for path in wheels}
    for name, found in wrong.items():
        print(f"{name}: {'; '.join(found) or 'right'}")
    tags = {path.stem.split("-")[-1].split(".")[-1] for path in wheels}
    lacking = set(PLATFORMS) - tags
    if lacking or any(wrong.values()):
        raise SystemExit(f"wheels are wrong or missing: {', '.join(sorted(lacking))}")


if __name__ == "__main__":
    main()
