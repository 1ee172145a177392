"""How an installation compiles the kernels: with the C compiler of the `ziglang` package, the same on every system."""

import os
import platform
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools.command.build_ext import build_ext
from setuptools.extension import Extension

FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-shared", "-s", "-fvisibility=hidden", "-Wall", "-Wextra")
PROCESSORS = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "aarch64", "aarch64": "aarch64"}
LEAST = {"x86_64": "x86_64_v2", "aarch64": "generic"}
"""Processors older than this cannot run NumPy either."""


class BuildKernels(build_ext):
    """Compile a shared library that is no Python module: no Python headers are needed, and any Python 3 loads it."""

    def get_ext_filename(self, fullname: str) -> str:
        """Give its path in the package: the same name on every system, but for the ending."""
        ending = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
        return os.path.join(*fullname.split(".")) + ending

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """Give none: a Python module's entry point is not there."""
        return []

    def build_extension(self, ext: Extension) -> None:
        """Compile and link in one step."""
        out = Path(self.get_ext_fullpath(ext.name)).absolute()
        out.parent.mkdir(parents=True, exist_ok=True)
        cache = str(Path(self.build_temp, "zig").absolute())
        folder = Path(__file__).parent
        digest = runpy.run_path(str(folder / "sources.py"))["digest"](folder)  # the package is not installed yet
        command = [sys.executable, "-m", "ziglang", "cc", *target(), *FLAGS, f'-DSOURCES="{digest}"', "-o", str(out)]
        settings = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), cache)
        subprocess.run([*command, *ext.sources], check=True, env={**os.environ, **settings})


def target() -> tuple[str, str]:
    """Give what to compile for: this system, and the oldest processor that can run it, not the one at hand."""
    processor = PROCESSORS[platform.machine().lower()]  # as Python runs: its own name can be that of several
    if sys.platform == "win32":
        system = "windows-gnu"
    elif sys.platform == "darwin":
        system = "macos"
    else:
        system = "linux-musl" if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or "") else "linux-gnu.2.17"
    return f"--target={processor}-{system}", f"-mcpu={LEAST[processor]}"
