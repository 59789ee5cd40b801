//! Whom a container runs as: the pod's word before the image's, names looked up in the image's own files.
//!
//! `/etc/passwd` and `/etc/group` are the image's, thus foreign input: they are opened beneath the root file
//! system by the caller, read up to [`MAX_FILE_BYTES`], and parsed leniently line by line.

use super::oci::User;

/// Of each file, at most this much is read.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// Supplementary groups that a user gets out of the image's `/etc/group`.
const MAX_GROUPS: usize = 1024;

/// Why no user could be made out.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UserError {
    /// The image or pod names a user that the image does not know.
    #[error("unable to find user {0}: no matching entries in passwd file")]
    NoUser(String),
    /// Likewise a group.
    #[error("unable to find group {0}: no matching entries in group file")]
    NoGroup(String),
    /// `USER` of the image is not `user[:group]`.
    #[error("invalid USER value {0:?}")]
    Malformed(String),
}

/// What the pod says of the user; each `None` leaves it to the image.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub run_as_user: Option<u32>,
    pub run_as_group: Option<u32>,
    pub supplemental_groups: Vec<u32>,
    /// The groups that the image's own file gives the user do not count (`supplementalGroupsPolicy: Strict`).
    pub only_named_groups: bool,
}

struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

fn accounts(passwd: &str) -> impl Iterator<Item = Account<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account { name, uid, gid })
    })
}

fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = fields.nth(1)?.parse().ok()?;
        Some((name, gid, fields.next().unwrap_or("")))
    })
}

/// The user of the first process; `image_user` is `USER` of the image, possibly empty.
pub fn resolve(asked: &Asked, image_user: &str, passwd: &str, group: &str) -> Result<User, UserError> {
    let (user_text, group_text) = match image_user.split_once(':') {
        Some((_, rest)) if rest.contains(':') => return Err(UserError::Malformed(cut(image_user))),
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (image_user, None),
    };
    let account = match asked.run_as_user {
        Some(uid) => by_uid(uid, passwd),
        None => match user_text {
            "" => by_uid(0, passwd),
            text => match text.parse() {
                Ok(uid) => by_uid(uid, passwd),
                Err(_) => accounts(passwd)
                    .find(|account| account.name == text)
                    .ok_or_else(|| UserError::NoUser(cut(text)))?,
            },
        },
    };
    let gid = match (asked.run_as_group, asked.run_as_user, group_text) {
        (Some(gid), _, _) => gid,
        // The image's group belongs to the image's user only.
        (None, None, Some(text)) => group_id(text, group)?,
        _ => account.gid,
    };
    let mut additional: Vec<u32> = asked.supplemental_groups.clone();
    additional.extend(
        groups(group)
            .filter(|_| !asked.only_named_groups)
            .filter(|(_, _, members)| {
                !account.name.is_empty() && members.split(',').any(|member| member == account.name)
            })
            .map(|(_, gid, _)| gid)
            .take(MAX_GROUPS),
    );
    additional.push(gid);
    additional.sort_unstable();
    additional.dedup();
    Ok(User {
        uid: account.uid,
        gid,
        additional_gids: additional,
    })
}

fn by_uid(uid: u32, passwd: &str) -> Account<'_> {
    accounts(passwd)
        .find(|account| account.uid == uid)
        .unwrap_or(Account {
            name: "",
            uid,
            gid: 0,
        })
}

fn group_id(text: &str, group: &str) -> Result<u32, UserError> {
    match text.parse() {
        Ok(gid) => Ok(gid),
        Err(_) => groups(group)
            .find(|(name, _, _)| *name == text)
            .map(|(_, gid, _)| gid)
            .ok_or_else(|| UserError::NoGroup(cut(text))),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:,,,:/app:/bin/sh\nbroken\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:root,app\nweb:x:33:app\n";

    fn user(asked: &Asked, image: &str) -> Result<User, UserError> {
        resolve(asked, image, PASSWD, GROUP)
    }

    #[test]
    fn nothing_said_is_root_with_its_groups() {
        let user = user(&Asked::default(), "").expect("a user");
        assert_eq!(
            user,
            User {
                uid: 0,
                gid: 0,
                additional_gids: vec![0, 10]
            }
        );
    }

    #[test]
    fn a_name_of_the_image_brings_its_group_and_memberships() {
        let user = user(&Asked::default(), "app").expect("a user");
        assert_eq!(
            user,
            User {
                uid: 1000,
                gid: 1001,
                additional_gids: vec![10, 33, 1001]
            }
        );
    }

    #[test]
    fn user_and_group_may_be_numbers_or_names() {
        assert_eq!(user(&Asked::default(), "app:web").expect("a user").gid, 33);
        let numbers = user(&Asked::default(), "7:8").expect("a user");
        assert_eq!((numbers.uid, numbers.gid), (7, 8));
        assert_eq!(user(&Asked::default(), "7").expect("a user").gid, 0);
    }

    #[test]
    fn the_pods_word_comes_before_the_images() {
        let asked = Asked {
            run_as_user: Some(1000),
            supplemental_groups: vec![5000],
            ..Asked::default()
        };
        let got = user(&asked, "root:root").expect("a user");
        assert_eq!((got.uid, got.gid), (1000, 1001));
        assert_eq!(got.additional_gids, vec![10, 33, 1001, 5000]);
        let grouped = Asked {
            run_as_group: Some(44),
            ..Asked::default()
        };
        assert_eq!(user(&grouped, "app").expect("a user").gid, 44);
    }

    #[test]
    fn with_only_named_groups_the_images_memberships_do_not_count() {
        let asked = Asked {
            supplemental_groups: vec![5000],
            only_named_groups: true,
            ..Asked::default()
        };
        assert_eq!(
            user(&asked, "app").expect("a user").additional_gids,
            vec![1001, 5000]
        );
    }

    #[test]
    fn unknown_names_are_refused_by_name() {
        assert_eq!(
            user(&Asked::default(), "ghost"),
            Err(UserError::NoUser("ghost".to_owned()))
        );
        assert_eq!(
            user(&Asked::default(), "app:ghost"),
            Err(UserError::NoGroup("ghost".to_owned()))
        );
        assert!(matches!(
            user(&Asked::default(), "a:b:c"),
            Err(UserError::Malformed(_))
        ));
    }
}
