//! `groundswell topics`: makes the topics that an installation needs.

use std::io::{self, Write};

use clap::Subcommand;
use groundswell_io::kafka::topics::{self, Creation, PlanOptions, TopicPlan};

use crate::connecting::KafkaArgs;
use crate::failure::Outcome;
use crate::running::PROBE_DEADLINE;
use crate::settings::SettingsArgs;

/// Options of `topics`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create the topics that are not there yet.
    Create(CreateArgs),
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    settings: SettingsArgs,
    /// Partitions of the posts topic: as many processes can share the ingest.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=10_000), value_name = "N")]
    partitions: i32,
    /// Copies of each partition; the broker's default if it is not given.
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=100), value_name = "N")]
    replicas: Option<i32>,
    /// Say what would be created, and connect to nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Creates topics.
pub(crate) fn run(args: Args) -> Outcome {
    let Action::Create(args) = args.action;
    let settings = args.settings.load()?;
    let (connection, names) = args.kafka.resolve(&settings.run, &settings.kafka)?;
    let options =
        PlanOptions { n_posts_partitions: args.partitions, n_replicas: args.replicas.unwrap_or(-1) };
    let plans = topics::plan(&names, options);
    if args.dry_run {
        return write(&plans, |_| "would be created");
    }
    connection.probe(PROBE_DEADLINE)?;
    let made = topics::create(&connection, &plans)?;
    write(&plans, |nth| match made.get(nth) {
        Some(Creation::Created) => "created",
        Some(Creation::Exists) | None => "exists, left as it is",
    })
}

fn write(plans: &[TopicPlan], fate: impl Fn(usize) -> &'static str) -> Outcome {
    let mut out = io::stdout().lock();
    for (nth, plan) in plans.iter().enumerate() {
        let settings: Vec<String> =
            plan.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        writeln!(
            out,
            "{:<26} {:<22} {} partition(s)  {}",
            plan.name,
            fate(nth),
            plan.n_partitions,
            plan.purpose
        )?;
        writeln!(out, "{:<26} {}", "", settings.join(" "))?;
    }
    Ok(out.flush()?)
}
