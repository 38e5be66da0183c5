"""`import`: a set that was made elsewhere is opened."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddcore.base import paths
from ddcore.base.errors import DDError, SpecError
from ddcore.base.fields import declared
from ddcore.cli import console, follow
from ddcore.data.spec import DataSpec
from ddcore.tasks import jobs
from ddcore.tasks.store import Store

if TYPE_CHECKING:
    from ddcore.nets.architectures import NetSpec
    from ddcore.nets.plan import Shape


def add(commands: console.Commands) -> None:
    """The command."""
    commands.add("import", import_set, "open a set that was made elsewhere", fill=_arguments)
    sub = commands.add("teacher", teacher, "put a file of torchvision's weights where teachers are")
    sub.add_argument("file", metavar="FILE", help="a state_dict, as torchvision saves it")
    sub.add_argument("--arch", required=True, help="torchvision's name of the network: resnet18")


def teacher(options: argparse.Namespace) -> None:
    """`teacher FILE --arch NAME`: check the weights apart, copy them, say the word that names them."""
    from ddcore.pools import published

    word = published.adopt(options.arch, paths.typed(options.file))
    console.output(options, {"teacher": word}, lambda: print(word))


def _arguments(sub: argparse.ArgumentParser) -> None:
    from ddcore.nets.architectures import NetSpec
    from ddcore.sets.imported_spec import ImportTask

    sub.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="one file; images and labels; a .png contact sheet; or a folder of class folders of pictures",
    )
    sub.add_argument("--dataset", required=True, help="which it stands for: a name, or a folder")
    data, said = declared(DataSpec), declared(ImportTask)
    sub.add_argument("--resolution", type=int, help=data["resolution"].sentences())
    sub.add_argument("--grey", action="store_true", help=data["grey"].sentences())
    sub.add_argument("--format", help="layout of the files; found out without it")
    sub.add_argument("--experiment", type=int, default=0, help=said["experiment"].sentences())
    sub.add_argument("--scale", help=f"{said['scale'].sentences()} Judged without it.")
    sub.add_argument(
        "--whiten", action="store_true", help="pixels of a whitened run: judge them so"
    )
    sub.add_argument(
        "--order",
        default="",
        help="of the classes in a sheet: blocks, turns, 3,0,1,... or turns:3,0,1,...; found out without it",
    )
    sub.add_argument("--method", help="what made it, such as dsa; by the file's name without it")
    sub.add_argument("--labels", help=said["labels"].sentences())
    sub.add_argument("--tiles", type=int, help=said["tiles"].sentences())
    sub.add_argument("--lr", type=float, help=said["lr"].sentences())
    sub.add_argument("--protocol", help="how it is meant to be used; the published one without it")
    sub.add_argument("--arch", help="the network it was made with, such as convnet-64")
    sub.add_argument("--width", type=int, help=declared(NetSpec)["width"].sentences())
    sub.add_argument("--depth", type=int, help=declared(NetSpec)["depth"].sentences())


def import_set(options: argparse.Namespace) -> None:
    """`import FILE... --dataset D`: open a set that was made elsewhere."""
    from ddcore.data import dataset_task, resolve
    from ddcore.sets import imported
    from ddcore.sets.imported_spec import PIXELS, propose, require_fit, stated_method
    from ddcore.sets.importers.reading import read
    from ddcore.training.protocols import protocol

    files = [paths.typed(f) for f in options.files]
    names = [path.name for path in files]
    store = Store()
    data = resolve(options.dataset, resolution=options.resolution, grey=options.grey)
    given = _from_pictures(store, data, files, options.order) or files
    report = read(list(zip(names, given)), options.format or "", options.experiment)
    facts = follow.compute(store, dataset_task(data)).result()
    form = tuple(facts["shape"]), len(facts["class_names"])
    require_fit(report, *form, facts["label"])
    fields = ("scale", "labels", "tiles", "lr")
    choices = {n: getattr(options, n) for n in fields if getattr(options, n) is not None}
    if options.method:
        choices["method"] = stated_method(options.method)
    if options.protocol:
        choices["protocol"] = protocol(options.protocol)
    if options.arch or options.width or options.depth:
        choices["net"] = _made_with(options, *form)
    spec = propose(report, data, whiten=options.whiten or None, spread=facts["std"], **choices)
    task = imported.bring(store, spec, [_content(each) for each in given], names)
    answer = {
        "key": task.key,
        "state": "done",
        "format": report.importer.name,
        "dataset": data.name,
        "ipc": spec.ipc,
        "scale": spec.scale,
        "method": spec.method or "unknown",
        "files": names,
        "experiment": [spec.experiment, report.found.experiments],
        "notes": list(report.found.notes),
        "why": report.guess.why,
        "values": report.facts.values.sentence(),
        "warnings": report.facts.values.warnings() if report.guess.scale in PIXELS else [],
        "protocol": spec.protocol.name,
        "network": spec.net.label(),
        "alike": follow.watch(store, jobs.submit(store, [spec])[0]).result()["alike"],
    }
    console.output(options, answer, lambda: _print_import(report.importer.title, answer))


def _from_pictures(
    store: Store, data: DataSpec, files: Sequence[Path], order: str
) -> list[bytes] | None:
    """A file of images and labels instead of a sheet or a folder of pictures; None for other files."""
    from ddcore.data import dataset_task, load
    from ddcore.sets.importers import sheets

    pictures = [path for path in files if sheets.is_pictures(path.name, path)]
    if not pictures and order:
        raise SpecError("order", order, "nothing, since these files hold labels")
    if not pictures:
        return None
    if len(files) > 1:
        raise DDError(f"{len(files)} files were given: expected one sheet or folder of pictures.")
    follow.compute(store, dataset_task(data))
    dataset = load(store, data)
    found = sheets.read(files[0].name, files[0], dataset.shape)
    return [sheets.to_file(found, sheets.label(found, dataset, order))]


def _made_with(options: argparse.Namespace, shape: Shape, classes: int) -> NetSpec:
    """The network of `import --arch`, whose name may hold the width."""
    from ddcore.nets.architectures import NetSpec
    from ddcore.nets.words import network, parse

    arch, width = parse("arch", options.arch or "convnet")
    if width is None:
        return NetSpec(arch=arch, width=options.width, depth=options.depth)
    if options.width:
        raise SpecError("width", options.width, f"nothing beside arch = {options.arch}")
    depth = {"depth": options.depth} if options.depth else {}
    return network("arch", options.arch, shape, classes).replace(**depth)


def _content(path: Path | bytes) -> bytes:
    if isinstance(path, bytes):
        return path
    try:
        return path.read_bytes()
    except OSError as error:
        raise DDError(f"{path} cannot be read ({error.strerror or error}).") from error


def _print_import(title: str, answer: dict[str, Any]) -> None:
    made = f"method {answer['method']}, {answer['ipc']} per class of {answer['dataset']}"
    print(f"set {answer['key']}: {title}, {made}")
    which, count = answer["experiment"]
    if count > 1:
        print(f"experiment {which} of 0 to {count - 1} in the file; --experiment N opens another")
    for note in answer["notes"]:
        print(note)
    print(f"{answer['values']} {answer['why']} Taken as: {answer['scale']}.")
    for warning in answer["warnings"]:
        print(f"warning: {warning}")
    print(f"evaluate it: python -m ddcore evaluate {answer['key']} (protocol {answer['protocol']})")
