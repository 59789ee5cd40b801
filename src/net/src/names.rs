//! Names of what is on the host: interfaces, their group and alias, the rule table.
//!
//! Two nodes on one machine never meet in any of them, as each is made of the root's tag.

use pinnace_api::PodUid;
use pinnace_sys::Layout;

/// The longest name of an interface is 15 bytes.
const LINK_PREFIX: &str = "pn";
/// The group of the interfaces of root `/`: "pn" as a number.
const ROOT_GROUP: u32 = 0x706e;
/// The group of another root: clear of those that people give, and not past what ip(8) takes.
const TAGGED: u32 = 0x2000_0000;
const TAG_BITS: u32 = 0x1fff_ffff;
/// Set in the group of links that are about to go.
const ENDING: u32 = 0x4000_0000;

/// Names of one root's things on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNames {
    tag: String,
}

impl HostNames {
    /// The names for the root of this layout.
    pub fn new(layout: &Layout) -> Self {
        Self { tag: layout.tag() }
    }

    /// The host's side of a pod's link: `pn` and 12 hexadecimal digits.
    pub fn link(&self, uid: &PodUid) -> String {
        let hash = fnv(self.tag.bytes().chain([b'/']).chain(uid.as_str().bytes()));
        format!("{LINK_PREFIX}{:012x}", (hash >> 48) ^ (hash & 0xffff_ffff_ffff))
    }

    /// Whether an interface's name is one of those.
    pub fn is_link(&self, name: &str) -> bool {
        let digits = name.strip_prefix(LINK_PREFIX);
        digits.is_some_and(|digits| digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }

    /// The Ethernet address of the pod's side: one of those that anybody may give.
    pub fn pod_mac(&self, uid: &PodUid) -> [u8; 6] {
        let [_, _, _, a, b, c, d, e] = fnv(uid.as_str().bytes()).to_be_bytes();
        [0x02, a, b, c, d, e]
    }

    /// `IFLA_IFALIAS` of a pod's link: `pinnace <tag> <uid>`, with `/` where the root has no tag.
    pub fn alias(&self, uid: &PodUid) -> String {
        format!("{}{uid}", self.alias_prefix())
    }

    /// The pod of an alias; `None` for links of others.
    pub fn uid_of_alias(&self, alias: &str) -> Option<PodUid> {
        let uid = alias.strip_prefix(&self.alias_prefix())?;
        PodUid::new(uid.to_owned()).ok()
    }

    /// `IFLA_GROUP` of all pods' links of this root; what comes in through one of them comes from a pod.
    pub fn group(&self) -> u32 {
        match u32::from_str_radix(&self.tag, 16) {
            Ok(tag) => (tag & TAG_BITS) | TAGGED,
            Err(_) => ROOT_GROUP,
        }
    }

    /// `IFLA_GROUP` of links that are about to go, of pods that have no process any more.
    pub fn ending_group(&self) -> u32 {
        self.group() | ENDING
    }

    /// The rule table's name, of family `inet`: `pinnace` or `pinnace-<tag>`.
    pub fn table(&self) -> String {
        match self.tag.as_str() {
            "" => "pinnace".to_owned(),
            tag => format!("pinnace-{tag}"),
        }
    }

    fn alias_prefix(&self) -> String {
        let tag = if self.tag.is_empty() { "/" } else { &self.tag };
        format!("pinnace {tag} ")
    }
}

/// FNV-1a, 64 bits: the names must be stable from release to release.
fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use pinnace_api::testing::uid;

    use super::*;

    #[test]
    fn names_fit_the_kernel_and_differ_between_pods_and_roots() {
        let of = |root: &str| HostNames::new(&Layout::new(root));
        let (host, other) = (of("/"), of("/srv/other"));
        assert_eq!(host.table(), "pinnace");
        assert!(other.table().starts_with("pinnace-"));
        assert_ne!(host.group(), other.group());
        let links = [host.link(&uid(1)), host.link(&uid(2)), other.link(&uid(1))];
        assert!(
            links
                .iter()
                .all(|link| link.len() == 14 && link.starts_with("pn"))
        );
        assert!(links[0] != links[1] && links[0] != links[2]);
    }

    #[test]
    fn an_alias_leads_back_to_its_pod_under_its_own_root_only() {
        let (host, other) = (
            HostNames::new(&Layout::new("/")),
            HostNames::new(&Layout::new("/srv/other")),
        );
        assert_eq!(host.uid_of_alias(&host.alias(&uid(7))), Some(uid(7)));
        assert_eq!(other.uid_of_alias(&other.alias(&uid(7))), Some(uid(7)));
        assert_eq!(host.uid_of_alias(&other.alias(&uid(7))), None);
        assert_eq!(other.uid_of_alias("pinnace / ../x"), None);
    }
}
