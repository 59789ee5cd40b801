//! A pod's `hostAliases`, `dnsPolicy` and `dnsConfig`.

use k8s_openapi::api::core::v1;

use super::{address, filled, sound};
use crate::names;
use crate::pod::{DnsConfig, DnsOption, DnsPolicy, HostAlias};
use crate::report::Report;
use crate::tree::Path;

const MOST_NAMESERVERS: usize = 3;
const MOST_SEARCHES: usize = 32;
const MOST_SEARCH_CHARACTERS: usize = 2048;

/// A pod's resolver.
pub(super) struct Resolver {
    /// `None` where the policy is wrong.
    pub(super) policy: Option<DnsPolicy>,
    pub(super) config: DnsConfig,
}

/// The resolver of a spec.
pub(super) fn resolver(spec: &v1::PodSpec, path: &Path<'_>, report: &mut Report<'_>) -> Resolver {
    let policy = policy(filled(&spec.dns_policy), &path.field("dnsPolicy"), report);
    let path = path.field("dnsConfig");
    if policy == Some(DnsPolicy::None) {
        let given = spec.dns_config.as_ref();
        let servers = given.and_then(|config| config.nameservers.as_ref());
        if given.is_none() {
            report.required(&path, "must provide `dnsConfig` when `dnsPolicy` is None");
        } else if servers.is_none_or(Vec::is_empty) {
            report.required(
                &path.field("nameservers"),
                "must provide at least one DNS nameserver when `dnsPolicy` is None",
            );
        }
    }
    let config = spec.dns_config.as_ref();
    Resolver {
        policy,
        config: config
            .map(|config| self::config(config, &path, report))
            .unwrap_or_default(),
    }
}

fn policy(text: Option<&str>, path: &Path<'_>, report: &mut Report<'_>) -> Option<DnsPolicy> {
    match text {
        None | Some("ClusterFirst") => Some(DnsPolicy::ClusterFirst),
        Some("ClusterFirstWithHostNet") => Some(DnsPolicy::ClusterFirstWithHostNet),
        Some("Default") => Some(DnsPolicy::Default),
        Some("None") => Some(DnsPolicy::None),
        Some(other) => {
            let policies = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
            report.unsupported(path, other, &policies);
            None
        }
    }
}

fn config(given: &v1::PodDNSConfig, path: &Path<'_>, report: &mut Report<'_>) -> DnsConfig {
    DnsConfig {
        nameservers: nameservers(
            given.nameservers.as_deref().unwrap_or_default(),
            &path.field("nameservers"),
            report,
        ),
        searches: searches(
            given.searches.as_deref().unwrap_or_default(),
            &path.field("searches"),
            report,
        ),
        options: options(
            given.options.as_deref().unwrap_or_default(),
            &path.field("options"),
            report,
        ),
    }
}

fn nameservers(given: &[String], path: &Path<'_>, report: &mut Report<'_>) -> Vec<std::net::IpAddr> {
    if given.len() > MOST_NAMESERVERS {
        let shown = serde_json::json!(given);
        let detail = format!("must not have more than {MOST_NAMESERVERS} nameservers");
        report.invalid_value(path, shown, detail);
        return Vec::new();
    }
    let one = |(index, text): (usize, &String)| address::ip(text, &path.index(index), report);
    given.iter().enumerate().filter_map(one).collect()
}

fn searches(given: &[String], path: &Path<'_>, report: &mut Report<'_>) -> Vec<String> {
    // With the spaces between them.
    let characters = given.iter().map(|search| search.len() + 1).sum::<usize>();
    if given.len() > MOST_SEARCHES {
        let detail = format!("must not have more than {MOST_SEARCHES} search paths");
        report.invalid_value(path, format!("{} search paths", given.len()), detail);
    } else if characters > MOST_SEARCH_CHARACTERS + 1 {
        let detail = format!(
            "must not have more than {MOST_SEARCH_CHARACTERS} characters (including spaces) in the search list"
        );
        report.invalid_value(path, format!("{} characters", characters - 1), detail);
    }
    for (index, search) in given.iter().enumerate().take(MOST_SEARCHES) {
        // The root alone is a search path too: no other is tried.
        if search != "." {
            let name = search.strip_suffix('.').unwrap_or(search);
            sound(search, &names::search_path(name), &path.index(index), report);
        }
    }
    given.to_vec()
}

fn options(given: &[v1::PodDNSConfigOption], path: &Path<'_>, report: &mut Report<'_>) -> Vec<DnsOption> {
    let mut options = Vec::new();
    for (index, option) in given.iter().enumerate() {
        let path = path.index(index);
        let Some(name) = filled(&option.name) else {
            report.required(&path, "must not be empty");
            continue;
        };
        let value = option.value.as_deref();
        for (field, text) in [("name", Some(name)), ("value", value)] {
            // They become words of one line.
            let is_word =
                |text: &str| !text.contains(|letter: char| letter.is_whitespace() || letter.is_control());
            if let Some(text) = text.filter(|text| !is_word(text)) {
                report.invalid(&path.field(field), text, "must not contain whitespace");
            }
        }
        options.push(DnsOption {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        });
    }
    options
}

/// Further lines of `/etc/hosts`.
pub(super) fn host_aliases(
    given: Option<&[v1::HostAlias]>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Vec<HostAlias> {
    let mut aliases = Vec::new();
    for (index, alias) in given.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        let hostnames = alias.hostnames.clone().unwrap_or_default();
        let names_path = path.field("hostnames");
        for (index, name) in hostnames.iter().enumerate() {
            sound(
                name,
                &names::dns_subdomain(name),
                &names_path.index(index),
                report,
            );
        }
        if let Some(ip) = address::ip(&alias.ip, &path.field("ip"), report) {
            aliases.push(HostAlias { ip, hostnames });
        }
    }
    aliases
}
