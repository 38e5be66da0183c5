"""Stands in for sbatch, squeue, scancel, scontrol, sinfo and sacct: a file of jobs, which tests may change.

What it is told is kept in `calls.txt`; with a file `run` there, jobs are really started, each as a group.
Elements of an array are jobs, as `squeue --array` shows them; all start at once.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HOME = Path(os.environ["FAKE_SLURM"])
JOBS, CALLS = HOME / "jobs.json", HOME / "calls.txt"


def main():
    name, words = Path(sys.argv[0]).name, sys.argv[1:]
    with open(CALLS, "a") as f:
        f.write(json.dumps([name, *words]) + "\n")
    if (HOME / f"hang.{name}").exists():
        time.sleep(60)
    if (HOME / f"refuse.{name}").exists():
        sys.exit((HOME / f"refuse.{name}").read_text())
    with open(HOME / "lock", "w") as lock:  # commands come at the same time, and tests change jobs
        fcntl.flock(lock, fcntl.LOCK_EX)
        jobs = json.loads(JOBS.read_text()) if JOBS.exists() else {}
        globals()[name](words, jobs)
        JOBS.write_text(json.dumps(jobs))


def sbatch(words, jobs):
    number = str(
        1000 + sum(json.loads(x)[0] == "sbatch" for x in CALLS.read_text().splitlines()) - 1
    )
    told = dict(word[2:].split("=", 1) for word in words if word.startswith("--") and "=" in word)
    wrapped = "--wrap" in words
    command = words[words.index("--wrap") + 1] if wrapped else sys.stdin.read()
    if "array" in told and (HOME / "refuse.arrays").exists():
        sys.exit("sbatch: error: Batch job submission failed: Invalid job array specification")
    for element in elements(told.get("array", "").partition("%")[0]):
        name = number if element is None else f"{number}_{element}"
        jobs[name] = {"state": "PENDING", "reason": "Resources", "start": "N/A", "node": ""}
        jobs[name] |= {"told": told, "command": command}
        if (HOME / "run").exists():
            start(name, jobs[name])
    print(number)


def elements(text):
    if not text:
        return [None]
    ranges = [part.split("-") for part in text.split(",")]
    return [i for ends in ranges for i in range(int(ends[0]), int(ends[-1]) + 1)]


def start(number, job):
    cores = {"SLURM_JOB_ID": number, "SLURM_CPUS_PER_TASK": job["told"]["cpus-per-task"]}
    if "_" in number:  # whose own id is another number
        array, _, element = number.partition("_")
        cores |= {"SLURM_ARRAY_JOB_ID": array, "SLURM_ARRAY_TASK_ID": element, "SLURM_JOB_ID": "77"}
    with open(job["told"]["output"], "ab") as log:
        process = subprocess.Popen(
            ["/bin/sh", "-c", job["command"]],
            env=os.environ | cores,
            cwd=job["told"]["chdir"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    job |= {"state": "RUNNING", "reason": "None", "node": "node7", "pid": process.pid}


def squeue(words, jobs):
    only = [w.split("=", 1)[1] for w in words if w.startswith("--jobs=")]
    for number, job in jobs.items():
        if number in (only or jobs):
            fields = (number, job["state"], job["reason"], job["start"], job["node"])
            print("|".join(fields))


def scancel(words, jobs):
    for number in [word for word in words if not word.startswith("--")]:
        if "--signal=TERM" in words:
            os.kill(jobs[number]["pid"], signal.SIGTERM)
        else:
            jobs[number]["state"] = "CANCELLED"


def scontrol(words, jobs):
    jobs[words[-1]] |= {"state": "PENDING", "reason": "BeginTime"}


def sinfo(words, jobs):
    print("gpu|1-00:00:00|64000|32|gpu:4\nsmall*|2:00:00|8000|2|(null)")


def sacct(words, jobs):
    sys.exit("Slurm accounting storage is disabled")


main()
