//! What containers hold of the disk, beside what their cgroups say.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use pinnace_metrics::encode::Encoder;
use pinnace_metrics::{ContainerCollector, ContainerDisk, ContainerTarget, TargetSource};
use pinnace_sys::cgroup::Cgroups;
use pinnace_sys::mount::parse_mount_table;

struct OneContainer;

impl TargetSource for OneContainer {
    fn targets(&self) -> Vec<ContainerTarget> {
        let pod = "kubepods/burstable/pod8a7f3c0e-0001-4c4b-9d6e-1f2e3d4c5b6a";
        let target = |container: &str, name: &str, cgroup: String| ContainerTarget {
            namespace: "default".into(),
            pod: "web".into(),
            container: container.into(),
            image: String::new(),
            name: name.into(),
            cgroup,
            started_at: None,
            earlier_oom_kills: 0,
        };
        vec![
            target("nginx", "3f1c0b7d9a52", format!("{pod}/3f1c0b7d9a52")),
            target("", "", pod.into()),
        ]
    }

    fn disks(&self) -> HashMap<String, ContainerDisk> {
        let disk = ContainerDisk {
            device: "/dev/vda1".into(),
            usage_bytes: 40_960,
            limit_bytes: 1 << 40,
            inodes: 7,
        };
        let of = |id: &str| (id.to_owned(), disk.clone());
        [of("3f1c0b7d9a52"), of("ended")].into()
    }
}

#[test]
fn only_measured_containers_that_run_have_disk_families() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/cgroup-v2");
    let table = std::fs::read(root.join("proc/self/mountinfo")).unwrap();
    let cgroups = Cgroups::from_mounts(&parse_mount_table(&table), &root).unwrap();
    let mut out = Encoder::default();
    ContainerCollector::new(cgroups, Arc::new(OneContainer)).collect(None, &mut out);
    let text = String::from_utf8(out.finish()).unwrap();
    let samples: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("container_fs_"))
        .collect();
    let id = "/kubepods/burstable/pod8a7f3c0e-0001-4c4b-9d6e-1f2e3d4c5b6a/3f1c0b7d9a52";
    let series = |family: &str, value: u64| {
        format!(
            "{family}{{container=\"nginx\",id=\"{id}\",image=\"\",name=\"3f1c0b7d9a52\",namespace=\"default\",\
             pod=\"web\",device=\"/dev/vda1\"}} {value}"
        )
    };
    assert_eq!(
        samples,
        [
            series("container_fs_inodes_total", 7),
            series("container_fs_limit_bytes", 1 << 40),
            series("container_fs_usage_bytes", 40_960),
        ]
    );
}
