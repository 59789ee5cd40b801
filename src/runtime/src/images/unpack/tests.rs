use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::*;
use crate::error::chain;
use crate::images::tests::tarball::{Header, Tarball};

/// Directories for a layer and for one below it.
struct Layers {
    dir: tempfile::TempDir,
}

impl Layers {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("top")).unwrap();
        fs::create_dir(dir.path().join("below")).unwrap();
        Self { dir }
    }

    fn top(&self) -> std::path::PathBuf {
        self.dir.path().join("top")
    }

    fn unpack_with(&self, tar: &[u8], limits: &UnpackLimits) -> Result<(), String> {
        let open = |path: &Path| OwnedFd::from(fs::File::open(path).unwrap());
        let expected = Expected {
            blob: Digest::of(tar),
            blob_bytes: tar.len() as u64,
            diff_id: Digest::of(tar),
        };
        let below = [open(&self.dir.path().join("below"))];
        unpack_layer(tar, &expected, open(&self.top()), &below, limits).map_err(|error| chain(&error))
    }

    fn unpack(&self, tar: &[u8]) {
        self.unpack_with(tar, &UnpackLimits::default()).unwrap();
    }

    fn refusal(&self, tar: &[u8]) -> String {
        self.unpack_with(tar, &UnpackLimits::default())
            .expect_err("the layer was to be refused")
    }

    fn stat(&self, name: &str) -> fs::Metadata {
        fs::symlink_metadata(self.top().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn is_whiteout(&self, name: &str) -> bool {
        let found = self.stat(name);
        found.file_type().is_char_device() && found.rdev() == 0
    }

    fn xattr(&self, name: &str, attribute: &str) -> Option<Vec<u8>> {
        let mut value = [0_u8; 256];
        let length = rustix::fs::lgetxattr(self.top().join(name), attribute, &mut value[..]).ok()?;
        Some(value[..length].to_vec())
    }

    fn is_opaque(&self, name: &str) -> bool {
        self.xattr(name, OPAQUE).as_deref() == Some(b"y")
    }
}

#[test]
fn keeps_owner_mode_and_time_of_every_kind() {
    let layers = Layers::new();
    let tar = Tarball::new()
        .add(Header::new(b'5', "./").mode(0o751).mtime(7), b"")
        .add(Header::new(b'5', "d").mode(0o1777).owner(1, 2).mtime(11), b"")
        .add(
            Header::new(b'0', "d/suid")
                .mode(0o4755)
                .owner(3, 3_000_000_000)
                .mtime(-12),
            b"data",
        )
        .add(
            Header::new(b'2', "link")
                .link("/etc/passwd")
                .owner(5, 6)
                .mtime(13),
            b"",
        )
        .add(Header::new(b'6', "fifo").mode(0o620).owner(7, 8).mtime(14), b"")
        .add(Header::new(b'3', "null").mode(0o666).device(1, 3), b"")
        .add(Header::new(b'4', "disk").mode(0o660).device(8, 17), b"")
        .hardlink("again", "/d/suid")
        .finish();
    layers.unpack(&tar);
    let of = |name: &str| {
        let found = layers.stat(name);
        (found.mode() & 0o7777, found.uid(), found.gid(), found.mtime())
    };
    assert_eq!(of("d"), (0o1777, 1, 2, 11));
    assert_eq!(of("d/suid"), (0o4755, 3, 3_000_000_000, -12));
    assert_eq!(of("link"), (0o777, 5, 6, 13));
    assert_eq!(of("fifo"), (0o620, 7, 8, 14));
    assert_eq!(
        (layers.stat("").mode() & 0o7777, layers.stat("").mtime()),
        (0o751, 7)
    );
    let device = |name: &str| {
        (
            rustix::fs::major(layers.stat(name).rdev()),
            rustix::fs::minor(layers.stat(name).rdev()),
        )
    };
    assert_eq!((device("null"), device("disk")), ((1, 3), (8, 17)));
    assert_eq!(layers.stat("again").ino(), layers.stat("d/suid").ino());
    assert_eq!(
        fs::read_link(layers.top().join("link")).unwrap(),
        Path::new("/etc/passwd")
    );
}

#[test]
fn keeps_capabilities_and_user_attributes_and_drops_others() {
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let layers = Layers::new();
    let tar = Tarball::new()
        .pax(&[
            ("SCHILY.xattr.security.capability", &capability),
            ("SCHILY.xattr.user.note", b"a\0b"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.security.selinux", b"x"),
        ])
        .add(Header::new(b'0', "ping").mode(0o755).owner(1, 1), b"x")
        .pax(&[
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ])
        .dir("d")
        .finish();
    layers.unpack(&tar);
    assert_eq!(
        layers.xattr("ping", "security.capability").as_deref(),
        Some(&capability[..])
    );
    assert_eq!(layers.xattr("ping", "user.note").as_deref(), Some(&b"a\0b"[..]));
    assert_eq!(layers.xattr("ping", "security.selinux"), None);
    assert!(!layers.is_opaque("d"));
    assert_eq!(layers.xattr("d", "trusted.overlay.redirect"), None);
}

#[test]
fn sparse_files_get_their_holes() {
    let layers = Layers::new();
    let tar = Tarball::new()
        .pax(&[
            ("GNU.sparse.size", b"10000000"),
            ("GNU.sparse.map", b"4096,3,9000000,2"),
        ])
        .file("s", b"abcde")
        .finish();
    layers.unpack(&tar);
    let content = fs::read(layers.top().join("s")).unwrap();
    assert_eq!(
        (
            content.len(),
            &content[4096..4099],
            &content[9_000_000..9_000_002]
        ),
        (10_000_000, &b"abc"[..], &b"de"[..])
    );
    assert!(layers.stat("s").blocks() * 512 < 1 << 20);
}

#[test]
fn a_directorys_time_survives_what_is_put_into_it() {
    let layers = Layers::new();
    layers.unpack(
        &Tarball::new()
            .add(Header::new(b'5', "d").mtime(5), b"")
            .file("d/a", b"")
            .file("d/b", b"")
            .finish(),
    );
    assert_eq!(layers.stat("d").mtime(), 5);
}

#[test]
fn whiteouts_become_overlays_own() {
    let layers = Layers::new();
    let tar = Tarball::new()
        .dir("d")
        .file("d/.wh.gone", b"")
        .file("d/.wh..wh..opq", b"")
        .file(".wh.top", b"")
        .file(".wh..wh.plnk/7.1", b"aufs")
        .finish();
    layers.unpack(&tar);
    assert!(layers.is_whiteout("d/gone") && layers.is_whiteout("top") && layers.is_opaque("d"));
    assert!(!layers.top().join(".wh..wh.plnk").exists());
}

#[test]
fn whiteouts_never_hide_what_their_own_layer_brings() {
    let layers = Layers::new();
    let tar = Tarball::new()
        .file("file-first", b"x")
        .file(".wh.file-first", b"")
        .file(".wh.file-last", b"")
        .file("file-last", b"x")
        .dir("dir-first")
        .file("dir-first/a", b"x")
        .file(".wh.dir-first", b"")
        .file(".wh.dir-last", b"")
        .dir("dir-last")
        .file(".wh.implied", b"")
        .file("implied/a", b"x")
        .finish();
    layers.unpack(&tar);
    assert!(layers.stat("file-first").is_file() && layers.stat("file-last").is_file());
    assert!(layers.stat("dir-first/a").is_file() && layers.is_opaque("dir-first"));
    assert!(layers.stat("dir-last").is_dir() && layers.is_opaque("dir-last"));
    assert!(layers.stat("implied/a").is_file() && layers.is_opaque("implied"));
}

#[test]
fn implied_directories_are_as_in_the_layers_below() {
    let layers = Layers::new();
    let below = layers.dir.path().join("below");
    fs::create_dir(below.join("tmp")).unwrap();
    fs::set_permissions(
        below.join("tmp"),
        std::os::unix::fs::PermissionsExt::from_mode(0o1777),
    )
    .unwrap();
    std::os::unix::fs::chown(below.join("tmp"), Some(9), Some(10)).unwrap();
    layers.unpack(&Tarball::new().file("tmp/a", b"").file("new/b", b"").finish());
    let (tmp, new) = (layers.stat("tmp"), layers.stat("new"));
    assert_eq!((tmp.mode() & 0o7777, tmp.uid(), tmp.gid()), (0o1777, 9, 10));
    assert_eq!((new.mode() & 0o7777, new.uid()), (0o755, 0));
}

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    let layers = Layers::new();
    let tar = Tarball::new()
        .dir("a")
        .file("a/deep", b"")
        .file("a", b"now a file")
        .symlink("b", "a")
        .dir("b")
        .file("b/c", b"")
        .file("c", b"one")
        .file("c", b"two")
        .finish();
    layers.unpack(&tar);
    assert_eq!(fs::read(layers.top().join("a")).unwrap(), b"now a file");
    assert!(layers.stat("b").is_dir() && layers.stat("b/c").is_file());
    assert_eq!(fs::read(layers.top().join("c")).unwrap(), b"two");
}

#[test]
fn links_within_the_layer_are_followed_within_it_only() {
    let layers = Layers::new();
    let tar = Tarball::new()
        .dir("usr/lib")
        .symlink("lib", "/usr/lib")
        .file("lib/x", b"1")
        .symlink("up", "../../../../../usr")
        .file("up/y", b"2")
        .hardlink("z", "lib/x")
        .finish();
    layers.unpack(&tar);
    assert_eq!(fs::read(layers.top().join("usr/lib/x")).unwrap(), b"1");
    assert_eq!(fs::read(layers.top().join("usr/y")).unwrap(), b"2");
    assert_eq!(layers.stat("z").ino(), layers.stat("usr/lib/x").ino());
}

#[test]
fn names_that_climb_are_refused() {
    for name in ["../x", "a/../../x", "/../x", "a/.."] {
        let layers = Layers::new();
        let text = layers.refusal(&Tarball::new().file(name, b"x").finish());
        assert!(
            text.contains(name) && text.contains("climbs out of the layer"),
            "{text}"
        );
        assert_eq!(fs::read_dir(layers.top()).unwrap().count(), 0);
    }
}

#[test]
fn absolute_names_lie_within_the_layer() {
    let layers = Layers::new();
    layers.unpack(&Tarball::new().file("/pinnace-test/absolute", b"x").finish());
    assert!(layers.stat("pinnace-test/absolute").is_file());
    assert!(!Path::new("/pinnace-test").exists());
}

#[test]
fn nothing_is_written_through_links_to_the_host() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), b"safe").unwrap();
    let host = outside.path().to_str().unwrap();
    let victim = format!("{host}/victim");
    let through_proc = format!("proc{host}");
    let attacks = [
        Tarball::new().symlink("x", host).file("x/new", b"evil").finish(),
        Tarball::new().symlink("x", &victim).file("x", b"evil").finish(),
        Tarball::new()
            .symlink("x", host)
            .file("x/.wh.victim", b"")
            .finish(),
        Tarball::new()
            .symlink("proc", "/proc/self/root")
            .symlink("x", &through_proc)
            .file("x/new", b"evil")
            .finish(),
    ];
    for tar in attacks {
        let layers = Layers::new();
        let _ = layers.unpack_with(&tar, &UnpackLimits::default());
        let names: Vec<_> = fs::read_dir(outside.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["victim"]);
        assert_eq!(fs::read(outside.path().join("victim")).unwrap(), b"safe");
    }
}

#[test]
fn hard_links_reach_nothing_outside() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    let secret = outside.path().join("secret");
    let secret = secret.to_str().unwrap();
    let up = format!("../../../../../../{secret}");
    let cases = [
        (
            Tarball::new().hardlink("x", secret).finish(),
            "is not a file of the layer",
        ),
        (
            Tarball::new().hardlink("x", &up).finish(),
            "climbs out of the layer",
        ),
        (
            Tarball::new()
                .symlink("s", outside.path().to_str().unwrap())
                .hardlink("x", "s/secret")
                .finish(),
            "is not a file of the layer",
        ),
        (
            Tarball::new().dir("d").hardlink("x", "d").finish(),
            "is not a file of the layer",
        ),
        (
            Tarball::new().file(".wh.w", b"").hardlink("x", "w").finish(),
            "is not a file of the layer",
        ),
    ];
    for (tar, why) in cases {
        let text = Layers::new().refusal(&tar);
        assert!(text.contains(why) && text.contains("\"x\""), "{text}");
    }
    assert_eq!(fs::metadata(secret).unwrap().nlink(), 1);
}

#[test]
fn a_hard_link_to_a_link_links_the_link() {
    let layers = Layers::new();
    layers.unpack(
        &Tarball::new()
            .symlink("s", "/etc/passwd")
            .hardlink("x", "s")
            .finish(),
    );
    assert!(layers.stat("x").is_symlink());
    assert_eq!(layers.stat("x").ino(), layers.stat("s").ino());
}

#[test]
fn other_nonsense_is_refused_by_name() {
    let owner = Header::new(b'0', "x").owner(u64::from(u32::MAX), 0);
    let cases = [
        (Tarball::new().add(owner, b"").finish(), "out of range"),
        (
            Tarball::new().file(".wh.", b"").finish(),
            "whiteout names no file",
        ),
        (
            Tarball::new().file(".wh...", b"").finish(),
            "whiteout names no file",
        ),
        (Tarball::new().symlink("x", "").finish(), "empty or has a NUL"),
        (
            Tarball::new().add(Header::new(b'V', "x"), b"").finish(),
            "do not belong in a layer",
        ),
        (
            Tarball::new().file("f", b"").file("f/x", b"").finish(),
            "not a directory of the layer",
        ),
        (
            Tarball::new().symlink("l", "nowhere").file("l/x", b"").finish(),
            "not a directory of the layer",
        ),
        (
            Tarball::new().file("", b"").finish(),
            "empty or not a file's name",
        ),
    ];
    for (tar, why) in cases {
        let text = Layers::new().refusal(&tar);
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn limits_are_kept() {
    let limits = UnpackLimits {
        total_bytes: 10_000,
        entries: 5,
        path_depth: 4,
        directory_name_bytes: 120,
        xattrs_per_entry: 1,
        xattr_bytes: 10,
        devices: false,
        ..UnpackLimits::default()
    };
    let mut many = Tarball::new();
    (0..6).for_each(|n| {
        many.file(&n.to_string(), b"");
    });
    let mut directories = Tarball::new();
    (0..3).for_each(|n| {
        directories.dir(&format!("{n}{}", "d".repeat(30)));
    });
    let cases = [
        (many.finish(), "more than 5 entries"),
        (directories.finish(), "names of all directories"),
        (
            Tarball::new().file("1/2/3/f", b"").file("4/5/f", b"").finish(),
            "more than 5 entries",
        ),
        (
            Tarball::new()
                .file("a", &[0; 6000])
                .file("b", &[0; 6000])
                .finish(),
            "larger than 10000 bytes",
        ),
        (
            Tarball::new()
                .raw(&Header::new(b'0', "a").size(1 << 60).block())
                .finish(),
            "larger than 10000 bytes",
        ),
        (
            Tarball::new()
                .pax(&[("GNU.sparse.size", b"99999")])
                .file("s", b"")
                .finish(),
            "larger than 10000 bytes",
        ),
        (Tarball::new().file("a/b/c/d/e", b"").finish(), "deeper than 4"),
        (
            Tarball::new()
                .pax(&[("SCHILY.xattr.user.a", &[0; 11])])
                .file("a", b"")
                .finish(),
            "longer than 10 bytes",
        ),
        (
            Tarball::new()
                .pax(&[("SCHILY.xattr.user.a", b""), ("SCHILY.xattr.user.b", b"")])
                .file("a", b"")
                .finish(),
            "more than 1 extended attributes",
        ),
        (
            Tarball::new()
                .add(Header::new(b'3', "null").device(1, 3), b"")
                .finish(),
            "a device, which is not allowed",
        ),
    ];
    for (tar, why) in cases {
        let text = Layers::new().unpack_with(&tar, &limits).expect_err(why);
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn a_wrong_digest_explains_everything_else() {
    let layers = Layers::new();
    let tar = Tarball::new().file("../x", b"").finish();
    let expected = Expected {
        blob: Digest::of(b"another"),
        blob_bytes: tar.len() as u64,
        diff_id: Digest::of(&tar),
    };
    let into = OwnedFd::from(fs::File::open(layers.top()).unwrap());
    let error = unpack_layer(&tar[..], &expected, into, &[], &UnpackLimits::default());
    assert!(matches!(error, Err(UnpackError::WrongDigest { .. })));
}
