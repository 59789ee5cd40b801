"""The table of the measures, ratios first, and its place in docs/SPECIFICATION.md."""

from statistics import median

import host
import measures

BEGIN = "<!-- begin: written by `make bench` -->"
END = "<!-- end: written by `make bench` -->"
BEGIN_VIRTUAL = "<!-- begin: the virtual machine, written by `make bench` -->"
END_VIRTUAL = "<!-- end: the virtual machine, written by `make bench` -->"
HEAD = "| what | ratio or value | budget | met | measured | beside | shown by |"


def table(facts, results):
    rows = []
    for runtime in ("runc", "crun"):
        if runtime in results:
            rows += of_runtime(runtime, results[runtime])
    rows += of_node(results["runc"], results["sizes"])
    rows += of_network(*results["attach"], results["runc"]["ways"])
    return "\n".join([heading(facts, results), "", *of_rows(rows)])


def of_rows(rows):
    return [HEAD, "| --- " * 7 + "|", *("| " + " | ".join(row) + " |" for row in rows)]


def virtual_table(facts, measured):
    """Of the virtual machine: `measured` is what it answered, with its own facts, or why there is none."""
    if isinstance(measured, str):
        return f"{facts['date']}: no figures of a virtual machine: {measured}."
    theirs, found = measured["facts"], measured["found"]
    kind = "virtual machine" if theirs["virtual"] == "kvm" else "emulated machine: ratios count here, times do not"
    text = (
        f"{facts['date']}, {kind}; Linux {theirs['kernel']}, {theirs['cpus']} CPUs, cgroup {theirs['cgroup']}, "
        f"{found['version']}; the host's load before {facts['load']}, after {host.machine()['load']}. "
        "Medians, with what is compared run in turn."
    )
    place = "virtual" if theirs["virtual"] == "kvm" else "emulated"
    rows = [(f"{what} ({place})", *rest) for what, *rest in [*of_runtime("crun", found), *of_virtual(found)]]
    return "\n".join([text, "", *of_rows(rows)])


def of_virtual(found):
    """Memory does not depend on the machine's speed; what does has no verdict."""
    alone, adoption = median(found["alone"]), median(found["adoption"])
    share = 100 * (found["idle_agent"] + found["idle_shims"])
    return [
        *of_memory(found),
        ("CPU with 100 idle pods", f"{share:.3f} % of its core", "", "", "", "", "`host.cpu_seconds`"),
        ("agent killed to 100 pods adopted", f"{adoption / alone:.2f} × `crun run`", "", "", spread(found["adoption"]),
         milli(alone), "`measures.adoption`"),
    ]


def heading(facts, results):
    runtimes = ", ".join(results[name]["version"] for name in ("runc", "crun") if name in results)
    text = (
        f"{facts['date']}, Linux {facts['kernel']}, {facts['cpus']} CPUs, cgroup {facts['cgroup']}, {runtimes}, "
        f"node_exporter {results['runc']['exporter']}; load before {facts['load']}, after {facts['load_end']}. "
        "Medians, with what is compared run in turn."
    )
    if facts.get("no_crun"):
        text += f" crun is measured in a virtual machine only (below): {facts['no_crun']}."
    return text


def row(what, value, budget, met, measured, beside, shown):
    return (what, value, budget, "yes" if met else "**no**", measured, beside, shown)


def of_runtime(runtime, found):
    pod, alone, gone = median(found["pod"]), median(found["alone"]), median(found["removal"])
    pods = measures.PODS
    each = found["hundred"] / pods / alone
    rows = [
        row(f"pod start, {runtime}", f"{pod / alone:.2f} × `{runtime} run`", "2 ×", pod <= 2 * alone, spread(found["pod"]),
            spread(found["alone"]), "`measures.pod_start`, `oci.Bundle.start`"),
        row(f"{pods} pods from one write, {runtime}", f"{each:.2f} × {pods} × `{runtime} run`", "1 ×", each <= 1,
            f"{found['hundred']:.2f} s (last process begun at {found['hundred_marked']:.2f} s)",
            f"{pods} × {milli(alone)}", "`measures.hundred`"),
        row(f"pod removed to nothing left, {runtime}", f"{gone / alone:.2f} × `{runtime} run`", "3 ×", gone <= 3 * alone,
            spread(found["removal"]), milli(alone), "`measures.removal`"),
    ]
    if found["podman"]:
        play = median(found["podman"])
        rows.insert(1, row("pod start beside `podman kube play`", f"{pod / play:.2f} ×", "below 1 ×", pod < play,
                           milli(pod), spread(found["podman"]), "`podman.Podman.start`"))
    return rows


def of_memory(found):
    idle, hundred, shim = found["pss_idle"] / 1024, found["pss_hundred"] / 1024, found["pss_shim"] / 1024
    smaps = "`grep ^Pss: /proc/PID/smaps_rollup`"
    return [
        row("agent memory, idle", f"{idle:.1f} MiB", "12 MiB", idle <= 12, "PSS", "", smaps),
        row("agent memory, 100 pods", f"{hundred:.1f} MiB", "20 MiB", hundred <= 20, "PSS", "", smaps),
        row("supervisor of a pod", f"{shim:.2f} MiB", "0.6 MiB", shim <= 0.6,
            f"median PSS of {measures.PODS}; all {found['pss_shims'] / 1024:.1f} MiB", "", smaps),
    ]


def of_node(found, sizes):
    share = 100 * (found["idle_agent"] + found["idle_shims"])
    adoption = median(found["adoption"])
    (wall, cpu), (their_wall, their_cpu) = found["scrape"], found["scrape_same"]
    default_wall, default_cpu = found["scrape_default"]
    return [
        *of_memory(found),
        row("CPU with 100 idle pods", f"{share:.3f} % of a core", "0.2 %", share <= 0.2,
            f"agent {100 * found['idle_agent']:.3f} %, shims {100 * found['idle_shims']:.3f} % over 30 s", "",
            "`host.cpu_seconds` (`/proc/PID/task/*/schedstat`)"),
        row("scrape, time", f"{wall / their_wall:.2f} × node_exporter", "0.25 ×", wall <= their_wall / 4, milli(wall),
            f"{milli(their_wall)} (its defaults: {milli(default_wall)})", "`exporter.scrape`, same collectors"),
        row("scrape, CPU", f"{cpu / their_cpu:.2f} × node_exporter", "0.25 ×", cpu <= their_cpu / 4, milli(cpu),
            f"{milli(their_cpu)} (its defaults: {milli(default_cpu)})", "`exporter.scrape`, same collectors"),
        row("scrape with 100 pods", milli(found["scrape_hundred"][0]), "none", True,
            f"CPU {milli(found['scrape_hundred'][1])}", "", "`exporter.scrape`"),
        row("agent killed to 100 pods adopted", milli(adoption), "100 ms", adoption <= 0.1, spread(found["adoption"]), "",
            "`measures.adoption`"),
        row("programs, stripped", f"{sum(sizes):.1f} MiB", "15 MiB", sum(sizes) <= 15,
            f"agent {sizes[0]:.1f}, shim {sizes[1]:.1f}", "", "`ls -l target/release/pinnace*`"),
    ]


def of_network(ours, plugins, ways):
    """Attachment, and what arrives by each way; `ways` are tuples of bits a second, requests a second, latency."""
    rows = [
        row("pod's network attached", milli(median(ours)), "3 ms", median(ours) <= 0.003, spread(ours),
            f"CNI `bridge` and `portmap`: {spread(plugins)}", "`measures.attach` (`src/net/examples/attach.rs`)"),
    ]
    bits, rate, half = ({way: median(one[at] for one in found) for way, found in ways.items()} for at in range(3))
    for way, what in (("pods", "pod to pod"), ("service", "pod to Service")):
        rows += [
            row(f"throughput, {what}", f"{bits[way] / bits['pair']:.2f} × a plain veth pair", "none", True,
                f"{bits[way] / 1e9:.1f} Gbit/s", f"{bits['pair'] / 1e9:.1f} Gbit/s", "`network.throughput` (iperf3)"),
            row(f"HTTP, {what}", f"{rate[way] / rate['pair']:.2f} × a plain veth pair", "none", True,
                f"{rate[way]:.0f} a second, median {milli(half[way])}", f"{rate['pair']:.0f} a second, median {milli(half['pair'])}",
                "`network.requests` (wrk)"),
        ]
    return rows


def milli(seconds):
    return f"{1000 * seconds:.1f} ms"


def spread(times):
    return f"{milli(median(times))} ({milli(min(times))} to {milli(max(times))}, n={len(times)})"


def write(page, text, begin=BEGIN, end=END):
    """Replaces what stands between the markers."""
    before, rest = page.read_text().split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")
