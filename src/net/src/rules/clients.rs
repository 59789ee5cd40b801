//! Clients that the kernel remembers (session affinity), of endpoints that are none any more.

use super::RulesError;
use super::element::{Concat, Data, Key, leads_to};
use super::set::{Kind, Set};
use super::state::{Edit, State};

/// How many bytes of an address's key tell the port: protocol and port.
const PORT: usize = 8;

/// Forgets clients of what is no endpoint of theirs. Those that the kernel forgot meanwhile are fine.
pub(super) fn forget(state: &mut State, edits: &[Edit]) -> Result<(), RulesError> {
    for v4 in [true, false] {
        let concerns = |edit: &Edit| {
            let kinds = [
                Kind::Endpoints,
                Kind::NodeEndpoints,
                Kind::Affine,
                Kind::AffineNodes,
            ];
            edit.set.v4 == v4 && kinds.contains(&edit.set.kind)
        };
        if !edits.iter().any(concerns) {
            continue;
        }
        let set = Set {
            kind: Kind::Affinity,
            v4,
        };
        // The kernel adds to it and forgets of it at any time: it is never known.
        state.change(|state| {
            state.forget(&[set]);
            let clients = state.elements(set)?.clone();
            let stale = clients
                .into_iter()
                .filter(|(key, entry)| !is_current(state, v4, key, &entry.data));
            Ok(stale
                .map(|(key, _)| Edit {
                    set,
                    key,
                    entry: None,
                })
                .collect())
        })?;
        state.forget(&[set]);
    }
    Ok(())
}

fn is_current(state: &State, v4: bool, key: &Key, data: &Data) -> bool {
    let width = if v4 { 4 } else { 16 };
    let Some(front) = key.first.0.get(width..) else {
        return false;
    };
    let node = front.get(front.len().saturating_sub(PORT)..).unwrap_or_default();
    let seen = |kind| state.seen(Set { kind, v4 });
    let leads = |kind, front: &[u8]| {
        let key = Key::from(Concat(front.to_vec()));
        seen(kind).is_some_and(|elements| elements.contains_key(&key))
    };
    if leads(Kind::Services, front) {
        return leads(Kind::Affine, front) && leads_to(seen(Kind::Endpoints), front, data);
    }
    leads(Kind::AffineNodes, node) && leads_to(seen(Kind::NodeEndpoints), node, data)
}
