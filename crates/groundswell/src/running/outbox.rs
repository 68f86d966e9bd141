//! Writes records, waits where the broker is slower than we are, and knows when everything has arrived.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use groundswell_io::kafka::connection::{Connection, Troubles, note_error, note_log};
use groundswell_io::lines::StopFlag;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig};

use super::failpoint;
use crate::failure::{Failure, Outcome};

/// How long a shut-down may wait for the broker.
const CLOSING_DEADLINE: Duration = Duration::from_secs(6);

/// How soon a broker usually takes what it is given.
const SOON: Duration = Duration::from_millis(200);

/// One record to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) topic: &'a str,
    /// `None` leaves it to the key.
    pub(super) partition: Option<i32>,
    pub(super) key: &'a [u8],
    /// `None` removes the key from a compacted topic.
    pub(super) value: Option<&'a [u8]>,
}

/// A producer that waits instead of failing while its buffer is full.
pub(super) struct Outbox {
    producer: BaseProducer<OutboxContext>,
    connection: Connection,
    stop: StopFlag,
    /// When it was first seen that the program is to end.
    closing: OnceLock<Instant>,
    /// In a transaction a record that is not delivered makes the commit fail, and that is where it is dealt with.
    is_transactional: bool,
}

pub(super) struct OutboxContext {
    troubles: Troubles,
    /// Whether a record could not be delivered, ever.
    has_failed: Arc<AtomicBool>,
}

impl ClientContext for OutboxContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        note_log(&self.troubles, level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error(&self.troubles, &error, reason);
    }
}

impl ProducerContext for OutboxContext {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        // What is purged was taken back on purpose.
        if let Err((error, _)) = result
            && error.rdkafka_error_code() != Some(RDKafkaErrorCode::PurgeQueue)
            && error.rdkafka_error_code() != Some(RDKafkaErrorCode::PurgeInflight)
        {
            self.troubles.note(&format!("a record could not be delivered: {error}"));
            self.has_failed.store(true, Ordering::Relaxed);
        }
    }
}

impl Outbox {
    /// Opens one with these settings of its own.
    pub(super) fn open(
        connection: &Connection,
        own: &[(&str, &str)],
        stop: &StopFlag,
    ) -> Result<Self, Failure> {
        // With a patient buffer the planted mistake has something to lose.
        let linger_ms = if failpoint::has_bug("positions-before-records") { "60000" } else { "5" };
        let mut settings = vec![
            ("enable.idempotence", "true"),
            ("acks", "all"),
            // A broker that is away for long must not make us lose what was read; the buffer is bounded instead.
            ("message.timeout.ms", "0"),
            ("linger.ms", linger_ms),
            ("compression.type", "lz4"),
        ];
        settings.extend_from_slice(own);
        let context = OutboxContext { troubles: connection.troubles().clone(), has_failed: Arc::default() };
        let producer = connection.create(&settings, context)?;
        let is_transactional = own.iter().any(|&(key, _)| key == "transactional.id");
        Ok(Self {
            producer,
            connection: connection.clone(),
            stop: stop.clone(),
            closing: OnceLock::new(),
            is_transactional,
        })
    }

    /// The producer, for its transactions.
    pub(super) fn producer(&self) -> &BaseProducer<OutboxContext> {
        &self.producer
    }

    /// Hands a record over for delivery, waiting while the buffer is full.
    pub(super) fn send(&self, outgoing: Outgoing<'_>, headers: Option<OwnedHeaders>) -> Outcome {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(outgoing.topic).key(outgoing.key);
        record.partition = outgoing.partition;
        record.payload = outgoing.value;
        record.headers = headers;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if !self.is_overdue() =>
                {
                    record = back;
                    self.producer.poll(Duration::from_millis(10));
                }
                Err((error, _)) => {
                    let what = format!("cannot write to topic {}", outgoing.topic);
                    return Err(self.connection.failed(what, &error).into());
                }
            }
        }
    }

    /// Serves the library's reports, without waiting.
    pub(super) fn serve(&self) {
        self.producer.poll(Duration::ZERO);
    }

    /// Waits until everything handed over has been delivered. Polls in short steps: the library's own flush comes back
    /// a tenth of a second late. Says `false` if the program is to end and the broker does not take it.
    pub(super) fn drain(&self) -> Result<bool, Failure> {
        let started = Instant::now();
        while self.producer.in_flight_count() > 0 {
            self.check()?;
            // The library spins through the last millisecond of a wait: all of a short one. A broker that has not
            // answered by then is away, perhaps for hours.
            let is_soon = started.elapsed() < SOON;
            self.producer.poll(if is_soon { Duration::from_millis(1) } else { Duration::from_millis(100) });
            if self.is_overdue() {
                return Ok(false);
            }
        }
        self.check()?;
        Ok(true)
    }

    /// Drops what is not on its way yet, as the end of the process would.
    pub(super) fn discard(&self) {
        self.producer.purge(PurgeConfig::default().queue());
    }

    /// Whether the program is to end and has waited for the broker long enough.
    fn is_overdue(&self) -> bool {
        self.stop.is_raised() && self.closing.get_or_init(Instant::now).elapsed() > CLOSING_DEADLINE
    }

    fn check(&self) -> Outcome {
        if !self.is_transactional && self.producer.context().has_failed.load(Ordering::Relaxed) {
            let troubles = self.connection.troubles().latest().join("\n  ");
            return Err(anyhow!("a record could not be delivered\n  {troubles}").into());
        }
        Ok(())
    }
}
