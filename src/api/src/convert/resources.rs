//! `resources`: requests and limits.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::pod::{ResourceList, Resources};
use crate::quantity::{Bytes, Quantity, QuantityError};
use crate::report::Report;
use crate::tree::Path;

type Texts = BTreeMap<String, Text>;
type Amounts<'t> = BTreeMap<&'t str, Quantity>;

/// Requests and limits; where only a limit is given, it is the request too.
pub(super) fn resources(
    given: Option<&ResourceRequirements>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Resources {
    let Some(given) = given else {
        return Resources::default();
    };
    let requests_path = path.field("requests");
    let limits_path = path.field("limits");
    let limits = amounts(given.limits.as_ref(), &limits_path, report);
    let mut requests = amounts(given.requests.as_ref(), &requests_path, report);
    for (name, limit) in &limits {
        if let Some(request) = requests.get(name)
            && request > limit
        {
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            report.invalid(&requests_path.key(name), &request.to_string(), detail);
        }
        requests.entry(name).or_insert(*limit);
    }
    Resources {
        requests: list(&requests, &requests_path, report),
        limits: list(&limits, &limits_path, report),
    }
}

/// What a pod takes beside its containers.
pub(super) fn overhead(given: Option<&Texts>, path: &Path<'_>, report: &mut Report<'_>) -> ResourceList {
    let amounts = amounts(given, path, report);
    list(&amounts, path, report)
}

/// The amounts that could be read.
fn amounts<'t>(given: Option<&'t Texts>, path: &Path<'_>, report: &mut Report<'_>) -> Amounts<'t> {
    let mut amounts = Amounts::new();
    for (name, text) in given.into_iter().flatten() {
        let path = path.key(name);
        if !is_served(name, &path, report) {
            continue;
        }
        if let Some(quantity) = quantity(&text.0, &path, report) {
            if name != "cpu" && !quantity.is_whole() {
                report.warn(
                    &path,
                    format!(
                        "fractional byte value {:?} is invalid, must be an integer",
                        text.0
                    ),
                );
            }
            amounts.insert(name, quantity);
        }
    }
    amounts
}

fn is_served(name: &str, path: &Path<'_>, report: &mut Report<'_>) -> bool {
    match name {
        "cpu" | "memory" | "ephemeral-storage" => return true,
        _ if name.starts_with("hugepages-") || name.contains('/') => {
            report.not_yet(path, &format!("resource {}", crate::report::quote(name)));
        }
        _ => report.invalid(path, name, "must be a standard resource for containers"),
    }
    false
}

/// A quantity that is not negative.
pub(super) fn quantity(text: &str, path: &Path<'_>, report: &mut Report<'_>) -> Option<Quantity> {
    let parsed = text
        .parse::<Quantity>()
        .and_then(|quantity| match quantity.milli_cpu() {
            Err(QuantityError::Negative) => Err(QuantityError::Negative),
            _ => Ok(quantity),
        });
    match parsed {
        Ok(quantity) => Some(quantity),
        Err(error) => {
            report.invalid(path, text, error);
            None
        }
    }
}

/// A number of bytes.
pub(super) fn bytes(text: &str, path: &Path<'_>, report: &mut Report<'_>) -> Option<Bytes> {
    in_unit(quantity(text, path, report), Quantity::bytes, path, report)
}

fn list(amounts: &Amounts<'_>, path: &Path<'_>, report: &mut Report<'_>) -> ResourceList {
    let of = |name: &str| amounts.get(name).copied();
    ResourceList {
        cpu: in_unit(of("cpu"), Quantity::milli_cpu, &path.key("cpu"), report),
        memory: in_unit(of("memory"), Quantity::bytes, &path.key("memory"), report),
        ephemeral_storage: in_unit(
            of("ephemeral-storage"),
            Quantity::bytes,
            &path.key("ephemeral-storage"),
            report,
        ),
    }
}

fn in_unit<T>(
    quantity: Option<Quantity>,
    convert: impl Fn(&Quantity) -> Result<T, QuantityError>,
    path: &Path<'_>,
    report: &mut Report<'_>,
) -> Option<T> {
    let quantity = quantity?;
    match convert(&quantity) {
        Ok(amount) => Some(amount),
        Err(error) => {
            report.invalid(path, &quantity.to_string(), error);
            None
        }
    }
}
