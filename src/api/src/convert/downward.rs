//! References to a pod's own fields and amounts, from variables and from volumes.

use k8s_openapi::api::core::v1;

use super::{filled, required, resources, sound};
use crate::ident::ContainerName;
use crate::names;
use crate::pod::environment::{FieldSelector, ResourceField, ResourceSelector};
use crate::report::Report;
use crate::tree::Path;

/// Where a reference stands: not every field can be told everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// In a container's variable.
    Variable,
    /// In a file.
    File,
}

const OF_VARIABLES: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

const OF_FILES: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];

/// Fields that Kubernetes knows by name, though neither variables nor files are told them.
const UNTOLD: [&str; 3] = ["spec.restartPolicy", "spec.schedulerName", "status.phase"];

const RESOURCES: [(&str, ResourceField); 6] = [
    ("limits.cpu", ResourceField::LimitsCpu),
    ("limits.ephemeral-storage", ResourceField::LimitsEphemeralStorage),
    ("limits.memory", ResourceField::LimitsMemory),
    ("requests.cpu", ResourceField::RequestsCpu),
    (
        "requests.ephemeral-storage",
        ResourceField::RequestsEphemeralStorage,
    ),
    ("requests.memory", ResourceField::RequestsMemory),
];

const BYTE_DIVISORS: [&str; 13] = [
    "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
];

/// The names of a pod's containers.
pub(super) type Names<'p> = [&'p str];

/// `fieldRef`.
pub(super) fn field(
    given: &v1::ObjectFieldSelector,
    used: Use,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<FieldSelector> {
    let text = given.field_path.as_str();
    let field_path = path.field("fieldPath");
    if text.is_empty() {
        report.required(&field_path, "");
        return None;
    }
    let conversion = match filled(&given.api_version) {
        None | Some("v1") => subscript_or_label(text),
        Some(version) => Err(format!("unsupported pod version: {version}")),
    };
    let (label, key) = match conversion {
        Ok(parts) => parts,
        Err(why) => {
            report.invalid(&field_path, text, format!("error converting fieldPath: {why}"));
            return None;
        }
    };
    if let Some(key) = key {
        let is_label = label == "metadata.labels";
        let checked = if is_label {
            key.to_owned()
        } else {
            key.to_lowercase()
        };
        let is_sound = sound(&checked, &names::qualified_name(&checked), path, report);
        let selector = if is_label {
            FieldSelector::Label
        } else {
            FieldSelector::Annotation
        };
        return is_sound.then(|| selector(key.to_owned()));
    }
    let told: &[&str] = match used {
        Use::Variable => &OF_VARIABLES,
        Use::File => &OF_FILES,
    };
    let selector = whole_field(label).filter(|_| told.contains(&label));
    if selector.is_none() {
        report.unsupported(&field_path, label, told);
    }
    selector
}

/// A field's path, with the key of `path['key']`; or what is wrong with it, in Kubernetes' words.
fn subscript_or_label(text: &str) -> Result<(&str, Option<&str>), String> {
    let subscripted = text.strip_suffix("']").and_then(|text| text.split_once("['"));
    match subscripted {
        Some((label @ ("metadata.annotations" | "metadata.labels"), key)) => Ok((label, Some(key))),
        Some((label, _)) if !label.is_empty() => {
            Err(format!("field label does not support subscript: {text}"))
        }
        _ if text == "spec.host" => Ok(("spec.nodeName", None)),
        _ if whole_field(text).is_some() || UNTOLD.contains(&text) => Ok((text, None)),
        _ => Err(format!("field label not supported: {text}")),
    }
}

fn whole_field(label: &str) -> Option<FieldSelector> {
    Some(match label {
        "metadata.name" => FieldSelector::Name,
        "metadata.namespace" => FieldSelector::Namespace,
        "metadata.uid" => FieldSelector::Uid,
        "metadata.labels" => FieldSelector::Labels,
        "metadata.annotations" => FieldSelector::Annotations,
        "spec.nodeName" => FieldSelector::NodeName,
        "spec.serviceAccountName" => FieldSelector::ServiceAccountName,
        "status.hostIP" => FieldSelector::HostIp,
        "status.hostIPs" => FieldSelector::HostIps,
        "status.podIP" => FieldSelector::PodIp,
        "status.podIPs" => FieldSelector::PodIps,
        _ => return None,
    })
}

/// `resourceFieldRef`. A file has no container of its own, so that it must name one. A name that no container
/// has is refused at once: on a cluster the pod would never start.
pub(super) fn resource(
    given: &v1::ResourceFieldSelector,
    used: Use,
    containers: &Names<'_>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<ResourceSelector> {
    let name_path = path.field("containerName");
    let name = filled(&given.container_name);
    if used == Use::File && name.is_none() {
        report.required(&name_path, "");
        return None;
    }
    let name = match name {
        None => None,
        Some(name) => Some(required(name, names::dns_label, &name_path, report)?),
    };
    if let Some(name) = name
        && !containers.contains(&name)
    {
        report.not_found(&name_path, name);
        return None;
    }
    let resource_path = path.field("resource");
    let text = given.resource.as_str();
    let found = RESOURCES.iter().find(|(known, _)| *known == text);
    let resource = match found {
        Some((_, resource)) => Some(*resource),
        None if text.is_empty() => {
            report.required(&resource_path, "");
            None
        }
        None if text.starts_with("limits.hugepages-") || text.starts_with("requests.hugepages-") => {
            report.not_yet(
                &resource_path,
                &format!("resource {}", crate::report::quote(text)),
            );
            None
        }
        None => {
            report.unsupported(&resource_path, text, &RESOURCES.map(|(name, _)| name));
            None
        }
    };
    let resource = resource?;
    Some(ResourceSelector {
        container: name.and_then(|name| ContainerName::new(name).ok()),
        resource,
        divisor: divisor(given, resource, &path.field("divisor"), report)?,
    })
}

/// One of the divisors that Kubernetes has for the resource; 1 where none is given, or 0.
fn divisor(
    given: &v1::ResourceFieldSelector,
    resource: ResourceField,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<u64> {
    let is_cpu = matches!(resource, ResourceField::LimitsCpu | ResourceField::RequestsCpu);
    let one = if is_cpu { 1000 } else { 1 };
    let Some(text) = &given.divisor else {
        return Some(one);
    };
    let quantity = resources::quantity(&text.0, path, report)?;
    let shown = quantity.to_string();
    if shown == "0" {
        return Some(one);
    }
    let (allowed, what): (&[&str], &str) = match resource {
        ResourceField::LimitsCpu | ResourceField::RequestsCpu => (&["1m", "1"], "cpu"),
        ResourceField::LimitsMemory | ResourceField::RequestsMemory => (&BYTE_DIVISORS, "memory"),
        ResourceField::LimitsEphemeralStorage | ResourceField::RequestsEphemeralStorage => {
            (&BYTE_DIVISORS, "local ephemeral storage")
        }
    };
    if !allowed.contains(&shown.as_str()) {
        let list = if is_cpu {
            allowed.join(" and ")
        } else {
            allowed.join(", ")
        };
        let why = format!("only divisor's values {list} are supported with the {what} resource");
        report.invalid(path, &given.resource, why);
        return None;
    }
    let amount = if is_cpu {
        quantity.milli_cpu().map(|amount| amount.0)
    } else {
        quantity.bytes().map(|amount| amount.0)
    };
    amount.ok()
}
