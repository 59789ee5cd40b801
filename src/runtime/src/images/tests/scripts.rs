//! The scripts that make images without a registry.

use std::process::Command;

use super::*;

fn mkimage() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/demo/mkimage")
}

fn make(rootfs: &Path, out: &Path) {
    let output = Command::new(mkimage())
        .args(["example/hello:1".as_ref(), rootfs, out])
        .args([
            r#"["/bin/sh","-c"]"#,
            r#"["echo \"hi\""]"#,
            r#"["PATH=/bin"]"#,
            "/srv",
            "1000:50",
            r#"{"a":"b"}"#,
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn mkimage_makes_an_archive_that_comes_in_as_described() {
    use std::os::unix::fs::MetadataExt;
    let node = Node::new();
    let rootfs = node.dir.path().join("rootfs");
    std::fs::create_dir_all(rootfs.join("bin")).unwrap();
    std::fs::write(rootfs.join("bin/tool"), "x").unwrap();
    std::fs::write(rootfs.join("n".repeat(200)), "long").unwrap();
    std::os::unix::fs::symlink("tool", rootfs.join("bin/link")).unwrap();
    std::os::unix::fs::chown(rootfs.join("bin/tool"), Some(77), Some(77)).unwrap();
    let (one, two) = (node.dir.path().join("1.tar"), node.dir.path().join("2.tar"));
    make(&rootfs, &one);
    make(&rootfs, &two);
    assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
    node.import(&one).unwrap();
    let image = node.store.find("example/hello:1").unwrap().unwrap();
    let config = node.store.config(&image).unwrap();
    assert_eq!(
        (&config.entrypoint[..], &config.cmd[..]),
        (
            &["/bin/sh".to_owned(), "-c".to_owned()][..],
            &["echo \"hi\"".to_owned()][..]
        )
    );
    assert_eq!(
        (
            config.user.as_str(),
            config.working_dir.as_str(),
            config.labels["a"].as_str()
        ),
        ("1000:50", "/srv", "b")
    );
    let lower = node.store.lower_dirs(&image).unwrap().remove(0);
    assert_eq!(std::fs::metadata(lower.join("bin/tool")).unwrap().uid(), 0);
    assert_eq!(std::fs::read(lower.join("n".repeat(200))).unwrap(), b"long");
    assert_eq!(
        std::fs::read_link(lower.join("bin/link")).unwrap(),
        Path::new("tool")
    );
}

#[test]
fn mkimage_refuses_what_it_cannot_write_down() {
    let node = Node::new();
    for name in ["no-tag", "quote\":1", "a b:1"] {
        let output = Command::new(mkimage())
            .args([name.as_ref(), node.dir.path(), Path::new("/dev/null")])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{name}");
    }
    assert_eq!(Command::new(mkimage()).output().unwrap().status.code(), Some(2));
}
