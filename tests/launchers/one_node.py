"""A Slurm of one node in a folder, with its own munge, ports and sockets: one beside it is left alone."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

# As little as a node in a container can do: no cgroups, no accounts, no systemd.
CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
AuthInfo=socket={home}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmctldPidFile={home}/slurmctld.pid
SlurmdPidFile={home}/slurmd.pid
SlurmdSpoolDir={home}/spool
StateSaveLocation={home}/state
SlurmctldLogFile={home}/slurmctld.log
SlurmdLogFile={home}/slurmd.log
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=2,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
KillWait=15
MinJobAge=600
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=4000
PartitionName=low Nodes={host} Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=high Nodes={host} State=UP PriorityTier=10 PreemptMode=OFF
"""
NEEDED = ("sbatch", "slurmctld", "slurmd", "munged")


def lacking():
    """Why it cannot be started here; "" if it can."""
    missing = [name for name in NEEDED if not shutil.which(name, path=_path())]
    if missing:
        return f"{missing[0]} is not installed"
    return "" if os.geteuid() == 0 and (os.cpu_count() or 1) >= 2 else "needs root and two cores"


def _path():
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"])


class OneNode:
    def __init__(self, home):
        self.home, self.processes = home, []
        host = socket.gethostname().partition(".")[0]
        (home / "slurm.conf").write_text(
            CONFIGURATION.format(host=host, home=home, ports=[_free(), _free()])
        )
        self.variables = {"SLURM_CONF": str(home / "slurm.conf"), "PATH": _path()}
        (home / "munge.key").write_bytes(secrets.token_bytes(128))
        (home / "munge.key").chmod(0o400)

    def start(self):
        home, configuration = self.home, str(self.home / "slurm.conf")
        munge = [
            f"--{name}={home}/munge.{name.partition('-')[0]}" for name in ("socket", "key-file")
        ]
        munge += [
            f"--{name}={home}/munged.{name}" for name in ("pid-file", "log-file", "seed-file")
        ]
        self._spawn("munged", "--foreground", "--force", *munge)
        while not (home / "munge.socket").exists():
            time.sleep(0.05)
        self._spawn("slurmctld", "-D", "-f", configuration)
        self._spawn("slurmd", "-D", "-f", configuration)
        end = time.monotonic() + 30
        while "idle" not in self.ask("sinfo", "--noheader", "--format=%t", check=False):
            assert time.monotonic() < end, (home / "slurmctld.log").read_text()[-2000:]
            time.sleep(0.2)
        return self

    def _spawn(self, *words):
        with open(self.home / f"{words[0]}.out", "ab") as out:
            self.processes.append(
                subprocess.Popen(
                    words, env=os.environ | self.variables, stdout=out, stderr=out, cwd=self.home
                )
            )

    def ask(self, *words, check=True):
        done = subprocess.run(
            words, env=os.environ | self.variables, capture_output=True, text=True, check=check
        )
        return done.stdout

    def crash(self, worker):
        """The node dies, with the worker of that process id and what watches over it."""
        keeper = int(Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
        daemon = self.processes.pop()
        daemon.kill()
        daemon.wait()
        for process in (keeper, worker):
            os.kill(process, signal.SIGKILL)

    def boot(self):
        self._spawn("slurmd", "-D", "-f", str(self.home / "slurm.conf"))

    def stop(self):
        self.ask("scancel", "--signal=KILL", "--full", "--state=RUNNING", check=False)
        self.ask("scancel", "--user=root", check=False)
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _free():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
