//! No secret gets into a log or an error, at whatever level and however the connection fails.
//!
//! The real program runs with a canary for each secret, with all of the library's debugging output and at our own most
//! talkative level; then everything that it wrote is searched.

use std::process::{Command, Stdio};

use super::NOBODY;
use crate::common::{Folder, Run, groundswell};
use crate::system::{System, broker};

const CANARY: &str = "canary-8c1f-do-not-tell";

/// Settings that hold a secret, each with what makes the library use it.
const SECRETS: [(&str, &[(&str, &str)]); 4] = [
    (
        "sasl.password",
        &[("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "PLAIN"), ("sasl.username", "someone")],
    ),
    ("ssl.key.password", &[("security.protocol", "ssl")]),
    (
        "sasl.oauthbearer.client.secret",
        &[
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.oauthbearer.method", "oidc"),
            ("sasl.oauthbearer.client.id", "someone"),
            ("sasl.oauthbearer.token.endpoint.url", "http://127.0.0.1:1/token"),
        ],
    ),
    // What the library uses to connect is one thing, what it repeats because it does not know it another.
    ("sasl.passwordd", &[]),
];

fn variable(key: &str) -> String {
    format!("GROUNDSWELL_KAFKA_{}", key.to_ascii_uppercase().replace('.', "_"))
}

/// Runs `command` with a secret in the environment, or in a file of its own, and searches what it says.
#[track_caller]
fn check_silent(command: &mut Command, key: &str, with: &[(&str, &str)], in_file: bool) -> Run {
    let folder = Folder::new();
    command.env("GROUNDSWELL_KAFKA_DEBUG", "all").stdin(Stdio::null());
    command.envs(with.iter().map(|&(key, value)| (variable(key), value)));
    if in_file {
        command.env(variable(key) + "_FILE", folder.write("secret", format!("{CANARY}\n")));
    } else {
        command.env(variable(key), CANARY);
    }
    let run = Run::of(command.output().expect("the program starts"));
    assert!(!run.text().contains(CANARY), "{key} must not be on stdout:\n{}", run.text());
    let place = run.stderr.lines().find(|line| line.contains(CANARY));
    assert_eq!(place, None, "{key} must not be on stderr");
    run
}

#[test]
fn no_secret_is_told_when_nobody_listens() {
    for (key, with) in SECRETS {
        for log_format in ["text", "json"] {
            let mut command = groundswell();
            command.args(["run", "--bootstrap", NOBODY, "--probe-timeout", "1", "--log", "trace"]);
            command.args(["--log-format", log_format]);
            let run = check_silent(&mut command, key, with, false);
            assert_ne!(run.code, Some(0), "{key}: nobody listens there");
        }
    }
}

#[test]
fn no_secret_of_a_file_is_told() {
    for (key, with) in SECRETS {
        let mut command = groundswell();
        command.args(["run", "--bootstrap", NOBODY, "--probe-timeout", "1", "--log", "trace"]);
        check_silent(&mut command, key, with, true);
    }
}

#[test]
fn no_secret_is_told_to_or_by_a_broker_that_does_not_want_it() {
    let Some(broker) = broker("secrets before a broker") else { return };
    for (key, with) in SECRETS {
        for args in [&["run", "--log", "trace"][..], &["tail"], &["topics", "create"]] {
            let mut command = groundswell();
            command.args(args).args(["--bootstrap", &broker, "--probe-timeout", "1"]);
            let run = check_silent(&mut command, key, with, false);
            assert_ne!(run.code, Some(0), "{key}: the broker knows no passwords");
        }
    }
}

#[test]
fn no_secret_is_told_by_a_run_that_succeeds() {
    let Some(broker) = broker("secrets in a run that succeeds") else { return };
    let system = System::new(&broker, 1);
    // The broker does not ask for a password: it is among the settings all the same.
    let mut command = system.command(&["run", "--until-end", "--log", "trace"]);
    let run = check_silent(&mut command, "sasl.password", &[], false).exits(0);
    assert!(run.stderr.contains("kafka: "), "the library must have had its say, or nothing is tested here");
}

#[test]
fn a_secret_in_the_configuration_file_is_refused_and_not_repeated() {
    let folder = Folder::new();
    for (key, _) in SECRETS {
        let config = folder.write("secret.toml", format!("[kafka]\n\n{key} = \"{CANARY}\"\n"));
        for args in [&["check"][..], &["run", "--bootstrap", NOBODY], &["tail", "--bootstrap", NOBODY]] {
            let mut command = groundswell();
            command.args(args).args(["--config", &config]).stdin(Stdio::null());
            let run = Run::of(command.output().expect("the program starts")).exits(2);
            assert!(!run.stderr.contains(CANARY), "{}", run.stderr);
            run.says(&[&format!("{config}:3: `kafka.{key}`: a secret does not belong"), &variable(key)]);
        }
    }
}
