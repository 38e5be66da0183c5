"""A run beside its baselines, in one or several architectures."""

from __future__ import annotations

from typing import Any

from ddcore.measure.spec import (
    BEFORE,
    CORESETS,
    LABELLED,
    WHOLE,
    AccuracyTask,
    BaselineTask,
    EvaluateTask,
    MeasuredRun,
    run_of,
)
from ddcore.nets.architectures import NetSpec
from ddcore.sets.distilled import DistilledSet
from ddcore.sets.use import Use
from ddcore.tasks import fanout
from ddcore.tasks.worker import Context

RANDOM_DRAWS = 10


def baseline_task(name: str, run: MeasuredRun, nets: int, seed: int = 0) -> BaselineTask:
    """The baseline of the size of a run's set."""
    judged = name in ("herding", "kcenter", "optimised_random", *CORESETS, LABELLED)
    many = max(nets, RANDOM_DRAWS)  # the same draws, whoever labels them
    draws = {"random": many, LABELLED: many, "optimised_random": RANDOM_DRAWS}.get(name, 1)
    return BaselineTask(
        name=name,
        data=run.data,
        ipc=run.ipc,
        seed=seed,
        draws=draws,
        net=run.net if judged else None,
        teacher=getattr(getattr(run, "params", None), "teaches", "") if name == LABELLED else "",
    )


_Job = tuple[str, NetSpec, dict[str, Any]]


def _jobs(spec: EvaluateTask, run: MeasuredRun, made: DistilledSet) -> list[_Job]:
    """Name, architecture and fields of every accuracy, the set's own first."""
    ordered, closed_form = spec.protocol.ordered, spec.protocol.closed_form
    jobs: list[_Job] = []
    for net in spec.archs:
        use = Use(made, spec.protocol, net)
        jobs.append(("distilled", net, {"subject": spec.run_key, "labels": spec.labels}))
        if use.pretrained:
            jobs.append((BEFORE, net, {"subject": BEFORE, "like": spec.run_key}))
        # Fresh networks have nothing to attack.
        if use.fixed or (use.pretrained and not made.relabel):
            jobs.append(("other_inits", net, {"subject": spec.run_key, "fresh": True}))
        for name in spec.baselines:
            if name == WHOLE:
                kernel = {"like": spec.run_key} if closed_form else {}
                jobs.append((WHOLE, net, {"subject": WHOLE, **kernel}))
                continue
            baseline = baseline_task(name, run, spec.nets, spec.seed)
            like = {"like": spec.run_key} if ordered or closed_form else {}
            jobs.append((name, net, {"subject": baseline, "labels": spec.labels, **like}))
    return jobs


def _accuracy(
    context: Context[EvaluateTask],
    run: MeasuredRun,
    name: str,
    net: NetSpec,
    fields: dict[str, Any],
) -> AccuracyTask:
    """What is asked; a baseline is made now."""
    spec = context.spec
    if isinstance(fields["subject"], BaselineTask):
        fields = {**fields, "subject": context.need(fields["subject"]).key}
    return AccuracyTask(
        data=run.data,
        net=net,
        protocol=spec.protocol,
        nets=spec.nets,
        seed=spec.seed,
        best_every=0 if name == WHOLE else spec.best_every,
        **fields,
    )


def run_evaluate(context: Context[EvaluateTask]) -> None:
    """Task `evaluate`: accuracies of a run and its baselines, one row per subject and architecture."""
    spec = context.spec
    task = context.need_key(spec.run_key)
    run, made = run_of(task), DistilledSet.from_task(task)
    rows: list[dict[str, Any]] = []
    jobs = _jobs(spec, run, made)
    asked = [_accuracy(context, run, *job) for job in jobs]
    if (devices := fanout.wanted(context)) > 1:
        context.progress(0, len(jobs), message=f"shared by {devices} devices")
        fanout.shared(context, asked, devices)
    for index, ((name, net, _), accuracy) in enumerate(zip(jobs, asked)):
        context.progress(index, len(jobs), message=f"{name} in {net.label()}")
        judged = context.need(accuracy)
        result = judged.result()
        kept = (
            "mean",
            "std",
            "n",
            "accuracies",
            "losses",
            "step_size",
            "ridge",
            "attack",
            "best_on_test",
        )
        rows.append(
            {
                "subject": name,
                "arch": result.get("learner") or net.label(),
                "net": net.to_dict(),
                "key": judged.key,
                "seconds": judged.status().get("seconds"),
                **{k: result[k] for k in kept if k in result},
            }
        )
    context.progress(len(jobs), len(jobs))
    context.save_result({"rows": rows, "protocol": spec.protocol.to_dict()})
