//! `netstat`: the protocols' counters (`/proc/net/{netstat,snmp,snmp6}`), those that node_exporter shows.

use super::Collector;
use crate::encode::{Encoder, Kind, Value, name_part};
use crate::host::CollectError;
use crate::reader::Reader;

pub(super) struct Netstat;

impl Collector for Netstat {
    fn name(&self) -> &'static str {
        "netstat"
    }

    fn collect(&mut self, host: &Reader, out: &mut Encoder) -> Result<(), CollectError> {
        let mut fields = Vec::new();
        let (netstat, snmp) = (host.proc_text("net/netstat")?, host.proc_text("net/snmp")?);
        for (file, text) in [("net/netstat", &netstat), ("net/snmp", &snmp)] {
            pairs(text, &mut fields).ok_or_else(|| host.malformed(file, "a pair of lines"))?;
        }
        // Not there where IPv6 is switched off.
        let snmp6 = host.proc_text("net/snmp6").ok();
        if let Some(text) = &snmp6 {
            single(text, &mut fields);
        }
        fields.sort_by_key(|(protocol, field, _)| (*protocol, *field));
        fields.dedup_by_key(|(protocol, field, _)| (*protocol, *field));
        for (protocol, field, value) in fields {
            let name = name_part(&format!("node_netstat_{protocol}_{field}"));
            let help = format!("Counter {field} of protocol {protocol}.");
            out.single(&name, Kind::Untyped, &help, value);
        }
        Ok(())
    }
}

/// Protocol, name and value.
type Fields<'a> = Vec<(&'a str, &'a str, Value)>;

/// A line of names and a line of values for each protocol.
fn pairs<'a>(text: &'a str, fields: &mut Fields<'a>) -> Option<()> {
    let mut lines = text.lines();
    while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
        let (protocol, names) = names.split_once(':')?;
        let values = values.strip_prefix(protocol)?.strip_prefix(':')?;
        for (name, value) in names
            .split_ascii_whitespace()
            .zip(values.split_ascii_whitespace())
        {
            if is_shown(protocol, name) {
                fields.push((protocol, name, number(value)?));
            }
        }
    }
    Some(())
}

/// A name, such as `Ip6InOctets`, and a value on each line.
fn single<'a>(text: &'a str, fields: &mut Fields<'a>) {
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next()) else {
            continue;
        };
        if let Some(at) = name.find('6') {
            let (protocol, field) = name.split_at(at + 1);
            if is_shown(protocol, field)
                && let Some(value) = number(value)
            {
                fields.push((protocol, field, value));
            }
        }
    }
}

fn number(word: &str) -> Option<Value> {
    word.parse::<u64>()
        .map(Value::Unsigned)
        .or_else(|_| word.parse::<i64>().map(Value::Signed))
        .ok()
}

fn is_shown(protocol: &str, field: &str) -> bool {
    if matches!(field, "InErrors" | "InErrs") {
        return true;
    }
    match protocol {
        "Ip" => field == "Forwarding",
        "Ip6" | "IpExt" => matches!(field, "InOctets" | "OutOctets"),
        "Icmp" | "Icmp6" => matches!(field, "InMsgs" | "OutMsgs"),
        "TcpExt" => {
            field.starts_with("Listen")
                || field.starts_with("Syncookies")
                || matches!(
                    field,
                    "TCPSynRetrans" | "TCPTimeouts" | "TCPOFOQueue" | "TCPRcvQDrop"
                )
        }
        "Tcp" => matches!(
            field,
            "ActiveOpens" | "InSegs" | "OutSegs" | "OutRsts" | "PassiveOpens" | "RetransSegs" | "CurrEstab"
        ),
        "Udp" | "Udp6" => {
            matches!(
                field,
                "InDatagrams" | "OutDatagrams" | "NoPorts" | "RcvbufErrors" | "SndbufErrors"
            )
        }
        _ => false,
    }
}
