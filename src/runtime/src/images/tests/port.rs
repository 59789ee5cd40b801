//! The engine's port, in Kubernetes' words.

use pinnace_api::pod::PullPolicy;
use pinnace_core::pod::FailureReason;
use pinnace_core::ports::{Images, Retry};

use super::*;

const POLICIES: [PullPolicy; 3] = [PullPolicy::Always, PullPolicy::IfNotPresent, PullPolicy::Never];

#[tokio::test]
async fn a_present_image_is_taken_under_every_policy() {
    let node = Node::new();
    node.import_bytes(&docker_archive(&[TestImage::new("a:1", vec![layer("f", "x")])]))
        .unwrap();
    for policy in POLICIES {
        let image = node.store.ensure("a:1", policy).await.unwrap();
        assert_eq!(image.reference, "docker.io/library/a:1");
    }
}

#[tokio::test]
async fn an_absent_image_is_refused_in_the_kubelets_words() {
    let node = Node::new();
    let never = node.store.ensure("a:1", PullPolicy::Never).await.unwrap_err();
    assert_eq!(never.reason, FailureReason::ErrImageNeverPull);
    assert_eq!(
        never.to_string(),
        "Container image \"a:1\" is not present with pull policy of Never"
    );
    for policy in [PullPolicy::Always, PullPolicy::IfNotPresent] {
        let error = node.store.ensure("a:1", policy).await.unwrap_err();
        assert_eq!(
            (error.reason, error.retry),
            (FailureReason::ErrImagePull, Retry::Later)
        );
        let text = error.chain();
        assert!(
            text.contains("registries are not supported") && text.contains("pinnace image import"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_bad_name_is_an_invalid_image_name() {
    let node = Node::new();
    let error = node.store.ensure("a:b:c", PullPolicy::Always).await.unwrap_err();
    assert_eq!(
        (error.reason, error.retry),
        (FailureReason::InvalidImageName, Retry::AfterChange)
    );
    let text = "Failed to apply default image tag \"a:b:c\": couldn't parse image name \"a:b:c\": invalid reference format";
    assert_eq!(error.chain(), text);
}

#[tokio::test]
async fn what_is_not_unpacked_is_unpacked_before_the_answer() {
    let node = Node::new();
    node.import_bytes(&docker_archive(&[TestImage::new("a:1", vec![layer("f", "x")])]))
        .unwrap();
    let lower = node.lower_dirs("a:1").remove(0);
    std::fs::remove_dir_all(&lower).unwrap();
    node.store.ensure("a:1", PullPolicy::IfNotPresent).await.unwrap();
    assert!(lower.join("f").exists());
}

#[tokio::test]
async fn a_broken_image_is_an_inspect_error() {
    let node = Node::new();
    let image = node
        .import_bytes(&docker_archive(&[TestImage::new("a:1", vec![layer("f", "x")])]))
        .unwrap()
        .remove(0);
    std::fs::write(
        node.layout.images().join("blobs/sha256").join(&image.id[7..]),
        "{}",
    )
    .unwrap();
    let fresh = ImageStore::open(&node.layout).unwrap();
    let error = fresh.ensure("a:1", PullPolicy::IfNotPresent).await.unwrap_err();
    assert_eq!(error.reason, FailureReason::ImageInspectError);
    assert!(error.chain().contains(&image.id), "{}", error.chain());
}
