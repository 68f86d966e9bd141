//! Brokers that go away while the system runs.

use std::time::Instant;

use crate::common::{fixture, read_text};
use crate::system::{Cluster, System, broker, wait_until};

const SPOTIFY: &str = "spotify-2023-04-20";

/// Half of the fixture, then `trouble`, then the rest; the alerts must be the replay's.
#[track_caller]
fn check(n_nodes: u32, left_out: &str, trouble: impl Fn(&Cluster)) {
    // The shared broker is not used, but where there is none the jars need not be there either.
    if broker(left_out).is_none() {
        return;
    }
    let cluster = Cluster::start(n_nodes, "");
    let system = System::new(&cluster.bootstrap, 3);
    let slices = system.slices(SPOTIFY, 2);
    let process = system.start(&[], &[]);
    process.wait_until_it_says("state restored");
    system.publish(&slices[0]);
    trouble(&cluster);
    let since = Instant::now();
    system.publish(&slices[1]);
    wait_until("it has published again", || process.log().contains("event published"));
    println!("{left_out}: alerts {:.1} s after the trouble was over", since.elapsed().as_secs_f64());
    process.signal("TERM");
    let mut process = process;
    process.wait_for_success();
    system.run_until_end(1);
    system.check_alerts(&read_text(&fixture(SPOTIFY, "events.jsonl")));
}

#[test]
fn the_only_broker_is_stopped_and_comes_back() {
    check(1, "a broker that is stopped", |cluster| {
        cluster.control("stop", &[]);
        cluster.control("start", &[]);
    });
}

#[test]
fn one_of_three_brokers_is_killed() {
    check(3, "one of three brokers that is killed", |cluster| cluster.control("kill", &["2"]));
}
