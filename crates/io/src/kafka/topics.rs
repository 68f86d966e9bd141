//! The topics of an installation: their names, how they are to be made, and whether they are there as they must be.
//!
//! A topic that is there is never changed: what is in it may be somebody else's. What is not as planned is told instead,
//! and what the detector could not work with is an error at the start ([`check`]), not a surprise weeks later.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::connection::{Connection, ConnectionContext, ConnectionError, describe};

/// How long a broker may take to answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a topic that a broker does not know is asked for again: brokers hear of a topic some milliseconds after it
/// was made.
const VISIBLE_DEADLINE: Duration = Duration::from_secs(1);
/// The same for a topic that we have just made: whatever is started after us is to find it, however busy the brokers are.
const MADE_DEADLINE: Duration = Duration::from_secs(10);
const MS_PER_DAY: u64 = 86_400_000;
/// The most that a record of the state topic may take, bytes. The largest are lists of authors of a busy minute.
pub const STATE_BYTES_MAX: &str = "8388608";
const CLEANUP_POLICY: &str = "cleanup.policy";

/// The names of the topics of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicNames {
    /// Where posts come from.
    pub posts: String,
    prefix: String,
}

impl TopicNames {
    /// Topics of `prefix`, fed from the topic `posts`.
    pub fn new(posts: &str, prefix: &str) -> Self {
        Self { posts: posts.to_owned(), prefix: prefix.to_owned() }
    }

    /// What begins the names of topics, groups and transactions.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Complaints and marks, between the two stages.
    pub fn complaints(&self) -> String {
        format!("{}.complaints", self.prefix)
    }

    /// Outage events.
    pub fn alerts(&self) -> String {
        format!("{}.alerts", self.prefix)
    }

    /// The state of the detect role, compacted.
    pub fn state(&self) -> String {
        format!("{}.state", self.prefix)
    }

    /// Posts that could not be used.
    pub fn dead_letter(&self) -> String {
        format!("{}.dead-letter", self.prefix)
    }
}

/// A topic as it is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPlan {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub n_partitions: i32,
    /// Whether a topic that is there with another number of partitions is not as planned.
    pub is_number_fixed: bool,
    /// Copies of each; -1 for the broker's default.
    pub n_replicas: i32,
    /// Its settings.
    pub settings: Vec<(&'static str, String)>,
    /// What it is for.
    pub purpose: &'static str,
}

/// How an installation's topics are to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// Partitions of the posts topic, if it matters how many they are.
    pub n_posts_partitions: Option<i32>,
    /// Copies of each partition; -1 for the broker's default.
    pub n_replicas: i32,
}

/// Partitions of the posts topic that is made for somebody to whom their number does not matter: enough for three
/// processes to share the work, and few enough that one has no trouble with all of them.
const N_POSTS_PARTITIONS: i32 = 3;

/// The topics that an installation needs.
pub fn plan(names: &TopicNames, options: PlanOptions) -> Vec<TopicPlan> {
    let days = |n: u64| (n * MS_PER_DAY).to_string();
    let topic = |name: String, settings, purpose| TopicPlan {
        name,
        n_partitions: 1,
        is_number_fixed: true,
        n_replicas: options.n_replicas,
        settings,
        purpose,
    };
    let posts = TopicPlan {
        n_partitions: options.n_posts_partitions.unwrap_or(N_POSTS_PARTITIONS),
        is_number_fixed: options.n_posts_partitions.is_some(),
        ..topic(
            names.posts.clone(),
            vec![("retention.ms", days(7)), (CLEANUP_POLICY, "delete".to_owned())],
            "posts, as they come in",
        )
    };
    vec![
        posts,
        topic(
            names.complaints(),
            // Long enough for a detect role that was down over a long weekend.
            vec![("retention.ms", days(7)), (CLEANUP_POLICY, "delete".to_owned())],
            "complaints and progress, from ingest to detect",
        ),
        topic(
            names.alerts(),
            vec![("retention.ms", days(365)), (CLEANUP_POLICY, "delete".to_owned())],
            "outage events: what others subscribe to",
        ),
        topic(
            names.state(),
            vec![
                (CLEANUP_POLICY, "compact".to_owned()),
                // A segment is compacted only once it is rolled; without this a quiet installation would never be.
                ("segment.ms", (MS_PER_DAY / 24).to_string()),
                ("segment.bytes", (64 * 1024 * 1024).to_string()),
                ("min.cleanable.dirty.ratio", "0.1".to_owned()),
                ("max.message.bytes", STATE_BYTES_MAX.to_owned()),
            ],
            "what the detect role has learned",
        ),
        topic(
            names.dead_letter(),
            vec![("retention.ms", days(30)), (CLEANUP_POLICY, "delete".to_owned())],
            "posts that could not be used, with the reason",
        ),
    ]
}

/// What became of a topic that was to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// It was made.
    Created,
    /// It had been there, and was left as it is.
    Exists {
        /// Its partitions.
        n_partitions: u32,
        /// What about it is not as planned, a sentence each.
        differences: Vec<String>,
    },
}

/// Creates the topics that are not there, and looks at those that are.
///
/// # Errors
/// The first that the broker refuses, with its reason.
pub fn create(connection: &Connection, plans: &[TopicPlan]) -> Result<Vec<Creation>, ConnectionError> {
    let admin: AdminClient<ConnectionContext> = connection.create(&[], connection.context())?;
    plans.iter().map(|plan| create_one(connection, &admin, plan)).collect()
}

fn create_one(
    connection: &Connection,
    admin: &AdminClient<ConnectionContext>,
    plan: &TopicPlan,
) -> Result<Creation, ConnectionError> {
    let mut topic = NewTopic::new(&plan.name, plan.n_partitions, TopicReplication::Fixed(plan.n_replicas));
    for (key, value) in &plan.settings {
        topic = topic.set(key, value);
    }
    let what = format!("cannot create topic {}", plan.name);
    let answers = futures_executor::block_on(admin.create_topics([&topic], &options()));
    match answers.map_err(|error| connection.failed(&what, &error))?.into_iter().next() {
        Some(Ok(_)) => {
            // Who may create a topic but not see it need not wait, and has made it all the same.
            drop(n_partitions_within(connection, &plan.name, MADE_DEADLINE));
            Ok(Creation::Created)
        }
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => compare(connection, admin, plan),
        Some(Err((_, RDKafkaErrorCode::InvalidReplicationFactor))) => {
            let code = Some(RDKafkaErrorCode::InvalidReplicationFactor);
            Err(refused(connection, what, code, too_few_brokers(admin, plan.n_replicas)))
        }
        Some(Err((_, code))) => Err(refused(connection, what, Some(code), describe(code))),
        None => Err(refused(connection, what, None, "the broker did not answer".to_owned())),
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(REQUEST_TIMEOUT)).request_timeout(Some(REQUEST_TIMEOUT))
}

fn refused(
    connection: &Connection,
    what: impl Into<String>,
    code: Option<RDKafkaErrorCode>,
    reason: String,
) -> ConnectionError {
    ConnectionError::Request { what: what.into(), reason, code, troubles: connection.troubles().latest() }
}

fn too_few_brokers(admin: &AdminClient<ConnectionContext>, n_replicas: i32) -> String {
    let wanted = match n_replicas {
        -1 => "the broker's own number of copies is wanted (default.replication.factor)".to_owned(),
        n => format!("{n} copies of each partition are wanted"),
    };
    match admin.inner().fetch_metadata(None, REQUEST_TIMEOUT) {
        Ok(metadata) => {
            format!("{wanted}, each on a broker of its own, and there are {}", metadata.brokers().len())
        }
        Err(_) => format!("{wanted}, and there are fewer brokers"),
    }
}

/// What about a topic that is there is not as planned.
fn compare(
    connection: &Connection,
    admin: &AdminClient<ConnectionContext>,
    plan: &TopicPlan,
) -> Result<Creation, ConnectionError> {
    let n_partitions = n_partitions(connection, &plan.name)?;
    let mut differences = Vec::new();
    let n_planned = u32::try_from(plan.n_partitions).unwrap_or_default();
    if plan.is_number_fixed && n_partitions != n_planned {
        differences.push(format!("it has {n_partitions} partitions, not {n_planned}"));
    }
    match settings_of(connection, admin, &plan.name)? {
        Ok(found) => differences.extend(plan.settings.iter().filter_map(|(key, planned)| {
            let found = found.get(*key).map_or("not set", String::as_str);
            (found != planned).then(|| format!("{key} is {found}, not {planned}"))
        })),
        Err(code) => differences.push(format!("its settings cannot be seen: {}", describe(code))),
    }
    Ok(Creation::Exists { n_partitions, differences })
}

/// The settings of a topic, or why the broker does not tell them.
fn settings_of(
    connection: &Connection,
    admin: &AdminClient<ConnectionContext>,
    topic: &str,
) -> Result<Result<BTreeMap<String, String>, RDKafkaErrorCode>, ConnectionError> {
    let what = || format!("cannot see the settings of topic {topic}");
    let asked = [ResourceSpecifier::Topic(topic)];
    let started = Instant::now();
    let answers = loop {
        let answers = futures_executor::block_on(admin.describe_configs(&asked, &options()));
        let is_slow = |error: &KafkaError| {
            error.rdkafka_error_code() == Some(RDKafkaErrorCode::OperationTimedOut)
                && started.elapsed() < connection.probe_deadline()
        };
        if !answers.as_ref().is_err_and(is_slow) {
            break answers;
        }
    };
    match answers.map_err(|error| connection.failed(what(), &error))?.into_iter().next() {
        Some(Ok(found)) => {
            Ok(Ok(found.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect()))
        }
        Some(Err(code)) => Ok(Err(code)),
        None => Err(refused(connection, what(), None, "the broker did not answer".to_owned())),
    }
}

/// Checks that the topics are there and such that nothing can be lost in them; gives the number of partitions of the
/// posts topic.
///
/// The order of complaints, and what was learned, belong to one partition each. The state must be compacted and nothing
/// else: after its retention time a topic with `delete` forgets what was learned. Complaints must not be: of those with
/// the same key, which are about the same service, compaction keeps one.
///
/// # Errors
/// If one is not there, may not be seen, or is not as it must be.
pub fn check(connection: &Connection, names: &TopicNames) -> Result<u32, ConnectionError> {
    let n_posts_partitions = n_partitions(connection, &names.posts)?;
    for topic in [names.alerts(), names.dead_letter()] {
        n_partitions(connection, &topic)?;
    }
    let admin: AdminClient<ConnectionContext> = connection.create(&[], connection.context())?;
    for (topic, policy, why) in [
        (names.complaints(), "delete", "of complaints about the same service all but one would be removed"),
        (names.state(), "compact", "what was learned would be forgotten, or kept many times over"),
    ] {
        let unsuitable = |reason| ConnectionError::Unsuitable { topic: topic.clone(), reason };
        let n = n_partitions(connection, &topic)?;
        if n != 1 {
            return Err(unsuitable(format!(
                "must have 1 partition, not {n}: the order of what is in it matters"
            )));
        }
        match settings_of(connection, &admin, &topic)? {
            Ok(settings) => {
                let found = settings.get(CLEANUP_POLICY).map_or("", String::as_str);
                if found != policy {
                    return Err(unsuitable(format!(
                        "must have {CLEANUP_POLICY}={policy}, not {found}: {why}"
                    )));
                }
            }
            // Whoever may read and write a topic need not be allowed to see its settings.
            Err(code) => {
                tracing::warn!(
                    topic,
                    policy,
                    "cannot check the topic's {CLEANUP_POLICY}: {}",
                    describe(code)
                );
            }
        }
    }
    Ok(n_posts_partitions)
}

/// The most bytes that a topic takes in one piece; `None` if that may not be seen.
///
/// # Errors
/// If the broker does not answer.
pub fn message_bytes_max(connection: &Connection, topic: &str) -> Result<Option<u64>, ConnectionError> {
    let admin: AdminClient<ConnectionContext> = connection.create(&[], connection.context())?;
    let settings = settings_of(connection, &admin, topic)?;
    Ok(settings.ok().and_then(|settings| settings.get("max.message.bytes")?.parse().ok()))
}

/// The number of partitions of a topic.
///
/// # Errors
/// If the topic is not there, may not be seen, or the broker does not answer.
pub fn n_partitions(connection: &Connection, topic: &str) -> Result<u32, ConnectionError> {
    n_partitions_within(connection, topic, VISIBLE_DEADLINE)
}

fn n_partitions_within(
    connection: &Connection,
    topic: &str,
    deadline: Duration,
) -> Result<u32, ConnectionError> {
    let consumer: BaseConsumer<ConnectionContext> =
        connection.create(&[("allow.auto.create.topics", "false")], connection.context())?;
    let what = || format!("topic {topic}");
    let started = Instant::now();
    loop {
        let metadata = consumer
            .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
            .map_err(|error| connection.failed(what(), &error))?;
        let code = match metadata.topics().iter().find(|found| found.name() == topic) {
            Some(found) => match found.error() {
                None if !found.partitions().is_empty() => {
                    return Ok(u32::try_from(found.partitions().len()).unwrap_or(u32::MAX));
                }
                None => RDKafkaErrorCode::UnknownTopicOrPartition,
                Some(error) => RDKafkaErrorCode::from(error),
            },
            None => RDKafkaErrorCode::UnknownTopicOrPartition,
        };
        let is_unknown =
            matches!(code, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic);
        let may_be_new = is_unknown || code == RDKafkaErrorCode::LeaderNotAvailable;
        if !may_be_new || started.elapsed() >= deadline {
            let advice = if is_unknown { "; `groundswell topics create` makes it" } else { "" };
            return Err(refused(connection, what(), Some(code), describe(code) + advice));
        }
        drop(consumer.poll(Duration::from_millis(100)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_posts_topic_may_have_any_number_of_partitions_and_only_the_state_is_compacted() {
        let names = TopicNames::new("posts", "g");
        let planned = |n_posts_partitions| plan(&names, PlanOptions { n_posts_partitions, n_replicas: -1 });
        let of = |topic: &TopicPlan| (topic.name.clone(), topic.n_partitions, topic.is_number_fixed);
        let expected = |n, is_number_fixed| {
            let topic = |name: &str| (name.to_owned(), 1, true);
            let posts = ("posts".to_owned(), n, is_number_fixed);
            vec![posts, topic("g.complaints"), topic("g.alerts"), topic("g.state"), topic("g.dead-letter")]
        };
        assert_eq!(planned(None).iter().map(of).collect::<Vec<_>>(), expected(3, false));
        assert_eq!(planned(Some(12)).iter().map(of).collect::<Vec<_>>(), expected(12, true));
        for topic in planned(None) {
            let policy = topic.settings.iter().find(|(key, _)| *key == CLEANUP_POLICY);
            let policy = policy.map(|(_, value)| value.as_str());
            let expected = if topic.name == names.state() { "compact" } else { "delete" };
            assert_eq!(policy, Some(expected), "{}", topic.name);
        }
    }
}
