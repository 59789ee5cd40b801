//! nftables over netlink: listing, asking for and changing elements, each change whole or not at all.

use std::io;

use pinnace_sys::netlink::{self, Attributes, Batch, Family, Message, Received, Socket};
use pinnace_sys::{Doing, SysResult};

use super::element::{Chain, Concat, Data, Elements, Entry, Key};
use super::set::Set;

/// `struct nfgenmsg`.
pub(super) const HEADER: usize = 4;
/// `NFPROTO_INET`.
pub(super) const INET: u8 = 1;
/// `NFNL_SUBSYS_NFTABLES`.
pub(super) const NFTABLES: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN`, `NFNL_MSG_BATCH_END`.
pub(super) const BEGIN: u16 = 0x10;
pub(super) const END: u16 = 0x11;
/// `NFT_MSG_GETTABLE`, `NFT_MSG_NEWSETELEM` and so on.
const GET_TABLE: u16 = NFTABLES << 8 | 1;
const DELETE_TABLE: u16 = NFTABLES << 8 | 2;
const NEW_ELEMENTS: u16 = NFTABLES << 8 | 12;
const GET_ELEMENTS: u16 = NFTABLES << 8 | 13;
const DELETE_ELEMENTS: u16 = NFTABLES << 8 | 14;
const GET_GENERATION: u16 = NFTABLES << 8 | 16;
/// `NFTA_TABLE_NAME`, `NFTA_TABLE_USERDATA`.
const TABLE_NAME: u16 = 1;
const TABLE_USERDATA: u16 = 6;
/// `NFTA_SET_ELEM_LIST_*`.
const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
/// `NFTA_LIST_ELEM`.
const ELEMENT: u16 = 1;
/// `NFTA_SET_ELEM_*`.
const KEY: u16 = 1;
const DATA: u16 = 2;
const USERDATA: u16 = 6;
const KEY_END: u16 = 10;
/// `NFTA_DATA_VALUE`, `NFTA_DATA_VERDICT`.
const VALUE: u16 = 1;
const VERDICT: u16 = 2;
/// `NFTA_VERDICT_CODE`, `NFTA_VERDICT_CHAIN`, and `NFT_GOTO`.
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
const GOTO: u32 = (-4_i32).cast_unsigned();
/// A comment is the first kind of what users may keep with tables and elements.
const COMMENT: u8 = 0;
/// Elements of one message: they must fit into one attribute of 64 KiB.
const CHUNK: usize = 256;

/// `struct nfgenmsg` of the family `inet`; the number that a batch carries is that of nftables.
pub(super) fn header(family: u8, resource: u16) -> [u8; HEADER] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

/// A socket in this thread's namespace.
pub(super) fn socket() -> SysResult<Socket> {
    Socket::open(Family::Netfilter).doing("open", "a netlink socket")
}

/// Whether the kernel knows nothing of nftables: then it takes even a question for the rules' generation for invalid.
pub(super) fn is_missing(socket: &mut Socket) -> bool {
    let mut batch = Batch::new();
    batch.message(GET_GENERATION, netlink::ACK, &header(0, 0));
    let Ok(answers) = socket.execute(batch) else {
        return false;
    };
    let invalid = |error: &io::Error| error.raw_os_error() == Some(libc::EINVAL);
    answers
        .results
        .iter()
        .any(|result| result.as_ref().is_err_and(invalid))
}

/// The comment of the table; `None` where there is no such table.
pub(super) fn table_comment(socket: &mut Socket, table: &str) -> SysResult<Option<String>> {
    let mut batch = Batch::new();
    batch
        .message(GET_TABLE, netlink::ACK, &header(INET, 0))
        .text(TABLE_NAME, table);
    let answers = socket.execute(batch).doing("look for the table", table)?;
    let result: io::Result<()> = answers.results.into_iter().collect();
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        result => result.doing("look for the table", table)?,
    }
    let told = answers.messages.first().and_then(|message| {
        let userdata = message.attributes(HEADER).find(TABLE_USERDATA)?;
        comment(userdata.value)
    });
    Ok(Some(told.unwrap_or_default()))
}

/// Takes the table away with all that is in it.
pub(super) fn delete_table(socket: &mut Socket, table: &str) -> SysResult<()> {
    let mut batch = Batch::new();
    batch.message(BEGIN, 0, &header(0, NFTABLES));
    batch
        .message(DELETE_TABLE, netlink::ACK, &header(INET, 0))
        .text(TABLE_NAME, table);
    batch.message(END, 0, &header(0, NFTABLES));
    let answers = socket.execute(batch).doing("remove the table", table)?;
    let result: io::Result<()> = answers.results.into_iter().collect();
    result.doing("remove the table", table)
}

/// All elements of a set.
pub(super) fn list(socket: &mut Socket, table: &str, set: Set) -> SysResult<Elements> {
    let mut batch = Batch::new();
    batch
        .message(GET_ELEMENTS, netlink::DUMP, &header(INET, 0))
        .text(LIST_TABLE, table)
        .text(LIST_SET, &set.name());
    let listed = socket
        .dump_request(&batch)
        .doing("list the elements of", set.name())?;
    Ok(listed.iter().flat_map(elements_of).collect())
}

/// Those of the elements that are there.
pub(super) fn find(socket: &mut Socket, table: &str, wanted: &[(Set, Key)]) -> SysResult<Vec<Option<Entry>>> {
    let mut batch = Batch::new();
    for (set, key) in wanted {
        batch
            .message(GET_ELEMENTS, netlink::ACK, &header(INET, 0))
            .text(LIST_TABLE, table)
            .text(LIST_SET, &set.name())
            .nest(LIST_ELEMENTS, |list| write(list, key, None));
    }
    let answers = socket.execute(batch).doing("look for elements of", table)?;
    let mut found: Vec<(Key, Entry)> = answers.messages.iter().flat_map(elements_of).collect();
    found.reverse();
    let mut entries = Vec::with_capacity(wanted.len());
    for ((_, key), result) in wanted.iter().zip(answers.results) {
        match result {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODATA)) => {
                entries.push(None)
            }
            result => {
                result.doing("look for elements of", table)?;
                // They come in the order in which they were asked for.
                let entry = found.pop().filter(|(told, _)| told == key);
                entries.push(entry.map(|(_, entry)| entry));
            }
        }
    }
    Ok(entries)
}

/// What is to change.
#[derive(Debug, Default)]
pub(super) struct Changes<'a> {
    /// Elements that go.
    pub(super) removed: Vec<(Set, Vec<&'a Key>)>,
    /// Elements that come.
    pub(super) added: Vec<(Set, Vec<(&'a Key, &'a Entry)>)>,
}

impl Changes<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// Carries all out, or nothing.
    pub(super) fn commit(&self, socket: &mut Socket, table: &str) -> SysResult<()> {
        let mut batch = Batch::new();
        batch.message(BEGIN, 0, &header(0, NFTABLES));
        for (set, keys) in &self.removed {
            for chunk in keys.chunks(CHUNK) {
                let mut message = batch.message(DELETE_ELEMENTS, netlink::ACK, &header(INET, 0));
                message.text(LIST_TABLE, table).text(LIST_SET, &set.name());
                message.nest(LIST_ELEMENTS, |list| {
                    for key in chunk {
                        write(list, key, None);
                    }
                });
            }
        }
        for (set, elements) in &self.added {
            for chunk in elements.chunks(CHUNK) {
                let flags = netlink::ACK | netlink::CREATE;
                let mut message = batch.message(NEW_ELEMENTS, flags, &header(INET, 0));
                message.text(LIST_TABLE, table).text(LIST_SET, &set.name());
                message.nest(LIST_ELEMENTS, |list| {
                    for (key, entry) in chunk {
                        write(list, key, Some(entry));
                    }
                });
            }
        }
        batch.message(END, 0, &header(0, NFTABLES));
        let answers = socket.execute(batch).doing("change the elements of", table)?;
        let result: io::Result<()> = answers.results.into_iter().collect();
        result.doing("change the elements of", table)
    }
}

fn write(list: &mut Message<'_>, key: &Key, entry: Option<&Entry>) {
    list.nest(ELEMENT, |element| {
        element.nest(KEY, |part| {
            part.bytes(VALUE, &key.first.0);
        });
        if let Some(last) = &key.last {
            element.nest(KEY_END, |part| {
                part.bytes(VALUE, &last.0);
            });
        }
        let Some(entry) = entry else {
            return;
        };
        write_data(element, &entry.data);
        if let Some(owner) = &entry.owner {
            let mut userdata = vec![COMMENT, u8::try_from(owner.len() + 1).unwrap_or(u8::MAX)];
            userdata.extend(owner.bytes().take(usize::from(u8::MAX) - 1).chain([0]));
            element.bytes(USERDATA, &userdata);
        }
    });
}

fn write_data(element: &mut Message<'_>, data: &Data) {
    match data {
        Data::Member | Data::Foreign => {}
        Data::Value(value) => {
            element.nest(DATA, |part| {
                part.bytes(VALUE, &value.0);
            });
        }
        Data::Goto(chain) => {
            element.nest(DATA, |part| {
                part.nest(VERDICT, |verdict| {
                    verdict
                        .u32_be(VERDICT_CODE, GOTO)
                        .text(VERDICT_CHAIN, &chain.name());
                });
            });
        }
    }
}

fn elements_of(message: &Received) -> Vec<(Key, Entry)> {
    if message.kind != NEW_ELEMENTS {
        return Vec::new();
    }
    let Some(list) = message.attributes(HEADER).find(LIST_ELEMENTS) else {
        return Vec::new();
    };
    list.nested()
        .filter_map(|element| read(element.nested()))
        .collect()
}

fn read(element: Attributes<'_>) -> Option<(Key, Entry)> {
    let value = |kind| {
        let value = element.find(kind)?.nested().find(VALUE)?;
        Some(Concat(value.value.to_vec()))
    };
    let key = Key {
        first: value(KEY)?,
        last: value(KEY_END),
    };
    let data = match element.find(DATA) {
        None => Data::Member,
        Some(data) => match (data.nested().find(VALUE), data.nested().find(VERDICT)) {
            (Some(value), _) => Data::Value(Concat(value.value.to_vec())),
            (None, Some(verdict)) => verdict_of(verdict.nested()),
            (None, None) => Data::Foreign,
        },
    };
    let owner = element
        .find(USERDATA)
        .and_then(|userdata| comment(userdata.value));
    Some((key, Entry { data, owner }))
}

fn verdict_of(verdict: Attributes<'_>) -> Data {
    let code = verdict.find(VERDICT_CODE).and_then(|code| code.u32_be());
    let chain = verdict.find(VERDICT_CHAIN).and_then(|chain| chain.text());
    match (code, chain.and_then(Chain::parse)) {
        (Some(GOTO), Some(chain)) => Data::Goto(chain),
        _ => Data::Foreign,
    }
}

/// The comment among what a user keeps: kind, length and content one after the other.
fn comment(mut userdata: &[u8]) -> Option<String> {
    loop {
        let [kind, length, rest @ ..] = userdata else {
            return None;
        };
        let content = rest.get(..usize::from(*length))?;
        if *kind == COMMENT {
            let text = content.strip_suffix(&[0]).unwrap_or(content);
            return String::from_utf8(text.to_vec()).ok();
        }
        userdata = &rest[content.len()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_found_among_others_and_never_past_the_end() {
        assert_eq!(comment(&[1, 1, 9, 0, 3, b'a', b'b', 0]).as_deref(), Some("ab"));
        for cut in [&[][..], &[0], &[0, 3, b'a'], &[1, 200, 0], &[1, 0]] {
            assert_eq!(comment(cut), None);
        }
    }
}
