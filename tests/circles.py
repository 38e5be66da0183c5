"""A contract for import-linter: no file may come back to itself through imports, type-only ones included."""

from __future__ import annotations

import graphlib

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output
from importlinter.application import contract_utils


class NoCircles(Contract):
    """Kept if the files of the root packages can be put in a row in which each imports earlier ones only."""

    type_name = "no_circles"
    ignore_imports = fields.SetField(subfield=fields.ImportExpressionField(), required=False)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Of several circles one is told."""
        alerting = contract_utils.AlertLevel.ERROR
        warnings = contract_utils.remove_ignored_imports(graph, self.ignore_imports, alerting)
        order = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
        try:
            graphlib.TopologicalSorter(order).prepare()
        except graphlib.CycleError as error:
            return ContractCheck(
                kept=False, warnings=warnings, metadata={"circle": error.args[1][::-1]}
            )
        return ContractCheck(kept=True, warnings=warnings)

    def render_broken_contract(self, check: ContractCheck) -> None:
        """The files of the circle, each importing the next."""
        output.print_error(" -> ".join(check.metadata["circle"]))
