//! `groundswell run`: posts from a Kafka topic in, alerts on a Kafka topic out.

use std::net::SocketAddr;

use anyhow::anyhow;
use clap::ValueEnum;

use crate::connecting::KafkaArgs;
use crate::failure::{Outcome, usage};
use crate::interrupt;
use crate::logging::LogArgs;
use crate::running::{self, Plan};
use crate::settings::{SettingsArgs, variable};

const EXAMPLES: &str = "\
Examples:
  groundswell topics create --bootstrap kafka:9092       once, before the first run
  groundswell run --bootstrap kafka:9092                 posts from topic `posts`, alerts on `groundswell.alerts`
  groundswell run --bootstrap kafka:9092 --role ingest   one half; start as many processes of either as you like
  groundswell run --bootstrap kafka:9092 --until-end     what is there now, then stop: back-fills and tests
  groundswell tail --bootstrap kafka:9092                see the alerts

Processes share the work as members of two consumer groups, PREFIX-ingest and PREFIX-detect. Kill and restart them as
you like: the alerts are those of a plain `replay` of the same posts.

Any setting of librdkafka goes into [kafka] of the configuration file, or into GROUNDSWELL_KAFKA_…: security.protocol is
GROUNDSWELL_KAFKA_SECURITY_PROTOCOL. Passwords belong into the environment, or into a file named by KEY.file.";

/// Options of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Which half to run.
    #[arg(long, value_enum, default_value_t = Role::Both)]
    role: Role,
    /// Process what the topics hold at the start, close every minute as the end of a file does, commit, and exit.
    #[arg(long)]
    until_end: bool,
    /// Serve /metrics, /healthz and /readyz on this address.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Posts to complaints.
    Ingest,
    /// Complaints to alerts.
    Detect,
    /// Both, a thread each.
    Both,
}

/// Runs until it is told to stop.
pub(crate) fn run(args: Args) -> Outcome {
    let settings = args.settings.load()?;
    let (connection, names) = args.kafka.resolve(&settings.run, &settings.kafka)?;
    let metrics = match args.metrics {
        Some(address) => Some(address),
        None => match variable("metrics").or_else(|| settings.run.metrics.clone()) {
            None => None,
            Some(text) => {
                let address = text.parse();
                Some(
                    address
                        .map_err(|_| usage(anyhow!("`metrics` is `{text}`; write it like 127.0.0.1:9464")))?,
                )
            }
        },
    };
    args.log.start()?;
    running::run(Plan {
        settings,
        connection,
        names,
        runs_ingest: args.role != Role::Detect,
        runs_detect: args.role != Role::Ingest,
        until_end: args.until_end,
        metrics,
        stop: interrupt::stop_flag()?,
    })
}
