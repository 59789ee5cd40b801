"""What the bench asks the host: processes' memory and CPU, traces of a pod, facts of the machine."""

import ctypes
import os
import platform
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000
CLONE_NEWNS = 0x00020000
LIBC = ctypes.CDLL(None, use_errno=True)

# How much slower than a real machine this one is: what hangs is given that much more time, and who waits asks that
# much less often, so that asking takes no more of the machine than elsewhere.
SLOWER = float(os.environ.get("BENCH_SLOWER", "1"))


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def first_line(*command):
    lines = output(*command).splitlines()
    return lines[0] if lines else ""


def pss_kib(pid):
    """Proportional set size, as `grep ^Pss: /proc/PID/smaps_rollup` shows it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise RuntimeError(f"no Pss of process {pid}")


def cpu_seconds(pid):
    """Time on a CPU of all threads that a process has or had: its CPU clock.

    It is the sum of /proc/PID/task/*/schedstat, to which the kernel adds what threads that ended had used.
    """
    clock = (~pid << 3) | 2
    return time.clock_gettime_ns(clock) / 1e9


def is_alive(pid):
    """Whether a process is there, and not merely waiting to be reaped by the machine's init."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def processes(wanted):
    """Process ids whose argument list `wanted` accepts."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if wanted(arguments):
            found.append(int(entry.name))
    return found


def mount_points(needle):
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines if needle in line.split()[4]]


def cgroup_folders(needle):
    """Cgroup folders of every hierarchy whose path holds `needle`."""
    found = []
    for top, folders, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(top, name) for name in folders if needle in name]
    return found


def machine():
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "cgroup": "v2" if Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1",
        "virtual": subprocess.run(["systemd-detect-virt", "--vm"], capture_output=True, text=True).stdout.strip(),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def busy_share(seconds=5):
    """Share of all CPUs' time that other work takes, while the bench only waits."""
    def times():
        first = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        return sum(map(int, first)), int(first[3]) + int(first[4])

    whole, idle = times()
    time.sleep(seconds)
    whole, idle = (now - then for now, then in zip(times(), (whole, idle)))
    return 1 - idle / max(whole, 1)


def wait_until(what, seconds, ask, pause=0.001):
    """Asks until the answer is true; answers it."""
    deadline = time.monotonic() + seconds * SLOWER
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds * SLOWER} s")
        time.sleep(pause * SLOWER)


@contextmanager
def own_network():
    """All that is started meanwhile has a network of its own, with a way out that leads nowhere, and its `/sys`."""
    before = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("net", "mnt")]
    checked("unshare", LIBC.unshare(CLONE_NEWNET | CLONE_NEWNS))
    try:
        own_sysfs()
        for command in (
            "link set lo up",
            "link add up0 type veth peer name away0",
            "address add 192.0.2.1/24 dev up0",
            "link set up0 up",
            "link set away0 up",
            "route add default via 192.0.2.2",
        ):
            output("ip", *command.split())
        yield
    finally:
        folder = os.getcwd()
        for namespace, kind in zip(before, (CLONE_NEWNET, CLONE_NEWNS)):
            checked("setns", LIBC.setns(namespace, kind))
            os.close(namespace)
        os.chdir(folder)


def own_sysfs():
    """Puts the sysfs of this network in the place of the machine's, and what is mounted in that one into it.

    What tells of interfaces by `/sys` would tell of the machine's otherwise, as it would on no real node.
    """
    output("mount", "--make-rslave", "/")
    inner = [point for point in mount_points("/sys/") if point.startswith("/sys/")]
    aside = tempfile.mkdtemp(prefix="pinnace-bench-sys.")
    output("mount", "--rbind", "/sys", aside)
    output("mount", "--make-rprivate", aside)
    output("umount", "--recursive", "--lazy", "/sys")
    output("mount", "-t", "sysfs", "sysfs", "/sys")
    for point in inner:
        # What lies in another mount comes with it.
        if not any(point.startswith(f"{other}/") for other in inner):
            output("mount", "--rbind", aside + point.removeprefix("/sys"), point)
    output("umount", "--recursive", "--lazy", aside)
    os.rmdir(aside)


def checked(call, answer):
    if answer != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
