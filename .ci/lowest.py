"""Print the requirements of pyproject.toml and of its small extras at their lowest versions."""

import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
extras = (project["optional-dependencies"][name] for name in ("dicom", "dask", "classifier"))
for requirement in sum(extras, project["dependencies"]):
    print(requirement.replace(">=", "=="))
