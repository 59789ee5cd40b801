"""`podman kube play` of the same pod, in a storage of its own."""

import json
import os
import subprocess
import time
from pathlib import Path

import host
from node import IMAGE

GROUP = "libpod_parent"


def groups():
    """podman's cgroups, in every hierarchy."""
    tops = host.cgroup_folders(GROUP)
    return {folder for top in tops for folder, _, _ in os.walk(top)}


class Podman:
    def __init__(self, node, image, runtime):
        self.node = node
        self.folder = node.root / "podman"
        self.folder.mkdir()
        self.run_folder = node.run / "podman"
        self.groups = groups()
        self.environment = {**os.environ, "CONTAINERS_CONF": str(self.configure())}
        self.base = ["podman", "--root", self.folder, "--runroot", self.run_folder, "--runtime", runtime]
        self.call("load", "--input", image)
        self.manifest = self.folder / "pod.yaml"
        pod = node.pod("bench-podman")
        # So podman names what it loads without a registry's name.
        pod["spec"]["containers"][0]["image"] = f"localhost/{IMAGE}"
        self.manifest.write_text(json.dumps(pod))

    def configure(self):
        """Limits below every machine's own: podman's defaults are higher, which not every root may ask for."""
        path = self.folder / "containers.conf"
        path.write_text('[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n')
        return path

    def call(self, *arguments, check=True):
        done = subprocess.run([*self.base, *arguments], env=self.environment, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise RuntimeError(f"podman {arguments[0]}: {done.stderr}")

    def start(self):
        begun = time.monotonic()
        # Bridges are no part of the comparison.
        play = [*self.base, "kube", "play", "--network", "none", self.manifest]
        playing = subprocess.Popen(play, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            took = self.node.marks.wait(1, 30) - begun
        except RuntimeError:
            playing.kill()
            raise RuntimeError(f"podman kube play: {playing.stderr.read().decode()}") from None
        playing.wait()
        playing.stderr.close()
        self.call("pod", "rm", "--force", "--time", "0", "bench-podman", check=False)
        return took

    def close(self):
        self.call("pod", "rm", "--all", "--force", "--time", "0", check=False)
        self.call("system", "reset", "--force", check=False)
        # podman leaves a cgroup of each pod behind.
        for group in sorted(groups() - self.groups, key=len, reverse=True):
            Path(group).rmdir()
