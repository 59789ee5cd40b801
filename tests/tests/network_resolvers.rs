//! Names as programs in pods find them: by the resolvers of the GNU C library and of musl, each asking as its pod's
//! `/etc/resolv.conf` says. Musl asks for both families at once and takes what comes back together: a name that exists
//! for one family and not for the other would be lost on it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::net::IpAddr;

use pinnace_tests::dns::{ANYWHERE, Kind, World};
use pinnace_tests::images::{self, GLIBC, MUSL};
use pinnace_tests::named::{Named, Setup, external, headless, member};
use pinnace_tests::network::FAR;
use pinnace_tests::sample::{FOREVER, pod, service};
use serde_json::json;

const DOMAIN: &str = "default.svc.cluster.local";
/// Where the host searches; nothing is there.
const SEARCHED: &str = "absent.example.org";

/// What a C library found for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// The name in the end, and addresses, sorted.
    Addresses(String, Vec<IpAddr>),
    /// The error that `getaddrinfo` has for it.
    Error(String),
}

/// What both C libraries are to find.
#[derive(Debug)]
struct Expected<'a> {
    name: &'a str,
    /// The name in the end.
    canonical: &'a str,
    /// Sorted; none where the name is not there.
    addresses: &'a [IpAddr],
}

impl Expected<'_> {
    /// As it is found by whoever asks for this family or for `any`.
    fn found(&self, family: &str) -> Found {
        let wanted = |address: &&IpAddr| match family {
            "4" => address.is_ipv4(),
            "6" => address.is_ipv6(),
            _ => true,
        };
        let addresses: Vec<IpAddr> = self.addresses.iter().filter(wanted).copied().collect();
        match addresses.is_empty() {
            true => Found::Error("EAI_NONAME".to_owned()),
            false => Found::Addresses(self.canonical.to_owned(), addresses),
        }
    }
}

fn found<'a>(name: &'a str, canonical: &'a str, addresses: &'a [IpAddr]) -> Expected<'a> {
    Expected {
        name,
        canonical,
        addresses,
    }
}

/// It is not there, for sure.
fn missing(name: &str) -> Expected<'_> {
    found(name, "", &[])
}

/// A node with a pod of each C library, which has its name, and ask one server of the node.
struct Asking {
    named: Named,
    world: World,
}

impl Asking {
    #[track_caller]
    fn start(server: &str, upstream: IpAddr) -> Self {
        let named = Named::with(&Setup {
            cluster_dns: vec![server.parse().unwrap()],
            upstream,
            search: SEARCHED,
            images: vec![images::glibc(), images::musl()],
        });
        let world = World::start(&named.site.outside, upstream);
        for (name, image) in [("glibc", GLIBC), ("musl", MUSL)] {
            let mut asking = pod(name, FOREVER);
            asking["spec"]["containers"][0]["image"] = json!(image);
            // A question without an answer would be an error, and not one that is asked again and passes for slow.
            asking["spec"]["dnsConfig"] = json!({"options": [
                {"name": "timeout", "value": "30"},
                {"name": "attempts", "value": "1"},
            ]});
            named.lay(&asking);
        }
        for name in ["glibc", "musl"] {
            named.node.wait_running(name);
            assert_eq!(
                named.node.shell(name, "cat /etc/resolv.conf"),
                format!(
                    "search {DOMAIN} svc.cluster.local cluster.local {SEARCHED}\nnameserver {server}\n\
                     options ndots:5 timeout:30 attempts:1"
                )
            );
        }
        Self { named, world }
    }

    /// What the C library of the pod finds for each name, of this family or of `any`.
    #[track_caller]
    fn lookup(&self, pod: &str, family: &str, names: &[&str]) -> Vec<Found> {
        let words = ["exec", pod, "--", "/bin/lookup", family];
        let words: Vec<&str> = words.iter().chain(names).copied().collect();
        let printed = self.named.node.prints(&words);
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines.len(), names.len(), "{printed}");
        let found = |(name, line): (&&str, &&str)| {
            let mut words = line.split(' ');
            assert_eq!(words.next(), Some(*name), "{printed}");
            let first = words.next().unwrap().to_owned();
            let mut addresses: Vec<IpAddr> = words.map(|word| word.parse().unwrap()).collect();
            addresses.sort_unstable();
            match addresses.is_empty() {
                true => Found::Error(first),
                false => Found::Addresses(first, addresses),
            }
        };
        names.iter().zip(&lines).map(found).collect()
    }

    /// Both C libraries find this, for both families at once and for each.
    #[track_caller]
    fn finds(&self, expected: &[Expected<'_>]) {
        let names: Vec<&str> = expected.iter().map(|one| one.name).collect();
        for pod in ["glibc", "musl"] {
            for family in ["any", "4", "6"] {
                for (one, found) in expected.iter().zip(self.lookup(pod, family, &names)) {
                    // The lack of one family alone has two names.
                    let lack = Found::Error("EAI_NODATA".to_owned());
                    let alike = match one.found(family) {
                        Found::Error(_) if !one.addresses.is_empty() && found == lack => true,
                        expected => found == expected,
                    };
                    assert!(alike, "{pod} {family}: {one:?}, found {found:?}");
                }
            }
        }
        for (one, addresses) in expected.iter().zip(self.getent(&names)) {
            assert_eq!(addresses, one.addresses, "getent ahosts {}", one.name);
        }
    }

    /// The addresses that `getent ahosts` prints for each name, each once, sorted; none where it ends as for a name that
    /// is not there.
    #[track_caller]
    fn getent(&self, names: &[&str]) -> Vec<Vec<IpAddr>> {
        let each = "getent ahosts $name; echo ended with $?";
        let script = format!("for name in {}; do {each}; done", names.join(" "));
        let (mut all, mut addresses) = (Vec::new(), Vec::new());
        for line in self.named.node.shell("glibc", &script).lines() {
            let Some(code) = line.strip_prefix("ended with ") else {
                addresses.push(line.split(' ').next().unwrap().parse().unwrap());
                continue;
            };
            assert_eq!(code, if addresses.is_empty() { "2" } else { "0" }, "{names:?}");
            addresses.sort_unstable();
            addresses.dedup();
            all.push(std::mem::take(&mut addresses));
        }
        assert_eq!(all.len(), names.len());
        all
    }

    #[track_caller]
    fn end(self) {
        drop(self.world);
        self.named.end();
    }
}

fn whole(name: &str) -> String {
    format!("{name}.{DOMAIN}")
}

fn names_of_the_cluster_and_the_world(server: &str, upstream: IpAddr) {
    let asking = Asking::start(server, upstream);
    let named = &asking.named;
    named.lay(&service("web", "web"));
    named.lay(&headless("postgres-headless", "postgres"));
    named.lay(&member("postgres-0", "postgres-headless"));
    named.lay(&external("db", "db.example.net"));
    let web = named.node.service_addresses("web");
    let postgres = named.node.addresses("postgres-0");
    named.wait(&whole("web"), Kind::A, 1);
    named.wait(&whole("postgres-headless"), Kind::A, 1);
    named.wait(&whole("db"), Kind::Cname, 1);

    let (service, headless) = (whole("web"), whole("postgres-headless"));
    let member = whole("postgres-0.postgres-headless");
    let absolute = [&service, &member].map(|name| format!("{name}."));
    let (alias, absent) = (whole("db"), whole("absent"));
    let no_member = whole("postgres-1.postgres-headless");
    asking.finds(&[
        found("web", &service, &web),
        found("web.default", &service, &web),
        found("web.default.svc", &service, &web),
        found(&service, &service, &web),
        found(&absolute[0], &service, &web),
        found("postgres-headless", &headless, &postgres),
        found("postgres-0.postgres-headless", &member, &postgres),
        found("postgres-0.postgres-headless.default", &member, &postgres),
        found(&member, &member, &postgres),
        found(&absolute[1], &member, &postgres),
        found("www.example.net", "www.example.net", &ANYWHERE),
        found("www.example.net.", "www.example.net", &ANYWHERE),
        found("db", "db.example.net", &ANYWHERE),
        found("db.default", "db.example.net", &ANYWHERE),
        found(&alias, "db.example.net", &ANYWHERE),
        missing("absent"),
        missing("absent.default"),
        missing(&absent),
        missing(&no_member),
        missing("absent.example.net"),
        missing("absent.example.net."),
    ]);
    let heard = asking.world.names();
    assert!(
        heard.contains(&format!("www.example.net.{SEARCHED}")),
        "{heard:?}"
    );
    assert!(
        !heard.iter().any(|name| name.ends_with("cluster.local")),
        "{heard:?}"
    );
    asking.end();
}

#[test]
fn names_of_the_cluster_and_the_world_are_found_by_ipv4() {
    names_of_the_cluster_and_the_world("10.77.0.10", FAR[0]);
}

#[test]
fn names_of_the_cluster_and_the_world_are_found_by_ipv6() {
    names_of_the_cluster_and_the_world("fd00:10:77::a", FAR[1]);
}

#[test]
fn a_name_of_one_family_is_found_and_the_lack_of_the_other_is_not_the_lack_of_the_name() {
    let asking = Asking::start("10.77.0.10", FAR[0]);
    let named = &asking.named;
    for (name, family) in [("four", "IPv4"), ("six", "IPv6")] {
        let mut single = service(name, "web");
        single["spec"]["ipFamilyPolicy"] = json!("SingleStack");
        single["spec"]["ipFamilies"] = json!([family]);
        named.lay(&single);
    }
    named.lay(&external("alias", "four.example.net"));
    named.lay(&external("absent", "absent.example.net"));
    named.wait(&whole("four"), Kind::A, 1);
    named.wait(&whole("six"), Kind::Aaaa, 1);
    named.wait(&whole("alias"), Kind::Cname, 1);
    named.wait(&whole("absent"), Kind::Cname, 1);

    // Musl ends its search where a name is there, though it has no such address; the GNU C library would go on.
    let lack = asking.lookup("musl", "6", &["four"]);
    assert!(matches!(lack[..], [Found::Error(_)]), "{lack:?}");
    let on = format!("four.{SEARCHED}");
    assert!(!asking.world.names().contains(&on), "the search went on");
    asking.lookup("musl", "6", &["nobody.absent"]);
    let on = format!("nobody.absent.{SEARCHED}");
    assert!(asking.world.names().contains(&on), "the search ended early");

    let (four, six, absent) = (whole("four"), whole("six"), whole("absent"));
    let addresses = ["four", "six"].map(|name| named.node.service_addresses(name));
    assert!(
        matches!(&addresses[0][..], [one] if one.is_ipv4()),
        "{addresses:?}"
    );
    assert!(
        matches!(&addresses[1][..], [one] if one.is_ipv6()),
        "{addresses:?}"
    );
    asking.finds(&[
        found("four", &four, &addresses[0]),
        found(&four, &four, &addresses[0]),
        found("six", &six, &addresses[1]),
        found(&six, &six, &addresses[1]),
        found("four.example.net", "four.example.net", &ANYWHERE[..1]),
        found("alias", "four.example.net", &ANYWHERE[..1]),
        missing("absent"),
        missing(&absent),
    ]);

    // What is there but for the records, the GNU C library tells from what is not there at all.
    let absolute = |name: &str| format!("{}.", whole(name));
    let lacks = [absolute("four"), absolute("_tcp.four"), format!("{DOMAIN}.")];
    let lacks: Vec<&str> = lacks.iter().map(String::as_str).collect();
    for found in asking.lookup("glibc", "6", &lacks) {
        assert_eq!(found, Found::Error("EAI_NODATA".to_owned()));
    }
    asking.end();
}

#[test]
fn more_addresses_than_a_datagram_holds_are_all_found_or_as_many_as_it_holds() {
    const PODS: usize = 20;
    let asking = Asking::start("10.77.0.10", FAR[0]);
    let named = &asking.named;
    named.lay(&headless("many", "postgres"));
    let names: Vec<String> = (0..PODS).map(|number| format!("postgres-{number}")).collect();
    for name in &names {
        named.lay(&member(name, "many"));
    }
    let mut all: Vec<IpAddr> = names.iter().flat_map(|name| named.node.addresses(name)).collect();
    all.sort_unstable();
    named.wait(&whole("many"), Kind::Aaaa, PODS);
    let [Found::Addresses(_, found)] = &asking.lookup("glibc", "any", &["many"])[..] else {
        panic!("nothing found");
    };
    assert_eq!(*found, all, "it asks again by TCP");
    assert_eq!(asking.getent(&["many"]), [all.clone()]);
    let [Found::Addresses(_, found)] = &asking.lookup("musl", "any", &["many"])[..] else {
        panic!("nothing found");
    };
    // Before 1.2.4 it does not ask by TCP, and takes what a datagram of 512 bytes has.
    assert!(found.iter().all(|address| all.contains(address)), "{found:?}");
    let six = found.iter().filter(|address| address.is_ipv6()).count();
    assert!(found.len() - six == PODS && six > PODS / 2, "{found:?}");
    asking.end();
}
