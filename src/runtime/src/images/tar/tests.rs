use std::io::Read;

use super::*;
use crate::images::tests::tarball::{Header, Tarball, number, seal};

fn entries(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, TarError> {
    let mut tar = TarReader::new(bytes);
    let mut found = Vec::new();
    while let Some(entry) = tar.next_entry()? {
        let mut data = Vec::new();
        tar.read_to_end(&mut data).map_err(|source| failed(0, source))?;
        found.push((entry, data));
    }
    Ok(found)
}

fn only(bytes: &[u8]) -> (Entry, Vec<u8>) {
    let mut found = entries(bytes).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[test]
fn reads_plain_entries_in_order() {
    let found = entries(
        &Tarball::new()
            .dir("a/")
            .file("a/b", &[7; 1000])
            .symlink("c", "a")
            .finish(),
    )
    .unwrap();
    let names: Vec<_> = found
        .iter()
        .map(|(entry, _)| String::from_utf8_lossy(&entry.path).into_owned())
        .collect();
    assert_eq!(names, ["a/", "a/b", "c"]);
    assert_eq!(found[1].1, [7; 1000]);
    assert_eq!(
        (found[2].0.kind, found[2].0.link.as_slice()),
        (Kind::Symlink, &b"a"[..])
    );
}

#[test]
fn reads_gnus_long_names() {
    let name = "d/".repeat(120) + "f";
    let target = "t".repeat(300);
    let header = Header::new(b'2', &name).link(&target);
    let (entry, _) = only(&Tarball::new().add(header, b"").finish());
    assert_eq!((entry.path, entry.link), (name.into_bytes(), target.into_bytes()));
}

#[test]
fn a_long_name_that_is_cut_off_at_a_slash_is_still_a_files() {
    let name = "d".repeat(99) + "/file";
    let (entry, data) = only(&Tarball::new().file(&name, b"content").finish());
    assert_eq!((entry.kind, entry.path), (Kind::File, name.into_bytes()));
    assert_eq!(data, b"content");
}

#[test]
fn reads_pax_records_also_with_binary_values() {
    let bytes = Tarball::new()
        .pax(&[
            ("path", "ä/long".as_bytes()),
            ("uid", b"3000000000"),
            ("mtime", b"-1.5"),
            ("SCHILY.xattr.user.a", b"x\n=\0y"),
        ])
        .file("short", b"data")
        .finish();
    let (entry, data) = only(&bytes);
    assert_eq!(
        (entry.path.as_slice(), entry.uid, entry.mtime),
        ("ä/long".as_bytes(), 3_000_000_000, (-2, 500_000_000))
    );
    assert_eq!(entry.xattrs, [(b"user.a".to_vec(), b"x\n=\0y".to_vec())]);
    assert_eq!(data, b"data");
}

#[test]
fn a_pax_size_overrides_the_headers() {
    let bytes = Tarball::new()
        .pax(&[("size", b"3")])
        .add(Header::new(b'0', "a").size(700), b"abc")
        .finish();
    assert_eq!(only(&bytes).1, b"abc");
}

#[test]
fn reads_numbers_in_base_256() {
    let header = Header::new(b'0', "a").owner(4_000_000_000, 1 << 31).mtime(-5);
    let (entry, _) = only(&Tarball::new().add(header, b"").finish());
    assert_eq!(
        (entry.uid, entry.gid, entry.mtime),
        (4_000_000_000, 1 << 31, (-5, 0))
    );
}

#[test]
fn joins_the_ustar_prefix() {
    let mut block = Header::new(b'0', "file").block();
    block[345..350].copy_from_slice(b"a/b/c");
    seal(&mut block);
    assert_eq!(only(&Tarball::new().raw(&block).finish()).0.path, b"a/b/c/file");
}

/// `(1000, 3)` and `(5000, 2)` of a file of 6000 bytes.
fn assert_sparse(bytes: &[u8]) {
    let (entry, data) = only(bytes);
    let map = [(1000, 3), (5000, 2)].map(|(offset, length)| Fragment { offset, length });
    assert_eq!((entry.size, entry.sparse.as_deref()), (6000, Some(&map[..])));
    assert_eq!(
        (entry.path.as_slice(), data.as_slice()),
        (&b"s"[..], &b"abcde"[..])
    );
}

fn old_sparse_header(real_size: i128, map: &[(i128, i128)]) -> [u8; 512] {
    let mut block = Header::new(b'S', "s").size(5).block();
    for (at, (offset, length)) in map.iter().enumerate() {
        let start = 386 + at * 24;
        number(&mut block[start..start + 12], *offset);
        number(&mut block[start + 12..start + 24], *length);
    }
    number(&mut block[483..495], real_size);
    seal(&mut block);
    block
}

#[test]
fn reads_all_four_forms_of_sparse_files() {
    let old = old_sparse_header(6000, &[(1000, 3), (5000, 2)]);
    assert_sparse(&Tarball::new().raw(&old).raw(b"abcde").finish());

    let mut extended = old_sparse_header(6000, &[(1000, 3)]);
    extended[482] = 1;
    seal(&mut extended);
    let mut more = [0; 512];
    number(&mut more[..12], 5000);
    number(&mut more[12..24], 2);
    assert_sparse(&Tarball::new().raw(&extended).raw(&more).raw(b"abcde").finish());

    let zero_zero = Tarball::new()
        .pax(&[
            ("GNU.sparse.size", b"6000"),
            ("GNU.sparse.offset", b"1000"),
            ("GNU.sparse.numbytes", b"3"),
            ("GNU.sparse.offset", b"5000"),
            ("GNU.sparse.numbytes", b"2"),
        ])
        .file("s", b"abcde")
        .finish();
    assert_sparse(&zero_zero);

    let zero_one = Tarball::new()
        .pax(&[
            ("GNU.sparse.size", b"6000"),
            ("GNU.sparse.name", b"s"),
            ("GNU.sparse.map", b"1000,3,5000,2"),
        ])
        .file("GNUSparseFile/s", b"abcde")
        .finish();
    assert_sparse(&zero_one);

    let mut data = b"2\n1000\n3\n5000\n2\n".to_vec();
    data.resize(512, 0);
    data.extend(b"abcde");
    let one = Tarball::new()
        .pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"s"),
            ("GNU.sparse.realsize", b"6000"),
        ])
        .file("GNUSparseFile/s", &data)
        .finish();
    assert_sparse(&one);
}

#[test]
fn refuses_sparse_maps_that_contradict_themselves() {
    for map in [
        &[(1000, 5), (1002, 0)][..],
        &[(5999, 5)],
        &[(0, 4)],
        &[(i128::from(u64::MAX), 5)],
    ] {
        let bytes = Tarball::new()
            .raw(&old_sparse_header(6000, map))
            .raw(b"abcde")
            .finish();
        assert!(matches!(entries(&bytes), Err(TarError::Sparse)), "{map:?}");
    }
    let endless = Tarball::new()
        .pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.realsize", b"9")])
        .file("s", &[b'1'; 512])
        .finish();
    assert!(matches!(entries(&endless), Err(TarError::Sparse)));
}

#[test]
fn refuses_extended_headers_that_would_fill_the_memory() {
    let bytes = Tarball::new()
        .raw(&Header::new(b'L', "x").size(8 << 30).block())
        .finish();
    assert!(matches!(entries(&bytes), Err(TarError::ExtendedTooLarge { bytes }) if bytes == 8 << 30));
    let mut many = Tarball::new();
    for _ in 0..20 {
        many.pax(&[("uid", b"1")]);
    }
    assert!(matches!(
        entries(&many.file("a", b"").finish()),
        Err(TarError::ExtendedTooLarge { .. })
    ));
}

#[test]
fn refuses_malformed_headers() {
    assert!(matches!(
        entries(&[7; 512]),
        Err(TarError::Checksum { offset: 0 })
    ));
    let mut block = Header::new(b'0', "a").block();
    block[124] = b'9';
    seal(&mut block);
    assert!(matches!(entries(&block), Err(TarError::Number { field: "size" })));
    for records in [
        &b"5 a=b"[..],
        b"99 a=b\n",
        b"x",
        b"4 a\n",
        b"-1 a=b\n",
        b"99999999999999999999 a=b\n",
        b"9 path=\0\n",
    ] {
        let bytes = Tarball::new()
            .add(Header::new(b'x', "p"), records)
            .file("a", b"")
            .finish();
        assert!(matches!(entries(&bytes), Err(TarError::Extended)), "{records:?}");
    }
}

#[test]
fn a_cut_within_an_entry_is_told_at_every_byte() {
    let bytes = Tarball::new()
        .pax(&[("uid", b"1")])
        .file("a", &[1; 700])
        .unfinished();
    for cut in 1..bytes.len() {
        assert!(
            matches!(entries(&bytes[..cut]), Err(TarError::Truncated { .. })),
            "{cut}"
        );
    }
    assert_eq!(entries(&bytes).unwrap().len(), 1);
}
