//! A pod's `/etc/resolv.conf`, by its `dnsPolicy` and `dnsConfig`, within the kubelet's limits.

mod conf;
#[cfg(test)]
mod tests;

use std::fmt;

use pinnace_api::Pod;
use pinnace_api::pod::{DnsConfig, DnsPolicy};

use super::addresses::ClusterDns;

pub use conf::ResolvConf;

/// Resolvers ask no more servers than this.
const MAX_NAMESERVERS: usize = 3;
const MAX_SEARCHES: usize = 32;
/// Some resolvers end their program at a longer one.
const MAX_SEARCH_LENGTH: usize = 253;
const MAX_SEARCH_LINE_LENGTH: usize = 2048;

/// What a pod's resolver says, and what had to be left out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodResolver {
    /// The file.
    pub conf: ResolvConf,
    /// For events of the pod.
    pub warnings: Vec<ResolverWarning>,
}

/// What a pod's resolver is not as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolverWarning {
    /// The node has no DNS server: the pod has the host's.
    MissingClusterDns(DnsPolicy),
    /// Too many servers; those that are left.
    Nameservers(Vec<String>),
    /// Too many search paths, or too long ones; those that are left.
    Searches(Vec<String>),
}

impl ResolverWarning {
    /// The kubelet's reason for it.
    pub fn reason(&self) -> &'static str {
        match self {
            ResolverWarning::MissingClusterDns(_) => "MissingClusterDNS",
            ResolverWarning::Nameservers(_) | ResolverWarning::Searches(_) => "DNSConfigForming",
        }
    }
}

impl fmt::Display for ResolverWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolverWarning::MissingClusterDns(policy) => write!(
                f,
                "kubelet does not have ClusterDNS IP configured and cannot create Pod using {:?} policy. Falling \
                 back to \"Default\" policy.",
                policy.as_str()
            ),
            ResolverWarning::Nameservers(left) => write!(
                f,
                "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line \
                 is: {}",
                left.join(" ")
            ),
            ResolverWarning::Searches(left) => write!(
                f,
                "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: \
                 {}",
                left.join(" ")
            ),
        }
    }
}

/// The resolver of a pod; `host` is the host's own, `None` where the node is told to use none.
pub fn pod_resolver(pod: &Pod, dns: &ClusterDns, host: Option<&ResolvConf>) -> PodResolver {
    let mut warnings = Vec::new();
    let spec = &pod.spec;
    let wants_cluster = match spec.dns_policy {
        DnsPolicy::ClusterFirst => !spec.host_network,
        DnsPolicy::ClusterFirstWithHostNet => true,
        DnsPolicy::Default | DnsPolicy::None => false,
    };
    if wants_cluster && dns.servers.is_empty() {
        warnings.push(ResolverWarning::MissingClusterDns(spec.dns_policy));
    }
    let mut conf = if spec.dns_policy == DnsPolicy::None {
        ResolvConf::default()
    } else if wants_cluster && !dns.servers.is_empty() {
        of_cluster(pod, dns, host)
    } else {
        host.cloned().unwrap_or_else(of_nobody)
    };
    add(&mut conf, &spec.dns_config);
    fit(&mut conf, &mut warnings);
    PodResolver { conf, warnings }
}

/// The node's DNS server, and its domains before the host's.
fn of_cluster(pod: &Pod, dns: &ClusterDns, host: Option<&ResolvConf>) -> ResolvConf {
    let (namespace, domain) = (&pod.meta.namespace, &dns.domain);
    let mut searches = vec![
        format!("{namespace}.svc.{domain}"),
        format!("svc.{domain}"),
        domain.clone(),
    ];
    searches.extend(host.into_iter().flat_map(|host| &host.searches).cloned());
    without_repeats(&mut searches);
    ResolvConf {
        nameservers: dns.servers.iter().map(ToString::to_string).collect(),
        searches,
        options: vec!["ndots:5".to_owned()],
    }
}

/// A pod that is to ask nobody asks itself, or a resolver would look for servers of its own.
fn of_nobody() -> ResolvConf {
    ResolvConf {
        nameservers: vec!["127.0.0.1".to_owned()],
        searches: vec![".".to_owned()],
        options: Vec::new(),
    }
}

fn add(conf: &mut ResolvConf, config: &DnsConfig) {
    conf.nameservers
        .extend(config.nameservers.iter().map(ToString::to_string));
    without_repeats(&mut conf.nameservers);
    conf.searches.extend(config.searches.iter().cloned());
    without_repeats(&mut conf.searches);
    for option in &config.options {
        let text = match option.value.as_deref() {
            None | Some("") => option.name.clone(),
            Some(value) => format!("{}:{value}", option.name),
        };
        let name_of = |text: &str| text.split(':').next() == Some(option.name.as_str());
        match conf.options.iter_mut().find(|given| name_of(given)) {
            Some(given) => *given = text,
            None => conf.options.push(text),
        }
    }
}

fn without_repeats(texts: &mut Vec<String>) {
    let mut seen = std::collections::HashSet::new();
    texts.retain(|text| seen.insert(text.clone()));
}

fn fit(conf: &mut ResolvConf, warnings: &mut Vec<ResolverWarning>) {
    if conf.nameservers.len() > MAX_NAMESERVERS {
        conf.nameservers.truncate(MAX_NAMESERVERS);
        warnings.push(ResolverWarning::Nameservers(conf.nameservers.clone()));
    }
    let before = conf.searches.len();
    conf.searches.truncate(MAX_SEARCHES);
    conf.searches.retain(|search| search.len() <= MAX_SEARCH_LENGTH);
    // With the spaces between them.
    let mut length = 0;
    let fitting = conf.searches.iter().take_while(|search| {
        length += search.len() + usize::from(length > 0);
        length <= MAX_SEARCH_LINE_LENGTH
    });
    let fitting = fitting.count();
    conf.searches.truncate(fitting);
    if conf.searches.len() < before {
        warnings.push(ResolverWarning::Searches(conf.searches.clone()));
    }
}
