//! The `groundswell` command: reads the command line, runs one command, turns its result into an exit code.
//!
//! stdout carries data alone; everything for people goes to stderr.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod commands;
#[cfg(feature = "kafka")]
mod connecting;
mod failure;
mod interrupt;
mod judging;
#[cfg(feature = "kafka")]
mod logging;
mod output_file;
mod pace;
mod progress;
#[cfg(feature = "kafka")]
mod publishing;
mod replaying;
mod report;
#[cfg(feature = "kafka")]
mod running;
mod scoring;
mod settings;
mod summary;
mod synthetic;
mod told;

/// Detects outages of online services from what their users post.
#[derive(Debug, Parser)]
#[command(name = "groundswell", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay files of posts into outage events.
    Replay(commands::replay::Args),
    /// Detect beside Kafka: posts from a topic in, alerts on a topic out.
    #[cfg(feature = "kafka")]
    Run(commands::run::Args),
    /// Follow the alerts.
    #[cfg(feature = "kafka")]
    Tail(commands::tail::Args),
    /// Create the topics that `run` needs.
    #[cfg(feature = "kafka")]
    Topics(commands::topics::Args),
    /// Ask whether the `run` on this machine is ready: for health checks of containers.
    #[cfg(feature = "kafka")]
    Health(commands::health::Args),
    /// Score a table of counts: bring your own.
    Score(commands::score::Args),
    /// Hold events against known outages: precision, recall, delay, false alarms.
    Evaluate(commands::evaluate::Args),
    /// Say why a text counts as a complaint or not.
    Explain(commands::explain::Args),
    /// Check configuration, catalogue and lexicon.
    Check(commands::check::Args),
    /// Test catalogue, lexicon and detector: texts and counts with what is expected of them.
    Test(commands::test::Args),
    /// Make a seeded stream of posts with known outages.
    Simulate(commands::simulate::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Replay(args) => commands::replay::run(args),
        #[cfg(feature = "kafka")]
        Command::Run(args) => commands::run::run(args),
        #[cfg(feature = "kafka")]
        Command::Tail(args) => commands::tail::run(args),
        #[cfg(feature = "kafka")]
        Command::Topics(args) => commands::topics::run(args),
        #[cfg(feature = "kafka")]
        Command::Health(args) => commands::health::run(args),
        Command::Score(args) => commands::score::run(args),
        Command::Evaluate(args) => commands::evaluate::run(args),
        Command::Explain(args) => commands::explain::run(args),
        Command::Test(args) => commands::test::run(args),
        Command::Check(args) => commands::check::run(args),
        Command::Simulate(args) => commands::simulate::run(args),
    };
    failure::exit_code(result)
}
