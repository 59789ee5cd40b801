//! The kernel's settings below `/proc/sys/net`, of this thread's namespace.

use std::path::{Path, PathBuf};

use pinnace_sys::{Doing, SysResult, file};

const ROOT: &str = "/proc/sys/net";
/// More than any of them holds.
const VALUE_MAX: u64 = 4096;

/// `/proc/sys/net/ipv6/conf/<interface>/<name>`.
pub(crate) fn of_interface(interface: &str, name: &str) -> PathBuf {
    Path::new(ROOT).join("ipv6/conf").join(interface).join(name)
}

/// A setting of `/proc/sys/net`, such as `ipv4/ip_forward`.
pub(crate) fn of(name: &str) -> PathBuf {
    Path::new(ROOT).join(name)
}

/// Whether this kernel speaks IPv6.
pub(crate) fn has_ipv6() -> bool {
    of("ipv6/conf/all").exists()
}

/// Its value.
pub(crate) fn read(path: &Path) -> SysResult<String> {
    Ok(file::read_text(path, VALUE_MAX)?.trim().to_owned())
}

/// Writes a value; one that is there already needs no right to write.
pub(crate) fn write(path: &Path, value: &str) -> SysResult<()> {
    if read(path)? == value {
        return Ok(());
    }
    std::fs::write(path, value).doing_on("write", path)
}
