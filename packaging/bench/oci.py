"""What a pod's start is held against: the OCI runtime alone, run on an equal bundle."""

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import host


class Bundle:
    """A copy of a running pod's bundle: its specification, a root file system of the same layers."""

    def __init__(self, node, template):
        self.runtime = node.runtime
        self.marks = node.marks
        self.folder = node.root / "oci"
        self.state = node.run / "oci-state"
        for name in ("rootfs", "upper", "work"):
            (self.folder / name).mkdir(parents=True)
        self.group = f"pinnace-bench-{node.root.suffix[1:]}"
        self.state.mkdir()
        theirs = node.run / f"pinnace/pods/{node.uid(template)}/sandbox/c/main/0"
        spec = json.loads((theirs / "config.json").read_text())
        spec["root"]["path"] = "rootfs"
        # Its namespaces are new ones of the same kinds, its group is its own.
        spec["linux"]["cgroupsPath"] = f"/{self.group}/run"
        for namespace in spec["linux"]["namespaces"]:
            namespace.pop("path", None)
        spec.setdefault("hostname", "bench")
        (self.folder / "config.json").write_text(json.dumps(spec))
        self.mount(theirs / "rootfs")

    def mount(self, theirs):
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        line = next(line for line in lines if line.split()[4] == str(theirs))
        options = line.split(" - ")[1].split()[2].split(",")
        lower = [option.split("=", 1)[1] for option in options if option.startswith("lowerdir")]
        lower = ":".join(layer.strip(":") for layer in lower)
        options = f"lowerdir={lower},upperdir={self.folder}/upper,workdir={self.folder}/work"
        subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", self.folder / "rootfs"], check=True)

    def command(self, *arguments):
        return [self.runtime, "--root", self.state, *arguments]

    def start(self):
        """One `run`, removed again; seconds from its fork to the process's first instruction."""
        begun = time.monotonic()
        # Without --detach, as a person would run it.
        run = self.command("run", "--bundle", self.folder, "bench")
        running = subprocess.Popen(run, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            took = self.marks.wait(1, 20) - begun
        except RuntimeError:
            running.kill()
            raise RuntimeError(f"{self.runtime} run: {running.stderr.read().decode()}") from None
        # The process began before the runtime had noted its state.
        host.wait_until("the end of the run", 10, self.kill)
        running.wait()
        running.stderr.close()
        subprocess.run(self.command("delete", "--force", "bench"), check=False, stderr=subprocess.DEVNULL)
        return took

    def kill(self):
        killed = subprocess.run(self.command("kill", "bench", "KILL"), stderr=subprocess.DEVNULL, check=False)
        return killed.returncode == 0

    def close(self):
        subprocess.run(self.command("delete", "--force", "bench"), check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["umount", self.folder / "rootfs"], check=False)
        for group in host.cgroup_folders(self.group):
            remove_groups(Path(group))
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_groups(top):
    """Removes a cgroup folder with all below it."""
    if not top.is_dir():
        return
    for below in [path for path in top.iterdir() if path.is_dir()]:
        remove_groups(below)
    top.rmdir()


UNIFIED = Path("/sys/fs/cgroup/unified/cgroup.controllers")
HUGETLB = Path("/sys/fs/cgroup/hugetlb")


def refuses(runtime):
    """Why the runtime cannot be measured here, if so."""
    if shutil.which(runtime) is None:
        return f"{runtime} is not installed"
    if runtime == "crun" and UNIFIED.exists() and UNIFIED.read_text().strip():
        return f"version 2 holds {UNIFIED.read_text().strip()} beside version 1 (hybrid mode)"
    return None


@contextmanager
def hugetlb_in_version_1():
    """Where cgroup version 2 holds hugetlb alone beside version 1, it lies in version 1 meanwhile: crun refuses else.

    Version 2 has it back once no cgroup is left in its hierarchy.
    """
    if not (UNIFIED.exists() and UNIFIED.read_text().split() == ["hugetlb"]):
        yield
        return
    HUGETLB.mkdir()
    try:
        subprocess.run(["mount", "-t", "cgroup", "-o", "hugetlb", "cgroup", HUGETLB], check=True)
        try:
            yield
        finally:
            subprocess.run(["umount", HUGETLB], check=True)
    finally:
        HUGETLB.rmdir()
    host.wait_until("hugetlb, back in version 2", 10, lambda: UNIFIED.read_text().split() == ["hugetlb"], 0.05)
