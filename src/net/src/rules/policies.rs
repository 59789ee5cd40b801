//! Policies as elements.

use std::net::IpAddr;

use pinnace_core::network::{Allowed, Direction, PolicyTable};

use super::element::{Concat, Data, Key};
use super::set::{Kind, Set};
use super::state::Tables;

/// The elements of all policies.
pub(super) fn elements(table: &PolicyTable) -> Tables {
    let mut tables = Tables::new();
    for (pods, kind) in [
        (&table.ingress_isolated, Kind::IsolatedIn),
        (&table.egress_isolated, Kind::IsolatedOut),
    ] {
        for pod in pods {
            put(&mut tables, kind, *pod, Concat::of(*pod).into());
        }
    }
    for allowed in &table.allowed {
        let (kind, key) = allowance(allowed);
        put(&mut tables, kind, allowed.pod, key);
    }
    tables
}

fn allowance(allowed: &Allowed) -> (Kind, Key) {
    let pod = || Concat::of(allowed.pod);
    let (first, last) = (
        pod().address(allowed.peer_first),
        pod().address(allowed.peer_last),
    );
    let ingress = allowed.direction == Direction::Ingress;
    let Some(protocol) = allowed.protocol else {
        let kind = if ingress {
            Kind::AllowedAnyIn
        } else {
            Kind::AllowedAnyOut
        };
        return (kind, range(first, last));
    };
    let kind = if ingress {
        Kind::AllowedIn
    } else {
        Kind::AllowedOut
    };
    let first = first.protocol(protocol).port(allowed.port_first);
    let last = last.protocol(protocol).port(allowed.port_last);
    (kind, range(first, last))
}

fn range(first: Concat, last: Concat) -> Key {
    Key {
        first,
        last: Some(last),
    }
}

fn put(tables: &mut Tables, kind: Kind, pod: IpAddr, key: Key) {
    let set = Set {
        kind,
        v4: pod.is_ipv4(),
    };
    tables.entry(set).or_default().insert(key, Data::Member.into());
}
