"""An unknown processor and a failed compile say what to do."""

import platform
import sys

import pytest
from setuptools import Distribution
from setuptools.errors import CompileError, PlatformError
from setuptools.extension import Extension

from ihcscore.kernels import build


def test_this_machine_is_known(monkeypatch):
    monkeypatch.delenv(build.VARIABLE, raising=False)
    assert build.target().ending in (".so", ".dylib", ".dll")


def test_an_unknown_processor_says_what_to_do(monkeypatch):
    monkeypatch.delenv(build.VARIABLE, raising=False)
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(
        PlatformError, match=r"not compiled for '\w+(-musl)?-riscv64': set IHCSCORE_TARGET .*linux-x86_64"
    ):
        build.target()


def test_a_target_can_be_named(monkeypatch):
    monkeypatch.setenv(build.VARIABLE, "macos-arm64")
    assert build.target().tag == "macosx_11_0_arm64"
    assert build.BuildKernels(Distribution()).get_ext_filename("ihcscore.kernels._kernels").endswith("_kernels.dylib")
    assert build.TagWheel(Distribution()).get_tag() == ("py3", "none", "macosx_11_0_arm64")
    monkeypatch.setenv(build.VARIABLE, "amiga")
    with pytest.raises(PlatformError, match="'amiga'"):
        build.target()


def test_a_failed_compile_shows_what_the_compiler_said(monkeypatch, tmp_path):
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho 'error: no such thing' >&2\nexit 1\n")
    script.chmod(0o755)
    command = build.BuildKernels(Distribution())
    command.build_lib, command.build_temp = str(tmp_path / "lib"), str(tmp_path / "temp")
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(CompileError, match=r"(?s)wheel needs no compiler.*no such thing"):
        command.build_extension(Extension("ihcscore.kernels._kernels", ["missing.c"]))
