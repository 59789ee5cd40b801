//! Elements as nft reads them, for a table that is laid anew with what an older one held.

use std::fmt::Write as _;

use super::element::{Concat, Data, Elements, Field, Key};
use super::set::{Leads, Set};

/// Adds those that are of the set's form; others are left out.
pub(super) fn add(text: &mut String, table: &str, set: Set, elements: &Elements) {
    let written: Vec<String> = elements
        .iter()
        .filter_map(|(key, entry)| {
            let data = match (set.leads(), &entry.data) {
                (Leads::Nowhere, Data::Member) => String::new(),
                (Leads::ToPort, Data::Value(value)) => format!(" : {}", fields(&set.value(), value, None)?),
                (Leads::ToChain, Data::Goto(chain)) => format!(" : goto {}", chain.name()),
                _ => return None,
            };
            // A comment is text of this program's own, but what is quoted must not end the quotation.
            let owner = entry.owner.as_ref().filter(|owner| !owner.contains(['"', '\n']));
            let comment = owner.map_or_else(String::new, |owner| format!(" comment \"{owner}\""));
            Some(format!("{}{comment}{data}", key_text(set, key)?))
        })
        .collect();
    if !written.is_empty() {
        let _ = writeln!(
            text,
            "add element inet {table} {} {{ {} }}",
            set.name(),
            written.join(",\n ")
        );
    }
}

fn key_text(set: Set, key: &Key) -> Option<String> {
    fields(&set.key(), &key.first, key.last.as_ref())
}

/// Fields as nft writes them; `None` for bytes that are not of these fields.
fn fields(kinds: &[Field], first: &Concat, last: Option<&Concat>) -> Option<String> {
    let (mut low, mut high) = (first.0.as_slice(), last.map(|last| last.0.as_slice()));
    let mut written = Vec::with_capacity(kinds.len());
    for kind in kinds {
        let (bytes, rest) = low.split_at_checked(kind.width())?;
        low = rest;
        let mut field = field_text(*kind, bytes)?;
        if let Some(bytes) = high {
            let (bytes, rest) = bytes.split_at_checked(kind.width())?;
            high = Some(rest);
            let end = field_text(*kind, bytes)?;
            if end != field {
                field = format!("{field}-{end}");
            }
        }
        written.push(field);
    }
    low.is_empty().then(|| written.join(" . "))
}

fn field_text(kind: Field, bytes: &[u8]) -> Option<String> {
    Some(match kind {
        Field::V4 => std::net::Ipv4Addr::from(*bytes.first_chunk::<4>()?).to_string(),
        Field::V6 => std::net::Ipv6Addr::from(*bytes.first_chunk::<16>()?).to_string(),
        Field::Protocol => bytes.first()?.to_string(),
        Field::Port => u16::from_be_bytes(*bytes.first_chunk::<2>()?).to_string(),
        Field::Index => {
            let number = u32::from_ne_bytes(*bytes.first_chunk::<4>()?);
            format!("{:x}:{:x}", number >> 16, number & 0xffff)
        }
        Field::Link => {
            let name: Vec<u8> = bytes.iter().copied().take_while(|byte| *byte != 0).collect();
            let plain = |byte: &u8| byte.is_ascii_alphanumeric();
            if name.is_empty() || !name.iter().all(plain) {
                return None;
            }
            format!("\"{}\"", String::from_utf8(name).ok()?)
        }
    })
}
