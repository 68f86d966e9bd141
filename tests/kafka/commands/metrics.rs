//! `/metrics`, `/healthz` and `/readyz` of a process that runs, and `health`, which asks them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::{Running, TIMEOUT};
use crate::common::{Feed, groundswell, read_text, root, run};
use crate::system::{Process, System, broker, wait_until};

/// Asks a process for `path`; gives the status and everything that came.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a time-out can be set");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it can be asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("a status must come: {answer}")), answer)
}

/// Starts `run` with metrics on a port that is free, and gives the address.
fn start(system: &System, args: &[&str]) -> (Process, String) {
    let process = system.start(&[&["--metrics", "127.0.0.1:0"], args].concat(), &[]);
    process.wait_until_it_says("metrics are served");
    let address = address_in(&process.log());
    (process, address)
}

/// The address of the metrics, as logged.
fn address_in(log: &str) -> String {
    let address = log.split("address=").nth(1).and_then(|rest| rest.split_whitespace().next());
    address.unwrap_or_else(|| panic!("the address must be told: {log}")).to_owned()
}

/// The values of a metric by label value.
fn by_label(text: &str, name: &str) -> BTreeMap<String, u64> {
    let of = |line: &str| {
        let rest = line.strip_prefix(name)?.strip_prefix('{')?;
        let label = rest.split('"').nth(1)?.to_owned();
        Some((label, rest.rsplit(' ').next()?.parse::<f64>().ok()? as u64))
    };
    text.lines().filter_map(of).collect()
}

#[test]
fn a_running_process_says_what_it_does_and_posts_by_outcome_add_up() {
    let Some(broker) = broker("metrics of a running process") else { return };
    let system = System::new(&broker, 3);
    let (_process, address) = start(&system, &[]);
    // From the start, before there was anything to count.
    let (_, before) = get(&address, "/metrics");
    for name in read_text(&root().join("deploy/metrics.txt")).lines() {
        let has_value = before.lines().any(|line| line.starts_with(name));
        assert!(has_value, "{name} must be there from the start:\n{before}");
    }
    assert_eq!(by_label(&before, "groundswell_posts_total").values().sum::<u64>(), 0);
    assert!(before.contains("content-type: application/openmetrics-text; version=1.0.0"), "{before}");
    assert!(before.ends_with("# EOF\n"), "{before}");

    let mut feed = Feed::of_chatter(1);
    feed.post_every(10, 0, 60, "spotify is down", "");
    let posts = feed.to_jsonl();
    let broken = "no post at all\n{\"id\":1}\n";
    let file = system.folder.write("posts.jsonl", posts.clone() + broken);
    system.publish(&file);
    let n_posts = posts.lines().count() as u64 + 2;
    let outcomes = || by_label(&get(&address, "/metrics").1, "groundswell_posts_total");
    wait_until("every post is counted", || outcomes().values().sum::<u64>() >= n_posts);
    let outcomes = outcomes();
    assert_eq!(outcomes.values().sum::<u64>(), n_posts, "no post is counted twice: {outcomes:?}");
    assert_eq!(outcomes["complaint"], 360, "{outcomes:?}");
    assert_eq!(outcomes["not_json"], 1, "{outcomes:?}");
    let (_, text) = get(&address, "/metrics");
    let dead_letters = by_label(&text, "groundswell_dead_letters_total");
    assert_eq!(dead_letters.values().sum::<u64>(), 2, "{dead_letters:?}");
    assert_eq!(dead_letters["not_json"], 1, "{dead_letters:?}");

    wait_until("it is ready", || get(&address, "/readyz").0 == 200);
    assert_eq!(get(&address, "/healthz").0, 200);
    assert_eq!(get(&address, "/nothing").0, 404);
    let url = format!("http://{address}/readyz");
    assert_eq!(run(&["health", "--url", &url]).exits(0).text(), "ready\n");
    wait_until("the lag is worked off", || {
        let text = get(&address, "/metrics").1;
        let lag =
            text.lines().filter(|line| line.starts_with("groundswell_consumer_lag_records{role=\"ingest\""));
        lag.clone().count() == 3 && lag.into_iter().all(|line| line.ends_with(" 0"))
    });
}

#[test]
fn complaints_and_alerts_are_counted_where_they_are_decided() {
    let Some(broker) = broker("metrics of the detect role") else { return };
    let system = System::new(&broker, 1);
    let (_process, address) = start(&system, &[]);
    system.publish("fixtures/spotify-2023-04-20/posts.jsonl.zst");
    // What is still open at the end of the topic is not decided: the last minutes of the recording.
    let alerts = || by_label(&get(&address, "/metrics").1, "groundswell_alerts_total");
    wait_until("the outage has ended", || alerts()["ended"] == 1);
    let events = read_text(&root().join("fixtures/spotify-2023-04-20/events.jsonl"));
    let n = |kind: &str| {
        let event_type = format!("\"type\":\"groundswell.outage.{kind}.v1\"");
        events.lines().filter(|line| line.contains(&event_type)).count() as u64
    };
    for kind in ["suspected", "started", "updated", "ended", "retracted"] {
        assert_eq!(alerts()[kind], n(kind), "{kind}");
    }
    let complaints = || by_label(&get(&address, "/metrics").1, "groundswell_complaints_total");
    wait_until("all but the last complaints are counted", || complaints()["complaint"] > 19_000);
    let text = get(&address, "/metrics").1;
    let complaints = by_label(&text, "groundswell_complaints_total");
    assert_eq!((complaints["late"], complaints["damaged"]), (0, 0), "{complaints:?}");
    assert!(text.contains("groundswell_transaction_duration_seconds_count "), "{text}");
    let services = by_label(&text, "groundswell_services");
    let states: Vec<&str> = services.keys().map(String::as_str).collect();
    assert_eq!(states, ["normal", "ongoing", "suspected"]);
    assert!(services["normal"] > 0, "{services:?}");
    let ongoing = || by_label(&get(&address, "/metrics").1, "groundswell_services")["ongoing"];
    wait_until("the outage is over here too: states are counted after alerts", || ongoing() == 0);
}

#[test]
fn a_process_that_stands_by_is_ready_and_every_role_alone_is_too() {
    let Some(broker) = broker("processes that stand by") else { return };
    let system = System::new(&broker, 1);
    // One partition of posts and one of complaints: of each role one process has nothing to do.
    let processes = [start(&system, &[]), start(&system, &[])];
    let alone = [start(&system, &["--role", "ingest"]), start(&system, &["--role", "detect"])];
    for (process, address) in processes.iter().chain(&alone) {
        wait_until("it is ready", || get(address, "/readyz").0 == 200);
        assert!(!process.log().contains("ERROR"), "{}", process.log());
    }
}

#[test]
fn errors_of_the_library_are_counted_by_code() {
    let Some(broker) = broker("errors that are counted") else { return };
    let system = System::new(&broker, 1);
    // Addresses at which nobody listens, beside one that is good. The library asks them in an order of chance: with one
    // of either kind it now and then begins with the good one throughout, and nothing fails.
    let nobody: Vec<String> = (1..9).map(|port| format!("127.0.0.1:{port}")).collect();
    let all = format!("{},{broker}", nobody.join(","));
    let mut command = groundswell();
    let posts = system.posts_topic();
    command.args(["run", "--metrics", "127.0.0.1:0", "--bootstrap", &all]);
    command.args(["--prefix", &system.prefix, "--posts-topic", &posts]);
    let process = Running::start_in(&system.folder, "errors", command);
    process.wait_until_stderr_says("metrics are served");
    let address = address_in(&process.stderr());
    wait_until("an error is counted", || {
        by_label(&get(&address, "/metrics").1, "groundswell_errors_total")["broker_transport_failure"] > 0
    });
}

#[test]
fn health_tells_what_is_wrong() {
    let check = |answer: &'static str, parts: &[&str]| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}/readyz", listener.local_addr().expect("it has one"));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("it is asked");
            let mut asked = [0; 1024];
            let n = stream.read(&mut asked).expect("it asks something");
            stream.write_all(answer.as_bytes()).expect("it listens");
            String::from_utf8_lossy(&asked[..n]).into_owned()
        });
        let run = run(&["health", "--url", &url, "--timeout", "5"]).exits(1).says(parts);
        assert!(run.stdout.is_empty(), "{}", run.text());
        let asked = server.join().expect("it answers");
        assert!(asked.starts_with("GET /readyz HTTP/1.0\r\nHost: 127.0.0.1:"), "{asked}");
    };
    check(
        "HTTP/1.0 503 Service Unavailable\r\n\r\nnot ready: detect has not joined its group yet\n",
        &["/readyz answers 503: not ready: detect has not joined its group yet"],
    );
    check("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", &["/readyz answers 404"]);
    check("SSH-2.0-OpenSSH\r\n", &["does not speak HTTP"]);
    check("", &["does not speak HTTP"]);
    run(&["health", "--url", "http://127.0.0.1:1/readyz"])
        .exits(1)
        .says(&["no answer from http://127.0.0.1:1/readyz", "refused"]);
    // One that accepts and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}/readyz", silent.local_addr().expect("it has one"));
    run(&["health", "--url", &url, "--timeout", "1"]).exits(1).says(&["no answer from", "timed out"]);
}
