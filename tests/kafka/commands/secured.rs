//! Clusters that ask for TLS, a password or a permission, each started by its test: what a mistake looks like, and that
//! it works without one.

use std::process::Command;

use super::the_error;
use crate::common::{Folder, Run, groundswell};
use crate::system::{Cluster, broker, say_left_out};

/// The password of a user: a canary, for no output may have it.
fn password(user: &str) -> String {
    format!("canary-of-{user}")
}

/// A cluster that knows these users and asks for permissions; `admin` may do everything.
fn cluster_with_passwords() -> Cluster {
    let users: String = ["admin", "nobody", "no-group", "no-transaction"]
        .iter()
        .map(|user| format!(" user_{user}=\"{}\"", password(user)))
        .collect();
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    Cluster::start(
        1,
        &format!(
            "listener.security.protocol.map=PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT\n\
             inter.broker.listener.name=PLAINTEXT\n\
             sasl.enabled.mechanisms=PLAIN\n\
             sasl.mechanism.inter.broker.protocol=PLAIN\n\
             listener.name.plaintext.plain.sasl.jaas.config={login} username=\"admin\" password=\"{}\"{users};\n\
             authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n\
             super.users=User:admin;User:ANONYMOUS",
            password("admin")
        ),
    )
}

/// Runs a command as `user`, at the level `trace` with all of the library's debugging output, too: no password may be in
/// what it says.
#[track_caller]
fn run_as(cluster: &Cluster, user: &str, password: &str, args: &[&str]) -> Run {
    let mut command = groundswell();
    command
        .args(args)
        .args(["--bootstrap", &cluster.bootstrap, "--probe-timeout", "3"])
        .env("GROUNDSWELL_KAFKA_SECURITY_PROTOCOL", "sasl_plaintext")
        .env("GROUNDSWELL_KAFKA_SASL_MECHANISM", "PLAIN")
        .env("GROUNDSWELL_KAFKA_SASL_USERNAME", user)
        .env("GROUNDSWELL_KAFKA_SASL_PASSWORD", password);
    if args.contains(&"trace") {
        command.env("GROUNDSWELL_KAFKA_DEBUG", "all");
    }
    let run = Run::of(command.output().expect("the program starts"));
    assert!(!run.stderr.contains("canary") && !run.text().contains("canary"), "a password must not be told");
    run
}

/// Lets a user do everything with all resources of a kind.
fn allow(cluster: &Cluster, user: &str, resource: &str) {
    let folder = Folder::new();
    let login = "org.apache.kafka.common.security.plain.PlainLoginModule required";
    let admin = folder.write(
        "admin.properties",
        format!(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n\
             sasl.jaas.config={login} username=\"admin\" password=\"{}\";\n",
            password("admin")
        ),
    );
    let principal = format!("User:{user}");
    let connect = ["AclCommand", "--bootstrap-server", &cluster.bootstrap, "--command-config", &admin];
    let rule = ["--add", "--allow-principal", &principal, "--operation", "All", resource, "*"];
    cluster.control("tool", &[connect.as_slice(), &rule].concat());
}

#[test]
fn a_cluster_with_passwords_and_permissions_says_what_is_missing() {
    if broker("a cluster with passwords and permissions").is_none() {
        return;
    }
    let cluster = cluster_with_passwords();
    let bootstrap = &cluster.bootstrap;
    let no_connection = format!("no connection to Kafka at {bootstrap} within");

    let mut plain = groundswell();
    plain.args(["tail", "--bootstrap", bootstrap, "--probe-timeout", "2"]);
    let run = Run::of(plain.output().expect("the program starts")).exits(1);
    the_error(&run.says(&[&no_connection, "if it wants TLS or a password, set security.protocol"]));

    let run = run_as(&cluster, "admin", "canary-that-is-wrong", &["tail"]).exits(1);
    the_error(&run.says(&[&no_connection, "Authentication failed: Invalid username or password"]));

    run_as(&cluster, "admin", &password("admin"), &["topics", "create"]).exits(0);
    let trace = &["run", "--until-end", "--log", "trace"];
    let run = run_as(&cluster, "admin", &password("admin"), trace).exits(0);
    assert!(run.stderr.contains("SASL"), "the library must have told how it logged in");

    let posts = "fixtures/noisy-real/posts.jsonl.zst";
    for (args, error) in [
        (&["run"][..], "topic posts: no permission for this topic"),
        (&["tail"], "topic groundswell.alerts: no permission for this topic"),
        (
            &["topics", "create", "--prefix", "other"],
            "cannot create topic posts: no permission for this topic",
        ),
        (&["replay", "--from", "kafka"], "topic posts: no permission for this topic"),
        (&["replay", posts, "--to", "kafka"], "topic posts: no permission for this topic"),
    ] {
        the_error(&run_as(&cluster, "nobody", &password("nobody"), args).exits(1).says(&[error]));
    }

    allow(&cluster, "no-group", "--topic");
    let reader = |args: &[&str]| run_as(&cluster, "no-group", &password("no-group"), args);
    reader(&["run"]).exits(1).says(&["cannot read on: no permission for this consumer group"]);
    // Who only looks needs no group.
    reader(&["tail", "--until-end"]).exits(0);
    reader(&["replay", "--from", "kafka"]).exits(0);

    allow(&cluster, "no-transaction", "--topic");
    allow(&cluster, "no-transaction", "--group");
    let run = run_as(&cluster, "no-transaction", &password("no-transaction"), &["run"]).exits(1);
    run.says(&["cannot begin transactions as groundswell-detect-0: no permission for this transactional id"]);
}

/// A store with a key and a certificate for 127.0.0.1, and the certificate alone, signed by itself.
fn make_certificate(folder: &Folder) -> (String, String) {
    let (store, certificate) = (folder.path("store.p12"), folder.path("certificate.pem"));
    let common = ["-alias", "broker", "-keystore", &store, "-storepass", "change-it", "-storetype", "PKCS12"];
    let mut make = Command::new("keytool");
    make.arg("-genkeypair").args(common);
    make.args(["-keyalg", "RSA", "-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1", "-validity", "2"]);
    let mut export = Command::new("keytool");
    export.arg("-exportcert").args(common).args(["-rfc", "-file", &certificate]);
    for mut command in [make, export] {
        let done = command.output().expect("keytool is there, it comes with Java");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    }
    (store, certificate)
}

#[test]
fn tls_where_it_is_not_spoken_or_not_trusted_is_told() {
    let Some(plain_broker) = broker("a cluster with TLS") else { return };
    let folder = Folder::new();
    let (store, certificate) = make_certificate(&folder);
    let cluster = Cluster::start(
        1,
        &format!(
            "listener.security.protocol.map=PLAINTEXT:SSL,CONTROLLER:PLAINTEXT\n\
             inter.broker.listener.name=PLAINTEXT\n\
             ssl.keystore.location={store}\nssl.keystore.password=change-it\nssl.keystore.type=PKCS12\n\
             ssl.truststore.location={store}\nssl.truststore.password=change-it\nssl.truststore.type=PKCS12"
        ),
    );
    let run = |bootstrap: &str, settings: &[(&str, &str)]| {
        let mut command = groundswell();
        command.args(["topics", "create", "--bootstrap", bootstrap, "--probe-timeout", "3"]);
        command.envs(settings.iter().map(|&(key, value)| (format!("GROUNDSWELL_KAFKA_{key}"), value)));
        Run::of(command.output().expect("the program starts"))
    };
    let no_connection = format!("no connection to Kafka at {} within 3 s", cluster.bootstrap);
    let plain = run(&cluster.bootstrap, &[]).exits(1);
    the_error(&plain.says(&[&no_connection, "if it wants TLS or a password, set security.protocol"]));
    if !cfg!(feature = "tls") {
        say_left_out("this build has no TLS", "certificates that are not trusted, and those that are");
        return;
    }
    let tls = ("SECURITY_PROTOCOL", "ssl");
    let untrusted = run(&cluster.bootstrap, &[tls]).exits(1);
    the_error(&untrusted.says(&[&no_connection, "certificate verify failed"]));
    run(&cluster.bootstrap, &[tls, ("SSL_CA_LOCATION", &certificate)]).exits(0);
    let missing = run(&cluster.bootstrap, &[tls, ("SSL_CA_LOCATION", "/nowhere/ca.pem")]).exits(2);
    the_error(
        &missing.says(&["GROUNDSWELL_KAFKA_SSL_CA_LOCATION names /nowhere/ca.pem, which cannot be read"]),
    );
    let not_spoken = run(&plain_broker, &[tls, ("SSL_CA_LOCATION", &certificate)]).exits(1);
    let parts = [&format!("no connection to Kafka at {plain_broker} within 3 s"), "SSL handshake failed"];
    the_error(&not_spoken.says(&parts));
}
