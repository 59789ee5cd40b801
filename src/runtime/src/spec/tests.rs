use std::collections::BTreeMap;

use pinnace_api::testing;
use serde_json::json;

use super::*;

fn host() -> Host {
    Host {
        domain: "cluster.local".to_owned(),
        capabilities: CapabilitySet((1 << 41) - 1),
        oom_score_adj: 0,
        unified_cgroups: false,
        swap_accounting: true,
        group_oom_kill: false,
        seccomp: SeccompHost {
            works: true,
            by_default: true,
            folder: PathBuf::new(),
        },
        masked_paths: vec!["/sys/devices/system/cpu/cpu0/thermal_throttle".to_owned()],
        architecture: "x86_64",
        hostname: "node".to_owned(),
    }
}

fn image() -> ImageDefaults {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
    ImageDefaults {
        entrypoint: words(&["/entry"]),
        cmd: words(&["default"]),
        env: words(&["A=image", "B=image", "PATH=/image"]),
        user: String::new(),
        working_dir: "/srv".to_owned(),
    }
}

fn limits() -> CgroupValues {
    CgroupValues {
        cpu_shares: Some(102),
        cpu_quota_us: Some(25_000),
        cpu_period_us: 100_000,
        memory_limit_bytes: Some(1 << 28),
        pids_limit: Some(50),
    }
}

fn build_with(host: &Host, change: impl FnOnce(&mut Pod)) -> Result<Built, SpecError> {
    let mut pod = testing::pod("p", json!({}));
    change(&mut pod);
    let (image, container) = (image(), &pod.spec.containers[0]);
    let invocation = Invocation {
        env: vec![("A".to_owned(), "pod".to_owned())],
        command: container.command.clone(),
        args: container.args.clone(),
    };
    let input = Input {
        pod: &pod,
        container,
        image: &image,
        invocation: &invocation,
        user: oci::User::default(),
        root_path: "/rootfs".to_owned(),
        files: &PodFiles::default(),
        volumes: &[],
        namespaces: &Namespaces {
            network: Some("/n".to_owned()),
            ipc: Some("/i".to_owned()),
            uts: None,
            pid: None,
        },
        cgroup_path: "/kubepods/podx/c".to_owned(),
        cgroup: limits(),
        oom_score_adj: -997,
        hostname: "p",
        annotations: BTreeMap::new(),
        seccomp: match container.security.privileged {
            true => seccomp::Filter::None,
            false => seccomp::Filter::Default,
        },
        devices: Vec::new(),
    };
    build(host, input)
}

fn built(change: impl FnOnce(&mut Pod)) -> oci::Spec {
    build_with(&host(), change).expect("a specification").spec
}

#[test]
fn command_and_args_replace_what_kubernetes_says_they_replace() {
    let words = |command: &[&str], args: &[&str]| {
        let own = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (command, args) = (own(command), own(args));
        built(|pod| {
            pod.spec.containers[0].command = command;
            pod.spec.containers[0].args = args;
        })
        .process
        .args
    };
    assert_eq!(words(&[], &[]), ["/entry", "default"]);
    assert_eq!(words(&[], &["x"]), ["/entry", "x"]);
    assert_eq!(words(&["run"], &[]), ["run"]);
    assert_eq!(words(&["run"], &["x"]), ["run", "x"]);
}

#[test]
fn later_variables_take_the_place_of_earlier_ones() {
    let process = built(|_| {}).process;
    assert_eq!(process.env, ["PATH=/image", "HOSTNAME=p", "A=pod", "B=image"]);
    assert_eq!(process.cwd, "/srv");
    assert_eq!(
        built(|pod| pod.spec.containers[0].working_dir = Some("/w".to_owned()))
            .process
            .cwd,
        "/w"
    );
}

#[test]
fn an_image_without_a_command_needs_one_from_the_pod() {
    let nothing = process::args(&Invocation::default(), &ImageDefaults::default());
    assert!(matches!(nothing, Err(SpecError::NoCommand)));
}

#[test]
fn limits_become_the_kernels_values_on_cgroup_v1() {
    let resources = built(|_| {}).linux.resources;
    let cpu = resources.cpu.expect("cpu");
    assert_eq!(
        (cpu.shares, cpu.quota, cpu.period),
        (Some(102), Some(25_000), Some(100_000))
    );
    let memory = resources.memory.expect("memory");
    assert_eq!((memory.limit, memory.swap), (Some(1 << 28), Some(1 << 28)));
    assert_eq!(resources.pids.expect("pids").limit, 50);
    assert!(resources.unified.is_empty());
}

#[test]
fn on_cgroup_v2_the_weight_is_ours_and_a_container_out_of_memory_ends_as_one() {
    let host = Host {
        unified_cgroups: true,
        group_oom_kill: true,
        ..host()
    };
    let linux = build_with(&host, |_| {}).expect("a specification").spec.linux;
    assert_eq!(linux.resources.cpu.expect("cpu").shares, None);
    assert_eq!(
        linux.resources.unified["cpu.weight"],
        limits().cpu_weight().expect("a weight").to_string()
    );
    assert_eq!(linux.resources.unified["memory.oom.group"], "1");
    assert!(
        linux
            .namespaces
            .iter()
            .any(|namespace| namespace.kind == "cgroup")
    );
}

#[test]
fn the_hosts_namespaces_are_not_named() {
    let kinds = |spec: oci::Spec| {
        spec.linux
            .namespaces
            .into_iter()
            .map(|ns| (ns.kind, ns.path))
            .collect::<BTreeMap<_, _>>()
    };
    let own = kinds(built(|_| {}));
    assert_eq!(own["network"].as_deref(), Some("/n"));
    assert_eq!(own["pid"], None);
    assert!(own.contains_key("mount") && !own.contains_key("uts"));
    assert!(!kinds(built(|pod| pod.spec.host_pid = true)).contains_key("pid"));
}

#[test]
fn a_privileged_container_has_no_masks_and_no_filter() {
    let spec = built(|pod| pod.spec.containers[0].security.privileged = true);
    assert!(spec.linux.masked_paths.is_empty() && spec.linux.readonly_paths.is_empty());
    assert!(spec.linux.seccomp.is_none());
    assert!(spec.linux.resources.devices[0].allow);
    assert_eq!(spec.process.capabilities.bounding.len(), 41);
    let plain = built(|_| {});
    assert!(plain.linux.masked_paths.contains(&"/proc/kcore".to_owned()));
    assert!(
        plain
            .linux
            .masked_paths
            .iter()
            .any(|path| path.ends_with("thermal_throttle"))
    );
    assert!(plain.linux.seccomp.is_some() && !plain.linux.resources.devices[0].allow);
}

#[test]
fn without_the_capability_the_oom_score_is_clamped_and_said_so() {
    assert_eq!(built(|_| {}).process.oom_score_adj, Some(-997));
    let host = Host {
        capabilities: CapabilitySet(((1 << 41) - 1) & !(1 << 24)),
        ..host()
    };
    let clamped = build_with(&host, |_| {}).expect("a specification");
    assert_eq!(clamped.spec.process.oom_score_adj, Some(0));
    assert_eq!(clamped.cannot_set.len(), 1);
    assert!(clamped.cannot_set[0].contains("-997"));
}

#[test]
fn the_document_has_the_field_names_of_the_oci_specification() {
    let spec = built(|pod| {
        let security = &mut pod.spec.containers[0].security;
        security.no_new_privileges = true;
        security.read_only_root_filesystem = true;
    });
    let json = serde_json::to_value(&spec).expect("json");
    assert_eq!(json["ociVersion"], "1.0.2");
    assert_eq!(json["process"]["noNewPrivileges"], true);
    assert_eq!(json["root"]["readonly"], true);
    assert_eq!(json["linux"]["cgroupsPath"], "/kubepods/podx/c");
    assert_eq!(json["linux"]["seccomp"]["defaultAction"], "SCMP_ACT_ERRNO");
    assert_eq!(json["mounts"][0]["type"], "proc");
}
