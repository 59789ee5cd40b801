"""Debian's node_exporter, taken out of its package and run beside the agent on loopback."""

import http.client
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import host
from node import free_port

# The agent's own, under the exporter's names.
COLLECTORS = (
    "conntrack cpu diskstats filefd filesystem loadavg meminfo netclass netdev netstat os pressure sockstat "
    "softnet stat time uname vmstat"
).split()


class Exporter:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(dir="/var/tmp", prefix="pinnace-bench.")
        place = self.folder.name
        download = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", "prometheus-node-exporter"]
        subprocess.run(download, cwd=place, check=True, stdout=subprocess.DEVNULL)
        package = next(Path(place).glob("*.deb"))
        subprocess.run(["dpkg-deb", "-x", package, place], check=True)
        self.version = host.output("dpkg-deb", "-f", str(package), "Version").strip()
        self.port = free_port()
        self.program = f"{place}/usr/bin/prometheus-node-exporter"
        self.process = None

    def start(self, same_collectors):
        chosen = [f"--collector.{name}" for name in COLLECTORS]
        chosen = ["--collector.disable-defaults", *chosen] if same_collectors else []
        command = [self.program, f"--web.listen-address=127.0.0.1:{self.port}", *chosen]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        host.wait_until("node_exporter", 10, lambda: answers(self.port), 0.02)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.folder.cleanup()


def answers(port):
    try:
        return get(port) > 0
    except OSError:
        return False


def get(port):
    """One scrape; its size."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/metrics", headers={"Accept": "text/plain"})
        return len(connection.getresponse().read())
    finally:
        connection.close()


def scrape(port, pid, times=60):
    """Median wall time and mean CPU time of a scrape, in seconds."""
    get(port)
    walls = []
    cpu = host.cpu_seconds(pid)
    for _ in range(times):
        begun = time.monotonic()
        get(port)
        walls.append(time.monotonic() - begun)
        # Apart from each other, as scrapes are.
        time.sleep(0.02)
    return median(walls), (host.cpu_seconds(pid) - cpu) / times
