//! Settings of the connection to Kafka, the clients made of them, and what they say of their troubles.
//!
//! Any setting of librdkafka may be given. Those whose value is a secret are known by name; their values are replaced in
//! everything that the library says, since its messages repeat values that it does not like.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use thiserror::Error;

/// What stands for a secret in messages.
const REDACTED: &str = "[redacted]";
/// A value shorter than this is not looked for in messages: it would be found inside ordinary words.
const SECRET_CHARS_MIN: usize = 4;

/// Whether the value of a setting is a secret, by its name.
pub fn is_secret(key: &str) -> bool {
    let secret = ["password", "secret", "token", "sasl.jaas", "key.pem", "oauthbearer.config", "keytab"];
    secret.iter().any(|part| key.contains(part)) && !key.ends_with(".location") && !key.ends_with(".url")
}

/// Where Kafka is and how to talk to it.
#[derive(Clone)]
pub struct Connection {
    settings: BTreeMap<String, String>,
    secrets: Arc<Vec<String>>,
    troubles: Troubles,
}

/// Prints the settings' names alone.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("settings", &self.settings.keys()).finish_non_exhaustive()
    }
}

/// Why Kafka cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectionError {
    /// The library does not take the settings.
    #[error("the settings of the connection are not usable: {0}")]
    Settings(String),
    /// No broker answered.
    #[error("no answer from Kafka at {bootstrap} within {seconds} s{}", said(.troubles))]
    NoBroker {
        /// The addresses that were tried.
        bootstrap: String,
        /// How long was waited.
        seconds: u64,
        /// What the library said meanwhile.
        troubles: Vec<String>,
    },
    /// A request failed.
    #[error("{what}: {reason}{}", said(.troubles))]
    Request {
        /// What was asked for.
        what: String,
        /// The broker's or the library's answer.
        reason: String,
        /// What the library said meanwhile.
        troubles: Vec<String>,
    },
}

fn said(troubles: &[String]) -> String {
    troubles.iter().map(|trouble| format!("\n  {trouble}")).collect()
}

impl Connection {
    /// A connection to `bootstrap` (`HOST:PORT`, several with commas) with further settings of librdkafka.
    pub fn new(bootstrap: &str, settings: &BTreeMap<String, String>) -> Self {
        let mut all: BTreeMap<String, String> = defaults();
        all.insert("bootstrap.servers".to_owned(), bootstrap.to_owned());
        all.extend(settings.clone());
        let is_looked_for =
            |(key, value): &(&String, &String)| is_secret(key) && value.len() >= SECRET_CHARS_MIN;
        let secrets: Vec<String> = all.iter().filter(is_looked_for).map(|(_, value)| value.clone()).collect();
        let secrets = Arc::new(secrets);
        Self { settings: all, troubles: Troubles::new(Arc::clone(&secrets)), secrets }
    }

    /// The addresses.
    pub fn bootstrap(&self) -> &str {
        self.settings.get("bootstrap.servers").map_or("", String::as_str)
    }

    /// The library's troubles, newest last.
    pub fn troubles(&self) -> &Troubles {
        &self.troubles
    }

    /// `text` without secrets.
    pub fn redact(&self, text: &str) -> String {
        redact(text, &self.secrets)
    }

    /// The settings of a client, `own` winning over what the user gave: they are what correctness rests on.
    pub fn client_config(&self, own: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in &self.settings {
            config.set(key, value);
        }
        for (key, value) in own {
            config.set(*key, *value);
        }
        config.set_log_level(RDKafkaLogLevel::Notice);
        config
    }

    /// Makes a client.
    ///
    /// # Errors
    /// If the library does not take the settings; the message has no secrets.
    pub fn create<C, T>(&self, own: &[(&str, &str)], context: C) -> Result<T, ConnectionError>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        self.client_config(own).create_with_context(context).map_err(|error| {
            let mut reason = self.redact(&error.to_string());
            if cfg!(not(feature = "tls")) && self.wants_tls() {
                reason
                    .push_str("; this program was built without TLS and SASL: build it with --features tls");
            }
            ConnectionError::Settings(reason)
        })
    }

    /// Wraps the failure of a request.
    pub fn failed(&self, what: impl Into<String>, error: &KafkaError) -> ConnectionError {
        let reason = self.redact(&reason(error));
        ConnectionError::Request { what: what.into(), reason, troubles: self.troubles.latest() }
    }

    /// Waits until a broker answers.
    ///
    /// # Errors
    /// If none does within `deadline`, with what the library said about why.
    pub fn probe(&self, deadline: Duration) -> Result<(), ConnectionError> {
        let start = Instant::now();
        let consumer: BaseConsumer<ConnectionContext> = self.create(&[], self.context())?;
        loop {
            // Serves the library's errors, which say why a connection fails.
            drop(consumer.poll(Duration::from_millis(50)));
            if consumer.fetch_metadata(Some("__groundswell_probe"), Duration::from_millis(1000)).is_ok() {
                self.troubles.forget();
                return Ok(());
            }
            if start.elapsed() >= deadline {
                return Err(ConnectionError::NoBroker {
                    bootstrap: self.bootstrap().to_owned(),
                    seconds: deadline.as_secs(),
                    troubles: self.troubles.latest(),
                });
            }
        }
    }

    /// A context for clients that need no callbacks of their own.
    pub fn context(&self) -> ConnectionContext {
        ConnectionContext { troubles: self.troubles.clone() }
    }

    fn wants_tls(&self) -> bool {
        let protocol = self.settings.get("security.protocol").map(|protocol| protocol.to_ascii_lowercase());
        protocol.is_some_and(|protocol| protocol != "plaintext")
            || self.settings.keys().any(|key| key.starts_with("ssl.") || key.starts_with("sasl."))
    }
}

/// Settings that recovery rests on, which a user may change: with the library's own a black-holed connection is noticed
/// after 53 s instead of 6.5 s.
fn defaults() -> BTreeMap<String, String> {
    let pairs = [
        ("client.id", "groundswell"),
        ("socket.timeout.ms", "6000"),
        ("socket.keepalive.enable", "true"),
        ("reconnect.backoff.max.ms", "1000"),
        ("metadata.recovery.strategy", "rebootstrap"),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The words of an error, without the library's type names around them.
fn reason(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(code) => describe(code),
        None => error.to_string(),
    }
}

pub(super) fn describe(code: RDKafkaErrorCode) -> String {
    match code {
        RDKafkaErrorCode::TopicAuthorizationFailed => "no permission for this topic".to_owned(),
        RDKafkaErrorCode::GroupAuthorizationFailed => "no permission for this consumer group".to_owned(),
        RDKafkaErrorCode::ClusterAuthorizationFailed => "no permission on the cluster".to_owned(),
        RDKafkaErrorCode::TransactionalIdAuthorizationFailed => {
            "no permission for this transactional id".to_owned()
        }
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
            "there is no such topic".to_owned()
        }
        RDKafkaErrorCode::MessageSizeTooLarge => "a message is larger than the topic allows".to_owned(),
        other => other.to_string(),
    }
}

fn redact(text: &str, secrets: &[String]) -> String {
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), REDACTED))
}

/// The last few things that the library complained about, without secrets.
#[derive(Debug, Clone)]
pub struct Troubles {
    said: Arc<Mutex<Vec<String>>>,
    secrets: Secrets,
}

/// Never printed.
#[derive(Clone)]
struct Secrets(Arc<Vec<String>>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Troubles {
    /// Enough to see a cause behind its consequences.
    const KEPT: usize = 4;

    fn new(secrets: Arc<Vec<String>>) -> Self {
        Self { said: Arc::default(), secrets: Secrets(secrets) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps one; gives it without secrets.
    pub fn note(&self, text: &str) -> String {
        let text = redact(text, &self.secrets.0);
        let mut said = self.lock();
        if said.last() != Some(&text) {
            said.push(text.clone());
            if said.len() > Self::KEPT {
                said.remove(0);
            }
        }
        text
    }

    /// The latest, newest last.
    pub fn latest(&self) -> Vec<String> {
        self.lock().clone()
    }

    /// Forgets them: things go well again.
    pub fn forget(&self) {
        self.lock().clear();
    }
}

/// A client's context that keeps troubles and does nothing else.
#[derive(Debug, Clone)]
pub struct ConnectionContext {
    troubles: Troubles,
}

impl ClientContext for ConnectionContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        note_log(&self.troubles, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error(&self.troubles, &error, reason);
    }
}

impl ConsumerContext for ConnectionContext {}

impl rdkafka::producer::ProducerContext for ConnectionContext {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &rdkafka::producer::DeliveryResult<'_>, _: Self::DeliveryOpaque) {}
}

/// Logs what the library logs. What matters of it comes as an error too.
pub fn note_log(troubles: &Troubles, level: RDKafkaLogLevel, facility: &str, message: &str) {
    let text = redact(message, &troubles.secrets.0);
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(facility, "kafka: {text}");
        }
        RDKafkaLogLevel::Error
        | RDKafkaLogLevel::Warning
        | RDKafkaLogLevel::Notice
        | RDKafkaLogLevel::Info
        | RDKafkaLogLevel::Debug => tracing::debug!(facility, "kafka: {text}"),
    }
}

/// Keeps and logs an error that the library reports: the only place where the cause of a failed login shows.
pub fn note_error(troubles: &Troubles, error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        // Not an error at all, and a consequence of errors that were told before.
        Some(RDKafkaErrorCode::PartitionEOF | RDKafkaErrorCode::AllBrokersDown) => {}
        code => {
            // What varies from one report to the next hides that they are the same.
            let reason = reason.split(" (after ").next().unwrap_or(reason);
            let text = troubles.note(reason);
            tracing::warn!(code = ?code, "kafka: {text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-8c1f";

    fn connection(pairs: &[(&str, &str)]) -> Connection {
        let settings = pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Connection::new("127.0.0.1:1", &settings)
    }

    #[test]
    fn what_is_secret_is_known_by_its_name() {
        for key in ["sasl.password", "ssl.key.password", "sasl.oauthbearer.client.secret", "ssl.key.pem"] {
            assert!(is_secret(key), "{key} is a secret");
        }
        for key in ["sasl.username", "ssl.ca.location", "bootstrap.servers", "ssl.key.location"] {
            assert!(!is_secret(key), "{key} is none");
        }
    }

    #[test]
    fn a_secret_is_in_no_message_of_ours() {
        let connection = connection(&[("sasl.password", CANARY), ("socket.timeout.ms", "no number")]);
        assert!(!format!("{connection:?}").contains(CANARY));
        connection.troubles().note(&format!("login of someone with {CANARY} failed"));
        assert_eq!(connection.troubles().latest(), ["login of someone with [redacted] failed"]);
        assert!(!format!("{:?}", connection.context()).contains(CANARY));
        let created: Result<BaseConsumer<ConnectionContext>, _> =
            connection.create(&[], connection.context());
        let error = created.map(drop).expect_err("that is no time-out").to_string();
        assert!(error.contains("socket.timeout.ms") && !error.contains(CANARY), "{error}");
    }

    #[test]
    fn a_secret_that_the_library_repeats_is_taken_out() {
        // The library repeats the value of a setting that it does not know.
        let connection = connection(&[("sasl.passwordd", CANARY)]);
        let created: Result<BaseConsumer<ConnectionContext>, _> =
            connection.create(&[], connection.context());
        let error = created.map(drop).expect_err("there is no such setting").to_string();
        assert!(error.contains("sasl.passwordd") && !error.contains(CANARY), "{error}");
    }

    #[test]
    fn a_broker_that_is_not_there_is_named_with_the_reason() {
        let error =
            connection(&[]).probe(Duration::from_secs(1)).expect_err("nobody listens there").to_string();
        assert!(error.starts_with("no answer from Kafka at 127.0.0.1:1 within 1 s"), "{error}");
        assert!(error.contains("refused"), "{error}");
    }
}
