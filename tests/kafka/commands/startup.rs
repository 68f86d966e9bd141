//! What is wrong with a connection is said at once, with its reason and where it was written.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Client, NOBODY, the_error};
use crate::common::{Folder, Run, groundswell, run};
use crate::system::{System, broker, say_left_out};

/// A command with these variables.
#[track_caller]
fn run_with(variables: &[(&str, &str)], args: &[&str]) -> Run {
    let mut command = groundswell();
    command.args(args).envs(variables.iter().copied()).stdin(Stdio::null());
    Run::of(command.output().expect("the program starts"))
}

/// All that talk to Kafka, but for what names it.
fn commands(posts: &str) -> [Vec<&str>; 5] {
    [
        vec!["run"],
        vec!["tail"],
        vec!["topics", "create"],
        vec!["replay", posts, "--to", "kafka"],
        vec!["replay", "--from", "kafka"],
    ]
}

/// Every command must end in time with this exit code and one error that says all of this.
#[track_caller]
fn check_every_command(options: &[&str], variables: &[(&str, &str)], code: i32, parts: &[&str]) {
    let folder = Folder::new();
    let posts = folder.write("posts.jsonl", "{}\n");
    for command in commands(&posts) {
        let started = Instant::now();
        let run = run_with(variables, &[command.as_slice(), options].concat()).exits(code).says(parts);
        the_error(&run);
        let took = started.elapsed();
        assert!(took < Duration::from_secs(10), "{command:?} must give up in time, not after {took:?}");
    }
}

#[test]
fn a_broker_that_is_not_there_is_named_with_the_reason_and_in_time() {
    check_every_command(
        &["--bootstrap", NOBODY, "--probe-timeout", "1"],
        &[],
        1,
        &["no connection to Kafka at 127.0.0.1:1 within 1 s", "Connection refused"],
    );
}

#[test]
fn a_name_that_nobody_has_is_named() {
    run(&["tail", "--bootstrap", "kafka.invalid:9092", "--probe-timeout", "1"]).exits(1).says(&[
        "no connection to Kafka at kafka.invalid:9092 within 1 s",
        "Failed to resolve 'kafka.invalid:9092'",
    ]);
}

#[test]
fn something_that_accepts_and_stays_silent_is_no_broker() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has one").to_string();
    let run = run(&["tail", "--bootstrap", &address, "--probe-timeout", "1"]).exits(1);
    let parts = [&format!("no connection to Kafka at {address} within 1 s"), "nothing was answered"];
    the_error(&run.says(&parts));
}

#[test]
fn something_that_is_not_kafka_is_not_taken_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has one").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { break };
            // Who has asked has hung up: what it makes of the answer is for the test to judge.
            drop(stream.read(&mut [0; 1024]));
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"));
        }
    });
    let run = run(&["tail", "--bootstrap", &address, "--probe-timeout", "1"]).exits(1);
    the_error(&run.says(&[&format!("no connection to Kafka at {address}"), "Receive failed"]));
}

#[test]
fn no_address_at_all_is_a_usage_error() {
    check_every_command(
        &[],
        &[],
        2,
        &["no Kafka to connect to", "--bootstrap HOST:PORT", "GROUNDSWELL_BOOTSTRAP"],
    );
}

#[test]
fn an_address_that_is_none_is_refused_before_anything_is_tried() {
    for wrong in ["kafka", "kafka:", "kafka:99999", "kafka:9092,", "http://kafka:9092", "kafka 9092"] {
        let error = format!("--bootstrap is `{wrong}`");
        let run = run(&["tail", "--bootstrap", wrong]).exits(2).says(&[&error, "kafka-1:9092"]);
        the_error(&run);
    }
}

#[test]
fn names_that_kafka_does_not_take_are_refused() {
    let long = "x".repeat(201);
    for wrong in ["", "a b", "..", "größe", &long] {
        for option in ["--prefix", "--posts-topic"] {
            let error = format!("{option} is `{wrong}`");
            run(&["run", "--bootstrap", NOBODY, option, wrong]).exits(2).says(&[&error, "1 to 200 letters"]);
        }
    }
}

#[test]
fn options_out_of_range_are_refused() {
    for (args, parts) in [
        (vec!["run", "--role", "both-of-them"], ["invalid value 'both-of-them'", "ingest, detect, both"]),
        (vec!["run", "--metrics", "9464"], ["invalid value '9464'", "--metrics <ADDRESS:PORT>"]),
        (vec!["run", "--metrics", "localhost:9464"], ["invalid value 'localhost:9464'", "--metrics"]),
        (vec!["tail", "--probe-timeout", "0"], ["invalid value '0'", "1..=3600"]),
        (vec!["topics", "create", "--partitions", "0"], ["invalid value '0'", "1..=10000"]),
        (vec!["topics", "create", "--partitions", "10001"], ["invalid value '10001'", "1..=10000"]),
        (vec!["topics", "create", "--replicas", "101"], ["invalid value '101'", "1..=100"]),
        (vec!["tail", "--since", "yesterday"], ["invalid value 'yesterday'", "2023-04-20T12:00:00Z"]),
        (vec!["health", "--url", "http://kafka:9464/readyz"], ["invalid value", "only this machine"]),
        (vec!["health", "--url", "https://127.0.0.1/readyz"], ["invalid value", "only http://"]),
        (vec!["health", "--timeout", "0"], ["invalid value '0'", "1..=60"]),
    ] {
        run(&args).exits(2).says(&parts);
    }
    run(&["run", "--bootstrap", NOBODY, "--log", "inof"])
        .exits(2)
        .says(&["--log is `inof`", "error, warn, info"]);
}

#[test]
fn settings_that_the_library_does_not_take_are_named_by_where_they_were_written() {
    let options = ["--bootstrap", NOBODY];
    check_every_command(
        &options,
        &[("GROUNDSWELL_KAFKA_SOCKET_TIMEOUT_MSS", "1000")],
        2,
        &["GROUNDSWELL_KAFKA_SOCKET_TIMEOUT_MSS: No such configuration property: \"socket.timeout.mss\""],
    );
    check_every_command(
        &options,
        &[("GROUNDSWELL_KAFKA_SOCKET_TIMEOUT_MS", "1")],
        2,
        &["GROUNDSWELL_KAFKA_SOCKET_TIMEOUT_MS: ", "value 1 is outside allowed range 10..300000"],
    );
    check_every_command(
        &options,
        &[("GROUNDSWELL_KAFKA_GROUP_ID", "mine")],
        2,
        &["GROUNDSWELL_KAFKA_GROUP_ID is not to be set", "lost or come twice"],
    );
    check_every_command(
        &options,
        &[("GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")],
        2,
        &["GROUNDSWELL_KAFKA_BOOTSTRAP_SERVERS: the addresses belong into --bootstrap"],
    );
}

#[test]
fn a_build_without_tls_says_so_when_it_is_asked_for() {
    if cfg!(feature = "tls") {
        say_left_out("this build has TLS", "what a build without says");
        return;
    }
    let needs = "this program was built without TLS and SASL: build it with --features tls";
    for variables in [
        vec![("GROUNDSWELL_KAFKA_SECURITY_PROTOCOL", "ssl")],
        vec![("GROUNDSWELL_KAFKA_SECURITY_PROTOCOL", "sasl_ssl")],
        vec![("GROUNDSWELL_KAFKA_SSL_KEY_PASSWORD", "canary-8c1f")],
        vec![
            ("GROUNDSWELL_KAFKA_SECURITY_PROTOCOL", "sasl_plaintext"),
            ("GROUNDSWELL_KAFKA_SASL_MECHANISM", "SCRAM-SHA-256"),
            ("GROUNDSWELL_KAFKA_SASL_USERNAME", "someone"),
            ("GROUNDSWELL_KAFKA_SASL_PASSWORD", "canary-8c1f"),
        ],
    ] {
        check_every_command(&["--bootstrap", NOBODY], &variables, 2, &[needs]);
    }
}

#[test]
fn a_topic_that_is_not_there_is_named_with_what_makes_it() {
    let Some(broker) = broker("topics that are not there") else { return };
    let prefix = format!("missing-{}", std::process::id());
    let posts = format!("{prefix}.posts");
    let options = ["--bootstrap", &broker, "--prefix", &prefix, "--posts-topic", &posts];
    let folder = Folder::new();
    let file = folder.write("posts.jsonl", "{}\n");
    for (command, topic) in commands(&file).into_iter().zip([
        posts.clone(),
        format!("{prefix}.alerts"),
        // `topics create` makes them, so it is not asked.
        String::new(),
        posts.clone(),
        posts.clone(),
    ]) {
        if topic.is_empty() {
            continue;
        }
        let error = format!("topic {topic}: there is no such topic; `groundswell topics create` makes it");
        the_error(&run(&[command.as_slice(), &options].concat()).exits(1).says(&[&error]));
    }
    // One that is missing among others is missing all the same.
    let system = System::new(&broker, 1);
    let dead_letter = format!("{}.dead-letter", system.prefix);
    Client::new(&broker).delete(&dead_letter);
    system.run(&["run"]).exits(1).says(&[&format!("topic {dead_letter}: there is no such topic")]);
}

#[test]
fn a_port_for_metrics_that_is_taken_is_named() {
    let Some(broker) = broker("a port that is taken") else { return };
    let system = System::new(&broker, 1);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has one").to_string();
    let error = format!("cannot listen on {address}: Address already in use");
    system.run(&["run", "--metrics", &address]).exits(2).says(&[&error]);
}

#[test]
fn waiting_for_a_broker_ends_with_the_first_signal() {
    for signal in ["INT", "TERM"] {
        let folder = Folder::new();
        let mut command = groundswell();
        command.args(["tail", "--bootstrap", NOBODY, "--probe-timeout", "3600"]);
        let running = super::Running::start_in(&folder, "tail", command);
        running.wait_until_it_catches_signals();
        let run = running.end_by(signal).exits(1);
        the_error(&run.says(&["interrupted before Kafka at 127.0.0.1:1 answered"]));
    }
}

#[test]
fn who_is_told_to_end_while_it_reads_its_settings_ends_well() {
    let folder = Folder::new();
    let catalogue = folder.path("catalogue.toml");
    let made = Command::new("mkfifo").arg(&catalogue).status();
    assert!(made.expect("mkfifo can be run").success(), "a pipe is made");
    let mut command = groundswell();
    command.args(["run", "--bootstrap", NOBODY, "--probe-timeout", "3600", "--catalog", &catalogue]);
    let running = super::Running::start_in(&folder, "run", command);
    // It waits for whoever writes the catalogue.
    running.wait_until_it_catches_signals();
    running.signal("TERM");
    std::fs::write(&catalogue, "").expect("it reads");
    running.ends().exits(0).says(&["interrupted before Kafka at 127.0.0.1:1 answered"]);
}
