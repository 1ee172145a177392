"""Compile the kernels and tag the wheels, with the C compiler of the `ziglang` package, the same on every system.

The library is no Python module, so one wheel per platform serves every Python 3. The platform is this machine's, or the
one that the environment variable IHCSCORE_TARGET names. ``python ihcscore/kernels/build.py`` builds the wheels of all.
"""

import os
import platform
import runpy
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import NamedTuple

from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, PlatformError
from setuptools.extension import Extension

FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fPIC", "-shared", "-s", "-fvisibility=hidden", "-Wall", "-Wextra")
VARIABLE = "IHCSCORE_TARGET"


class Target(NamedTuple):
    """A platform: zig's name of it, the oldest processor, the tag of its wheel, the ending of its libraries."""

    zig: str
    processor: str
    tag: str
    ending: str


TARGETS = {
    "linux-x86_64": Target("x86_64-linux-gnu.2.17", "x86_64_v2", "manylinux_2_17_x86_64.manylinux2014_x86_64", ".so"),
    "linux-aarch64": Target("aarch64-linux-gnu.2.17", "generic", "manylinux_2_17_aarch64.manylinux2014_aarch64", ".so"),
    "macos-x86_64": Target("x86_64-macos.11.0", "x86_64_v2", "macosx_11_0_x86_64", ".dylib"),
    "macos-arm64": Target("aarch64-macos.11.0", "apple_m1", "macosx_11_0_arm64", ".dylib"),
    "windows-x86_64": Target("x86_64-windows-gnu", "x86_64_v2", "win_amd64", ".dll"),
}
"""NumPy needs processors and systems as new as these, too."""
ALIKE = {
    "linux-musl-x86_64": Target("x86_64-linux-musl", "x86_64_v2", "musllinux_1_2_x86_64", ".so"),
    "linux-musl-aarch64": Target("aarch64-linux-musl", "generic", "musllinux_1_2_aarch64", ".so"),
    "windows-aarch64": Target("aarch64-windows-gnu", "generic", "win_arm64", ".dll"),
}
"""Compiled where they are installed; no wheels are built for them."""
PROCESSORS = {"amd64": "x86_64", "arm64": "aarch64"}
SYSTEMS = {"win32": "windows", "darwin": "macos"}


def target() -> Target:
    """Return the platform to compile for. Raises PlatformError if it is not known."""
    known = TARGETS | ALIKE
    name = os.environ.get(VARIABLE) or _this_machine()
    if name not in known:
        raise PlatformError(
            f"the kernels of ihcscore are not compiled for '{name}': set {VARIABLE} to the nearest of "
            f"{', '.join(known)}, or add it in ihcscore/kernels/build.py; a wheel of another machine needs no compiler"
        )
    return known[name]


def _this_machine() -> str:
    processor = platform.machine().lower()  # as Python runs: the system's own name can be that of several
    processor = PROCESSORS.get(processor, processor)
    system = SYSTEMS.get(sys.platform, sys.platform)
    if system == "macos":
        processor = {"aarch64": "arm64"}.get(processor, processor)
    musl = "-musl" if "musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or "") else ""
    return f"{system}{musl}-{processor}"


class BuildKernels(build_ext):
    """Compile a shared library that is no Python module: no Python headers are needed, and any Python 3 loads it."""

    def get_ext_filename(self, fullname: str) -> str:
        """Return its path in the package: the same name on every system, but for the ending."""
        return os.path.join(*fullname.split(".")) + target().ending

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """Return none: a Python module's entry point is not there."""
        return []

    def build_extension(self, ext: Extension) -> None:
        """Compile and link in one step. Raises CompileError with the compiler's output."""
        chosen, out = target(), Path(self.get_ext_fullpath(ext.name)).absolute()
        out.parent.mkdir(parents=True, exist_ok=True)
        if not self.inplace:
            for other in out.parent.glob(f"{out.stem}.*"):  # of another platform, from a build before
                other.unlink()
        cache = str(Path(self.build_temp, "zig").absolute())
        folder = Path(__file__).parent
        digest = runpy.run_path(str(folder / "sources.py"))["digest"](folder)  # the package is not installed yet
        options = f"--target={chosen.zig}", f"-mcpu={chosen.processor}", *FLAGS, f'-DSOURCES="{digest}"', "-o", str(out)
        settings = dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), cache)
        command = [sys.executable, "-m", "ziglang", "cc", *options, *ext.sources]
        done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)
        if done.returncode:
            raise CompileError(
                f"the kernels of ihcscore could not be compiled for {chosen.zig}: is ziglang installed, and {VARIABLE} "
                f"right? A wheel needs no compiler. The compiler's output:\n{done.stderr or done.stdout}"
            )
        for left in (*out.parent.glob("*.pdb"), *out.parent.glob("*.lib")):  # of no use without a linker
            left.unlink()


class TagWheel(bdist_wheel):
    """Tag the wheel for every Python 3 on one platform."""

    def finalize_options(self) -> None:
        """Mark the wheel as one of a platform."""
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tags for Python, ABI and platform."""
        return "py3", "none", target().tag


def main() -> None:
    """Build the wheels of all platforms into ``dist/``, by the package `build` with the options of this script."""
    for name in TARGETS:
        print(f"== {name}", flush=True)
        environment = {**os.environ, VARIABLE: name}
        subprocess.run([sys.executable, "-m", "build", "--wheel", *sys.argv[1:]], check=True, env=environment)


if __name__ == "__main__":
    main()
