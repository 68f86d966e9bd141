//! `groundswell topics`: makes the topics that an installation needs.

use std::io::{self, Write};

use clap::Subcommand;
use groundswell_io::kafka::topics::{self, Creation, PlanOptions, TopicPlan};

use crate::connecting::{FileArgs, KafkaArgs};
use crate::failure::Outcome;
use crate::interrupt;

const EXAMPLES: &str = "\
Examples:
  groundswell topics create --dry-run                              what would be created
  groundswell topics create --bootstrap kafka:9092                 once, before the first `run`
  groundswell topics create --bootstrap kafka:9092 --replicas 3    three brokers or more
  groundswell topics create --bootstrap kafka:9092 --posts-topic firehose --partitions 12

A topic that is there is never changed, so it may be run at any time. What about it is not as \
planned is told on stderr: `run` needs PREFIX.state to be compacted, and one partition of \
PREFIX.complaints and PREFIX.state.";

/// Options of `topics`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Create the topics that are not there yet.
    #[command(after_help = EXAMPLES)]
    Create(CreateArgs),
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Partitions of the posts topic: at most so many processes share the posts [default: 3].
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=10_000), value_name = "N")]
    partitions: Option<i32>,
    /// Copies of each partition, each on a broker of its own [default: the cluster's].
    #[arg(long, value_parser = clap::value_parser!(i32).range(1..=100), value_name = "N")]
    replicas: Option<i32>,
    /// Say what would be created, and connect to nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    kafka: KafkaArgs,
    #[command(flatten)]
    file: FileArgs,
}

/// Creates topics.
pub(crate) fn run(args: Args) -> Outcome {
    let Action::Create(args) = args.action;
    let file = args.file.load()?;
    let options =
        PlanOptions { n_posts_partitions: args.partitions, n_replicas: args.replicas.unwrap_or(-1) };
    if args.dry_run {
        let plans = topics::plan(&args.kafka.names(&file)?, options);
        return plans
            .iter()
            .try_for_each(|plan| write(plan, "would be created", plan.n_partitions.unsigned_abs()));
    }
    let (connection, names) = args.kafka.resolve(&file)?;
    let plans = topics::plan(&names, options);
    connection.probe(&interrupt::stop_flag()?)?;
    let made = topics::create(&connection, &plans)?;
    for (plan, creation) in plans.iter().zip(&made) {
        match creation {
            Creation::Created => write(plan, "created", plan.n_partitions.unsigned_abs())?,
            Creation::Exists { n_partitions, .. } => write(plan, "exists, left as it is", *n_partitions)?,
        }
    }
    // After the table, so that nobody has to look for it there.
    for (plan, creation) in plans.iter().zip(&made) {
        if let Creation::Exists { differences, .. } = creation {
            for difference in differences {
                writeln!(io::stderr(), "groundswell: topic {} is not as planned: {difference}", plan.name)?;
            }
        }
    }
    Ok(())
}

/// A topic, what became of it, and what it is for; then the settings that are planned for it.
fn write(plan: &TopicPlan, fate: &str, n_partitions: u32) -> Outcome {
    let settings: Vec<String> = plan.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let partitions = if n_partitions == 1 { "partition" } else { "partitions" };
    let mut out = io::stdout().lock();
    writeln!(out, "{:<26} {fate:<22} {n_partitions} {partitions}  {}", plan.name, plan.purpose)?;
    writeln!(out, "{:<26} {}", "", settings.join(" "))?;
    Ok(out.flush()?)
}
