//! Kubernetes' rules for names, label keys and values, in its own words.
//!
//! Each function answers what is wrong, or nothing.

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and \
    must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation \
    is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' \
    or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation \
    is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
    alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
    validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const SEARCH_PATH: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-', \
    '_' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
    validation is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and \
    end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation \
    is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED_PARTS: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and \
    must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used \
    for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' \
    (e.g. 'example.com/MyName')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', \
    '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or \
    '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
    'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const HEADER_NAME: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. \
    'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
const SYSCTL: &str = "must have at most 253 characters and match regex \
    ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
const ENV_NAME: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";

fn too_long(most: usize) -> String {
    format!("must be no more than {most} bytes")
}

/// Whether `text` consists of `inner` characters and begins and ends with alphanumeric ones.
fn framed(text: &str, alphanumeric: fn(u8) -> bool, inner: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(|byte| alphanumeric(*byte)))
        && bytes.iter().all(|byte| alphanumeric(*byte) || inner(*byte))
}

fn lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

fn alphanumeric(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_label(text: &str) -> bool {
    framed(text, lower, |byte| byte == b'-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// What is wrong with `text` as an RFC 1123 label: containers', volumes' and namespaces' names.
pub(crate) fn dns_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push(too_long(63));
    }
    if !is_label(text) {
        let why = if is_subdomain(text) {
            "must not contain dots"
        } else {
            LABEL
        };
        wrong.push(why.to_owned());
    }
    wrong
}

/// What is wrong with `text` as an RFC 1123 subdomain: objects' names.
pub(crate) fn dns_subdomain(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 253 {
        wrong.push(too_long(253));
    }
    if !is_subdomain(text) {
        wrong.push(SUBDOMAIN.to_owned());
    }
    wrong
}

/// What is wrong with `text` as an RFC 1035 label: Services' names.
pub(crate) fn dns_1035_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push(too_long(63));
    }
    if !is_label(text) || text.starts_with(|first: char| first.is_ascii_digit()) {
        wrong.push(LABEL_1035.to_owned());
    }
    wrong
}

/// What is wrong with `text` as a search path of a resolver, its dot at the end left out.
pub(crate) fn search_path(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 253 {
        wrong.push(too_long(253));
    }
    let is_part = |part: &str| {
        let part = part.strip_prefix('_').unwrap_or(part);
        framed(part, lower, |byte| b"-_".contains(&byte))
    };
    if !text.split('.').all(is_part) {
        wrong.push(SEARCH_PATH.to_owned());
    }
    wrong
}

/// What is wrong with `text` as `[prefix/]name`: labels' keys.
pub(crate) fn qualified_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts.as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                wrong.extend(
                    dns_subdomain(prefix)
                        .into_iter()
                        .map(|why| format!("prefix part {why}")),
                );
            }
            name
        }
        _ => return vec![QUALIFIED_PARTS.to_owned()],
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push(format!("name part {}", too_long(63)));
    }
    if !framed(name, alphanumeric, |byte| b"-_.".contains(&byte)) {
        wrong.push(QUALIFIED.to_owned());
    }
    wrong
}

/// What is wrong with `text` as a label's value.
pub(crate) fn label_value(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push(too_long(63));
    }
    if !text.is_empty() && !framed(text, alphanumeric, |byte| b"-_.".contains(&byte)) {
        wrong.push(LABEL_VALUE.to_owned());
    }
    wrong
}

/// What is wrong with `text` as a port's name (RFC 6335).
pub(crate) fn port_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 15 {
        wrong.push(too_long(15));
    }
    if text.is_empty() || !text.bytes().all(|byte| lower(byte) || byte == b'-') {
        wrong.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        wrong.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        wrong.push("must not begin or end with a hyphen".to_owned());
    }
    wrong
}

/// What is wrong with `text` as an environment variable's name.
pub(crate) fn env_name(text: &str) -> Vec<String> {
    if text.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    if text
        .bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=')
    {
        return Vec::new();
    }
    vec![ENV_NAME.to_owned()]
}

/// What is wrong with `text` as a key of a ConfigMap or Secret.
pub(crate) fn config_key(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 253 {
        wrong.push(too_long(253));
    }
    if text.is_empty()
        || !text
            .bytes()
            .all(|byte| alphanumeric(byte) || b"-_.".contains(&byte))
    {
        wrong.push(CONFIG_KEY.to_owned());
    }
    match text {
        "." => wrong.push("must not be '.'".to_owned()),
        ".." => wrong.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => wrong.push("must not start with '..'".to_owned()),
        _ => {}
    }
    wrong
}

/// What is wrong with `text` as a header's name.
pub(crate) fn header_name(text: &str) -> Vec<String> {
    if !text.is_empty() && text.bytes().all(|byte| alphanumeric(byte) || byte == b'-') {
        return Vec::new();
    }
    vec![HEADER_NAME.to_owned()]
}

/// What is wrong with `text` as a kernel parameter's name; its parts stand between dots or slashes.
pub(crate) fn sysctl(text: &str) -> Vec<String> {
    let is_part = |part: &str| framed(part, lower, |byte| b"-_".contains(&byte));
    if text.len() <= 253 && text.split(['.', '/']).all(is_part) {
        return Vec::new();
    }
    vec![SYSCTL.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::{
        config_key, dns_1035_label, dns_label, dns_subdomain, env_name, header_name, label_value, port_name,
        qualified_name, search_path, sysctl,
    };

    #[test]
    fn names_are_judged_as_kubernetes_judges_them() {
        assert_eq!(dns_label("node-exporter"), Vec::<String>::new());
        assert_eq!(dns_label("a.b"), ["must not contain dots"]);
        assert!(dns_label("Upper")[0].starts_with("a lowercase RFC 1123 label must"));
        assert_eq!(dns_label(&"a".repeat(64)), ["must be no more than 63 bytes"]);
        assert!(dns_subdomain("a..b")[0].starts_with("a lowercase RFC 1123 subdomain must"));
        assert_eq!(dns_1035_label("my-web2"), Vec::<String>::new());
        for text in ["2web", "a.b", "-a", ""] {
            assert!(
                dns_1035_label(text)[0].starts_with("a DNS-1035 label must"),
                "{text}"
            );
        }
        assert_eq!(search_path("_tcp.my_zone.example.com"), Vec::<String>::new());
        assert!(search_path("a..b")[0].contains("'-', '_' or '.'"));
        assert_eq!(
            qualified_name("node-role.kubernetes.io/control-plane"),
            Vec::<String>::new()
        );
        assert_eq!(qualified_name("/x"), ["prefix part must be non-empty"]);
        assert!(qualified_name("a/b/c")[0].starts_with("a valid label key must"));
        assert!(qualified_name("_x")[0].starts_with("name part must consist"));
        assert_eq!(label_value(""), Vec::<String>::new());
        assert!(label_value("a b")[0].starts_with("a valid label must be"));
        assert_eq!(port_name("metrics"), Vec::<String>::new());
        assert_eq!(port_name("9100"), ["must contain at least one letter (a-z)"]);
        assert_eq!(port_name("a--b"), ["must not contain consecutive hyphens"]);
        assert_eq!(config_key("tls.crt_2-A"), Vec::<String>::new());
        assert!(config_key("a/b")[0].starts_with("a valid config key must consist"));
        assert_eq!(config_key(".."), ["must not be '..'"]);
        assert_eq!(config_key("..data"), ["must not start with '..'"]);
        assert_eq!(header_name("X-Probe"), Vec::<String>::new());
        assert!(header_name("X Probe")[0].starts_with("a valid HTTP header must consist"));
        assert_eq!(sysctl("net/ipv4/ip_forward"), Vec::<String>::new());
        assert_eq!(sysctl("kernel.shm_rmid_forced"), Vec::<String>::new());
        assert!(sysctl("Kernel.Shm")[0].starts_with("must have at most 253 characters"));
        assert_eq!(env_name("MY.ENV-1"), Vec::<String>::new());
        assert!(env_name("A=B")[0].starts_with("a valid environment variable name"));
    }
}
