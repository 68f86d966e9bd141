//! Where Kafka is: options, then the environment, then the configuration file.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, anyhow};
use groundswell_io::kafka::connection::{Connection, is_secret};
use groundswell_io::kafka::topics::TopicNames;

use crate::failure::{Failure, usage};
use crate::settings::{RawRun, VARIABLE_PREFIX, variable};

const POSTS_TOPIC: &str = "posts";
const PREFIX: &str = "groundswell";
/// Begins the variables of librdkafka's settings: `GROUNDSWELL_KAFKA_SASL_PASSWORD` is `sasl.password`.
const KAFKA_VARIABLE_PREFIX: &str = "GROUNDSWELL_KAFKA_";
/// Ends the key of a setting whose value is in a file.
const FILE_SUFFIX: &str = ".file";

/// The options of every command that talks to Kafka, as typed.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct KafkaArgs {
    /// Addresses of Kafka brokers, HOST:PORT with commas between. Also `GROUNDSWELL_BOOTSTRAP`, or `bootstrap` in
    /// `[run]` of the configuration file.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) bootstrap: Option<String>,
    /// The topic that posts come from [default: posts].
    #[arg(long, value_name = "NAME")]
    pub(crate) posts_topic: Option<String>,
    /// Begins the names of our own topics and groups [default: groundswell].
    #[arg(long, value_name = "NAME")]
    pub(crate) prefix: Option<String>,
}

impl KafkaArgs {
    /// Resolves everything.
    ///
    /// # Errors
    /// A usage failure if no address is given, a name is not one that Kafka takes, or a secret is written into the file.
    pub(crate) fn resolve(
        &self,
        run: &RawRun,
        kafka: &toml::Table,
    ) -> Result<(Connection, TopicNames), Failure> {
        let bootstrap = first(&self.bootstrap, "bootstrap", run.bootstrap.as_deref());
        let bootstrap = bootstrap.ok_or_else(|| {
            usage(anyhow!(
                "no Kafka to connect to: give --bootstrap HOST:PORT, or set {VARIABLE_PREFIX}BOOTSTRAP"
            ))
        })?;
        check_addresses(&bootstrap)?;
        let posts = first(&self.posts_topic, "posts_topic", run.posts_topic.as_deref());
        let posts = topic_name("--posts-topic", posts.unwrap_or_else(|| POSTS_TOPIC.to_owned()))?;
        let prefix = first(&self.prefix, "prefix", run.prefix.as_deref());
        let prefix = topic_name("--prefix", prefix.unwrap_or_else(|| PREFIX.to_owned()))?;
        let connection = Connection::new(&bootstrap, &settings(kafka)?);
        Ok((connection, TopicNames::new(&posts, &prefix)))
    }
}

fn first(option: &Option<String>, key: &str, file: Option<&str>) -> Option<String> {
    option.clone().or_else(|| variable(key)).or_else(|| file.map(str::to_owned))
}

fn check_addresses(bootstrap: &str) -> Result<(), Failure> {
    for address in bootstrap.split(',') {
        let port = address.rsplit_once(':').map(|(host, port)| (!host.is_empty(), port.parse::<u16>()));
        if !matches!(port, Some((true, Ok(1..)))) {
            return Err(usage(anyhow!(
                "`{address}` is not an address of a broker; write it like kafka-1:9092"
            )));
        }
    }
    Ok(())
}

/// Kafka's own rule for names of topics.
fn topic_name(option: &str, name: String) -> Result<String, Failure> {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 200 || !name.chars().all(is_good) || name == "." || name == ".." {
        return Err(usage(anyhow!(
            "{option} is `{name}`; it must be 1 to 200 letters, digits, dots, underscores or hyphens"
        )));
    }
    Ok(name)
}

/// The settings of librdkafka: those of the file, and the environment's over them.
fn settings(kafka: &toml::Table) -> Result<BTreeMap<String, String>, Failure> {
    let mut settings = BTreeMap::new();
    flatten(String::new(), kafka, &mut settings)?;
    if let Some(key) = settings.keys().find(|key| is_secret(key) && !key.ends_with(FILE_SUFFIX)) {
        return Err(usage(anyhow!(
            "`kafka.{key}` is a secret and does not belong into a configuration file: set {KAFKA_VARIABLE_PREFIX}{}, or \
             `kafka.{key}{FILE_SUFFIX}` to a file that holds it",
            key.to_ascii_uppercase().replace('.', "_")
        )));
    }
    for (name, value) in std::env::vars() {
        if let Some(key) = name.strip_prefix(KAFKA_VARIABLE_PREFIX) {
            settings.insert(key.to_ascii_lowercase().replace('_', "."), value);
        }
    }
    let in_files: Vec<String> = settings.keys().filter(|key| key.ends_with(FILE_SUFFIX)).cloned().collect();
    for key in in_files {
        let path = settings.remove(&key).unwrap_or_default();
        let value = fs::read_to_string(&path).with_context(|| format!("`kafka.{key}` {path} cannot be read"));
        settings.insert(
            key.trim_end_matches(FILE_SUFFIX).to_owned(),
            value.map_err(usage)?.trim_end().to_owned(),
        );
    }
    Ok(settings)
}

/// `sasl.password = "x"` is a table in a table to TOML.
fn flatten(prefix: String, table: &toml::Table, into: &mut BTreeMap<String, String>) -> Result<(), Failure> {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let text = match value {
            toml::Value::Table(inner) => {
                flatten(key, inner, into)?;
                continue;
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => value.to_string(),
            toml::Value::Array(_) | toml::Value::Datetime(_) => {
                return Err(usage(anyhow!("`kafka.{key}` must be a text, a number or true or false")));
            }
        };
        into.insert(key, text);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(toml: &str) -> Result<BTreeMap<String, String>, String> {
        settings(&toml.parse().expect("good TOML")).map_err(|failure| match failure {
            Failure::Usage(error) | Failure::Failed(error) => format!("{error:#}"),
        })
    }

    #[test]
    fn dotted_keys_are_settings_of_the_library() {
        let settings =
            of("security.protocol = 'ssl'\n'socket.timeout.ms' = 100\nsocket.keepalive.enable = true");
        let settings: Vec<(String, String)> = settings.expect("they are good").into_iter().collect();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = [
            pair("security.protocol", "ssl"),
            pair("socket.keepalive.enable", "true"),
            pair("socket.timeout.ms", "100"),
        ];
        assert_eq!(settings, expected);
    }

    #[test]
    fn a_secret_in_the_file_is_refused_without_being_told() {
        let error = of("sasl.password = 'canary-8c1f'").expect_err("it is a secret");
        assert!(error.contains("GROUNDSWELL_KAFKA_SASL_PASSWORD") && !error.contains("canary"), "{error}");
        let error = of("sasl.password.file = '/nowhere/password'").expect_err("it is not there");
        assert!(error.contains("/nowhere/password"), "{error}");
    }

    #[test]
    fn addresses_and_names_are_checked_before_anything_is_tried() {
        for wrong in ["kafka", "kafka:", ":9092", "kafka:0", "a:1,b", "kafka:99999"] {
            assert!(check_addresses(wrong).is_err(), "{wrong} is no address");
        }
        assert!(check_addresses("a:1,[::1]:9092").is_ok());
        for wrong in ["", "a b", "..", "ü"] {
            assert!(topic_name("--prefix", wrong.to_owned()).is_err(), "{wrong:?} is no name");
        }
    }
}
