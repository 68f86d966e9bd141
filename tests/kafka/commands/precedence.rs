//! An option wins over the environment, the environment over the file, and the file over the default.
//!
//! What wins is read off what the program says of it: `topics create --dry-run` prints the names, an address at which
//! nobody listens is named in the error.

use std::process::Stdio;

use super::NOBODY;
use crate::common::{Folder, Run, groundswell, run};
use crate::system::{System, broker};

/// Where a value can be given. What is left out is not given there.
#[derive(Default)]
struct Given<'a> {
    options: &'a [&'a str],
    variables: &'a [(&'a str, &'a str)],
    file: &'a str,
}

impl Given<'_> {
    /// Runs a command with it.
    fn run(&self, args: &[&str]) -> Run {
        let folder = Folder::new();
        let mut command = groundswell();
        command.args(args).args(self.options).envs(self.variables.iter().copied()).stdin(Stdio::null());
        if !self.file.is_empty() {
            command.args(["--config", &folder.write("file.toml", self.file)]);
        }
        Run::of(command.output().expect("the program starts"))
    }
}

const OPTION: &[&str] = &["--posts-topic", "by-option", "--prefix", "option"];
const VARIABLES: &[(&str, &str)] =
    &[("GROUNDSWELL_POSTS_TOPIC", "by-variable"), ("GROUNDSWELL_PREFIX", "variable")];
const FILE: &str = "[run]\nposts_topic = \"by-file\"\nprefix = \"file\"\n";

#[track_caller]
fn check_names(given: &Given<'_>, posts: &str, prefix: &str) {
    let run = given.run(&["topics", "create", "--dry-run"]).exits(0);
    let names: Vec<&str> = run.text().lines().filter_map(|line| line.split(' ').next()).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    let ours = ["complaints", "alerts", "state", "dead-letter"].map(|name| format!("{prefix}.{name}"));
    let expected: Vec<&str> = std::iter::once(posts).chain(ours.iter().map(String::as_str)).collect();
    assert_eq!(names, expected);
}

#[test]
fn names_of_topics_come_from_option_environment_file_and_default_in_this_order() {
    check_names(&Given { options: OPTION, variables: VARIABLES, file: FILE }, "by-option", "option");
    check_names(&Given { variables: VARIABLES, file: FILE, ..Given::default() }, "by-variable", "variable");
    check_names(&Given { file: FILE, ..Given::default() }, "by-file", "file");
    check_names(&Given::default(), "posts", "groundswell");
    // What is empty is not set: compose files write `${PREFIX:-}`.
    let empty: &[(&str, &str)] = &[("GROUNDSWELL_PREFIX", ""), ("GROUNDSWELL_POSTS_TOPIC", "")];
    check_names(&Given { variables: empty, file: FILE, ..Given::default() }, "by-file", "file");
}

#[test]
fn the_address_comes_from_option_environment_and_file_in_this_order() {
    let options: &[&str] = &["--bootstrap", "127.0.0.1:1"];
    let variables: &[(&str, &str)] = &[("GROUNDSWELL_BOOTSTRAP", "127.0.0.1:2")];
    let file = "[run]\nbootstrap = \"127.0.0.1:3\"\n";
    let check = |given: Given<'_>, expected: &str| {
        let error = format!("no connection to Kafka at {expected} within 1 s");
        given.run(&["tail", "--probe-timeout", "1"]).exits(1).says(&[&error]);
    };
    check(Given { options, variables, file }, "127.0.0.1:1");
    check(Given { variables, file, ..Given::default() }, "127.0.0.1:2");
    check(Given { file, ..Given::default() }, "127.0.0.1:3");
}

#[test]
fn the_address_of_the_metrics_comes_from_option_environment_and_file_in_this_order() {
    let args = ["run", "--bootstrap", NOBODY, "--probe-timeout", "1"];
    let options: &[&str] = &["--metrics", "127.0.0.1:0"];
    let variables: &[(&str, &str)] = &[("GROUNDSWELL_METRICS", "by-variable")];
    let file = "[run]\n\nmetrics = \"by-file\"\n";
    Given { options, variables, file }.run(&args).exits(1).says(&["no connection"]);
    let variable = Given { variables, file, ..Given::default() }.run(&args).exits(2);
    variable
        .says(&["GROUNDSWELL_METRICS is `by-variable`; it must be an address and port like 127.0.0.1:9464"]);
    let in_file = Given { file, ..Given::default() }.run(&args).exits(2);
    in_file.says(&["file.toml:3: `run.metrics` is `by-file`; it must be an address and port"]);
}

#[test]
fn a_key_of_the_detector_comes_from_the_environment_before_the_file() {
    let args = ["check"];
    let hash = |given: Given<'_>| {
        let run = given.run(&args).exits(0);
        run.text().trim_end().rsplit(' ').next().expect("a hash").to_owned()
    };
    let variables: &[(&str, &str)] = &[("GROUNDSWELL_ALLOWED_LATENESS_S", "20")];
    let by_variable = hash(Given { variables, file: "allowed_lateness_s = 40\n", ..Given::default() });
    assert_eq!(by_variable, hash(Given { file: "allowed_lateness_s = 20\n", ..Given::default() }));
    assert_eq!(by_variable, hash(Given { variables, ..Given::default() }));
    let by_file = hash(Given { file: "allowed_lateness_s = 40\n", ..Given::default() });
    assert_ne!(by_variable, by_file);
    assert_ne!(hash(Given::default()), by_file);
    assert_eq!(hash(Given::default()), hash(Given { file: "allowed_lateness_s = 30\n", ..Given::default() }));
}

#[test]
fn a_key_that_is_wrong_is_named_by_where_it_was_written() {
    let args = ["check"];
    let file = "# ours\nallowed_lateness_s = 9e9\n";
    let good = "allowed_lateness_s = 20\n";
    for (wrong, reason) in [
        ("9e9", "`allowed_lateness_s` is 9000000000; it must be"),
        ("100000", "`allowed_lateness_s` is 100000; it must be between 0 and 3600"),
        ("-1", "`allowed_lateness_s` is -1; it must be"),
        ("soon", "invalid type: string \"soon\""),
    ] {
        let variables: &[(&str, &str)] = &[("GROUNDSWELL_ALLOWED_LATENESS_S", wrong)];
        let run = Given { variables, file: good, ..Given::default() }.run(&args).exits(2);
        run.says(&["the environment (GROUNDSWELL_ALLOWED_LATENESS_S): ", reason]);
    }
    let run = Given { file, ..Given::default() }.run(&args).exits(2);
    run.says(&["file.toml:2: `allowed_lateness_s` is 9000000000"]);
    // The environment makes a file good that is not.
    let variables: &[(&str, &str)] = &[("GROUNDSWELL_ALLOWED_LATENESS_S", "20")];
    Given { variables, file, ..Given::default() }.run(&args).exits(0);
    let variables: &[(&str, &str)] = &[("GROUNDSWELL_AUTHOR_KEY_FILE", "/nowhere/key")];
    let run = Given { variables, file: good, ..Given::default() }.run(&args).exits(2);
    run.says(&[
        "the environment (GROUNDSWELL_AUTHOR_KEY_FILE): `author_key_file` /nowhere/key cannot be read",
    ]);
}

#[test]
fn settings_of_the_library_come_from_the_environment_before_the_file() {
    let args = ["tail", "--bootstrap", NOBODY, "--probe-timeout", "1"];
    let file = "[kafka]\nsocket.timeout.ms = 1\n";
    let wrong = Given { file, ..Given::default() }.run(&args).exits(2);
    wrong.says(&["file.toml:2: `kafka.socket.timeout.ms`: ", "value 1 is outside allowed range"]);
    let variables: &[(&str, &str)] = &[("GROUNDSWELL_KAFKA_SOCKET_TIMEOUT_MS", "500")];
    Given { variables, file, ..Given::default() }.run(&args).exits(1).says(&["no connection"]);
    // A variable wins also where the file says it by naming another file.
    let file = "[kafka]\n\"socket.timeout.ms.file\" = \"/nowhere/timeout\"\n";
    let wrong = Given { variables, file, ..Given::default() }.run(&args).exits(2);
    wrong.says(&["file.toml:2: `kafka.socket.timeout.ms.file` names /nowhere/timeout, which cannot be read"]);
    let folder = Folder::new();
    let one = folder.write("one", "1\n");
    let file = format!("[kafka]\n\"socket.timeout.ms.file\" = \"{one}\"\n");
    Given { variables, file: &file, ..Given::default() }.run(&args).exits(1).says(&["no connection"]);
    let wrong = Given { file: &file, ..Given::default() }.run(&args).exits(2);
    wrong.says(&["`kafka.socket.timeout.ms.file`: ", "value 1 is outside allowed range"]);
}

#[test]
fn a_file_is_checked_whole_without_a_broker() {
    let check = |file: &str, parts: &[&str]| {
        Given { file, ..Given::default() }.run(&["check"]).exits(2).says(parts);
    };
    check("[run]\nbootstrap = \"a:1\"\nprefixx = \"g\"\n", &["file.toml:3: ", "unknown field `prefixx`"]);
    check("[run]\nprefix = 1\n", &["file.toml:2: ", "invalid type: integer `1`"]);
    check("[kafkaa]\n", &["file.toml:1: ", "unknown field `kafkaa`"]);
    check("[kafka]\nclient.id = [\"a\"]\n", &["file.toml:2: `kafka.client.id` must be a text"]);
    check("[kafka]\ngroup.id = \"mine\"\n", &["file.toml:2: `kafka.group.id` is not to be set"]);
    check("[kafka]\nbootstrap.servers = \"a:1\"\n", &["file.toml:2: `kafka.bootstrap.servers`: ", "[run]"]);
    // Everything at once, each with its line, in tables and with dots.
    let file = "[run]\nbootstrap = \"kafka\"\nprefix = \"a b\"\nmetrics = \"9464\"\n\
                [kafka]\nsocket.timeout.mss = 1\n[kafka.fetch]\nwait.max.ms = \"soon\"\n";
    check(
        file,
        &[
            "file.toml:2: `run.bootstrap` is `kafka`",
            "file.toml:3: `run.prefix` is `a b`",
            "file.toml:4: `run.metrics` is `9464`",
            "file.toml:6: `kafka.socket.timeout.mss`: No such configuration property",
            "file.toml:8: `kafka.fetch.wait.max.ms`: Invalid value",
        ],
    );
    let good = "allowed_lateness_s = 20\n[run]\nbootstrap = \"a:1,b:2\"\nposts_topic = \"p\"\nmetrics = \"[::1]:9464\"\n\
                [kafka]\nsocket.keepalive.enable = true\n\"fetch.wait.max.ms\" = 100\nclient.rack = \"r1\"\n";
    Given { file: good, ..Given::default() }.run(&["check"]).exits(0);
}

#[test]
fn a_file_with_everything_is_enough_to_run() {
    let Some(broker) = broker("a run with a file alone") else { return };
    let system = System::new(&broker, 1);
    let config = format!(
        "[run]\nbootstrap = \"{broker}\"\nposts_topic = \"{}\"\nprefix = \"{}\"\n\
         [kafka]\nsocket.timeout.ms = 9_000\nsocket.keepalive.enable = false\nclient.rack = \"r1\"\n",
        system.posts_topic(),
        system.prefix
    );
    let config = system.folder.write("all.toml", config);
    for args in [&["run", "--until-end"][..], &["tail", "--until-end"], &["topics", "create"]] {
        run(&[args, &["--config", &config]].concat()).exits(0);
    }
}
