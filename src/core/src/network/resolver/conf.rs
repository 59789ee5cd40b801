//! `resolv.conf` as text and as what it says.

/// What a `resolv.conf` says, as far as the kubelet hands it on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResolvConf {
    /// Servers, as they are written.
    pub nameservers: Vec<String>,
    /// Search paths.
    pub searches: Vec<String>,
    /// Options, `name` or `name:value`.
    pub options: Vec<String>,
}

impl ResolvConf {
    /// Name servers add up; of `search` and `options`, the last line counts. A search path loses the dot at its
    /// end, unless it is the root.
    pub fn read(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => conf.nameservers.extend(words.next().map(str::to_owned)),
                Some("search") => conf.searches = words.map(|domain| undotted(domain).to_owned()).collect(),
                Some("options") => conf.options = words.map(str::to_owned).collect(),
                _ => {}
            }
        }
        conf
    }

    /// The file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if !self.searches.is_empty() {
            text.push_str(&format!("search {}\n", self.searches.join(" ")));
        }
        for server in &self.nameservers {
            text.push_str(&format!("nameserver {server}\n"));
        }
        if !self.options.is_empty() {
            text.push_str(&format!("options {}\n", self.options.join(" ")));
        }
        text
    }
}

fn undotted(domain: &str) -> &str {
    match domain.strip_suffix('.') {
        Some(shorter) if !shorter.is_empty() => shorter,
        _ => domain,
    }
}
