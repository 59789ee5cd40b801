//! `uname`: the kernel's name, and the machine's.

use super::Collector;
use crate::encode::{Encoder, Kind};
use crate::host::{CollectError, Host};

pub(super) struct Uname;

impl Collector for Uname {
    fn name(&self) -> &'static str {
        "uname"
    }

    fn collect(&self, host: &Host, out: &mut Encoder) -> Result<(), CollectError> {
        let get = |file: &str| -> Result<String, CollectError> {
            Ok(host
                .proc_text(&format!("sys/kernel/{file}"))?
                .trim_end()
                .to_owned())
        };
        // The file came with Linux 6.1.
        let machine = match get("arch") {
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
                ("domainname", &get("domainname")?),
                ("machine", &machine),
                ("nodename", &get("hostname")?),
                ("release", &get("osrelease")?),
                ("sysname", &get("ostype")?),
                ("version", &get("version")?),
            ],
            1_u64,
        );
        Ok(())
    }
}
