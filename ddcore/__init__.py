"""The distillation backend: specs, store, jobs, data, networks, training, engines and methods.

Importing the package is cheap; torch is imported only by the modules that compute.
"""

__version__ = "0.2.0"
