//! Whatever the number of partitions and processes, the alerts are those of the replay.

use crate::common::{fixture, read_text};
use crate::system::{System, broker};

const SPOTIFY: &str = "spotify-2023-04-20";

#[track_caller]
fn check(name: &str, n_partitions: u32, n_processes: usize) {
    let Some(broker) = broker("alerts over several partitions and processes") else { return };
    let system = System::new(&broker, n_partitions);
    system.publish(&format!("fixtures/{name}/posts.jsonl.zst"));
    system.run_until_end(n_processes);
    system.check_alerts(&read_text(&fixture(name, "events.jsonl")));
}

#[test]
fn one_process_and_one_partition() {
    check(SPOTIFY, 1, 1);
}

#[test]
fn one_process_and_three_partitions() {
    check(SPOTIFY, 3, 1);
}

#[test]
fn one_process_and_twelve_partitions() {
    check(SPOTIFY, 12, 1);
}

#[test]
fn two_processes_and_three_partitions() {
    check(SPOTIFY, 3, 2);
}

#[test]
fn two_processes_and_twelve_partitions() {
    check(SPOTIFY, 12, 2);
}

#[test]
fn four_processes_and_one_partition() {
    check(SPOTIFY, 1, 4);
}

#[test]
fn four_processes_and_twelve_partitions() {
    check(SPOTIFY, 12, 4);
}

#[test]
fn many_services_that_fail_at_once() {
    check("cloud-cascade", 3, 2);
}

#[test]
fn a_feed_full_of_faults() {
    check("noisy-real", 12, 1);
    check("noisy-real", 3, 2);
}

#[test]
fn a_service_that_is_merely_talked_about() {
    check("viral-not-down", 3, 1);
}
