//! The topics of an installation: their names, how they are to be made, and whether they are there as they must be.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;

use super::connection::{Connection, ConnectionContext, ConnectionError};

/// How long a broker may take to answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
const MS_PER_DAY: u64 = 86_400_000;

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
    /// Partitions of the posts topic.
    pub n_posts_partitions: i32,
    /// Copies of each partition; -1 for the broker's default.
    pub n_replicas: i32,
}

/// The topics that an installation needs.
pub fn plan(names: &TopicNames, options: PlanOptions) -> Vec<TopicPlan> {
    let days = |n: u64| (n * MS_PER_DAY).to_string();
    let topic = |name: String, n_partitions, settings, purpose| TopicPlan {
        name,
        n_partitions,
        n_replicas: options.n_replicas,
        settings,
        purpose,
    };
    vec![
        topic(
            names.posts.clone(),
            options.n_posts_partitions,
            vec![("retention.ms", days(7)), ("cleanup.policy", "delete".to_owned())],
            "posts, as they come in",
        ),
        topic(
            names.complaints(),
            1,
            // Long enough for a detect role that was down over a long weekend.
            vec![("retention.ms", days(7)), ("cleanup.policy", "delete".to_owned())],
            "complaints and progress, from ingest to detect",
        ),
        topic(
            names.alerts(),
            1,
            vec![("retention.ms", days(365)), ("cleanup.policy", "delete".to_owned())],
            "outage events: what others subscribe to",
        ),
        topic(
            names.state(),
            1,
            vec![
                ("cleanup.policy", "compact".to_owned()),
                // A segment is compacted only once it is rolled; without this a quiet installation would never be.
                ("segment.ms", (MS_PER_DAY / 24).to_string()),
                ("segment.bytes", (64 * 1024 * 1024).to_string()),
                ("min.cleanable.dirty.ratio", "0.1".to_owned()),
                ("max.message.bytes", (8 * 1024 * 1024).to_string()),
            ],
            "what the detect role has learned",
        ),
        topic(
            names.dead_letter(),
            1,
            vec![("retention.ms", days(30)), ("cleanup.policy", "delete".to_owned())],
            "posts that could not be used, with the reason",
        ),
    ]
}

/// What became of a topic that was to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It was made.
    Created,
    /// It had been there.
    Exists,
}

/// Creates the topics that are not there.
///
/// # Errors
/// The first that the broker refuses, with its reason.
pub fn create(connection: &Connection, plans: &[TopicPlan]) -> Result<Vec<Creation>, ConnectionError> {
    let admin: AdminClient<ConnectionContext> = connection.create(&[], connection.context())?;
    let options =
        AdminOptions::new().operation_timeout(Some(REQUEST_TIMEOUT)).request_timeout(Some(REQUEST_TIMEOUT));
    let mut made = Vec::new();
    for plan in plans {
        let mut topic =
            NewTopic::new(&plan.name, plan.n_partitions, TopicReplication::Fixed(plan.n_replicas));
        for (key, value) in &plan.settings {
            topic = topic.set(key, value);
        }
        let what = || format!("cannot create topic {}", plan.name);
        let answers = futures_executor::block_on(admin.create_topics([&topic], &options));
        let answer = answers.map_err(|error| connection.failed(what(), &error))?.into_iter().next();
        match answer {
            Some(Ok(_)) => made.push(Creation::Created),
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => made.push(Creation::Exists),
            Some(Err((_, code))) => {
                let reason = super::connection::describe(code);
                let troubles = connection.troubles().latest();
                return Err(ConnectionError::Request { what: what(), reason, troubles });
            }
            None => {
                let reason = "the broker did not answer".to_owned();
                return Err(ConnectionError::Request { what: what(), reason, troubles: Vec::new() });
            }
        }
    }
    Ok(made)
}

/// The number of partitions of a topic.
///
/// # Errors
/// If the topic is not there, may not be seen, or the broker does not answer.
pub fn n_partitions(connection: &Connection, topic: &str) -> Result<u32, ConnectionError> {
    let consumer: BaseConsumer<ConnectionContext> =
        connection.create(&[("allow.auto.create.topics", "false")], connection.context())?;
    let what = || format!("topic {topic}");
    let metadata = consumer
        .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
        .map_err(|error| connection.failed(what(), &error))?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let code = match found {
        Some(found) => match found.error() {
            None if !found.partitions().is_empty() => {
                return Ok(u32::try_from(found.partitions().len()).unwrap_or(u32::MAX));
            }
            None => RDKafkaErrorCode::UnknownTopicOrPartition,
            Some(error) => RDKafkaErrorCode::from(error),
        },
        None => RDKafkaErrorCode::UnknownTopicOrPartition,
    };
    let mut reason = super::connection::describe(code);
    if matches!(code, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) {
        reason.push_str("; `groundswell topics create` makes it");
    }
    Err(ConnectionError::Request { what: what(), reason, troubles: connection.troubles().latest() })
}
