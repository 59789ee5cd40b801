//! What is kept of each attachment: the configuration and the arguments that it was, or is to be, made with, and
//! the result.
//!
//! It is written before the first plugin is executed and lies below `/var/lib`: plugins keep their own state
//! there (addresses that are leased, for one), so an attachment outlives a reboot in their eyes, and is taken
//! back with the same configuration and arguments, whatever was lost or changed meanwhile. One that has no result
//! was cut short, and is taken back before it is tried again.

use std::path::PathBuf;

use pinnace_api::PodUid;
use pinnace_core::network::PodAddresses;
use pinnace_sys::{Doing, SysResult, file};
use serde_json::{Map, Value};

use super::network::Network;
use super::result::AddResult;

const FORMAT: u32 = 1;
const MAX_BYTES: u64 = 8 * 1024 * 1024;
const SUFFIX: &str = ".json";

/// One attachment.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    format: u32,
    /// The network's configuration as a list.
    list: Value,
    /// `CNI_ARGS`.
    pub args: String,
    /// `runtimeConfig` by capability.
    pub capabilities: Map<String, Value>,
    /// The boot that it was made in.
    pub boot: String,
    /// The last plugin's; none before the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The addresses were seen in the pod's namespace when it was made. Those of plugins that make no interface of
    /// the kernel's never are.
    #[serde(default)]
    pub is_seen: bool,
}

impl Record {
    pub(crate) fn new(
        network: &Network,
        args: String,
        capabilities: Map<String, Value>,
        boot: String,
    ) -> Self {
        Self {
            format: FORMAT,
            list: network.to_list(),
            args,
            capabilities,
            boot,
            result: None,
            is_seen: false,
        }
    }

    /// The network that it belongs to.
    pub(crate) fn network(&self) -> Option<Network> {
        Network::from_list(&self.list).ok()
    }

    /// The pod's addresses; none where it was cut short.
    pub(crate) fn addresses(&self) -> Option<PodAddresses> {
        let result = self.result.as_ref()?.to_string();
        let read = AddResult::read(result.as_bytes(), self.network()?.version);
        read.ok()?.pod_addresses().ok()
    }
}

/// What is there of a pod.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kept {
    Nothing,
    /// Something that cannot be read any more.
    Damaged,
    Record(Box<Record>),
}

/// All attachments of one root.
#[derive(Debug)]
pub(crate) struct Records {
    directory: PathBuf,
}

impl Records {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    pub(crate) fn read(&self, uid: &PodUid) -> SysResult<Kept> {
        match file::read_limited(&self.path(uid), MAX_BYTES) {
            Ok(bytes) => Ok(match serde_json::from_slice::<Record>(&bytes) {
                Ok(record) if record.format == FORMAT && record.network().is_some() => {
                    Kept::Record(Box::new(record))
                }
                _ => Kept::Damaged,
            }),
            Err(error) if error.is_not_found() => Ok(Kept::Nothing),
            Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => Ok(Kept::Damaged),
            Err(error) => Err(error),
        }
    }

    /// On the disk when this returns. Only root reads it: configurations may hold secrets.
    pub(crate) fn write(&self, uid: &PodUid, record: &Record) -> SysResult<()> {
        file::create_dir_all(&self.directory, 0o700)?;
        let path = self.path(uid);
        let bytes = serde_json::to_vec(record).map_err(std::io::Error::from);
        file::write_durable(&path, &bytes.doing_on("write", &path)?, 0o600)
    }

    pub(crate) fn remove(&self, uid: &PodUid) -> SysResult<()> {
        file::remove_file(&self.path(uid))
    }

    /// All pods of which there is a record, damaged or not.
    pub(crate) fn list(&self) -> SysResult<Vec<PodUid>> {
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.doing_on("list", &self.directory)?,
        };
        let mut pods = Vec::new();
        for entry in entries {
            let name = entry.doing_on("list", &self.directory)?.file_name();
            if file::is_temporary(&name) {
                continue;
            }
            let uid = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            pods.extend(uid.and_then(|uid| PodUid::new(uid.to_owned()).ok()));
        }
        pods.sort();
        Ok(pods)
    }

    fn path(&self, uid: &PodUid) -> PathBuf {
        self.directory.join(format!("{uid}{SUFFIX}"))
    }
}

#[cfg(test)]
mod tests {
    use pinnace_api::testing::uid;
    use serde_json::json;

    use super::*;

    fn record() -> Record {
        let list = json!({"cniVersion": "1.0.0", "name": "x", "plugins": [{"type": "bridge"}]});
        let network = Network::from_list(&list).unwrap();
        Record::new(
            &network,
            "IgnoreUnknown=1".to_owned(),
            Map::new(),
            "boot".to_owned(),
        )
    }

    #[test]
    fn what_is_written_is_found_again_by_any_agent() {
        let directory = tempfile::tempdir().unwrap();
        let records = || Records::new(directory.path().join("cni"));
        assert_eq!(records().read(&uid(1)).unwrap(), Kept::Nothing);
        assert!(records().list().unwrap().is_empty());
        let mut record = record();
        records().write(&uid(1), &record).unwrap();
        assert_eq!(record.addresses(), None, "cut short");
        record.result = Some(json!({"ips": [{"address": "10.0.0.7/24"}]}));
        records().write(&uid(1), &record).unwrap();
        let Kept::Record(read) = records().read(&uid(1)).unwrap() else {
            panic!("not read")
        };
        assert_eq!(*read, record);
        assert_eq!(read.addresses().unwrap().v4.unwrap().to_string(), "10.0.0.7");
        assert_eq!(records().list().unwrap(), [uid(1)]);
        records().remove(&uid(1)).unwrap();
        records().remove(&uid(1)).unwrap();
        assert!(records().list().unwrap().is_empty());
    }

    #[test]
    fn a_damaged_record_is_told_as_such_and_still_names_its_pod() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::new(directory.path().to_owned());
        let good = serde_json::to_string(&record()).unwrap();
        for content in [
            "",
            "{",
            "\0\0\0\0",
            &good.replace("\"format\":1", "\"format\":99"),
            &good.replace("\"bridge\"", "\"../sh\""),
        ] {
            std::fs::write(directory.path().join(format!("{}.json", uid(3))), content).unwrap();
            assert_eq!(records.read(&uid(3)).unwrap(), Kept::Damaged, "{content}");
        }
        std::fs::write(directory.path().join(".pinnace-0-1.tmp"), "half").unwrap();
        std::fs::write(directory.path().join("not a uid.json"), "").unwrap();
        assert_eq!(records.list().unwrap(), [uid(3)]);
    }
}
