//! Where Kafka is and how to talk to it: options, then the environment, then the configuration file, then the defaults.
//!
//! Everything is checked here, before anything connects, and a problem is named by where it was written: the option, the
//! variable, or the file with its line. Secrets come from the environment or from files of their own; one that stands in
//! the configuration file is refused, since such files are kept in repositories and shown around.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use groundswell_io::kafka::connection::{Connection, ConnectionError, PROBE_DEADLINE, is_secret};
use groundswell_io::kafka::topics::TopicNames;

use crate::failure::{Failure, usage};
use crate::settings::{FileSection, VARIABLE_PREFIX, variable, variable_name};

const POSTS_TOPIC: &str = "posts";
const PREFIX: &str = "groundswell";
/// Begins the variables of librdkafka's settings: `GROUNDSWELL_KAFKA_SASL_PASSWORD` is `sasl.password`.
const KAFKA_VARIABLE_PREFIX: &str = "GROUNDSWELL_KAFKA_";
/// Ends the key of a setting whose value is in a file.
const FILE_SUFFIX: &str = ".file";
/// Settings of the library itself that end so.
const NAMES_OF_FILES: [&str; 3] = [
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
];
/// Settings of the library that say where Kafka is, which we ask for under another name.
const ADDRESSES: [&str; 2] = ["bootstrap.servers", "metadata.broker.list"];
/// Settings that are not the user's: with other values posts or alerts would be lost or come twice.
const OURS: [&str; 9] = [
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "isolation.level",
    "partition.assignment.strategy",
    "transactional.id",
];

/// Where these options stand in the help of each command.
const HEADING: &str = "Kafka";

/// The options of every command that talks to Kafka, as typed.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct KafkaArgs {
    /// Where Kafka is: some of its brokers, with commas between [env: GROUNDSWELL_BOOTSTRAP].
    #[arg(long, value_name = "HOST:PORT", help_heading = HEADING)]
    pub(crate) bootstrap: Option<String>,
    /// The topic that posts come from [env: GROUNDSWELL_POSTS_TOPIC] [default: posts].
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    pub(crate) posts_topic: Option<String>,
    /// Begins the names of our own topics and groups: one for each installation [env: GROUNDSWELL_PREFIX] [default:
    /// groundswell].
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    pub(crate) prefix: Option<String>,
    /// How long to wait for Kafka to answer at the start [default: 15].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600), help_heading = HEADING)]
    pub(crate) probe_timeout: Option<u64>,
}

/// The configuration file, for commands that need nothing else of it than where Kafka is.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct FileArgs {
    /// Read where Kafka is from `[run]` and `[kafka]` of this TOML file.
    #[arg(long, value_name = "FILE", help_heading = HEADING)]
    config: Option<PathBuf>,
}

impl FileArgs {
    pub(crate) fn load(&self) -> Result<FileSection, Failure> {
        FileSection::load(self.config.as_deref())
    }
}

/// A value, and where it was written.
struct Given {
    value: String,
    place: String,
}

impl KafkaArgs {
    /// Resolves everything.
    ///
    /// # Errors
    /// A usage failure if no address is given, a name is not one that Kafka takes, a secret is written into the file, or
    /// the library does not take its settings.
    pub(crate) fn resolve(&self, file: &FileSection) -> Result<(Connection, TopicNames), Failure> {
        let names = self.names(file)?;
        let Some(bootstrap) = self.bootstrap(file) else {
            return Err(usage(anyhow!(
                "no Kafka to connect to: give --bootstrap HOST:PORT, or set {VARIABLE_PREFIX}BOOTSTRAP"
            )));
        };
        check_addresses(&bootstrap)?;
        let connection = connection(&bootstrap.value, file)?;
        let deadline = self.probe_timeout.map_or(PROBE_DEADLINE, Duration::from_secs);
        Ok((connection.with_probe_deadline(deadline), names))
    }

    /// Resolves the names of the topics alone.
    ///
    /// # Errors
    /// A usage failure if one is not a name that Kafka takes.
    pub(crate) fn names(&self, file: &FileSection) -> Result<TopicNames, Failure> {
        let posts = given(("--posts-topic", &self.posts_topic), "posts_topic", file, &file.run.posts_topic);
        let prefix = given(("--prefix", &self.prefix), "prefix", file, &file.run.prefix);
        Ok(TopicNames::new(&topic_name(posts, POSTS_TOPIC)?, &topic_name(prefix, PREFIX)?))
    }

    fn bootstrap(&self, file: &FileSection) -> Option<Given> {
        given(("--bootstrap", &self.bootstrap), "bootstrap", file, &file.run.bootstrap)
    }
}

/// Where metrics are to be served, if they are.
///
/// # Errors
/// A usage failure if that is no address.
pub(crate) fn metrics_address(
    option: Option<SocketAddr>,
    file: &FileSection,
) -> Result<Option<SocketAddr>, Failure> {
    if option.is_some() {
        return Ok(option);
    }
    let Some(Given { value, place }) = given(("", &None), "metrics", file, &file.run.metrics) else {
        return Ok(None);
    };
    let address = value.parse();
    address.map(Some).map_err(|_| {
        usage(anyhow!("{place} is `{value}`; it must be an address and port like 127.0.0.1:9464"))
    })
}

/// Checks what the file and the environment say of Kafka, without connecting to it.
///
/// # Errors
/// A usage failure with every problem.
pub(crate) fn check(file: &FileSection) -> Result<(), Failure> {
    let options = KafkaArgs::default();
    let checked = [
        options.names(file).map(drop),
        options.bootstrap(file).map_or(Ok(()), |given| check_addresses(&given)),
        metrics_address(None, file).map(drop),
        connection("", file).map(drop),
    ];
    let problems: Vec<String> = checked
        .into_iter()
        .filter_map(Result::err)
        .map(|(Failure::Usage(error) | Failure::Failed(error))| error.to_string())
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(usage(anyhow!("{}", problems.join("\n")))) }
}

/// The option, or the variable, or what the file says.
fn given(
    (name, option): (&str, &Option<String>),
    key: &str,
    file: &FileSection,
    in_file: &Option<String>,
) -> Option<Given> {
    if let Some(value) = option {
        return Some(Given { value: value.clone(), place: name.to_owned() });
    }
    if let Some(value) = variable(key) {
        return Some(Given { value, place: variable_name(key) });
    }
    in_file.as_ref().map(|value| Given { value: value.clone(), place: file.place(&format!("run.{key}")) })
}

fn check_addresses(Given { value, place }: &Given) -> Result<(), Failure> {
    for address in value.split(',') {
        let port = address.rsplit_once(':').map(|(host, port)| (is_host(host), port.parse::<u16>()));
        if !matches!(port, Some((true, Ok(1..)))) {
            return Err(usage(anyhow!(
                "{place} is `{value}`; each address in it must be like kafka-1:9092, and commas between them"
            )));
        }
    }
    Ok(())
}

/// Roughly: the resolver judges in the end, but a blank or a slash is surely a mistake. `[::1]` is an address, too.
fn is_host(text: &str) -> bool {
    let is_bracketed = text.starts_with('[') && text.ends_with(']');
    let is_good =
        |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_') || (is_bracketed && "[]:%".contains(c));
    !text.is_empty() && text.chars().all(is_good)
}

/// Kafka's own rule for names of topics; a few letters are left for what we append.
fn topic_name(given: Option<Given>, default: &str) -> Result<String, Failure> {
    let Some(Given { value, place }) = given else { return Ok(default.to_owned()) };
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if value.is_empty() || value.len() > 200 || !value.chars().all(is_good) || value == "." || value == ".." {
        return Err(usage(anyhow!(
            "{place} is `{value}`; it must be 1 to 200 letters, digits, dots, underscores or hyphens"
        )));
    }
    Ok(value)
}

/// A connection whose settings the library takes.
fn connection(bootstrap: &str, file: &FileSection) -> Result<Connection, Failure> {
    let given = settings(file)?;
    let values = given.iter().map(|(key, given)| (key.clone(), given.value.clone())).collect();
    let connection = Connection::new(bootstrap, &values);
    connection.check_settings().map_err(|errors| {
        let said: Vec<String> = errors.iter().map(|error| in_place(error, &given)).collect();
        usage(anyhow!("{}", said.join("\n")))
    })?;
    Ok(connection)
}

/// An error about settings with the place of the one that it is about. Of a file that is not there the library says
/// neither which one nor that it is not there, but `ssl.ca.location failed` and a number.
fn in_place(error: &ConnectionError, given: &BTreeMap<String, Given>) -> String {
    let ConnectionError::Settings { key, reason } = error else { return error.to_string() };
    let is_meant = |(name, _): &(&String, &Given)| match key {
        Some(key) => *name == key,
        None => name.ends_with(".location") && reason.starts_with(name.as_str()),
    };
    let Some((name, Given { value, place })) = given.iter().find(is_meant) else { return error.to_string() };
    match fs::metadata(value) {
        Err(error) if name.ends_with(".location") && key.is_none() => {
            format!("{place} names {value}, which cannot be read: {error}")
        }
        _ => format!("{place}: {reason}"),
    }
}

/// The settings of librdkafka: those of the file, and the environment's over them.
fn settings(file: &FileSection) -> Result<BTreeMap<String, Given>, Failure> {
    let mut settings = from_file(file)?;
    settings.extend(from_environment()?);
    for (key, Given { place, .. }) in &settings {
        if ADDRESSES.contains(&key.as_str()) {
            return Err(usage(anyhow!(
                "{place}: the addresses belong into --bootstrap, {VARIABLE_PREFIX}BOOTSTRAP or `bootstrap` of [run]"
            )));
        }
        if OURS.contains(&key.as_str()) {
            return Err(usage(anyhow!(
                "{place} is not to be set: with another value posts or alerts would be lost or come twice"
            )));
        }
    }
    Ok(settings)
}

fn from_file(file: &FileSection) -> Result<BTreeMap<String, Given>, Failure> {
    let mut settings = BTreeMap::new();
    flatten(String::new(), &file.kafka, file, &mut settings)?;
    if let Some((key, given)) = settings.iter().find(|(key, _)| is_secret(key)) {
        return Err(usage(anyhow!(
            "{}: a secret does not belong into a configuration file: set {KAFKA_VARIABLE_PREFIX}{}, or \
             `kafka.{key}{FILE_SUFFIX}` to the path of a file that holds it",
            given.place,
            key.to_ascii_uppercase().replace('.', "_")
        )));
    }
    read_files(settings, &file.folder)
}

/// `sasl.password = "x"` is a table in a table to TOML.
fn flatten(
    prefix: String,
    table: &toml::Table,
    file: &FileSection,
    into: &mut BTreeMap<String, Given>,
) -> Result<(), Failure> {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        let place = file.place(&format!("kafka.{key}"));
        let value = match value {
            toml::Value::Table(inner) => {
                flatten(key, inner, file, into)?;
                continue;
            }
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => value.to_string(),
            toml::Value::Array(_) | toml::Value::Datetime(_) => {
                return Err(usage(anyhow!("{place} must be a text, a number, true or false")));
            }
        };
        into.insert(key, Given { value, place });
    }
    Ok(())
}

/// A variable that is empty is not set, as with all others.
fn from_environment() -> Result<BTreeMap<String, Given>, Failure> {
    let mut settings = BTreeMap::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let Some(key) = name.strip_prefix(KAFKA_VARIABLE_PREFIX).filter(|key| !key.is_empty()) else {
            continue;
        };
        let Ok(value) = value.into_string() else {
            return Err(usage(anyhow!("{name} is not UTF-8")));
        };
        if !value.is_empty() {
            let key = key.to_ascii_lowercase().replace('_', ".");
            settings.insert(key, Given { value, place: name.to_owned() });
        }
    }
    read_files(settings, Path::new(""))
}

/// Puts the content of a file in the place of each setting that names one. What is said in two ways is refused rather
/// than guessed.
fn read_files(
    mut settings: BTreeMap<String, Given>,
    folder: &Path,
) -> Result<BTreeMap<String, Given>, Failure> {
    let names_file = |key: &&String| key.ends_with(FILE_SUFFIX) && !NAMES_OF_FILES.contains(&key.as_str());
    let keys: Vec<String> = settings.keys().filter(names_file).cloned().collect();
    for key in keys {
        let Some(Given { value: path, place }) = settings.remove(&key) else { continue };
        let key = key.trim_end_matches(FILE_SUFFIX).to_owned();
        if let Some(other) = settings.get(&key) {
            return Err(usage(anyhow!(
                "{place} and {} say the same thing: leave one of them out",
                other.place
            )));
        }
        let text = fs::read_to_string(folder.join(&path))
            .map_err(|error| usage(anyhow!("{place} names {path}, which cannot be read: {error}")))?;
        settings.insert(key, Given { value: text.trim_end_matches(['\r', '\n']).to_owned(), place });
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said<T>(result: Result<T, Failure>) -> String {
        match result.map(drop).expect_err("it is refused") {
            Failure::Usage(error) | Failure::Failed(error) => format!("{error:#}"),
        }
    }

    fn section(kafka: &str, folder: &Path) -> FileSection {
        let kafka = kafka.parse().expect("good TOML");
        let mut section = FileSection::default();
        section.kafka = kafka;
        section.folder = folder.to_owned();
        section
    }

    fn of(kafka: &str) -> Result<BTreeMap<String, String>, Failure> {
        let settings = settings(&section(kafka, Path::new("")))?;
        Ok(settings.into_iter().map(|(key, given)| (key, given.value)).collect())
    }

    #[test]
    fn dotted_keys_numbers_and_truth_values_are_settings_of_the_library() {
        let toml = "security.protocol = 'plaintext'\n'socket.timeout.ms' = 100\nsocket.keepalive.enable = true\n\
                    [metadata.max]\nage.ms = 9_000";
        let expected = [
            ("metadata.max.age.ms", "9000"),
            ("security.protocol", "plaintext"),
            ("socket.keepalive.enable", "true"),
            ("socket.timeout.ms", "100"),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(of(toml).expect("they are good"), BTreeMap::from(expected));
        let error = said(of("broker.list = ['a']"));
        assert!(error.contains("`kafka.broker.list` must be a text, a number, true or false"), "{error}");
    }

    #[test]
    fn a_secret_in_the_file_is_refused_without_being_told() {
        let error = said(of("sasl.password = 'canary-8c1f'"));
        assert!(error.contains("GROUNDSWELL_KAFKA_SASL_PASSWORD") && !error.contains("canary"), "{error}");
        let error = said(of("sasl.password.file = '/nowhere/password'"));
        assert!(error.contains("/nowhere/password"), "{error}");
    }

    #[test]
    fn a_file_that_holds_a_value_is_found_beside_the_file_that_names_it() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        fs::write(folder.path().join("password"), "canary 8c1f \r\n").expect("it can be written");
        let found =
            settings(&section("sasl.password.file = 'password'", folder.path())).expect("it is there");
        assert_eq!(found["sasl.password"].value, "canary 8c1f ", "the line end is none of it, a blank is");
        let both = "'sasl.username' = 'a'\n'sasl.username.file' = 'password'";
        let error = said(settings(&section(both, folder.path())));
        assert!(error.contains("say the same thing"), "{error}");
        let own = of("'sasl.oauthbearer.assertion.file' = 'somewhere'").expect("it is one of the library's");
        assert_eq!(own["sasl.oauthbearer.assertion.file"], "somewhere");
    }

    #[test]
    fn what_is_not_the_users_to_set_is_refused() {
        let error = said(of("bootstrap.servers = 'a:1'"));
        assert!(error.contains("--bootstrap"), "{error}");
        let error = said(of("group.id = 'mine'"));
        assert!(error.contains("`kafka.group.id` is not to be set"), "{error}");
    }

    #[test]
    fn addresses_and_names_are_checked_before_anything_is_tried() {
        let given = |value: &str| Given { value: value.to_owned(), place: "--it".to_owned() };
        for wrong in
            ["", "kafka", "kafka:", ":9092", "kafka:0", "a:1,b", "kafka:99999", "a:1, b:1", "http://a:1"]
        {
            let error = said(check_addresses(&given(wrong)));
            assert!(error.starts_with(&format!("--it is `{wrong}`")), "{error}");
        }
        assert!(check_addresses(&given("a_b.c-d:1,[::1]:9092,10.0.0.1:9092")).is_ok());
        for wrong in ["", "a b", "..", "ü"] {
            assert!(topic_name(Some(given(wrong)), "x").is_err(), "{wrong:?} is no name");
        }
    }
}
