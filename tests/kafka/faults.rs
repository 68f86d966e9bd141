//! Brokers that go away, networks that are cut, processes that come and go, a disk that is full.
//!
//! However slow a machine is, there are posts to come all the while: they are published slowly, and those that are left
//! when the faults are over at once. Resume times are printed, with the bar that they are held against by whoever reads
//! them: a machine under load must not fail a test.

use std::fs::OpenOptions;
use std::time::{Duration, Instant};

use crate::common::{fixture, fixture_posts, lines, read_text, run};
use crate::proxy::{Mode, Proxy, free_ports};
use crate::system::{Cluster, Process, System, broker, wait_until};

const SPOTIFY: &str = "spotify-2023-04-20";
const POSTS: &str = "fixtures/spotify-2023-04-20/posts.jsonl.zst";
/// At this speed the eight days of the fixture take eight minutes, and some fifty complaints come in a second.
const SPEED: u32 = 1440;

fn golden() -> String {
    read_text(&fixture(SPOTIFY, "events.jsonl"))
}

/// How long it takes from now on until detect has made progress.
fn resume_time(system: &System) -> Duration {
    let start = Instant::now();
    let mut before = None;
    wait_until("the group's position is known", || {
        before = system.position();
        before.is_some()
    });
    system.wait_for_progress(before);
    start.elapsed()
}

fn print_resumed(after: &str, took: Duration, bar_s: u32) {
    eprintln!("resumed {:.1} s after {after} (bar {bar_s} s)", took.as_secs_f64());
}

/// The faults are over and the processes have survived; with what had not been published yet, the alerts must be those of
/// the replay.
#[track_caller]
fn finish(system: &System, mut publisher: Process, processes: Vec<Process>) {
    publisher.signal("TERM");
    publisher.wait_for_success();
    for mut process in processes {
        assert!(!process.has_ended(), "it must survive; it says:\n{}", process.log());
        process.signal("TERM");
        process.wait_for_success();
    }
    // Days in a moment: a partition that is read while they come would look as if others had gone on without it.
    let (posts, n_published) = (fixture_posts(SPOTIFY), system.n_posts_published());
    system.publish_lines(&lines(&posts)[n_published..]);
    system.run_until_end(1);
    system.check_alerts(&golden());
}

#[test]
fn a_broker_that_is_stopped_or_crashes_only_delays() {
    if broker("a broker that goes away and comes back").is_none() {
        return;
    }
    let cluster = Cluster::start(1, "");
    let system = System::new(&cluster.bootstrap, 3);
    let processes = vec![system.start(&[], &[]), system.start(&[], &[])];
    let publisher = system.start_publishing(POSTS, SPEED);
    for command in ["stop", "kill"] {
        system.wait_for_progress(system.position());
        let before = system.position();
        cluster.control(command, &[]);
        cluster.control("start", &[]);
        print_resumed(
            &format!("the broker was ready again after {command}"),
            system.wait_for_progress(before),
            30,
        );
    }
    finish(&system, publisher, processes);
}

#[test]
fn one_of_three_brokers_may_crash() {
    if broker("one of three brokers that crashes").is_none() {
        return;
    }
    let cluster = Cluster::start(3, "");
    let system = System::new(&cluster.bootstrap, 3);
    let processes = vec![system.start(&[], &[])];
    let publisher = system.start_publishing(POSTS, SPEED);
    for node in ["1", "2"] {
        system.wait_for_progress(system.position());
        // One at a time: two that are away together are more than three replicas bear.
        cluster.wait_until_in_sync();
        cluster.control("kill", &[node]);
        print_resumed(&format!("broker {node} of three was killed"), resume_time(&system), 30);
        cluster.control("start", &[]);
    }
    finish(&system, publisher, processes);
}

#[test]
fn a_network_that_is_cut_for_ten_seconds_only_delays() {
    if broker("a network that is cut").is_none() {
        return;
    }
    let [port, controller, proxied] = free_ports();
    let address = |port: u16| format!("127.0.0.1:{port}");
    let proxy = Proxy::start(address(proxied).parse().expect("an address"));
    let (port_base, port, controller, proxied) =
        (port.to_string(), address(port), address(controller), address(proxied));
    // The broker sends clients to the address that it advertises for the port they came to.
    let properties = format!(
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         listeners=PLAINTEXT://{port},PROXIED://{proxied},CONTROLLER://{controller}\n\
         advertised.listeners=PLAINTEXT://{port},PROXIED://{}\n",
        proxy.address()
    );
    let variables = [("KAFKA_EXTRA_PROPS", properties.as_str()), ("KAFKA_PORT_BASE", &port_base)];
    let cluster = Cluster::start_with(1, &variables);
    let system = System::new(&cluster.bootstrap, 3);
    let behind = system.through(&proxy.address().to_string());
    let processes = vec![behind.start(&[], &[])];
    let publisher = system.start_publishing(POSTS, SPEED);
    for mode in [Mode::Reset, Mode::BlackHole] {
        system.wait_for_progress(system.position());
        proxy.set(mode);
        // Not a wait for something: this is how long the network is cut.
        std::thread::sleep(Duration::from_secs(10));
        proxy.set(Mode::Pass);
        print_resumed(&format!("the network was back ({mode:?})"), resume_time(&system), 15);
    }
    finish(&system, publisher, processes);
}

#[test]
fn processes_that_come_and_go_every_second_lose_and_double_nothing() {
    let Some(broker) = broker("a storm of rebalances") else { return };
    let system = System::new(&broker, 12);
    // A small buffer makes those who are asked to end wait for the broker with posts half told.
    let small = [("GROUNDSWELL_KAFKA_QUEUE_BUFFERING_MAX_MESSAGES", "64")];
    let mut processes = std::collections::VecDeque::from([system.start(&[], &[])]);
    let publisher = system.start_publishing(POSTS, SPEED);
    let mut n_left = 0;
    while n_left < 10 {
        // So many that come at once may have to wait for a broker on a small machine.
        processes.push_back(system.start(&["--probe-timeout", "60"], &small));
        let came = Instant::now();
        let newest = processes.len() - 1;
        wait_until("the newest is in the groups, or a second is over", || {
            processes[newest].log().contains("partitions assigned") || came.elapsed().as_secs() >= 1
        });
        if processes.len() > 3 {
            let mut oldest = processes.pop_front().expect("there are several");
            oldest.signal("TERM");
            oldest.wait_for_success();
            n_left += 1;
        }
    }
    finish(&system, publisher, processes.into());
}

#[test]
fn a_full_disk_takes_the_log_and_nothing_else() {
    let Some(broker) = broker("a disk that is full") else { return };
    let full = || OpenOptions::new().write(true).open("/dev/full").expect("this system has /dev/full");
    let system = System::new(&broker, 3);
    system.publish(POSTS);
    let mut command = system.command(&["run", "--until-end"]);
    let ended = command.stdout(full()).stderr(full()).status().expect("the program starts");
    assert_eq!(ended.code(), Some(0), "a log that cannot be written must not end the program");
    system.check_alerts(&golden());

    let tail = ["tail", "--json", "--from-beginning", "--until-end"];
    let tail = system.command(&tail).stdout(full()).output().expect("the program starts");
    assert_eq!(tail.status.code(), Some(1), "what is asked for cannot be given");
    let said = String::from_utf8_lossy(&tail.stderr);
    assert!(said.contains("No space left on device"), "it must say why, not {said}");
    run(&["replay", POSTS, "--events", "/dev/full"]).exits(1).says(&["No space left on device"]);
}
