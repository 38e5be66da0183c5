"""Our side: a store over the shipped gallery, tasks computed in it, and exports of sets."""

from __future__ import annotations

import pytest

from ddcore.sets import exports
from ddcore.sets.distilled import DistilledSet
from ddcore.tasks import worker
from ddcore.tasks.store import Store, Task
from tests.truth import digits, files


@pytest.fixture(scope="session")
def gallery(tmp_path_factory):
    """A store of its own over the shipped gallery."""
    return Store(tmp_path_factory.mktemp("truth"))


@pytest.fixture(scope="session")
def here(gallery):
    """Just enough of a context: `need` computes what is missing in this process."""

    class Here:
        store = gallery

        def need(self, spec):
            task = gallery.task(spec)
            if not task.is_done():
                task = gallery.create(spec)
                worker.run_task(gallery, task, spec, "cpu")
            assert task.is_done(), task.status()
            return task

    return Here()


@pytest.fixture(scope="session")
def export(tmp_path_factory):
    """Arrays and facts of a finished run (a folder), by way of an exported file."""

    def exported(folder, format="npz"):
        out = tmp_path_factory.mktemp("export") / f"set.{format}"
        exports.export(DistilledSet.from_task(Task(folder)), format, out)
        return files.exported(out)

    return exported


@pytest.fixture(scope="session")
def real():
    """The digits as the shipped runs split them, by the truth."""
    return digits.load()
