"""The measures, one function each; all times in seconds."""

import json
import os
import signal
import time
from pathlib import Path
from statistics import median

import host

PODS = 100
CNI_PLUGINS = "/usr/lib/cni"


def pod_start(node, name="start"):
    """From the manifest's rename to the first instruction of the process; the pod is removed again."""
    begun = node.lay(name, [node.pod(name)])
    took = node.marks.wait(1, 30) - begun
    host.wait_until("the pod's status", 10, lambda: running_one(node, name), 0.02)
    node.take_away(name)
    host.wait_until("the pod's end", 30, lambda: not any(is_named(pod, name) for pod in node.pods()), 0.02)
    return took


def is_named(pod, name):
    return pod["metadata"]["name"] == name


def running_one(node, name):
    return any(is_named(pod, name) and pod["status"].get("phase") == "Running" for pod in node.pods())


def alternating(starters, rounds, rare=None, every=4):
    """Runs the starters in turn, after one unmeasured round; a rare one every few rounds."""
    took = [[] for _ in starters]
    seldom = []
    for starter in starters:
        starter()
    for turn in range(rounds):
        for starter, times in zip(starters, took):
            times.append(starter())
        if rare and turn % every == 0:
            seldom.append(rare())
    return took, seldom


def removal(node, name="removal"):
    """From the manifest's unlink to no process, mount, cgroup and folder of the pod."""
    node.lay(name, [node.pod(name)])
    node.marks.wait(1, 30)
    host.wait_until("the pod's status", 10, lambda: running_one(node, name), 0.02)
    uid = node.uid(name)
    groups = host.cgroup_folders(uid)
    folders = [*groups, str(node.run / "pinnace/pods" / uid), str(node.root / "var/lib/pinnace/writable" / uid)]
    processes = [int(line) for group in groups for line in tasks_below(group)]
    processes += host.processes(lambda args: "pinnace-shim" in args[0] and any(uid in arg for arg in args))
    if not groups or not processes:
        raise RuntimeError(f"of pod {uid} there are {len(groups)} cgroups and {len(processes)} processes")
    begun = node.take_away(name)
    host.wait_until("nothing left", 30, lambda: not any(map(os.path.exists, folders)), 0.0003)
    host.wait_until("no process left", 30, lambda: not any(map(host.is_alive, processes)), 0.0003)
    host.wait_until("no mount left", 30, lambda: not host.mount_points(uid), 0.0003)
    return time.monotonic() - begun


def tasks_below(group):
    return [line for file in Path(group).rglob("cgroup.procs") for line in file.read_text().split()]


def hundred(node):
    """From one write of 100 pods to all running, by their own marks and as the agent's metrics say."""
    node.wait_for_none()
    begun = node.lay("hundred", [node.pod(f"idle-{number}") for number in range(PODS)])
    marked = node.marks.wait(PODS, 120) - begun
    host.wait_until("100 running", 60, lambda: node.running() >= PODS, 0.02)
    return marked, time.monotonic() - begun


def shim_memory_kib(node):
    """Median of the shims' PSS, and the sum of all."""
    each = [host.pss_kib(pid) for pid in node.shims()]
    return median(each), sum(each)


def idle_cpu(node, seconds=30):
    """Share of one core that the agent and all shims take with idle pods."""
    pids = [node.agent.pid, *node.shims()]
    before = {pid: host.cpu_seconds(pid) for pid in pids}
    begun = time.monotonic()
    time.sleep(seconds)
    spent = {pid: host.cpu_seconds(pid) - before[pid] for pid in pids}
    wall = time.monotonic() - begun
    agent = spent.pop(node.agent.pid)
    return agent / wall, sum(spent.values()) / wall


def adoption(node):
    """From the start of an agent whose predecessor was killed to /readyz answering 200."""
    before = sorted(node.shims())
    node.kill(signal.SIGKILL)
    took = node.start()
    if sorted(node.shims()) != before:
        raise RuntimeError("other shims than before")
    return took


def attach(programs, rounds):
    """Seconds that the network of a pod with a host port takes, by pinnace and by CNI plugins, in turn."""
    took = json.loads(host.output(str(programs / "examples/attach"), str(rounds), CNI_PLUGINS))
    return took["pinnace"], took["cni"]


def sizes_mib(programs):
    return [Path(programs, name).stat().st_size / 2**20 for name in ("pinnace", "pinnace-shim")]
