//! What a plugin answers to ADD: read strictly, within bounds, and handed on to the next.

use std::net::IpAddr;

use pinnace_core::network::PodAddresses;
use serde::Deserialize;
use serde_json::Value;

use super::INTERFACE;
use super::version::SpecVersion;

const MAX_INTERFACES: usize = 256;
const MAX_IPS: usize = 256;
const MAX_ROUTES: usize = 4096;
/// The longest text of an answer that an error repeats.
const MAX_QUOTE: usize = 100;

/// Why an answer is no result.
#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    /// It is no JSON, or not of a result's form.
    #[error("not of the form of a result")]
    Json(#[source] serde_json::Error),
    /// A field is of another kind.
    #[error("{field} is not an object, or not a list of objects")]
    Form {
        /// The field.
        field: &'static str,
    },
    /// It is of another version than was asked for, and cannot be made into that.
    #[error("it is of CNI version {version:?}, and {wanted} was asked for")]
    Version {
        /// Its version.
        version: String,
        /// The network's.
        wanted: &'static str,
    },
    /// More than any network has.
    #[error("it has {count} {what}, and at most {max} are taken")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// The bound.
        max: usize,
    },
    /// Not an address with its prefix.
    #[error("{field} {text:?} is not {expected}")]
    Address {
        /// Where.
        field: &'static str,
        /// What is there.
        text: String,
        /// What is expected.
        expected: &'static str,
    },
    /// An address is of an interface that is not there.
    #[error("an address is of interface {index}, and there are {count}")]
    Interface {
        /// The index.
        index: i64,
        /// How many there are.
        count: usize,
    },
    /// No address for the pod.
    #[error("it has no address for {INTERFACE}")]
    NoAddress,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    cni_version: Option<String>,
    #[serde(default)]
    interfaces: Option<Vec<RawInterface>>,
    #[serde(default)]
    ips: Option<Vec<RawIp>>,
    #[serde(default)]
    routes: Option<Vec<RawRoute>>,
    #[serde(default)]
    ip4: Option<RawOldIp>,
    #[serde(default)]
    ip6: Option<RawOldIp>,
}

#[derive(Deserialize)]
struct RawInterface {
    name: String,
    #[serde(default)]
    sandbox: Option<String>,
}

#[derive(Deserialize)]
struct RawIp {
    address: String,
    #[serde(default)]
    interface: Option<i64>,
    #[serde(default)]
    gateway: Option<String>,
}

#[derive(Deserialize)]
struct RawOldIp {
    ip: String,
    #[serde(default)]
    gateway: Option<String>,
    #[serde(default)]
    routes: Option<Vec<RawRoute>>,
}

#[derive(Deserialize)]
struct RawRoute {
    dst: String,
    #[serde(default)]
    gw: Option<String>,
}

/// A result of one plugin, in the network's version.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AddResult {
    /// As the next plugin gets it.
    pub value: Value,
    /// Addresses of the pod's interface, in the plugin's order.
    addresses: Vec<IpAddr>,
}

impl AddResult {
    /// Reads an answer.
    pub(crate) fn read(answer: &[u8], wanted: SpecVersion) -> Result<Self, ResultError> {
        let raw: Raw = serde_json::from_slice(answer).map_err(ResultError::Json)?;
        let value: Value = serde_json::from_slice(answer).map_err(ResultError::Json)?;
        check_form(&value)?;
        let is_of = match raw.cni_version.as_deref() {
            // As libcni has it: who says nothing speaks as he was spoken to.
            None | Some("") => Some(wanted),
            Some(version) => SpecVersion::parse(version),
        };
        let same_form =
            |version: &SpecVersion| version.has_two_addresses_only() == wanted.has_two_addresses_only();
        if !is_of.as_ref().is_some_and(same_form) {
            return Err(ResultError::Version {
                version: quote(raw.cni_version.as_deref().unwrap_or_default()),
                wanted: wanted.as_str(),
            });
        }
        let addresses = if wanted.has_two_addresses_only() {
            raw.old_addresses()?
        } else {
            raw.addresses()?
        };
        Ok(Self {
            value: in_version(value, wanted),
            addresses,
        })
    }

    /// The pod's addresses: the first of each family.
    pub(crate) fn pod_addresses(&self) -> Result<PodAddresses, ResultError> {
        let mut found = PodAddresses {
            v6_first: self.addresses.first().is_some_and(IpAddr::is_ipv6),
            ..PodAddresses::default()
        };
        for address in &self.addresses {
            match address {
                IpAddr::V4(address) => found.v4 = found.v4.or(Some(*address)),
                IpAddr::V6(address) => found.v6 = found.v6.or(Some(*address)),
            }
        }
        if self.addresses.is_empty() {
            return Err(ResultError::NoAddress);
        }
        Ok(found)
    }
}

impl Raw {
    fn addresses(&self) -> Result<Vec<IpAddr>, ResultError> {
        let interfaces = self.interfaces.as_deref().unwrap_or_default();
        let ips = self.ips.as_deref().unwrap_or_default();
        bounded("interfaces", interfaces, MAX_INTERFACES)?;
        bounded("addresses", ips, MAX_IPS)?;
        check_routes(self.routes.as_deref())?;
        let mut addresses = Vec::new();
        for ip in ips {
            let address = cidr("address", &ip.address)?;
            gateway(ip.gateway.as_deref())?;
            // An address of no interface is the pod's own.
            let of_pod = match ip.interface {
                None => true,
                Some(index) => {
                    let interface = usize::try_from(index).ok().and_then(|at| interfaces.get(at));
                    let interface = interface.ok_or(ResultError::Interface {
                        index,
                        count: interfaces.len(),
                    })?;
                    let inside = interface.sandbox.as_deref().is_some_and(|path| !path.is_empty());
                    interface.name == INTERFACE && inside
                }
            };
            if of_pod {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    fn old_addresses(&self) -> Result<Vec<IpAddr>, ResultError> {
        let mut addresses = Vec::new();
        for ip in self.ip4.iter().chain(&self.ip6) {
            addresses.push(cidr("ip", &ip.ip)?);
            gateway(ip.gateway.as_deref())?;
            check_routes(ip.routes.as_deref())?;
        }
        Ok(addresses)
    }
}

/// A list is read in the place of an object otherwise.
fn check_form(value: &Value) -> Result<(), ResultError> {
    let form = |field, holds: bool| {
        if holds {
            Ok(())
        } else {
            Err(ResultError::Form { field })
        }
    };
    let of_objects = |list: &Value| match list {
        Value::Array(items) => items.iter().all(Value::is_object),
        other => other.is_null(),
    };
    form("the result", value.is_object())?;
    for field in ["interfaces", "ips", "routes"] {
        form(field, value.get(field).is_none_or(of_objects))?;
    }
    for field in ["ip4", "ip6"] {
        let old = value.get(field).unwrap_or(&Value::Null);
        form(field, old.is_null() || old.is_object())?;
        form(field, old.get("routes").is_none_or(of_objects))?;
    }
    Ok(())
}

fn check_routes(routes: Option<&[RawRoute]>) -> Result<(), ResultError> {
    let routes = routes.unwrap_or_default();
    bounded("routes", routes, MAX_ROUTES)?;
    for route in routes {
        cidr("route", &route.dst)?;
        gateway(route.gw.as_deref())?;
    }
    Ok(())
}

fn bounded<T>(what: &'static str, items: &[T], max: usize) -> Result<(), ResultError> {
    let count = items.len();
    if count > max {
        return Err(ResultError::TooMany { what, count, max });
    }
    Ok(())
}

fn cidr(field: &'static str, text: &str) -> Result<IpAddr, ResultError> {
    let parsed = text.split_once('/').and_then(|(address, prefix)| {
        let address: IpAddr = address.parse().ok()?;
        let prefix: u8 = prefix.parse().ok()?;
        (prefix <= if address.is_ipv4() { 32 } else { 128 }).then_some(address)
    });
    parsed.ok_or_else(|| ResultError::Address {
        field,
        text: quote(text),
        expected: "an address and its prefix, such as 10.1.0.5/16",
    })
}

fn gateway(text: Option<&str>) -> Result<(), ResultError> {
    let text = text.unwrap_or_default();
    if text.is_empty() || text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(ResultError::Address {
        field: "gateway",
        text: quote(text),
        expected: "an address",
    })
}

fn quote(text: &str) -> String {
    text.chars().take(MAX_QUOTE).collect()
}

/// The same in the network's version, for a plugin that answered in another of the same form.
fn in_version(mut value: Value, version: SpecVersion) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.insert("cniVersion".to_owned(), version.as_str().into());
        let ips = fields.get_mut("ips").and_then(Value::as_array_mut);
        for ip in ips.into_iter().flatten().filter_map(Value::as_object_mut) {
            let family = match ip.get("address").and_then(Value::as_str) {
                Some(address) if address.contains(':') => "6",
                _ => "4",
            };
            if version.names_families() {
                ip.insert("version".to_owned(), family.into());
            } else {
                ip.remove("version");
            }
        }
    }
    value
}

#[cfg(test)]
mod tests;
