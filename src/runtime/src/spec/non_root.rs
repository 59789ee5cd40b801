//! `runAsNonRoot`, in the kubelet's words: asked of the user that the pod names, or else of the one that the
//! image really gives. A name proves nothing, for the image itself says what it stands for.

use pinnace_api::pod::Container;
use pinnace_api::{Pod, PodUid};

/// Why a container may not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NonRootError {
    /// The pod itself asks for UID 0.
    #[error("container's runAsUser breaks non-root policy (pod: {pod:?}, container: {container})")]
    AskedForRoot {
        /// `name_namespace(uid)`.
        pod: String,
        /// Its name.
        container: String,
    },
    /// Nobody names a user, or the image names UID 0.
    #[error("container has runAsNonRoot and image will run as root (pod: {pod:?}, container: {container})")]
    ImageIsRoot {
        /// `name_namespace(uid)`.
        pod: String,
        /// Its name.
        container: String,
    },
    /// The image names a user by a word.
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (pod: {pod:?}, container: {container})"
    )]
    NotANumber {
        /// The image's word, cut to a bounded length.
        user: String,
        /// `name_namespace(uid)`.
        pod: String,
        /// Its name.
        container: String,
    },
}

/// Letters of an image's user that a message shows.
const MAX_USER: usize = 80;

/// Whether the container may run as whom it would; `image_user` is `USER` of the image, possibly empty.
pub fn check(pod: &Pod, uid: &PodUid, container: &Container, image_user: &str) -> Result<(), NonRootError> {
    let (of_pod, own) = (&pod.spec.security, &container.security);
    if own.run_as_non_root.or(of_pod.run_as_non_root) != Some(true) {
        return Ok(());
    }
    let described = || format!("{}_{}({uid})", pod.meta.name, pod.meta.namespace);
    let name = container.name.to_string();
    if let Some(asked) = own.run_as_user.or(of_pod.run_as_user) {
        return match asked {
            0 => Err(NonRootError::AskedForRoot {
                pod: described(),
                container: name,
            }),
            _ => Ok(()),
        };
    }
    let user = image_user.split(':').next().unwrap_or_default();
    match (user, user.parse::<i64>()) {
        ("", _) | (_, Ok(0)) => Err(NonRootError::ImageIsRoot {
            pod: described(),
            container: name,
        }),
        (_, Ok(_)) => Ok(()),
        (word, Err(_)) => Err(NonRootError::NotANumber {
            user: word.chars().take(MAX_USER).collect(),
            pod: described(),
            container: name,
        }),
    }
}

#[cfg(test)]
mod tests {
    use pinnace_api::testing;
    use serde_json::json;

    use super::*;

    fn asked(of_pod: Option<u32>, own: Option<u32>, image: &str) -> Result<(), String> {
        let mut pod = testing::pod("web", json!({}));
        pod.spec.security.run_as_non_root = Some(true);
        pod.spec.security.run_as_user = of_pod;
        pod.spec.containers[0].security.run_as_user = own;
        let uid = PodUid::new("uid-1").expect("a uid");
        let container = pod.spec.containers[0].clone();
        check(&pod, &uid, &container, image).map_err(|error| error.to_string())
    }

    fn place() -> String {
        let name = testing::pod("web", json!({})).spec.containers[0].name.clone();
        format!("(pod: \"web_default(uid-1)\", container: {name})")
    }

    #[test]
    fn the_pods_own_number_decides_before_the_images() {
        assert_eq!(asked(Some(7), None, "root"), Ok(()));
        assert_eq!(asked(Some(0), Some(7), "0"), Ok(()));
        let words = format!("container's runAsUser breaks non-root policy {}", place());
        assert_eq!(asked(Some(7), Some(0), "7"), Err(words));
    }

    #[test]
    fn an_image_that_is_root_or_may_be_is_refused() {
        for image in ["", "0", "0:50", "00"] {
            let words = format!(
                "container has runAsNonRoot and image will run as root {}",
                place()
            );
            assert_eq!(asked(None, None, image), Err(words), "{image:?}");
        }
        let words = format!(
            "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root {}",
            place()
        );
        assert_eq!(asked(None, None, "app:web"), Err(words));
        assert_eq!(asked(None, None, "1000:web"), Ok(()));
    }

    #[test]
    fn a_container_may_say_otherwise_than_its_pod() {
        let mut pod = testing::pod("web", json!({}));
        pod.spec.security.run_as_non_root = Some(true);
        pod.spec.containers[0].security.run_as_non_root = Some(false);
        let uid = PodUid::new("uid-1").expect("a uid");
        assert_eq!(check(&pod, &uid, &pod.spec.containers[0], ""), Ok(()));
    }
}
