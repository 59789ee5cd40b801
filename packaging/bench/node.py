"""A node of the bench: the release build's agent under a root of its own."""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import host
from marks import COMMAND, Marks

IMAGE = "busybox:1.36"


class Node:
    def __init__(self, programs, image, runtime):
        self.pinnace = str(Path(programs) / "pinnace")
        self.runtime = runtime
        self.root = Path(tempfile.mkdtemp(prefix="pinnace-bench.", dir="/var/tmp"))
        self.agent = None
        self.port = free_port()
        self.manifests = self.root / "etc/pinnace/manifests"
        self.manifests.mkdir(parents=True)
        self.run = self.root / "run"
        self.run.mkdir()
        # As on any machine with systemd, /run is memory.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.run], check=True)
        bundles = self.root / "var/lib/pinnace/bundles"
        bundles.mkdir(parents=True)
        shutil.copy(image, bundles)
        self.configure()
        self.marks = Marks(self.root / "marks")

    def configure(self):
        text = f'nodeName: bench\nmaxPods: 200\nociRuntimes: ["{self.runtime}"]\n'
        (self.root / "etc/pinnace/config.yaml").write_text(text)

    def start(self):
        """Starts the agent; answers how long it took to be ready."""
        begun = time.monotonic()
        with open(self.root / "agent.log", "ab") as log:
            level = os.environ.get("BENCH_LOG", "info")
            listen = f"127.0.0.1:{self.port}"
            command = [self.pinnace, "--root", self.root, "agent", "--metrics-listen", listen, "--log-level", level]
            self.agent = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        host.wait_until("the agent's readiness", 30, self.is_ready)
        return time.monotonic() - begun

    def is_ready(self):
        if self.agent.poll() is not None:
            raise RuntimeError(f"the agent ended: {(self.root / 'agent.log').read_text()}")
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False

    def kill(self, number=signal.SIGKILL):
        self.agent.send_signal(number)
        self.agent.wait()
        self.agent = None

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30 * host.SLOWER)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def lay(self, name, pods):
        """Renames a manifest of these pods into the directory; answers the instant of it."""
        documents = "\n---\n".join(json.dumps(pod) for pod in pods)
        (self.manifests / ".new").write_text(documents)
        begun = time.monotonic()
        os.rename(self.manifests / ".new", self.manifests / f"{name}.yaml")
        return begun

    def take_away(self, name):
        begun = time.monotonic()
        os.unlink(self.manifests / f"{name}.yaml")
        return begun

    def pods(self):
        listed = host.output(self.pinnace, "--root", str(self.root), "get", "pods", "-o", "json")
        return json.loads(listed)["items"]

    def uid(self, name):
        return next(pod["metadata"]["uid"] for pod in self.pods() if pod["metadata"]["name"] == name)

    def running(self):
        """How many pods run, as the agent's metrics say."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith('pinnace_pods{phase="Running"}'):
                return int(float(line.split()[-1]))
        return 0

    def wait_for_none(self, seconds=60):
        host.wait_until("the end of all pods", seconds, lambda: not self.pods(), 0.05)

    def shims(self):
        root = str(self.root)
        return host.processes(lambda args: "pinnace-shim" in args[0] and any(root in arg for arg in args))

    def pod(self, name):
        """A pod of the measured process, which its removal gives no time."""
        mounts = [{"name": "marks", "mountPath": "/marks"}]
        container = {
            "name": "main",
            "image": IMAGE,
            "imagePullPolicy": "Never",
            "command": COMMAND,
            "volumeMounts": mounts,
        }
        volume = {"name": "marks", "hostPath": {"path": str(self.marks.folder), "type": "Directory"}}
        spec = {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": [volume]}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}

    def close(self):
        """Ends pods and agent, and removes all that the node made; answers what is left."""
        if self.agent is None:
            self.start()
        drain = [self.pinnace, "--root", self.root, "drain", "--all", "--grace-period", "0", "--timeout", f"{60 * host.SLOWER:.0f}s"]
        # The node's cgroups all lie in one folder, named by its root.
        uids = [pod["metadata"]["uid"] for pod in self.pods()[:1]]
        groups = [group for uid in uids for group in host.cgroup_folders(uid)]
        groups = {"/".join(group.split("/")[: group.split("/").index("kubepods")]) for group in groups}
        subprocess.run(drain, check=False, stdout=subprocess.DEVNULL)
        self.kill(signal.SIGTERM)
        self.marks.close()
        subprocess.run(["umount", self.run], check=False)
        left = host.mount_points(str(self.root)) + [f"process {pid}" for pid in self.shims()]
        left += [group for group in groups if os.path.exists(group)]
        if not left:
            shutil.rmtree(self.root)
        return left


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
