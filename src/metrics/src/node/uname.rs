//! `uname`: the kernel's name, and the machine's.

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Uname;

impl Collector for Uname {
    fn name(&self) -> &'static str {
        "uname"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let get = |file: &'static str| -> Result<String, CollectError> {
            Ok(host.proc_text(file)?.trim_end().to_owned())
        };
        // The file came with Linux 6.1.
        let machine = match get("sys/kernel/arch") {
            Ok(machine) => machine,
            Err(_) => nix::sys::utsname::uname()
                .map(|names| names.machine().to_string_lossy().into_owned())
                .unwrap_or_else(|_| std::env::consts::ARCH.to_owned()),
        };
        out.family(
            "node_uname_info",
            Kind::Gauge,
            "Names of kernel and machine; always 1.",
        )
        .sample(
            &[
                ("domainname", &get("sys/kernel/domainname")?),
                ("machine", &machine),
                ("nodename", &get("sys/kernel/hostname")?),
                ("release", &get("sys/kernel/osrelease")?),
                ("sysname", &get("sys/kernel/ostype")?),
                ("version", &get("sys/kernel/version")?),
            ],
            1_u64,
        );
        Ok(())
    }
}
