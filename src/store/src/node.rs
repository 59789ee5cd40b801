//! The node's own record: one file beside the pods' records, written like them.

use std::path::PathBuf;

use pinnace_core::node::NodeRecord;
use pinnace_core::ports::StoredNode;
use pinnace_sys::file;

use crate::error::{StoreError, chain};
use crate::format::read_node;
use crate::records::{RECORD_MAX, RecordStore, encode, is_damage};

const NODE: &str = "node.json";

impl RecordStore {
    pub(crate) fn node_path(&self) -> PathBuf {
        self.layout.state().join(NODE)
    }

    pub(crate) fn read_node(&self) -> Result<StoredNode, StoreError> {
        let path = self.node_path();
        let damaged = |why: String| {
            let set_aside = self.set_aside(&path, &why);
            Ok(StoredNode::Damaged { set_aside, why })
        };
        match file::read_limited(&path, RECORD_MAX) {
            Ok(bytes) => match read_node(&bytes) {
                Ok(record) => Ok(StoredNode::Whole(record)),
                Err(error) => damaged(chain(&error)),
            },
            Err(error) if error.is_not_found() => Ok(StoredNode::Absent),
            Err(error) if is_damage(&error) => damaged(chain(&error)),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn write_node(&self, record: &NodeRecord) -> Result<(), StoreError> {
        let bytes = encode(record)?;
        file::create_dir_all(&self.layout.state(), 0o711)?;
        Ok(file::write_durable(&self.node_path(), &bytes, 0o600)?)
    }
}

#[cfg(test)]
mod tests {
    use pinnace_core::node::{DrainUnderWay, EvictedPod, Taint, TaintSince};
    use pinnace_core::ports::Records;
    use pinnace_core::time::{BootId, BootMillis, Moment, Now, WallMillis};
    use pinnace_sys::Layout;

    use super::*;

    fn record() -> NodeRecord {
        let boot = BootId("b".to_owned());
        let now = Now {
            boot: BootMillis(7),
            wall: WallMillis(9),
        };
        NodeRecord {
            taints: vec![TaintSince {
                taint: Taint::new("broken", pinnace_api::pod::TaintEffect::NoExecute),
                since: Moment::now(&boot, now),
            }],
            evicted: vec![EvictedPod {
                namespace: pinnace_api::Namespace::default(),
                name: pinnace_api::ObjectName::new("web").unwrap(),
                document: "digest".to_owned(),
            }],
            draining: Some(DrainUnderWay {
                boot,
                grace_period_seconds: Some(5),
            }),
            ..NodeRecord::default()
        }
    }

    #[tokio::test]
    async fn what_was_saved_is_loaded() {
        let root = tempfile::tempdir().unwrap();
        let store = RecordStore::new(Layout::new(root.path()));
        assert!(matches!(store.load_node().await.unwrap(), StoredNode::Absent));
        for record in [record(), NodeRecord::default()] {
            store.save_node(&record).await.unwrap();
            match store.load_node().await.unwrap() {
                StoredNode::Whole(loaded) => assert_eq!(loaded, record),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn the_record_of_this_release_stays_readable() {
        let root = tempfile::tempdir().unwrap();
        let store = RecordStore::new(Layout::new(root.path()));
        file::create_dir_all(&store.layout.state(), 0o711).unwrap();
        let text = r#"{"version":1,"taints":[{"taint":{"key":"broken","effect":"NoExecute"},
            "since":{"wall":9,"boot":{"boot":"b","at":7}}}],
            "evicted":[{"namespace":"default","name":"web","document":"digest"}],
            "draining":{"boot":"b","grace_period_seconds":5}}"#;
        std::fs::write(store.node_path(), text).unwrap();
        match store.load_node().await.unwrap() {
            StoredNode::Whole(loaded) => assert_eq!(loaded, record()),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_damaged_record_is_set_aside() {
        let root = tempfile::tempdir().unwrap();
        let store = RecordStore::new(Layout::new(root.path()));
        file::create_dir_all(&store.layout.state(), 0o711).unwrap();
        for text in ["", "{\"version\":2}", "{\"version\":1,\"taints\":7}"] {
            std::fs::write(store.node_path(), text).unwrap();
            match store.load_node().await.unwrap() {
                StoredNode::Damaged { set_aside, .. } => {
                    assert_eq!(std::fs::read_to_string(set_aside).unwrap(), text);
                }
                other => panic!("{other:?}"),
            }
            assert!(matches!(store.load_node().await.unwrap(), StoredNode::Absent));
        }
    }
}
