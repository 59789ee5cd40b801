//! Services: one address in front of the pods that are ready.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where it finds a fault"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use pinnace_tests::leaks::rule_table;
use pinnace_tests::network::{Host, Place, Server, Site};
use pinnace_tests::sample::{FOREVER, labelled, pod, service};
use pinnace_tests::{Node, wait_for};
use serde_json::{Value, json};

const TARGET: u16 = 8080;

/// A node on a site of its own, with pods of these names, all labelled `app: web`, that each answer on 8080, and a
/// pod `client`.
struct World {
    site: Site,
    host: Host,
    node: Node,
    client: Place,
    pods: BTreeMap<String, (Place, Server)>,
}

impl World {
    fn with(pods: &[&str]) -> Self {
        let mut site = Site::new();
        let host = site.host();
        let node = Node::started_on(&host);
        node.lay("client.json", &pod("client", FOREVER).to_string());
        for name in pods {
            node.lay(
                &format!("{name}.json"),
                &labelled(pod(name, FOREVER), "web").to_string(),
            );
        }
        let mut world = Self {
            client: node.place("client"),
            site,
            host,
            node,
            pods: BTreeMap::new(),
        };
        for name in pods {
            world.serve(name);
        }
        world
    }

    fn serve(&mut self, name: &str) {
        let place = self.node.place(name);
        let server = Server::start(&place, name, TARGET);
        self.pods.insert(name.to_owned(), (place, server));
    }

    /// Lays a Service, and waits until a client is answered by each of its addresses.
    fn service(&self, service: &Value) -> Vec<IpAddr> {
        let name = service["metadata"]["name"].as_str().unwrap();
        self.node
            .lay(&format!("service-{name}.json"), &service.to_string());
        let addresses = self.node.service_addresses(name);
        for address in &addresses {
            wait_for("an answer", || {
                self.client.reaches((*address, 80).into()).then_some(())
            });
        }
        addresses
    }

    fn end(self) {
        let Self {
            mut node,
            client,
            pods,
            ..
        } = self;
        drop((client, pods));
        node.drain_and_find_nothing();
    }
}

/// Who answers, asked so often that nobody is left out but by a fault.
fn answerers(place: &Place, address: IpAddr) -> BTreeSet<String> {
    let ask = |number: u32| {
        let to = (address, 80).into();
        let answer = if number.is_multiple_of(2) {
            place.ask_tcp(to)
        } else {
            place.ask_udp(to)
        };
        answer.unwrap().by
    };
    (0..60).map(ask).collect()
}

#[test]
fn a_service_spreads_over_its_pods_for_pods_and_the_host_by_both_families() {
    let world = World::with(&["one", "two", "three"]);
    let addresses = world.service(&service("web", "web"));
    assert_eq!(addresses.len(), 2);
    let all = BTreeSet::from(["one", "two", "three"].map(str::to_owned));
    let from = world.node.addresses("client");
    for (family, address) in addresses.into_iter().enumerate() {
        assert_eq!(answerers(&world.client, address), all);
        assert_eq!(answerers(&world.host.place, address), all);
        assert_eq!(world.client.ask((address, 80).into()).seen, from[family]);
        assert_eq!(
            answerers(&world.pods["one"].0, address),
            all,
            "a pod behind it reaches all, itself too"
        );
        world.client.is_refused((address, 81).into());
    }
    world.end();
}

#[test]
fn endpoints_follow_pods_and_a_service_without_any_refuses_at_once() {
    let mut world = World::with(&["one"]);
    let addresses = world.service(&service("web", "web"));
    world
        .node
        .lay("two.json", &labelled(pod("two", FOREVER), "web").to_string());
    world.serve("two");
    let both = BTreeSet::from(["one", "two"].map(str::to_owned));
    for address in &addresses {
        wait_for("both pods", || {
            (answerers(&world.client, *address) == both).then_some(())
        });
    }
    for name in ["one", "two"] {
        world.pods.remove(name);
        world.node.take_away(&format!("{name}.json"));
        world.node.wait_gone(name);
    }
    for address in &addresses {
        let to = (*address, 80).into();
        wait_for("the refusal", || world.client.ask_tcp(to).is_err().then_some(()));
        let begun = Instant::now();
        world.client.is_refused(to);
        let error = world.host.place.ask_tcp(to).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        world.host.place.ask_udp(to).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    world.end();
}

/// How long after the pod's status showed it the Service answers, or no longer does.
fn lag(world: &World, pod: &str, address: IpAddr, ready: bool) -> Duration {
    world.node.wait_pod(pod, "its readiness", |pod| {
        let shown = &pod["status"]["containerStatuses"][0]["ready"];
        (*shown == ready).then_some(())
    });
    let begun = Instant::now();
    wait_for("the endpoint", || {
        let answered = world.client.connect((address, 80).into()).is_ok();
        (answered == ready).then_some(())
    });
    begun.elapsed()
}

#[test]
fn traffic_follows_readiness_within_a_tenth_of_a_second() {
    let world = World::with(&[]);
    world.node.lay("service.json", &service("web", "web").to_string());
    let address = world.node.service_addresses("web")[0];
    let mut lags = Vec::new();
    for round in 0..4 {
        let name = format!("web-{round}");
        let mut manifest = labelled(pod(&name, "exec httpd -f -p 8080"), "web");
        manifest["spec"]["restartPolicy"] = json!("Never");
        world.node.lay(&format!("{name}.json"), &manifest.to_string());
        lags.push(lag(&world, &name, address, true));
        let pid = i32::try_from(world.node.pid(&name, "main")).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        lags.push(lag(&world, &name, address, false));
        world.node.take_away(&format!("{name}.json"));
    }
    lags.sort_unstable();
    println!("after the status showed the readiness, traffic followed within {lags:?}");
    assert!(lags[lags.len() / 2] < Duration::from_millis(100), "{lags:?}");
    world.end();
}

#[test]
fn a_node_port_is_reached_from_outside_from_pods_and_from_the_host() {
    let world = World::with(&["one", "two"]);
    let mut nodes = service("web", "web");
    nodes["spec"]["type"] = json!("NodePort");
    nodes["spec"]["ports"][0]["nodePort"] = json!(30_080);
    nodes["spec"]["ports"][1]["nodePort"] = json!(30_080);
    world.service(&nodes);
    let both = BTreeSet::from(["one", "two"].map(str::to_owned));
    for address in world.host.addresses {
        for place in [
            &world.site.outside,
            &world.client,
            &world.host.place,
            &world.pods["one"].0,
        ] {
            let by: BTreeSet<String> = (0..40)
                .map(|_| place.ask_tcp((address, 30_080).into()).unwrap().by)
                .collect();
            assert_eq!(by, both);
            assert!(both.contains(&place.ask_udp((address, 30_080).into()).unwrap().by));
        }
        world.site.outside.is_refused((address, 30_081).into());
    }
    world.end();
}

#[test]
fn a_node_port_that_was_not_asked_for_comes_from_the_range_and_stays_over_a_restart() {
    let mut world = World::with(&["one"]);
    let mut nodes = service("web", "web");
    nodes["spec"]["type"] = json!("NodePort");
    let addresses = world.service(&nodes);
    let ports = |node: &Node| -> Vec<u64> {
        let services: Value = serde_json::from_str(&node.prints(&["get", "services", "-o", "json"])).unwrap();
        let ports = services["items"][0]["spec"]["ports"].as_array().unwrap().clone();
        ports
            .iter()
            .map(|port| port["nodePort"].as_u64().unwrap())
            .collect()
    };
    let given = ports(&world.node);
    assert!(
        given.iter().all(|port| (30_000..=32_767).contains(port)),
        "{given:?}"
    );
    world.node.end_agent(Signal::SIGKILL);
    for address in &addresses {
        assert_eq!(
            world.client.ask((*address, 80).into()).by,
            "one",
            "no agent is needed"
        );
    }
    world.node.start();
    assert_eq!(world.node.service_addresses("web"), addresses);
    assert_eq!(ports(&world.node), given);
    let port = u16::try_from(given[0]).unwrap();
    let to = (world.host.addresses[0], port).into();
    wait_for("an answer", || world.site.outside.reaches(to).then_some(()));
    world.end();
}

#[test]
fn a_client_stays_with_its_endpoint_where_the_service_says_so() {
    let mut world = World::with(&["one", "two", "three"]);
    let mut sticky = service("web", "web");
    sticky["spec"]["sessionAffinity"] = json!("ClientIP");
    for address in world.service(&sticky) {
        let by: BTreeSet<String> = (0..20)
            .map(|_| world.client.ask_tcp((address, 80).into()).unwrap().by)
            .collect();
        assert_eq!(by.len(), 1, "{by:?}");
        let holder = by.into_iter().next().unwrap();
        world.node.take_away(&format!("{holder}.json"));
        world.pods.remove(&holder);
        world.node.wait_gone(&holder);
        wait_for("another endpoint", || {
            world.client.reaches((address, 80).into()).then_some(())
        });
    }
    world.end();
}

#[test]
fn a_service_that_changes_or_goes_is_as_it_says_and_no_longer() {
    let world = World::with(&["one"]);
    let addresses = world.service(&service("web", "web"));
    let mut changed = service("web", "web");
    changed["spec"]["ports"][0]["port"] = json!(81);
    world.node.lay("service-web.json", &changed.to_string());
    for address in &addresses {
        wait_for("the new port", || {
            world.client.ask_tcp((*address, 81).into()).is_ok().then_some(())
        });
        wait_for("the old port's end", || {
            (!world.client.reaches((*address, 80).into())).then_some(())
        });
        assert_eq!(world.client.ask_udp((*address, 80).into()).unwrap().by, "one");
    }
    world.node.take_away("service-web.json");
    for address in &addresses {
        wait_for("its end", || {
            let gone = !world.client.reaches((*address, 81).into());
            (gone && !world.client.reaches_by_udp((*address, 80).into())).then_some(())
        });
    }
    world.end();
}

#[test]
fn listings_show_services_and_their_endpoints_and_containers_know_them_by_their_environment() {
    let world = World::with(&["one"]);
    let addresses = world.service(&service("web", "web"));
    let services = world.node.prints(&["get", "services"]);
    let row = services.lines().find(|line| line.contains("web")).unwrap();
    for column in ["ClusterIP", &addresses[0].to_string(), "80/TCP,80/UDP"] {
        assert!(row.contains(column), "{column}: {services}");
    }
    let pod_address = world.node.addresses("one")[0];
    wait_for("the endpoints", || {
        let endpoints = world.node.prints(&["get", "endpoints"]);
        endpoints
            .contains(&format!("{pod_address}:{TARGET}"))
            .then_some(())
    });
    let mut late = pod("late", "echo reach $1; exec sleep 1000000");
    late["spec"]["containers"][0]["args"] = json!(["sh", "$(WEB_PORT_80_TCP)"]);
    world.node.lay("late.json", &late.to_string());
    world.node.wait_running("late");
    let reach = format!("reach tcp://{}:80", addresses[0]);
    wait_for("the Service's address among the arguments", || {
        world
            .node
            .prints(&["logs", "late"])
            .contains(&reach)
            .then_some(())
    });
    let environment = world.node.shell("late", "env");
    for line in [
        format!("WEB_SERVICE_HOST={}", addresses[0]),
        "WEB_SERVICE_PORT=80".to_owned(),
        format!("WEB_PORT=tcp://{}:80", addresses[0]),
    ] {
        assert!(
            environment.lines().any(|one| one == line),
            "{line}: {environment}"
        );
    }
    let mut without = pod("without", FOREVER);
    without["spec"]["enableServiceLinks"] = json!(false);
    world.node.lay("without.json", &without.to_string());
    world.node.wait_running("without");
    assert!(!world.node.shell("without", "env").contains("WEB_"));
    world.end();
}

/// How many rules the node's table has.
fn rules(world: &World) -> usize {
    let table = rule_table(world.node.root());
    let listed = world.host.place.run(&format!("nft -j list table inet {table}"));
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let items = listed["nftables"].as_array().unwrap();
    items.iter().filter(|item| item.get("rule").is_some()).count()
}

#[test]
fn five_hundred_services_take_no_more_rules_than_one() {
    const SERVICES: usize = 500;
    let world = World::with(&["one"]);
    let first = world.service(&service("web", "web"));
    let before = rules(&world);
    let many: Vec<String> = (0..SERVICES)
        .map(|number| service(&format!("s{number}"), "web").to_string())
        .collect();
    world.node.lay("many.yaml", &many.join("\n---\n"));
    let last = format!("s{}", SERVICES - 1);
    let addresses = world.node.service_addresses(&last);
    let begun = Instant::now();
    wait_for("an answer", || {
        world.client.reaches((addresses[0], 80).into()).then_some(())
    });
    println!(
        "{:?} after its address was shown, the last Service answered",
        begun.elapsed()
    );
    assert_eq!(rules(&world), before);
    assert_eq!(world.client.ask((first[0], 80).into()).by, "one");
    world.node.take_away("many.yaml");
    wait_for("their end", || {
        (!world.client.reaches((addresses[0], 80).into())).then_some(())
    });
    world.end();
}
