//! What the kernel makes of it: the layers under overlayfs, and a full disk. Each runs in a mount namespace
//! of its own, so that nothing stays mounted.

use std::process::Command;

use super::tarball::Header;
use super::*;

fn in_mount_namespace(script: &str, arguments: &[&std::ffi::OsStr]) -> String {
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-euc", script, "sh"])
        .args(arguments)
        .output()
        .expect("unshare is needed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}

#[test]
fn overlayfs_shows_the_image_as_its_layers_mean_it() {
    let node = Node::new();
    let base = Tarball::new()
        .add(Header::new(b'5', "tmp").mode(0o1777), b"")
        .dir("etc")
        .file("etc/kept", b"")
        .file("etc/gone", b"")
        .dir("opt/old")
        .file("opt/old/hidden", b"")
        .dir("replaced")
        .file("replaced/hidden", b"")
        .finish();
    let top = Tarball::new()
        .file("etc/.wh.gone", b"")
        .file("etc/new", b"")
        .dir("opt/old")
        .file("opt/old/.wh..wh..opq", b"")
        .file("opt/old/seen", b"")
        .file(".wh.replaced", b"")
        .file("replaced/seen", b"")
        .file("tmp/scratch", b"")
        .finish();
    node.import_bytes(&docker_archive(&[TestImage::new("a", vec![base, top])]))
        .unwrap();
    let lower = node
        .lower_dirs("a")
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(":");
    let target = node.dir.path().join("merged");
    std::fs::create_dir(&target).unwrap();
    let shown = in_mount_namespace(
        "mount -t overlay overlay -o \"lowerdir=$1\" \"$2\"; cd \"$2\"; find . -type f | sort; stat -c %a tmp etc",
        &[lower.as_ref(), target.as_ref()],
    );
    let want = "./etc/kept\n./etc/new\n./opt/old/seen\n./replaced/seen\n./tmp/scratch\n1777\n755\n";
    assert_eq!(shown, want);
}

const ROOT: &str = "PINNACE_TEST_FULL_DISK_ROOT";

/// Not a promise: what the next test runs on a disk of its own.
#[test]
#[ignore = "runs only as the child of the test in this file"]
fn importing_on_a_small_disk() {
    let root = PathBuf::from(std::env::var_os(ROOT).expect("started by a test"));
    let layout = Layout::new(&root);
    let store = ImageStore::open(&layout).unwrap();
    let node = Node {
        dir: tempfile::tempdir().unwrap(),
        layout,
        store,
    };
    let small = TestImage::new("small", vec![layer("f", "x")]);
    node.import_bytes(&docker_archive(&[small])).unwrap();
    let before = node.content();
    // Too large as a blob; and, compressed, as a layer.
    let mut large = TestImage::new(
        "large",
        vec![Tarball::new().file("f", &vec![b'x'; 2 << 20]).finish()],
    );
    for compress in [<[u8]>::to_vec as fn(&[u8]) -> Vec<u8>, gzip] {
        large.compress = compress;
        let error = node
            .import_bytes(&docker_archive(std::slice::from_ref(&large)))
            .unwrap_err();
        assert!(
            text(&error).contains("No space left on device"),
            "{}",
            text(&error)
        );
        assert_eq!(error.retry(), pinnace_core::ports::Retry::Later);
        assert_eq!(node.content(), before);
        node.assert_no_leftovers();
    }
    assert_eq!(node.lower_dirs("small").len(), 1);
}

#[test]
fn a_full_disk_refuses_the_import_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("var/lib/pinnace");
    std::fs::create_dir_all(&state).unwrap();
    let test = std::env::current_exe().unwrap();
    let name = "images::tests::kernel::importing_on_a_small_disk";
    let said = in_mount_namespace(
        &format!(
            "mount -t tmpfs -o size=1m tmpfs \"$1\"; {ROOT}=\"$2\" exec \"$3\" --exact --ignored {name}"
        ),
        &[state.as_ref(), dir.path().as_ref(), test.as_ref()],
    );
    assert!(said.contains("1 passed"), "{said}");
}
