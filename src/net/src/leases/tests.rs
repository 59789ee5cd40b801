use pinnace_api::testing::uid;

use super::*;

fn leases(directory: &Path, ranges: &[&str]) -> Leases {
    let ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
    Leases::new(directory.to_owned(), ranges)
}

#[test]
fn a_pod_gets_one_address_of_each_range_and_keeps_them() {
    let directory = tempfile::tempdir().unwrap();
    let first = leases(directory.path(), &["10.244.0.0/24", "fd00::/64"]);
    assert_eq!(first.find(&uid(1)).unwrap(), None);
    let got = first.acquire(&uid(1)).unwrap();
    let texts: Vec<String> = got.list().iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["10.244.0.1", "fd00::1"]);
    assert_eq!(first.acquire(&uid(1)).unwrap(), got);
    // Another agent of the same root, after this one.
    let second = leases(directory.path(), &["10.244.0.0/24", "fd00::/64"]);
    assert_eq!(second.find(&uid(1)).unwrap(), Some(got));
    assert_eq!(second.list().unwrap(), [uid(1)]);
    let other = second.acquire(&uid(2)).unwrap();
    assert_eq!(other.v4.unwrap().to_string(), "10.244.0.2");
    second.release(&uid(1)).unwrap();
    second.release(&uid(1)).unwrap();
    assert_eq!(second.find(&uid(1)).unwrap(), None);
    assert_eq!(first.find(&uid(1)).unwrap(), None, "what is known is looked up");
}

#[test]
fn the_first_range_is_that_of_the_first_address() {
    let directory = tempfile::tempdir().unwrap();
    let leases = leases(directory.path(), &["fd00::/64", "10.244.0.0/24"]);
    let addresses = leases.acquire(&uid(1)).unwrap().list();
    assert!(addresses[0].is_ipv6() && addresses[1].is_ipv4(), "{addresses:?}");
}

#[test]
fn an_address_rests_after_it_was_given_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..6 {
        // A new agent each time.
        let leases = leases(directory.path(), &["10.0.0.0/29"]);
        seen.insert(leases.acquire(&uid(number)).unwrap().v4.unwrap());
        leases.release(&uid(number)).unwrap();
    }
    assert_eq!(
        seen.len(),
        6,
        "each of the six that are usable came once: {seen:?}"
    );
    let leases = leases(directory.path(), &["10.0.0.0/29"]);
    let again = leases.acquire(&uid(9)).unwrap().v4.unwrap();
    assert_eq!(again.to_string(), "10.0.0.1");
}

#[test]
fn a_range_without_free_addresses_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let leases = leases(directory.path(), &["10.0.0.0/30", "fd00::/126"]);
    for number in 0..2 {
        leases.acquire(&uid(number)).unwrap();
    }
    let error = leases.acquire(&uid(7)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no IP addresses available in range 10.0.0.0/30: all 2 are in use"
    );
    assert_eq!(leases.find(&uid(7)).unwrap(), None);
    leases.release(&uid(0)).unwrap();
    assert_eq!(
        leases.acquire(&uid(7)).unwrap().v4.unwrap().to_string(),
        "10.0.0.1"
    );
}

#[test]
fn a_crash_between_two_families_is_completed() {
    let directory = tempfile::tempdir().unwrap();
    let before = leases(directory.path(), &["10.0.0.0/29"])
        .acquire(&uid(1))
        .unwrap();
    let both = leases(directory.path(), &["10.0.0.0/29", "fd00::/64"]);
    let after = both.acquire(&uid(1)).unwrap();
    assert_eq!(after.v4, before.v4);
    assert!(after.v6.is_some());
}

#[test]
fn what_is_not_a_lease_gives_its_address_to_nobody() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("leases")).unwrap();
    std::fs::write(directory.path().join("leases/10.0.0.1"), "damaged").unwrap();
    std::fs::write(directory.path().join("leases/README"), "no address").unwrap();
    let leases = leases(directory.path(), &["10.0.0.0/29"]);
    assert!(leases.list().unwrap().is_empty());
    assert_eq!(
        leases.acquire(&uid(1)).unwrap().v4.unwrap().to_string(),
        "10.0.0.2"
    );
}

#[test]
fn many_threads_never_share_an_address() {
    let directory = tempfile::tempdir().unwrap();
    let leases = leases(directory.path(), &["10.0.0.0/24", "fd00::/64"]);
    let leases = &leases;
    let addresses: Vec<PodAddresses> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u64)
            .map(|thread| {
                scope.spawn(move || {
                    let pods = (0..25).map(|pod| uid(thread * 100 + pod));
                    pods.map(|pod| leases.acquire(&pod).unwrap()).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let distinct: std::collections::BTreeSet<_> = addresses.iter().map(|pod| pod.v4).collect();
    assert_eq!(distinct.len(), 200);
}
