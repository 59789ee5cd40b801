use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pinnace_api::pod::{
    HostPathType, MountPropagation, RecursiveReadOnly, SubPath, Volume, VolumeMount, VolumeSource,
};
use pinnace_api::testing::{self, name};
use pinnace_core::ports::Retry;
use pinnace_core::resources::{CgroupValues, QosClass};
use pinnace_sys::mount;
use serde_json::json;

use super::*;

struct Node {
    root: tempfile::TempDir,
    volumes: NodeVolumes,
}

impl Node {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let volumes = NodeVolumes::new(Layout::new(root.path().join("node")));
        Self { root, volumes }
    }
    /// A directory of the host, outside of the node's root.
    fn host(&self, name: &str) -> PathBuf {
        self.root.path().join("host").join(name)
    }
    fn empty_dir(&self, name: &str) -> PathBuf {
        self.volumes.layout.pod_volumes("uid-1").join(name)
    }
    /// All files, directories and mounts beneath the node's root.
    fn traces(&self) -> Vec<PathBuf> {
        let mut found = mount::mounts_beneath(self.root.path()).unwrap();
        let mut open = vec![self.volumes.layout.root().to_owned()];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                if entry.file_type().unwrap().is_dir() {
                    open.push(entry.path());
                }
                found.push(entry.path());
            }
        }
        found.sort();
        found
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = mount::unmount_beneath(self.root.path());
    }
}

fn uid() -> PodUid {
    PodUid::new("uid-1").unwrap()
}

fn volume(text: &str, source: VolumeSource) -> Volume {
    Volume {
        name: name(text),
        source,
    }
}

fn on_disk(text: &str) -> Volume {
    let source = VolumeSource::EmptyDir {
        memory: false,
        size_limit: None,
    };
    volume(text, source)
}

fn in_memory(text: &str, bytes: u64) -> Volume {
    let source = VolumeSource::EmptyDir {
        memory: true,
        size_limit: Some(Bytes(bytes)),
    };
    volume(text, source)
}

fn on_host(text: &str, path: &Path, kind: HostPathType) -> Volume {
    let path = path.to_str().unwrap().to_owned();
    volume(text, VolumeSource::HostPath { path, kind })
}

fn at(volume: &str, target: &str, sub_path: Option<&str>) -> VolumeMount {
    VolumeMount {
        volume: name(volume),
        mount_path: target.to_owned(),
        sub_path: sub_path.map(|path| SubPath::Plain(path.to_owned())),
        read_only: false,
        recursive_read_only: RecursiveReadOnly::Disabled,
        propagation: MountPropagation::Private,
    }
}

fn pod(volumes: Vec<Volume>, volume_mounts: Vec<VolumeMount>) -> PodContext {
    let mut pod = testing::pod("web", json!({}));
    pod.spec.volumes = volumes;
    pod.spec.containers[0].volume_mounts = volume_mounts;
    PodContext {
        uid: uid(),
        pod: Arc::new(pod),
        qos: QosClass::BestEffort,
        pod_cgroup: CgroupValues::default(),
    }
}

#[tokio::test]
async fn a_pods_volumes_come_and_go_and_the_hosts_own_stay() {
    let node = Node::new();
    let host = node.host("data");
    std::fs::create_dir_all(host.join("sub")).unwrap();
    std::fs::write(host.join("sub/file"), b"kept").unwrap();
    let wanted = pod(
        vec![
            on_disk("disk"),
            in_memory("memory", 1 << 20),
            on_host("host", &host, HostPathType::Directory),
        ],
        vec![
            at("disk", "/a/b", Some("made/here")),
            at("memory", "/a", None),
            at("host", "/host", Some("sub")),
        ],
    );
    let volumes = &node.volumes;
    assert_eq!(volumes.observe(&uid()).await.unwrap(), (false, false));
    for _ in 0..2 {
        volumes.prepare(&wanted, &Payloads::new()).await.unwrap();
        assert_eq!(volumes.observe(&uid()).await.unwrap(), (true, true));
    }
    assert_eq!(volumes.list().await.unwrap(), [uid()]);
    let mounts = volumes
        .mounts(&wanted, &name("main"), &[], &ImageVolumes::new())
        .await
        .unwrap();
    assert_eq!(
        volumes
            .mounts(&wanted, &name("main"), &[], &ImageVolumes::new())
            .await
            .unwrap(),
        mounts
    );
    let targets: Vec<&str> = mounts.iter().map(|mount| mount.target.as_str()).collect();
    assert_eq!(targets, ["/a", "/host", "/a/b"], "outer ones first");
    assert_eq!(mounts[0].source, node.empty_dir("memory"));
    assert_eq!(std::fs::read(mounts[1].source.join("file")).unwrap(), b"kept");
    std::fs::write(mounts[2].source.join("new"), vec![1; 8192]).unwrap();
    assert!(node.empty_dir("disk").join("made/here/new").exists());
    let usage = volumes.usage(&uid()).await.unwrap();
    assert!(usage[&name("disk")].0 >= 8192 && usage[&name("memory")].0 < 8192);
    for _ in 0..2 {
        volumes.remove(&uid()).await.unwrap();
        assert_eq!(volumes.observe(&uid()).await.unwrap(), (false, false));
    }
    assert!(volumes.list().await.unwrap().is_empty());
    assert_eq!(std::fs::read(host.join("sub/file")).unwrap(), b"kept");
    let layout = &volumes.layout;
    let kept = [layout.state().join("volumes"), layout.run().join("pods")];
    let left = node.traces();
    assert!(
        left.iter()
            .all(|path| kept.iter().any(|kept| kept.starts_with(path))),
        "{left:?}"
    );
}

#[tokio::test]
async fn memory_is_bounded_by_the_limit() {
    let node = Node::new();
    let wanted = pod(vec![in_memory("memory", 64 << 10)], Vec::new());
    node.volumes.prepare(&wanted, &Payloads::new()).await.unwrap();
    let error = std::fs::write(node.empty_dir("memory").join("f"), vec![1; 128 << 10]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert!(node.volumes.usage(&uid()).await.unwrap()[&name("memory")].0 <= 64 << 10);
    assert_eq!(node.volumes.held(&wanted).await.unwrap(), Bytes(0));
    node.volumes.remove(&uid()).await.unwrap();
    assert!(mount::mounts_beneath(node.root.path()).unwrap().is_empty());
}

#[tokio::test]
async fn a_volume_on_disk_past_its_limit_is_told_in_the_kubelets_words() {
    let node = Node::new();
    let source = VolumeSource::EmptyDir {
        memory: false,
        size_limit: Some(Bytes(64 << 10)),
    };
    let wanted = pod(vec![volume("scratch", source)], Vec::new());
    node.volumes.prepare(&wanted, &Payloads::new()).await.unwrap();
    assert_eq!(node.volumes.exceeded(&wanted).await.unwrap(), None);
    std::fs::write(node.empty_dir("scratch").join("f"), vec![1; 128 << 10]).unwrap();
    assert!((128 << 10..256 << 10).contains(&node.volumes.held(&wanted).await.unwrap().0));
    assert_eq!(
        node.volumes.exceeded(&wanted).await.unwrap().as_deref(),
        Some("Usage of EmptyDir volume \"scratch\" exceeds the limit \"64Ki\". ")
    );
    node.volumes.remove(&uid()).await.unwrap();
}

#[tokio::test]
async fn a_limit_of_nothing_is_none() {
    let node = Node::new();
    let source = VolumeSource::EmptyDir {
        memory: false,
        size_limit: Some(Bytes(0)),
    };
    let wanted = pod(vec![volume("scratch", source)], Vec::new());
    node.volumes.prepare(&wanted, &Payloads::new()).await.unwrap();
    std::fs::write(node.empty_dir("scratch").join("f"), vec![1; 128 << 10]).unwrap();
    assert_eq!(node.volumes.exceeded(&wanted).await.unwrap(), None);
    node.volumes.remove(&uid()).await.unwrap();
}

#[tokio::test]
async fn directories_nested_too_deep_to_be_counted_are_no_way_around_a_limit() {
    let node = Node::new();
    let limited = |name| {
        let source = VolumeSource::EmptyDir {
            memory: false,
            size_limit: Some(Bytes(1 << 30)),
        };
        volume(name, source)
    };
    let wanted = pod(vec![limited("honest"), limited("deep")], Vec::new());
    node.volumes.prepare(&wanted, &Payloads::new()).await.unwrap();
    let deep = PathBuf::from_iter(std::iter::repeat_n("d", 1000));
    std::fs::create_dir_all(node.empty_dir("deep").join(deep)).unwrap();
    let told = node.volumes.exceeded(&wanted).await.unwrap().unwrap();
    assert!(
        told.starts_with("Usage of EmptyDir volume \"deep\" cannot be held against the limit \"1Gi\": more"),
        "{told}"
    );
    node.volumes.remove(&uid()).await.unwrap();
}

#[tokio::test]
async fn a_pod_without_volumes_is_ready_too() {
    let node = Node::new();
    let wanted = pod(Vec::new(), Vec::new());
    node.volumes.prepare(&wanted, &Payloads::new()).await.unwrap();
    assert!(node.volumes.observe(&uid()).await.unwrap().0);
    assert!(
        node.volumes
            .mounts(&wanted, &name("main"), &[], &ImageVolumes::new())
            .await
            .unwrap()
            .is_empty()
    );
    node.volumes.remove(&uid()).await.unwrap();
    assert!(!node.volumes.layout.pod_run("uid-1").exists());
}

#[tokio::test]
async fn a_marker_of_another_boot_does_not_count() {
    let node = Node::new();
    let wanted = pod(vec![on_disk("disk")], Vec::new());
    node.volumes.prepare(&wanted, &Payloads::new()).await.unwrap();
    std::fs::write(node.empty_dir("disk").join("kept"), b"").unwrap();
    std::fs::write(
        node.volumes.layout.pod_run("uid-1").join("volumes-ready"),
        b"another",
    )
    .unwrap();
    assert_eq!(node.volumes.observe(&uid()).await.unwrap(), (false, true));
    node.volumes.prepare(&wanted, &Payloads::new()).await.unwrap();
    assert_eq!(node.volumes.observe(&uid()).await.unwrap(), (true, true));
    assert!(node.empty_dir("disk").join("kept").exists());
}

#[tokio::test]
async fn a_failed_check_is_worded_as_the_kubelet_words_it_and_readies_nothing() {
    let node = Node::new();
    let file = node.host("file");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, b"").unwrap();
    let wanted = pod(vec![on_host("conf", &file, HostPathType::Directory)], Vec::new());
    let error = node.volumes.prepare(&wanted, &Payloads::new()).await.unwrap_err();
    let expected = format!(
        "MountVolume.SetUp failed for volume \"conf\" : hostPath type check failed: {} is not a directory",
        file.display()
    );
    assert_eq!(error.chain(), expected);
    assert_eq!(
        (error.reason, error.retry),
        (FailureReason::FailedMount, Retry::Later)
    );
    assert!(!node.volumes.observe(&uid()).await.unwrap().0);
}

#[tokio::test]
async fn a_sub_path_that_leads_out_is_refused_in_the_kubelets_words() {
    let node = Node::new();
    let wanted = pod(vec![on_disk("data")], vec![at("data", "/data", Some("link"))]);
    node.volumes.prepare(&wanted, &Payloads::new()).await.unwrap();
    symlink("/etc", node.empty_dir("data").join("link")).unwrap();
    let error = node
        .volumes
        .mounts(&wanted, &name("main"), &[], &ImageVolumes::new())
        .await
        .unwrap_err();
    assert_eq!(error.reason, FailureReason::CreateContainerConfigError);
    let text = error.chain();
    let expected = "failed to prepare subPath for volumeMount \"data\" of container \"main\": ";
    assert!(text.starts_with(expected), "{text}");
    node.volumes.remove(&uid()).await.unwrap();
    assert!(Path::new("/etc/passwd").exists());
}

#[tokio::test]
async fn removal_follows_no_link_and_deletes_nothing_that_is_mounted() {
    let node = Node::new();
    let host = node.host("precious");
    std::fs::create_dir_all(&host).unwrap();
    std::fs::write(host.join("file"), b"kept").unwrap();
    let wanted = pod(vec![on_disk("data")], Vec::new());
    node.volumes.prepare(&wanted, &Payloads::new()).await.unwrap();
    let data = node.empty_dir("data");
    symlink(&host, data.join("link")).unwrap();
    // A privileged container with Bidirectional propagation may leave mounts behind.
    std::fs::create_dir_all(data.join("deep/mounted")).unwrap();
    mount::bind(&host, &data.join("deep/mounted"), mount::BindOptions::default()).unwrap();
    node.volumes.remove(&uid()).await.unwrap();
    assert_eq!(std::fs::read(host.join("file")).unwrap(), b"kept");
    assert_eq!(node.volumes.observe(&uid()).await.unwrap(), (false, false));
}

#[tokio::test]
async fn removal_goes_on_past_what_cannot_be_removed_and_is_finished_later() {
    let node = Node::new();
    let wanted = pod(
        vec![on_disk("a"), on_disk("b"), in_memory("c", 4096)],
        vec![at("a", "/a", Some("sub"))],
    );
    node.volumes.prepare(&wanted, &Payloads::new()).await.unwrap();
    node.volumes
        .mounts(&wanted, &name("main"), &[], &ImageVolumes::new())
        .await
        .unwrap();
    let stuck = node.empty_dir("a").join("stuck");
    std::fs::write(&stuck, b"").unwrap();
    let immutable = |flag: &str| {
        let changed = std::process::Command::new("chattr")
            .arg(flag)
            .arg(&stuck)
            .status()
            .unwrap();
        assert!(
            changed.success(),
            "chattr needs CAP_LINUX_IMMUTABLE and a file system that has it"
        );
    };
    immutable("+i");
    let error = node.volumes.remove(&uid()).await.unwrap_err();
    immutable("-i");
    assert_eq!(error.retry, Retry::Later);
    assert_eq!(node.volumes.observe(&uid()).await.unwrap(), (false, true));
    assert!(!node.empty_dir("b").exists() && !node.empty_dir("c").exists());
    assert!(mount::mounts_beneath(node.root.path()).unwrap().is_empty());
    node.volumes.remove(&uid()).await.unwrap();
    assert_eq!(node.volumes.observe(&uid()).await.unwrap(), (false, false));
}

#[tokio::test]
async fn an_unknown_container_is_an_error_that_only_a_change_helps() {
    let node = Node::new();
    let error = node
        .volumes
        .mounts(
            &pod(Vec::new(), Vec::new()),
            &name("other"),
            &[],
            &ImageVolumes::new(),
        )
        .await
        .unwrap_err();
    assert_eq!(error.retry, Retry::AfterChange);
}
