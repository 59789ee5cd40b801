//! What the node gave to Services: one file beside the pods' records, written like them.

use std::path::PathBuf;

use pinnace_api::{Namespace, ObjectName};
use pinnace_core::network::ServiceAllocations;
use pinnace_core::ports::{ServiceAllocation, StoredServices};
use pinnace_sys::file;
use serde::{Deserialize, Serialize};

use crate::error::{StoreError, chain};
use crate::format::{self, VERSION};
use crate::records::{RECORD_MAX, RecordStore, encode, is_damage};

const SERVICES: &str = "services.json";

/// The file's content.
#[derive(Debug, Serialize, Deserialize)]
struct Given {
    version: u32,
    services: Vec<GivenTo>,
}

/// One Service.
#[derive(Debug, Serialize, Deserialize)]
struct GivenTo {
    namespace: Namespace,
    name: ObjectName,
    #[serde(flatten)]
    given: ServiceAllocation,
}

impl RecordStore {
    pub(crate) fn services_path(&self) -> PathBuf {
        self.layout.state().join(SERVICES)
    }

    pub(crate) fn read_services(&self) -> Result<StoredServices, StoreError> {
        let path = self.services_path();
        let damaged = |why: String| {
            let set_aside = self.set_aside(&path, &why);
            Ok(StoredServices::Damaged { set_aside, why })
        };
        match file::read_limited(&path, RECORD_MAX) {
            Ok(bytes) => match format::read::<Given>(&bytes) {
                Ok(given) => Ok(StoredServices::Whole(by_name(given))),
                Err(error) => damaged(chain(&error)),
            },
            Err(error) if error.is_not_found() => Ok(StoredServices::Whole(ServiceAllocations::new())),
            Err(error) if is_damage(&error) => damaged(chain(&error)),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn write_services(&self, given: &ServiceAllocations) -> Result<(), StoreError> {
        let services = given.iter().map(|((namespace, name), given)| GivenTo {
            namespace: namespace.clone(),
            name: name.clone(),
            given: given.clone(),
        });
        let bytes = encode(&Given {
            version: VERSION,
            services: services.collect(),
        })?;
        file::create_dir_all(&self.layout.state(), 0o711)?;
        Ok(file::write_durable(&self.services_path(), &bytes, 0o600)?)
    }
}

fn by_name(given: Given) -> ServiceAllocations {
    let services = given.services.into_iter();
    services
        .map(|one| ((one.namespace, one.name), one.given))
        .collect()
}

#[cfg(test)]
mod tests {
    use pinnace_core::ports::Records;
    use pinnace_sys::Layout;

    use super::*;

    const OF_THIS_RELEASE: &str = r#"{"version":1,"services":[{"namespace":"default","name":"web",
        "cluster_ips":["10.96.0.7","fd00::7"],"node_ports":{"TCP/80":30080}}]}"#;

    fn given() -> ServiceAllocations {
        let given = ServiceAllocation {
            cluster_ips: ["10.96.0.7", "fd00::7"].map(|ip| ip.parse().unwrap()).to_vec(),
            node_ports: [("TCP/80".to_owned(), 30080)].into(),
        };
        ServiceAllocations::from([((Namespace::default(), ObjectName::new("web").unwrap()), given)])
    }

    async fn loaded(store: &RecordStore) -> ServiceAllocations {
        match store.load_services().await.unwrap() {
            StoredServices::Whole(given) => given,
            damaged => panic!("{damaged:?}"),
        }
    }

    #[tokio::test]
    async fn what_was_given_is_known_again() {
        let root = tempfile::tempdir().unwrap();
        let store = RecordStore::new(Layout::new(root.path()));
        assert!(loaded(&store).await.is_empty());
        for given in [given(), ServiceAllocations::new()] {
            store.save_services(&given).await.unwrap();
            assert_eq!(loaded(&store).await, given);
        }
    }

    #[tokio::test]
    async fn the_record_of_this_release_stays_readable() {
        let root = tempfile::tempdir().unwrap();
        let store = RecordStore::new(Layout::new(root.path()));
        file::create_dir_all(&store.layout.state(), 0o711).unwrap();
        std::fs::write(store.services_path(), OF_THIS_RELEASE).unwrap();
        assert_eq!(loaded(&store).await, given());
    }

    #[tokio::test]
    async fn a_damaged_record_is_set_aside() {
        let root = tempfile::tempdir().unwrap();
        let store = RecordStore::new(Layout::new(root.path()));
        file::create_dir_all(&store.layout.state(), 0o711).unwrap();
        for text in [
            "",
            "{\"version\":2}",
            "{\"version\":1,\"services\":[{}]}",
            &OF_THIS_RELEASE.replace("10.96.0.7", "10.96.0.700"),
        ] {
            std::fs::write(store.services_path(), text).unwrap();
            match store.load_services().await.unwrap() {
                StoredServices::Damaged { set_aside, .. } => {
                    assert_eq!(std::fs::read_to_string(set_aside).unwrap(), text);
                }
                whole => panic!("{whole:?}"),
            }
            assert!(loaded(&store).await.is_empty());
        }
    }
}
