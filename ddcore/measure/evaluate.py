"""A run beside its baselines, in one or several architectures."""

from __future__ import annotations

from typing import Any

from ddcore.measure.spec import BEFORE, LABELLED, WHOLE, AccuracyTask, BaselineTask, EvaluateTask
from ddcore.nets.architectures import NetSpec
from ddcore.pools.bank_spec import Start
from ddcore.tasks.worker import Context

RANDOM_DRAWS = 10


def baseline_task(name: str, run: Any, nets: int, seed: int = 0) -> BaselineTask:
    """The baseline of the size of a run's set."""
    judged = name in ("herding", "kcenter", "optimised_random", LABELLED)
    many = max(nets, RANDOM_DRAWS)  # the same draws, whoever labels them
    draws = {"random": many, LABELLED: many, "optimised_random": RANDOM_DRAWS}.get(name, 1)
    return BaselineTask(
        name=name,
        data=run.data,
        ipc=run.ipc,
        seed=seed,
        draws=draws,
        net=run.net if judged else None,
    )


def run_evaluate(context: Context) -> None:
    """Task `evaluate`: accuracies of a run and its baselines, one row per subject and architecture."""
    spec: EvaluateTask = context.spec
    run = context.need_key(spec.run_key).spec()
    ordered, closed_form = spec.protocol.ordered, spec.protocol.closed_form
    known_init = ordered and getattr(run.params, "setting", "") == "fixed"
    start = run.start if ordered else Start()  # other protocols start afresh
    rows: list[dict[str, Any]] = []
    jobs: list[tuple[str, NetSpec, dict[str, Any]]] = []
    for net in spec.archs:
        jobs.append(("distilled", net, {"subject": spec.run_key}))
        special = bool(start.bank) or (start.known and net == run.net)
        if special:
            jobs.append((BEFORE, net, {"subject": BEFORE, "like": spec.run_key}))
        # Fresh networks have nothing to attack.
        if (known_init and net == run.net) or (special and not run.params.relabel):
            jobs.append(("other_inits", net, {"subject": spec.run_key, "fresh": True}))
        for name in spec.baselines:
            if name == WHOLE:
                kernel = {"like": spec.run_key} if closed_form else {}
                jobs.append((WHOLE, net, {"subject": WHOLE, **kernel}))
                continue
            baseline = baseline_task(name, run, spec.nets, spec.seed)
            like = {"like": spec.run_key} if ordered or closed_form else {}
            jobs.append((name, net, {"subject": baseline, **like}))
    for index, (name, net, fields) in enumerate(jobs):
        context.progress(index, len(jobs), message=f"{name} in {net.label()}")
        if isinstance(fields["subject"], BaselineTask):
            fields = {**fields, "subject": context.need(fields["subject"]).key}
        task = context.need(
            AccuracyTask(
                data=run.data,
                net=net,
                protocol=spec.protocol,
                nets=spec.nets,
                seed=spec.seed,
                **fields,
            )
        )
        result = task.result()
        kept = ("mean", "std", "n", "accuracies", "losses", "step_size", "ridge", "attack")
        rows.append(
            {
                "subject": name,
                "arch": result.get("learner") or net.label(),
                "net": net.to_dict(),
                "key": task.key,
                "seconds": task.status().get("seconds"),
                **{k: result[k] for k in kept if k in result},
            }
        )
    context.progress(len(jobs), len(jobs))
    context.save_result({"rows": rows, "protocol": spec.protocol.to_dict()})
