//! Logs on stderr: for people, or a JSON object a line.
//!
//! What the Kafka library logs passes through `groundswell_io::kafka::connection`, which takes secrets out; nothing else
//! that we log knows any.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::failure::{Failure, usage};

/// The options, as typed.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct LogArgs {
    /// What to log on stderr: off, error, warn, info, debug or trace, or levels of parts such as
    /// `info,groundswell_io=debug`.
    #[arg(long, default_value = "info", value_name = "LEVEL", help_heading = "Log")]
    log: String,
    /// Form of the log.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, help_heading = "Log")]
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
        let filter = filter(&self.log)?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        // It would tell on stderr that stderr cannot be written, and panic over that: a full disk must not end us.
        let log = log.log_internal_errors(false);
        match self.log_format {
            LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
            LogFormat::Json => log.json().flatten_event(true).init(),
        }
        Ok(())
    }
}

/// A mistyped level is taken for the name of a part by `EnvFilter`, and then nothing is logged at all.
fn filter(text: &str) -> Result<EnvFilter, Failure> {
    let wrong = |part: &str| {
        usage(anyhow::anyhow!(
            "--log is `{text}`: `{part}` is neither off, error, warn, info, debug or trace, nor PART=LEVEL"
        ))
    };
    for part in text.split(',') {
        let level = part.split_once('=').map_or(part, |(_, level)| level);
        // An empty one is taken for `error`.
        if level.is_empty() || level.parse::<LevelFilter>().is_err() {
            return Err(wrong(part));
        }
    }
    EnvFilter::try_new(text).map_err(|_| wrong(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_one_that_there_is() {
        for good in ["info", "off", "TRACE", "info,groundswell=debug", "warn,groundswell::running=trace"] {
            assert!(filter(good).is_ok(), "{good} is good");
        }
        for wrong in ["", "inof", "groundswell", "info,groundswell=loud", "info;debug"] {
            let Err(Failure::Usage(error)) = filter(wrong) else { panic!("{wrong:?} is no level") };
            assert!(error.to_string().contains("--log is"), "{error}");
        }
    }
}
