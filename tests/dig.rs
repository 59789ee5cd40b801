//! What `dig` prints, read.

use std::collections::BTreeMap;

/// One answer that `dig` printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dug {
    /// `NOERROR`, `NXDOMAIN`, …
    pub status: String,
    /// The header's flags: `qr aa rd ra`.
    pub flags: String,
    /// EDNS as the answer has it: `version: 0, flags:; udp: 1232`.
    pub edns: Option<String>,
    /// Records of each section, in the order of the answer.
    pub sections: BTreeMap<String, Vec<Record>>,
    /// The server's address.
    pub server: String,
    /// `UDP` or `TCP`.
    pub transport: String,
    /// Length of the message.
    pub bytes: usize,
    /// `dig` asked once more by TCP, as the first answer was cut.
    pub retried: bool,
}

/// A record as `dig` writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose, with a dot at the end.
    pub owner: String,
    /// Seconds that it may be kept.
    pub ttl: u32,
    /// `A`, `SRV`, …
    pub kind: String,
    /// What it says.
    pub data: String,
}

impl Dug {
    /// Reads the answers that were printed, one for each question; fails with anything that `dig` complains of, but
    /// that names in `local` are another protocol's.
    #[track_caller]
    pub fn read(printed: &str) -> Vec<Self> {
        for line in printed.lines() {
            let complaint = COMPLAINTS.iter().any(|words| line.contains(words));
            assert!(!complaint || line.contains(".local is reserved"), "{printed}");
        }
        let mut parts = printed.split(";; Got answer:\n");
        let mut before = parts.next().unwrap_or_default();
        let mut dug = Vec::new();
        for answer in parts {
            let read = read(answer, before.contains(RETRIES));
            dug.push(read.unwrap_or_else(|| panic!("no answer of dig: {printed}")));
            before = answer;
        }
        dug
    }

    /// Records of the answer: kinds and what they say, sorted.
    pub fn answers(&self) -> Vec<(&str, &str)> {
        let mut answers: Vec<_> = self
            .section("ANSWER")
            .iter()
            .map(|record| (record.kind.as_str(), record.data.as_str()))
            .collect();
        answers.sort_unstable();
        answers
    }

    /// Records of a section.
    pub fn section(&self, name: &str) -> &[Record] {
        self.sections.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether it says of the cluster's own zone that there is nothing, and for how long that may be kept.
    pub fn denies(&self) -> bool {
        let [authority] = self.section("AUTHORITY") else {
            return false;
        };
        self.flags == "qr aa rd ra"
            && self.section("ANSWER").is_empty()
            && (authority.owner.as_str(), authority.kind.as_str()) == ("cluster.local.", "SOA")
            && authority.data.ends_with(&format!(" {}", authority.ttl))
    }
}

/// What `dig` says of an answer, or of the lack of one, that is not as it should be.
const COMPLAINTS: [&str; 5] = [
    "WARNING",
    "Warning",
    "Got bad packet",
    "communications error",
    "mismatch",
];
/// What it says before it asks again by TCP.
const RETRIES: &str = ";; Truncated, retrying in TCP mode.";

fn read(printed: &str, retried: bool) -> Option<Dug> {
    let mut lines = printed
        .lines()
        .skip_while(|line| !line.starts_with(";; ->>HEADER<<-"));
    let status = lines.next()?.split_once("status: ")?.1.split(',').next()?;
    let (flags, counts) = lines.next()?.strip_prefix(";; flags: ")?.split_once("; ")?;
    let mut dug = Dug {
        status: status.to_owned(),
        flags: flags.to_owned(),
        edns: None,
        sections: BTreeMap::new(),
        server: String::new(),
        transport: String::new(),
        bytes: 0,
        retried,
    };
    let mut section = None;
    for line in lines {
        if let Some(edns) = line.strip_prefix("; EDNS: ") {
            dug.edns = Some(edns.to_owned());
        } else if let Some(name) = line
            .strip_prefix(";; ")
            .and_then(|line| line.strip_suffix(" SECTION:"))
        {
            section = Some(name.to_owned());
        } else if let Some(server) = line.strip_prefix(";; SERVER: ") {
            let (address, transport) = server.split_once(") (")?;
            dug.server = address.split('#').next()?.to_owned();
            dug.transport = transport.strip_suffix(')')?.to_owned();
        } else if let Some(bytes) = line.strip_prefix(";; MSG SIZE  rcvd: ") {
            dug.bytes = bytes.parse().ok()?;
        } else if line.is_empty() {
            section = None;
        } else if let (Some(section), false) = (&section, line.starts_with(';')) {
            dug.sections
                .entry(section.clone())
                .or_default()
                .push(record(line)?);
        }
    }
    let all: usize = counts.split_once("ANSWER: ")?.1.split(',').next()?.parse().ok()?;
    (dug.section("ANSWER").len() == all && !dug.server.is_empty()).then_some(dug)
}

/// Owner, time to live, class, kind and the rest, with any space between them.
fn record(line: &str) -> Option<Record> {
    let mut words = line.split_whitespace();
    let (owner, ttl) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
    let (class, kind) = (words.next()?, words.next()?.to_owned());
    let data = words.collect::<Vec<_>>().join(" ");
    (class == "IN").then_some(Record {
        owner,
        ttl,
        kind,
        data,
    })
}
