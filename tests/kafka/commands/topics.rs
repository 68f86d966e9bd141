//! `topics create`, and what `run` asks of topics that somebody else made.

use super::{Client, NOBODY, the_error};
use crate::common::run;
use crate::system::{System, broker};

/// What became of each topic, as printed.
fn fates(text: &str) -> Vec<String> {
    let fate = |line: &str| {
        ["would be created", "created", "exists, left as it is"].into_iter().find(|fate| line.contains(fate))
    };
    text.lines().filter_map(fate).map(str::to_owned).collect()
}

#[test]
fn a_dry_run_connects_to_nothing() {
    // Whoever connected would fail; without an address it does not even know where to.
    for args in [&[][..], &["--bootstrap", NOBODY]] {
        let run = run(&[&["topics", "create", "--dry-run", "--partitions", "12"], args].concat()).exits(0);
        assert_eq!(fates(run.text()), ["would be created"; 5]);
        assert!(run.text().contains("12 partitions  posts, as they come in"), "{}", run.text());
        assert!(run.text().contains("cleanup.policy=compact"), "{}", run.text());
        assert_eq!(run.stderr, "");
    }
}

#[test]
fn creating_again_changes_nothing_and_says_nothing_is_wrong() {
    let Some(broker) = broker("topics created again") else { return };
    let system = System::new(&broker, 7);
    let run = system.run(&["topics", "create"]).exits(0);
    assert_eq!(fates(run.text()), ["exists, left as it is"; 5]);
    assert!(run.text().contains("7 partitions  posts, as they come in"), "{}", run.text());
    assert_eq!(run.stderr, "", "as many partitions of posts as one likes are as planned");
    let run = system.run(&["topics", "create", "--partitions", "8"]).exits(0);
    run.says(&[&format!("topic {} is not as planned: it has 7 partitions, not 8", system.posts_topic())]);
    assert_eq!(Client::new(&broker).n_partitions(&system.posts_topic()), Some(7));
}

#[test]
fn what_is_missing_is_created_beside_what_is_there() {
    let Some(broker) = broker("topics created in part") else { return };
    let system = System::new(&broker, 1);
    Client::new(&broker).delete(&format!("{}.alerts", system.prefix));
    let run = system.run(&["topics", "create"]).exits(0);
    assert_eq!(fates(run.text()).iter().filter(|fate| *fate == "created").count(), 1, "{}", run.text());
}

#[test]
fn topics_that_are_not_as_planned_are_told_and_run_does_not_start_on_them() {
    let Some(broker) = broker("topics that somebody else made") else { return };
    let client = Client::new(&broker);
    let check = |name: &str, n_partitions: i32, policy: &str, told: &str, refused: &[&str]| {
        let system = System::new(&broker, 1);
        let topic = format!("{}.{name}", system.prefix);
        client.delete(&topic);
        client.create(&topic, n_partitions, &[("cleanup.policy", policy)]);
        let again = system.run(&["topics", "create"]).exits(0);
        again.says(&[&format!("groundswell: topic {topic} is not as planned: {told}")]);
        let run = system.run(&["run", "--until-end"]).exits(1);
        let reason = format!("topic {topic} {}", refused[0]);
        the_error(&run.says(&[&reason, refused[1]]));
    };
    check(
        "state",
        1,
        "delete",
        "cleanup.policy is delete, not compact",
        &["must have cleanup.policy=compact, not delete", "what was learned would be forgotten"],
    );
    check(
        "state",
        1,
        "compact,delete",
        "cleanup.policy is ",
        &["must have cleanup.policy=compact, not ", "what was learned would be forgotten"],
    );
    check(
        "state",
        2,
        "compact",
        "it has 2 partitions, not 1",
        &["must have 1 partition, not 2", "the order of what is in it matters"],
    );
    check(
        "complaints",
        3,
        "delete",
        "it has 3 partitions, not 1",
        &["must have 1 partition, not 3", "the order of what is in it matters"],
    );
    check(
        "complaints",
        1,
        "compact",
        "cleanup.policy is compact, not delete",
        &["must have cleanup.policy=delete, not compact", "all but one would be removed"],
    );
}

#[test]
fn other_settings_may_be_anybodys() {
    let Some(broker) = broker("topics with settings of their own") else { return };
    let client = Client::new(&broker);
    let system = System::new(&broker, 1);
    let alerts = format!("{}.alerts", system.prefix);
    client.delete(&alerts);
    client.create(&alerts, 2, &[("retention.ms", "1000000")]);
    let again = system.run(&["topics", "create"]).exits(0);
    again.says(&[
        &format!("topic {alerts} is not as planned: it has 2 partitions, not 1"),
        &format!("topic {alerts} is not as planned: retention.ms is 1000000, not 31536000000"),
    ]);
    system.run(&["run", "--until-end"]).exits(0);
}

#[test]
fn more_copies_than_brokers_are_one_clear_error() {
    let Some(broker) = broker("more copies than brokers") else { return };
    let prefix = format!("copies-{}", std::process::id());
    let posts = format!("{prefix}.posts");
    let names = ["--bootstrap", &broker, "--prefix", &prefix, "--posts-topic", &posts];
    let run = run(&[&["topics", "create", "--replicas", "100"][..], &names].concat()).exits(1);
    let error = format!("cannot create topic {posts}: 100 copies of each partition are wanted");
    the_error(&run.says(&[&error, "each on a broker of its own, and there are 1"]));
    assert_eq!(Client::new(&broker).n_partitions(&posts), None, "nothing must have been created");
}
