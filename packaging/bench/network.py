"""What the network carries between two pods and through a Service, beside a plain veth pair of the same machine."""

import json
import os
import subprocess
import time
from contextlib import contextmanager

import host
import measures

SECONDS = 3
ROUNDS = 3
HTTP_PORT, IPERF_PORT = 8080, 5201
PAGE = "/bench.html"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "bench"},
    "spec": {
        "selector": {"app": "bench-server"},
        "ports": [
            {"name": "http", "port": 80, "targetPort": HTTP_PORT},
            {"name": "iperf", "port": 81, "targetPort": IPERF_PORT},
        ],
    },
}


class Ways:
    """From one namespace to the same servers in another: three ways, by name, with their ports."""

    def __init__(self, node):
        self.node = node
        self.servers = []

    def measure(self):
        """Bits a second by iperf3 and requests a second and their latency by wrk, of each way, run in turn."""
        found = {"pair": [], "pods": [], "service": []}
        with self.pods() as (clients, server, address, cluster), plain_pair() as (near, far, far_address):
            for place in (server, far):
                self.serve(place)
            ways = {
                "pair": (near, far_address, HTTP_PORT, IPERF_PORT),
                "pods": (clients[0], address, HTTP_PORT, IPERF_PORT),
                # Another client: its connections never meet those that the first has made to the same server.
                "service": (clients[1], cluster, 80, 81),
            }
            try:
                for _ in range(ROUNDS):
                    for name, (place, to, http, iperf) in ways.items():
                        found[name].append((throughput(place, to, iperf), *requests(place, to, http)))
            finally:
                self.stop()
        return found

    @contextmanager
    def pods(self):
        pods = [self.node.pod(f"bench-{name}") for name in ("client", "other-client", "server")]
        pods[2]["metadata"]["labels"] = {"app": "bench-server"}
        self.node.lay("network", [*pods, SERVICE])
        self.node.marks.wait(len(pods), 30)
        host.wait_until("three pods", 30, lambda: self.node.running() >= len(pods), 0.02)
        try:
            *clients, server = (namespace_of(self.node, pod["metadata"]["name"]) for pod in pods)
            shown = self.node.pods()
            address = next(pod["status"]["podIP"] for pod in shown if pod["metadata"]["name"] == "bench-server")
            cluster = host.wait_until("the Service", 10, self.cluster_address, 0.02)
            yield clients, server, address, cluster
        finally:
            self.node.take_away("network")
            self.node.wait_for_none()

    def cluster_address(self):
        services = host.output(self.node.pinnace, "--root", str(self.node.root), "get", "services", "-o", "json")
        return next((one["spec"].get("clusterIP") for one in json.loads(services)["items"]), None)

    def serve(self, place):
        folder = self.node.root / "www"
        folder.mkdir(exist_ok=True)
        (folder / PAGE.lstrip("/")).write_text("x" * 256)
        for command in (
            ["busybox", "httpd", "-f", "-p", str(HTTP_PORT), "-h", str(folder)],
            ["iperf3", "--server", "--port", str(IPERF_PORT)],
        ):
            self.servers.append(subprocess.Popen(within(place, command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(0.5 * host.SLOWER)

    def stop(self):
        for server in self.servers:
            server.terminate()
            server.wait()


def namespace_of(node, name):
    """Entered by a process of the pod's: the first of its container."""
    groups = host.cgroup_folders(node.uid(name))
    for group in groups:
        for line in measures.tasks_below(group):
            return f"/proc/{line}/ns/net"
    raise RuntimeError(f"pod {name} has no process")


def within(place, command):
    return ["nsenter", f"--net={place}", *command]


@contextmanager
def plain_pair():
    """Two namespaces joined by a veth pair, and nothing else."""
    holders = [subprocess.Popen(["unshare", "--net", "sleep", "100000"]) for _ in range(2)]
    places = [f"/proc/{holder.pid}/ns/net" for holder in holders]
    try:
        own = namespace("/proc/self/ns/net")
        host.wait_until("two namespaces", 10, lambda: own not in map(namespace, places))
        near, far = places
        host.output(*within(near, ["ip", "link", "add", "eth0", "type", "veth", "peer", "eth0", "netns", str(holders[1].pid)]))
        for place, address in ((near, "192.0.2.1/30"), (far, "192.0.2.2/30")):
            host.output(*within(place, ["ip", "address", "add", address, "dev", "eth0"]))
            host.output(*within(place, ["ip", "link", "set", "eth0", "up"]))
        yield near, far, "192.0.2.2"
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()


def namespace(path):
    return os.readlink(path)


def throughput(place, to, port):
    """Bits a second that arrived."""
    command = ["iperf3", "--client", to, "--port", str(port), "--time", str(SECONDS), "--json"]
    told = json.loads(host.output(*within(place, command)))
    return told["end"]["sum_received"]["bits_per_second"]


def requests(place, to, port):
    """Requests a second, and the median latency in seconds, of new connections."""
    url = f"http://{to}:{port}{PAGE}"
    command = ["wrk", "--threads", "1", "--connections", "4", "--duration", f"{SECONDS}s", "--latency", url]
    rate, half = None, None
    for line in host.output(*within(place, command)).splitlines():
        words = line.split()
        if words[:1] == ["50%"]:
            half = seconds(words[1])
        if words[:1] == ["Requests/sec:"]:
            rate = float(words[1])
    return rate, half


def seconds(text):
    for unit, factor in (("us", 1e-6), ("ms", 1e-3), ("s", 1)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise RuntimeError(f"no time: {text}")
