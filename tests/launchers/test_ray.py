"""Ray's interface for jobs, by a small server that behaves like it."""

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ddcore.base.errors import DDError
from ddcore.tasks import elsewhere, jobs, launched, launchers
from ddcore.tasks.launchers import ray, watch
from ddcore.tasks.testing import SleepyTask

SPEC = SleepyTask(steps=2)


class Head(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/api/cluster_status":
            kinds = {"nodeTypes": [[{"CPU": 2.0, "memory": 1e10}, 3], [{"CPU": 8.0}, 1]]}
            return self.answer({"data": {"clusterStatus": {"loadMetricsReport": kinds}}})
        return self.answer([*self.server.jobs.values()])

    def do_POST(self):
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/stop"):
            name = self.path.split("/")[-2]
            self.server.jobs[name]["status"] = "STOPPED"
            return self.answer({"stopped": True})
        name = document["submission_id"]
        if self.server.starting:
            self.server.starting -= 1
            self.send_response(500)
            self.end_headers()
            self.wfile.write(b"Error\nNo available agent to submit job, please try again later.")
            return None
        if name in self.server.jobs or self.server.refuse:
            self.send_response(500)
            self.end_headers()
            self.wfile.write(f"Traceback\nValueError: {name} is used or refused".encode())
            return None
        self.server.jobs[name] = document | {"status": "PENDING", "message": "queued"}
        time.sleep(self.server.slow)
        return self.answer({"submission_id": name})

    def answer(self, value):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def head(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Head)
    server.jobs, server.refuse, server.slow, server.starting = {}, False, 0.0, 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DD_LAUNCHER", "ray")
    monkeypatch.setenv("DD_RAY", f"http://127.0.0.1:{server.server_port}/")
    for cache in (watch.of, launchers.named):
        cache.cache_clear()
    yield server
    server.shutdown()
    server.server_close()


def look():
    watched = watch.of("ray")
    watched.hurry()
    watched.listing()
    watched._asking.join()


def test_what_is_asked_and_what_is_understood(store, head, monkeypatch):
    monkeypatch.setenv("DD_THREADS", "2")
    head.jobs["raysubmit_1"] = {"submission_id": "raysubmit_1", "status": "RUNNING"}
    task = jobs.submit(store, [SPEC])[0]
    name = f"dd-{task.key}-1"
    asked = head.jobs[name]
    assert task.status()["job"] == name and asked["entrypoint"].endswith(f"work {task.folder}")
    assert (asked["entrypoint_num_cpus"], asked["entrypoint_num_gpus"]) == (2, 0)
    assert asked["entrypoint_memory"] == 10**10  # no node has the 16 GiB of what nobody knows
    variables = asked["runtime_env"]["env_vars"]
    assert variables["DD_CACHE"] == str(store.root) and "PATH" not in variables
    look()
    assert "free resources" in jobs.state(task)["message"]
    head.jobs[name] |= {
        "status": "RUNNING",
        "driver_agent_http_address": "http://10.0.0.7:52365",
        "driver_info": None,
    }
    look()
    assert elsewhere.place_text(jobs.state(task)) == f"ray {name} on 10.0.0.7"
    jobs.cancel(task)
    look()
    assert jobs.wait(task, timeout_s=5)["state"] == "cancelled"
    monkeypatch.setenv("DD_DEVICE", "cuda")
    jobs.submit(store, [SPEC])  # a used name is refused, so the next is taken
    assert head.jobs[f"dd-{task.key}-2"]["entrypoint_num_gpus"] == 1
    assert task.status()["job"] == f"dd-{task.key}-2"
    head.jobs[f"dd-{task.key}-2"] |= {"status": "FAILED", "message": "out of\n memory"}
    os.utime(task.folder / "status.json", (1, 1))
    look()
    assert "Ray says: out of memory" in jobs.state(task)["message"]


def test_silence_and_refusal_are_one_sentence(store, head, monkeypatch):
    head.refuse = True
    with pytest.raises(DDError, match=r"^Ray refused: ValueError: dd-\w+-1 is used or refused$"):
        jobs.submit(store, [SPEC])
    head.refuse = False
    task = jobs.submit(store, [SPEC])[0]
    monkeypatch.setenv("DD_RAY", "http://127.0.0.1:1")
    os.utime(task.folder / "status.json", (1, 1))
    look()
    assert "Ray does not answer" in jobs.state(task)["message"]
    assert jobs.state(task)["state"] == "queued"


def test_a_head_that_is_slow_to_answer_has_taken_the_job_once(store, head, monkeypatch):
    monkeypatch.setattr(ray, "SUBMIT_LIMIT_S", 0.3)
    head.slow = 1.0
    task = jobs.submit(store, [SPEC])[0]
    assert [*head.jobs] == [task.status()["job"]] == [f"dd-{task.key}-1"]


def test_a_head_that_is_starting_is_asked_again(store, head, monkeypatch):
    monkeypatch.setattr(ray, "AGAIN_S", 0.01)
    head.starting = 3
    task = jobs.submit(store, [SPEC])[0]
    assert [*head.jobs] == [task.status()["job"]] and head.starting == 0
    head.starting = 10**6
    monkeypatch.setattr(ray, "SUBMIT_LIMIT_S", 0.05)
    with pytest.raises(DDError, match="try again later"):
        jobs.submit(store, [SleepyTask(steps=3)])


def test_what_the_largest_node_has_is_the_most_that_is_asked_for(head, monkeypatch):
    assert ray.Ray()._largest() == {"CPU": 8.0, "memory": 1e10}
    for answer in ([], {"data": None}, {"data": {"clusterStatus": {"loadMetricsReport": 3}}}):
        monkeypatch.setattr(ray.Ray, "_ask", lambda *_, found=answer: found)
        assert ray.Ray()._largest() == {}


def test_the_worker_knows_its_job(store, monkeypatch):
    monkeypatch.setenv("DD_LAUNCHED", "ray")
    monkeypatch.setenv("DD_RAY_JOB", "dd-x-1")
    monkeypatch.setenv("DD_RAY_CPUS", "3")
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    place = launched.Allocation("ray", store.create(SPEC))
    assert place.facts == {"launcher": "ray", "job": "dd-x-1"} and launched.threads() == 3
