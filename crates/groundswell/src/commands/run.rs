//! `groundswell run`: posts from a Kafka topic in, alerts on a Kafka topic out.

use std::net::SocketAddr;

use clap::ValueEnum;

use crate::connecting::{self, KafkaArgs};
use crate::failure::Outcome;
use crate::interrupt;
use crate::logging::LogArgs;
use crate::running::{self, Plan};
use crate::settings::SettingsArgs;

const EXAMPLES: &str = "\
Examples:
  groundswell topics create --bootstrap kafka:9092   once, before the first run
  groundswell run --bootstrap kafka:9092             topic `posts` in, `groundswell.alerts` out
  groundswell tail --bootstrap kafka:9092            see the alerts
  groundswell run --bootstrap kafka:9092 --metrics 127.0.0.1:9464
                                                     with /metrics, for Prometheus
  groundswell run --bootstrap kafka:9092 --role ingest
                                                     one half alone
  groundswell run --bootstrap kafka:9092 --until-end
                                                     what is there now, then end: for back-fills

Start as many processes as you like: they share the posts by partition. The alerts are made by one \
of them, and another goes on when it ends. Kill and restart them at any time: the alerts are those \
of `replay` of the same posts.

Any setting of librdkafka goes into [kafka] of the file given by --config, or into a variable: \
security.protocol is GROUNDSWELL_KAFKA_SECURITY_PROTOCOL. Passwords belong into the environment, or \
into a file of their own, which sasl.password.file or GROUNDSWELL_KAFKA_SASL_PASSWORD_FILE names. \
An option wins over the environment, and the environment over the file. \
`groundswell check --config FILE` looks at all of it without connecting to anything.

Exit codes: 0 told to end (Ctrl-C, SIGTERM) or at the end of the input; 1 it could not go on; 2 \
options or configuration.";

/// Options of `run`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which half to run.
    #[arg(long, value_enum, default_value_t = Role::Both)]
    role: Role,
    /// Take what is on the posts topic at the start, close every minute as at the end of a file, and end.
    #[arg(long)]
    until_end: bool,
    /// Serve /metrics, /healthz and /readyz on this address [env: GROUNDSWELL_METRICS].
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Find the complaints among the posts. Each process takes some partitions.
    Ingest,
    /// Find the outages among the complaints. One process does, others stand by.
    Detect,
    /// Both.
    Both,
}

/// Runs until it is told to stop.
pub(crate) fn run(args: Args) -> Outcome {
    // First: reading the lexicon takes a while, and whoever is told to end meanwhile must not die of it.
    let stop = interrupt::stop_flag()?;
    let (settings, lexicon) = args.settings.load()?;
    let (connection, names) = args.kafka.resolve(&settings.section)?;
    let metrics = connecting::metrics_address(args.metrics, &settings.section)?;
    args.log.start()?;
    running::run(Plan {
        settings,
        lexicon,
        connection,
        names,
        runs_ingest: args.role != Role::Detect,
        runs_detect: args.role != Role::Ingest,
        until_end: args.until_end,
        metrics,
        stop,
    })
}
