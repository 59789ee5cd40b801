"""The measures on a virtual machine with cgroup v2 only, for an OCI runtime that this machine's own kernel cannot run.

The machine is that of the tests (tests/vm/vm): booted for the bench, given the programs and this folder, and gone
afterwards. Without hardware virtualisation it is emulated: its times say nothing, its ratios hold.
"""

import json
import os
import shutil
import subprocess
import sys

import host

NAME = "bench2"
MEMORY_MIB = 2048
# A hundred containers, each emulated, take a minute or two; the whole part takes some five.
BOOT_SECONDS = 180
MEASURE_SECONDS = 540
ROUNDS = 10
SLOWER = 10
# Beside more other work than this the emulated processors wait for real ones, at every step from one process to
# another: three runs under load differed by a factor of six.
MOST_BUSY = 0.2
NEEDED = ("qemu-system-x86_64", "qemu-img", "mmdebstrap", "mkfs.ext4", "ssh", "ssh-keygen")


class NoMachine(Exception):
    """Why there are no figures of a virtual machine."""


def measure(repository, programs, image, runtime):
    """What `run --part RUNTIME` shows on the machine, with the machine's facts."""
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        raise NoMachine(f"{', '.join(missing)} not installed (packaging/deps vm installs it)")
    # What the measures before have left behind them is over within a minute.
    shares = (host.busy_share() for _ in range(12))
    busy = next((share for share in shares if share <= MOST_BUSY), None)
    if busy is None:
        raise NoMachine(f"more than {100 * MOST_BUSY:.0f} % of this machine is busy with other work, so the ratios would not hold")
    vm = str(repository / "tests/vm/vm")
    call(vm, "down", NAME, seconds=60)
    try:
        environment = {**os.environ, "VM_TIMEOUT": str(BOOT_SECONDS)}
        # Nothing of it is kept: a resumed machine is worth its disk to tests, which run often.
        call(vm, "up", NAME, "--cold", "--memory", str(MEMORY_MIB), seconds=2 * BOOT_SECONDS, env=environment)
        lay(vm, repository, programs, image)
        command = f"cd /srv/bench && TARGET=/srv BENCH_ROUNDS={ROUNDS} BENCH_SLOWER={SLOWER} packaging/bench/run --part {runtime}"
        return json.loads(call(vm, "ssh", NAME, command, seconds=MEASURE_SECONDS))
    finally:
        call(vm, "down", NAME, seconds=60)


def lay(vm, repository, programs, image):
    call(vm, "ssh", NAME, "mkdir -p /srv/bench/packaging /srv/release /srv/demo-images", seconds=60)
    call(vm, "put", NAME, str(repository / "packaging/bench"), "/srv/bench/packaging/", seconds=60)
    call(vm, "put", NAME, str(programs / "pinnace"), str(programs / "pinnace-shim"), "/srv/release/", seconds=120)
    call(vm, "put", NAME, str(image), "/srv/demo-images/", seconds=60)


def call(*command, seconds, env=None):
    """The output of a command on standard output; what it says beside is said here too."""
    try:
        done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sys.stderr,
                              text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise NoMachine(f"`{' '.join(command[1:4])}` took more than {seconds} s") from None
    if done.returncode != 0:
        raise NoMachine(f"`{' '.join(command[1:4])}` ended with status {done.returncode}")
    return done.stdout
