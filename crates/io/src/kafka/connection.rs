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

use crate::lines::StopFlag;

/// What stands for a secret in messages.
const REDACTED: &str = "[redacted]";
/// How long [`Connection::probe`] waits for each thing in turn: short enough for Ctrl-C, and four of them are enough for
/// a broker at the other end of the world.
const PROBE_STEP: Duration = Duration::from_millis(100);
/// A value shorter than this is not looked for in messages: it would be found inside ordinary words.
const SECRET_CHARS_MIN: usize = 4;

/// How long a broker may take to answer at the start, if nothing else is said. A cluster that starts together with us,
/// or a controller that is being replaced, takes some seconds; whoever mistyped an address need not wait for longer.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(15);

/// Whether the value of a setting is a secret, by its name.
pub fn is_secret(key: &str) -> bool {
    let parts =
        ["password", "passphrase", "secret", "token", "sasl.jaas", "key.pem", "oauthbearer.config", "keytab"];
    let names_a_place = [".location", ".url", ".file"];
    parts.iter().any(|part| key.contains(part)) && !names_a_place.iter().any(|end| key.ends_with(end))
}

/// Where Kafka is and how to talk to it.
#[derive(Clone)]
pub struct Connection {
    settings: BTreeMap<String, String>,
    secrets: Arc<Vec<String>>,
    troubles: Troubles,
    probe_deadline: Duration,
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
    #[error("the settings of the connection are not usable: {reason}")]
    Settings {
        /// The setting that it does not take, where it says which.
        key: Option<String>,
        /// What it says.
        reason: String,
    },
    /// The program was to end before a broker answered.
    #[error("interrupted before Kafka at {bootstrap} answered{}", said(.troubles))]
    Interrupted {
        /// The addresses that were tried.
        bootstrap: String,
        /// What the library said meanwhile.
        troubles: Vec<String>,
    },
    /// A topic is there, but not as it must be.
    #[error("topic {topic} {reason}")]
    Unsuitable {
        /// The topic.
        topic: String,
        /// What is wrong with it, and why that matters.
        reason: String,
    },
    /// No broker answered, or none let us in.
    #[error("no connection to Kafka at {bootstrap} within {seconds} s{}", said(.troubles))]
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
        /// The code of that answer, if there was one.
        code: Option<RDKafkaErrorCode>,
        /// What the library said meanwhile.
        troubles: Vec<String>,
    },
}

impl ConnectionError {
    /// Whether the broker lets nobody like us do this: it will not do so a moment later either.
    pub fn is_no_permission(&self) -> bool {
        matches!(
            self,
            Self::Request {
                code: Some(
                    RDKafkaErrorCode::TopicAuthorizationFailed
                        | RDKafkaErrorCode::GroupAuthorizationFailed
                        | RDKafkaErrorCode::ClusterAuthorizationFailed
                        | RDKafkaErrorCode::TransactionalIdAuthorizationFailed
                ),
                ..
            }
        )
    }
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
        let mut secrets: Vec<String> =
            all.iter().filter(is_looked_for).map(|(_, value)| value.clone()).collect();
        // One may begin with another: what is left of the longer one would then be told.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let secrets = Arc::new(secrets);
        let troubles = Troubles::new(Arc::clone(&secrets));
        Self { settings: all, troubles, secrets, probe_deadline: PROBE_DEADLINE }
    }

    /// The same, with another time for [`Connection::probe`].
    pub fn with_probe_deadline(self, probe_deadline: Duration) -> Self {
        Self { probe_deadline, ..self }
    }

    /// How long a broker may take to answer at the start.
    pub fn probe_deadline(&self) -> Duration {
        self.probe_deadline
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
        // Whoever asks the library for its debugging output (`debug = "all"`) wants to see it.
        let is_debugged = self.settings.contains_key("debug");
        config.set_log_level(if is_debugged { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Notice });
        config
    }

    /// Checks that the library takes the settings, without connecting to anything.
    ///
    /// # Errors
    /// What it has against each setting, or else against all of them together.
    pub fn check_settings(&self) -> Result<(), Vec<ConnectionError>> {
        let check_one = |(key, value): (&String, &String)| {
            let mut only = ClientConfig::new();
            only.set(key, value);
            only.create_native_config().map(drop).map_err(|error| self.refused(&error)).err()
        };
        let errors: Vec<ConnectionError> = self.settings.iter().filter_map(check_one).collect();
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut nowhere = self.clone();
        nowhere.settings.remove("bootstrap.servers");
        let client: Result<BaseConsumer<ConnectionContext>, _> = nowhere.create(&[], nowhere.context());
        client.map(drop).map_err(|error| vec![error])?;
        self.troubles.forget();
        Ok(())
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
        self.client_config(own).create_with_context(context).map_err(|error| self.refused(&error))
    }

    /// Why the library does not take the settings.
    fn refused(&self, error: &KafkaError) -> ConnectionError {
        let (key, text) = match error {
            KafkaError::ClientConfig(_, text, key, _) => (Some(key.clone()), text.clone()),
            KafkaError::ClientCreation(text) => (None, text.clone()),
            other => (None, other.to_string()),
        };
        let mut reason = self.redact(text.trim());
        let lacks_ssl =
            ["not available at build time", "No provider for SASL"].iter().any(|said| text.contains(said));
        if text.contains("libcurl") {
            reason.push_str("; this program cannot fetch OAuth tokens");
        } else if cfg!(not(feature = "tls")) && lacks_ssl {
            reason.push_str("; this program was built without TLS and SASL: build it with --features tls");
        }
        ConnectionError::Settings { key, reason }
    }

    /// Wraps the failure of a request.
    pub fn failed(&self, what: impl Into<String>, error: &KafkaError) -> ConnectionError {
        let (reason, code) = (self.redact(&reason(error)), error.rdkafka_error_code());
        ConnectionError::Request { what: what.into(), reason, code, troubles: self.troubles.latest() }
    }

    /// Waits until a broker answers, or until `stop` is raised.
    ///
    /// # Errors
    /// If none does in time, with what the library said about why.
    pub fn probe(&self, stop: &StopFlag) -> Result<(), ConnectionError> {
        let start = Instant::now();
        let consumer: BaseConsumer<ConnectionContext> = self.create(&[], self.context())?;
        loop {
            // Serves the library's errors, which say why a connection fails.
            drop(consumer.poll(PROBE_STEP));
            if consumer.fetch_metadata(Some("__groundswell_probe"), PROBE_STEP * 4).is_ok() {
                self.troubles.forget();
                return Ok(());
            }
            let (bootstrap, troubles) = (self.bootstrap().to_owned(), self.troubles.latest());
            if stop.is_raised() {
                return Err(ConnectionError::Interrupted { bootstrap, troubles });
            }
            if start.elapsed() >= self.probe_deadline {
                let seconds = self.probe_deadline.as_secs();
                let troubles = self.advised(troubles);
                return Err(ConnectionError::NoBroker { bootstrap, seconds, troubles });
            }
        }
    }

    /// A broker that wants TLS or a password hangs up on whoever speaks without, and does not say why.
    fn advised(&self, mut troubles: Vec<String>) -> Vec<String> {
        if troubles.is_empty() {
            troubles.push("nothing was answered, and no error came".to_owned());
        }
        let never_got_through =
            |trouble: &String| trouble.contains("Connect to ") || trouble.contains("Failed to resolve");
        let protocol = self.settings.get("security.protocol").map(|protocol| protocol.to_ascii_lowercase());
        if protocol.is_none_or(|protocol| protocol == "plaintext") && !troubles.iter().any(never_got_through)
        {
            troubles.push("if it wants TLS or a password, set security.protocol".to_owned());
        }
        troubles
    }

    /// A context for clients that need no callbacks of their own.
    pub fn context(&self) -> ConnectionContext {
        ConnectionContext { troubles: self.troubles.clone() }
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
pub fn reason(error: &KafkaError) -> String {
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
        RDKafkaErrorCode::InvalidReplicationFactor => {
            "there are fewer brokers than copies asked for".to_owned()
        }
        RDKafkaErrorCode::InvalidConfig => "the broker does not take a setting of the topic".to_owned(),
        RDKafkaErrorCode::PolicyViolation => "a policy of the cluster forbids it".to_owned(),
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
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
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
        let counts = REPORTED_CODES.iter().map(|&code| (code_name(code), 0)).collect();
        Self { said: Arc::default(), counts: Arc::new(Mutex::new(counts)), secrets: Secrets(secrets) }
    }

    /// Keeps one; gives it without secrets.
    pub fn note(&self, text: &str) -> String {
        let text = redact(text, &self.secrets.0);
        let mut said = lock(&self.said);
        // Several brokers complain in turn: each thing is kept once, where it was last said.
        said.retain(|earlier| *earlier != text);
        said.push(text.clone());
        if said.len() > Self::KEPT {
            said.remove(0);
        }
        text
    }

    /// Counts an error under its code.
    pub fn count(&self, code: RDKafkaErrorCode) {
        *lock(&self.counts).entry(code_name(code)).or_default() += 1;
    }

    /// How many errors there were of each code, all clients together. Codes that are to be expected are there from the
    /// start, with 0. [`Troubles::forget`] leaves them.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        lock(&self.counts).clone()
    }

    /// The latest, newest last.
    pub fn latest(&self) -> Vec<String> {
        lock(&self.said).clone()
    }

    /// Forgets what was said: things go well again.
    pub fn forget(&self) {
        lock(&self.said).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The errors that the library reports of its own accord when a connection fails.
const REPORTED_CODES: [RDKafkaErrorCode; 7] = [
    RDKafkaErrorCode::AllBrokersDown,
    RDKafkaErrorCode::Authentication,
    RDKafkaErrorCode::BrokerTransportFailure,
    RDKafkaErrorCode::Fatal,
    RDKafkaErrorCode::OperationTimedOut,
    RDKafkaErrorCode::Resolve,
    RDKafkaErrorCode::SSL,
];

/// The name of a code as a metric's label: `broker_transport_failure`.
fn code_name(code: RDKafkaErrorCode) -> String {
    let mut name = String::new();
    let mut is_in_word = false;
    for c in format!("{code:?}").chars() {
        if c.is_ascii_uppercase() && is_in_word {
            name.push('_');
        }
        is_in_word = c.is_ascii_lowercase() || c.is_ascii_digit();
        name.push(c.to_ascii_lowercase());
    }
    name
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

/// Keeps, counts and logs an error that the library reports: the only place where the cause of a failed login shows.
pub fn note_error(troubles: &Troubles, error: &KafkaError, reason: &str) {
    let code = error.rdkafka_error_code();
    if let Some(code) = code.filter(|code| *code != RDKafkaErrorCode::PartitionEOF) {
        troubles.count(code);
    }
    match code {
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
        for key in [
            "sasl.password",
            "ssl.key.password",
            "ssl.keystore.password",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "ssl.key.pem",
        ] {
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
        let here = connection(&[]).with_probe_deadline(Duration::from_secs(1));
        let error = here.probe(&StopFlag::default()).expect_err("nobody listens there").to_string();
        assert!(error.starts_with("no connection to Kafka at 127.0.0.1:1 within 1 s\n"), "{error}");
        assert!(error.contains("refused"), "{error}");
        let counts = here.troubles().counts();
        assert!(counts["broker_transport_failure"] > 0, "what the library reports is counted: {counts:?}");
        assert_eq!(counts["authentication"], 0, "what it might report is there from the start");
    }

    #[test]
    fn what_is_not_permitted_is_told_in_words_and_known_as_such() {
        use RDKafkaErrorCode as Code;
        let check = |code: Code, words: &str, is_no_permission: bool| {
            let error = connection(&[]).failed("cannot do it", &KafkaError::ConsumerCommit(code));
            assert_eq!(error.to_string(), format!("cannot do it: {words}"));
            assert_eq!(error.is_no_permission(), is_no_permission, "{words}");
        };
        check(Code::TopicAuthorizationFailed, "no permission for this topic", true);
        check(Code::GroupAuthorizationFailed, "no permission for this consumer group", true);
        check(Code::ClusterAuthorizationFailed, "no permission on the cluster", true);
        check(Code::TransactionalIdAuthorizationFailed, "no permission for this transactional id", true);
        check(Code::UnknownTopicOrPartition, "there is no such topic", false);
        check(Code::MessageSizeTooLarge, "a message is larger than the topic allows", false);
    }

    #[test]
    fn a_wait_for_a_broker_ends_when_the_program_is_to_end() {
        let stop = StopFlag::default();
        stop.raise();
        let error = connection(&[]).probe(&stop).expect_err("nobody listens there").to_string();
        assert!(error.starts_with("interrupted before Kafka at 127.0.0.1:1 answered"), "{error}");
    }

    #[test]
    fn settings_are_checked_without_a_broker() {
        connection(&[("socket.timeout.ms", "100")]).check_settings().expect("it is a good one");
        let check = |key: &str, value: &str, expected: &str| {
            let errors = connection(&[(key, value)]).check_settings().expect_err("it is no good one");
            let [ConnectionError::Settings { key: told, reason }] = errors.as_slice() else {
                panic!("{errors:?} must be about one setting")
            };
            assert_eq!(told.as_deref(), Some(key));
            assert!(reason.contains(expected), "{reason}");
        };
        check("socket.timeout.ms", "1", "value 1 is outside allowed range 10..300000");
        check("socket.timeout.ms", "soon", "Invalid value");
        check("socket.timeout.mss", "100", "No such configuration property");
    }

    #[test]
    fn a_secret_that_begins_with_another_is_taken_out_whole() {
        let connection = connection(&[("sasl.password", "canary"), ("ssl.key.password", CANARY)]);
        assert_eq!(connection.redact("canary and canary-8c1f"), "[redacted] and [redacted]");
    }

    #[test]
    fn what_is_said_again_is_kept_once() {
        let connection = connection(&[]);
        for text in ["a", "b", "a", "b", "c"] {
            connection.troubles().note(text);
        }
        assert_eq!(connection.troubles().latest(), ["a", "b", "c"]);
    }

    #[test]
    fn codes_are_named_as_labels() {
        assert_eq!(code_name(RDKafkaErrorCode::BrokerTransportFailure), "broker_transport_failure");
        assert_eq!(code_name(RDKafkaErrorCode::SSL), "ssl");
    }
}
