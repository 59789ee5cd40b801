//! Kernel parameters of the pod's own namespaces, set while its sandbox is made. Admission has said which may
//! be set; one that belongs to no namespace of the pod's is refused here all the same.

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use pinnace_api::pod::PodSpec;
use pinnace_core::admission::security::sysctls::{SysctlNamespace, dotted};
use pinnace_sys::namespace::{self, NamespaceKind};
use pinnace_sys::path::{Mode, OFlags, Resolve, check_descending, open_beneath, open_dir};
use pinnace_sys::{Doing, SysError};

use crate::error::RuntimeError;
use crate::paths::PodPaths;

const TREE: &str = "/proc/sys";
/// What a pod's own network has unless it says otherwise, as container daemons have it: low ports and pings
/// are for everybody in it.
const DEFAULTS: [(&str, &str); 2] = [
    ("net.ipv4.ip_unprivileged_port_start", "0"),
    ("net.ipv4.ping_group_range", "0 2147483647"),
];

/// Why a parameter is not set.
#[derive(Debug, thiserror::Error)]
pub enum SysctlError {
    /// It would change the host.
    #[error("sysctl {name:?} is of no namespace of the pod's own")]
    OfTheHost {
        /// As the pod names it.
        name: String,
    },
    /// There is none, or it does not take the value.
    #[error("set sysctl {name:?} to {value:?}")]
    Set {
        /// As the pod names it.
        name: String,
        /// As the pod gives it.
        value: String,
        /// The kernel's answer.
        #[source]
        source: SysError,
    },
}

/// Sets the pod's parameters in its pinned namespaces.
pub fn set(paths: &PodPaths, spec: &PodSpec) -> Result<(), RuntimeError> {
    let asked = &spec.security.sysctls;
    if !spec.host_network {
        let defaults = DEFAULTS.into_iter().filter(|(name, _)| {
            // A pod with a user namespace has its own range of groups.
            let fits = spec.host_users || *name != "net.ipv4.ping_group_range";
            fits && !asked.iter().any(|(other, _)| dotted(other) == *name)
        });
        let defaults: Vec<(String, String)> = defaults
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let outcome = in_namespace(paths, NamespaceKind::Network, &defaults);
        if let Err(SysctlError::Set { name, source, .. }) = outcome {
            tracing::debug!(%name, error = %source, cause = %source.source, "a pod's network has its kernel's default");
        }
    }
    let (mut network, mut ipc) = (Vec::new(), Vec::new());
    for (name, value) in asked {
        let own = match SysctlNamespace::of(&dotted(name)) {
            Some(SysctlNamespace::Network) if !spec.host_network => &mut network,
            Some(SysctlNamespace::Ipc) if !spec.host_ipc => &mut ipc,
            _ => return Err(SysctlError::OfTheHost { name: name.clone() }.into()),
        };
        own.push((name.clone(), value.clone()));
    }
    in_namespace(paths, NamespaceKind::Network, &network)?;
    in_namespace(paths, NamespaceKind::Ipc, &ipc)?;
    Ok(())
}

fn in_namespace(paths: &PodPaths, kind: NamespaceKind, all: &[(String, String)]) -> Result<(), SysctlError> {
    let Some((first, value)) = all.first() else {
        return Ok(());
    };
    let entered = namespace::within(&paths.file(kind.file_name()), || {
        all.iter().try_for_each(|(name, value)| {
            write(name, value).map_err(|source| SysctlError::Set {
                name: name.clone(),
                value: value.clone(),
                source,
            })
        })
    });
    entered.unwrap_or_else(|source| {
        Err(SysctlError::Set {
            name: first.clone(),
            value: value.clone(),
            source,
        })
    })
}

/// Writes one, as seen by this thread.
fn write(name: &str, value: &str) -> Result<(), SysError> {
    let below = path_of(name);
    check_descending(&below)?;
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOCTTY;
    let file = open_beneath(
        open_dir(Path::new(TREE))?,
        &below,
        Resolve::Beneath,
        flags,
        Mode::empty(),
    )?;
    File::from(file)
        .write_all(value.as_bytes())
        .doing_on("write", &below)
}

/// `net.ipv4.conf.eno2/100.rp_filter` lies at `net/ipv4/conf/eno2.100/rp_filter`.
fn path_of(name: &str) -> PathBuf {
    let name: Cow<'_, str> = dotted(name);
    let swap = |letter| match letter {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    name.chars().map(swap).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_lies_where_its_name_says() {
        assert_eq!(
            path_of("net.ipv4.tcp_syncookies"),
            Path::new("net/ipv4/tcp_syncookies")
        );
        assert_eq!(
            path_of("net/ipv4/conf/eno2.100/rp_filter"),
            Path::new("net/ipv4/conf/eno2.100/rp_filter")
        );
        assert_eq!(
            path_of("net.ipv4.conf.eno2/100.rp_filter"),
            Path::new("net/ipv4/conf/eno2.100/rp_filter")
        );
    }

    #[test]
    fn no_name_leads_out_of_the_parameters_tree() {
        for name in ["net/../../self/mem", "net.////etc", "net/..", "../x"] {
            assert!(write(name, "x").is_err(), "{name}");
        }
    }
}
