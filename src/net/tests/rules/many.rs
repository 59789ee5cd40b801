//! Many Services cost what few cost.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use pinnace_api::pod::Protocol;
use pinnace_core::network::ServiceTable;

use crate::bay::{Bay, Pod, ask, entry, ip, table};

/// `count` Services of three endpoints each, and all of `extra`.
fn fleet(pods: &[&Pod], count: u16) -> ServiceTable {
    table((0..count).map(|number| {
        let mut entry = entry(pods, Protocol::Tcp, 80);
        let [high, low] = (number + 256).to_be_bytes();
        entry.cluster_ips = vec![
            IpAddr::from([10, 96, high, low]),
            ip(&format!("fd00:10:96::{:x}", number + 256)),
        ];
        (format!("s{number}"), entry)
    }))
}

fn rules(bay: &Bay) -> usize {
    bay.world
        .on_host("nft -a list ruleset")
        .lines()
        .filter(|line| line.contains("# handle") && !line.contains('{'))
        .count()
}

#[test]
fn a_thousand_services_need_the_rules_of_ten_and_change_one_by_one() {
    let bay = Bay::new();
    let pods = ["a", "b", "c"].map(|name| bay.pod(name));
    let client = bay.pod("client");
    let all = [&pods[0], &pods[1], &pods[2]];
    bay.services(&fleet(&all, 10));
    let few = rules(&bay);
    let timed = |table: &ServiceTable| {
        let begun = Instant::now();
        bay.services(table);
        begun.elapsed()
    };
    let connect = || {
        let times = (0..201).map(|_| {
            let begun = Instant::now();
            ask(client.at(), "10.96.1.9:80".parse().unwrap()).unwrap();
            begun.elapsed()
        });
        // The shortest: whatever else this machine does makes the others longer.
        times.min().unwrap()
    };
    let with_few = connect();
    let mut thousand = fleet(&all, 1000);
    let whole = timed(&thousand);
    assert_eq!(rules(&bay), few);
    let with_many = connect();
    let mut changes: Vec<Duration> = (0..21)
        .map(|number| {
            let entry = thousand.services.values_mut().nth(500).unwrap();
            entry.ports[0].endpoints[0].serving = number % 2 == 1;
            timed(&thousand)
        })
        .collect();
    changes.sort();
    println!(
        "1000 services laid in {whole:?}, one endpoint changed in {:?}; a connection with 10: {with_few:?}, with \
         1000: {with_many:?}",
        changes[10]
    );
    let begun = Instant::now();
    bay.services(&ServiceTable::default());
    println!("all removed in {:?}", begun.elapsed());
    assert!(!bay.rules().contains("goto endpoints-3 }"));
    assert!(with_many < with_few * 3, "{with_few:?} {with_many:?}");
}

#[test]
fn more_endpoints_than_chains_share_the_slots() {
    let bay = Bay::new();
    let server = bay.pod("a");
    let mut entry = entry(&[&server], Protocol::Tcp, 80);
    let one: Vec<_> = entry.ports[0].endpoints.clone();
    entry.ports[0].endpoints = one.into_iter().cycle().take(90).collect();
    bay.services(&table([("web".to_owned(), entry)]));
    for to in crate::bay::fronts(80) {
        for _ in 0..20 {
            assert_eq!(ask(&bay.host(), to).unwrap().0, "a");
        }
    }
    assert!(bay.rules().contains("goto endpoints-256"));
}
