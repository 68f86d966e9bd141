//! Logs on stderr: for people, or a JSON object a line.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::failure::{Failure, usage};

/// The options, as typed.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LogArgs {
    /// What to log: error, warn, info, debug or trace, or a filter such as `info,groundswell=debug`.
    #[arg(long, default_value = "info", value_name = "LEVEL")]
    log: String,
    /// Form of the log on stderr.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

impl LogArgs {
    /// Logs from now on. Call once.
    pub(crate) fn start(&self) -> Result<(), Failure> {
        let filter = EnvFilter::try_new(&self.log);
        let filter = filter.map_err(|error| usage(anyhow::anyhow!("--log is `{}`: {error}", self.log)))?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log_format {
            LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
            LogFormat::Json => log.json().flatten_event(true).init(),
        }
        Ok(())
    }
}
