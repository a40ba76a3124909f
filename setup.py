"""Builds the one module in C++. Everything else about the package is in pyproject.toml.

Without a compiler the installation goes on without the module, and grammars of molecules use the one in Python.
"""

import os

from pybind11.setup_helpers import Pybind11Extension
from setuptools import setup

FLAGS = ["/O2"] if os.name == "nt" else ["-O3"]

setup(
    ext_modules=[
        Pybind11Extension(
            "mammal.tasks.grammar.smiles._engine",
            ["tasks/grammar/smiles/engine.cpp"],
            cxx_std=20,
            extra_compile_args=FLAGS,
            optional=True,
        )
    ]
)
