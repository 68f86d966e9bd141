//! How a command can fail, and the exit code each kind of failure has: 1 the work failed, 2 the request was wrong.

use std::io;
use std::process::ExitCode;

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request cannot be carried out as it stands: options, configuration, catalogue, or input that is refused.
    Usage(anyhow::Error),
    /// The request was fine but the work failed.
    Failed(anyhow::Error),
}

/// What every command returns.
pub(crate) type Outcome = Result<(), Failure>;

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Turns an error into a usage failure.
pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Failure {
    Failure::Usage(error.into())
}

/// Reports the failure on stderr and gives the process's exit code.
///
/// A reader that closed our stdout has had what it wanted (`groundswell … | head`): that is not a failure.
#[expect(clippy::print_stderr, reason = "the one place where errors reach people")]
pub(crate) fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Failed(error)) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure::Failed(error)) => {
            eprintln!("groundswell: {error:#}");
            ExitCode::from(1)
        }
        Err(Failure::Usage(error)) => {
            eprintln!("groundswell: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether a write failed because its reader has gone.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause
            .downcast_ref::<io::Error>()
            .map(io::Error::kind)
            .or_else(|| cause.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind))
            .or_else(|| match cause.downcast_ref::<csv::Error>()?.kind() {
                csv::ErrorKind::Io(io) => Some(io.kind()),
                _ => None,
            });
        kind == Some(io::ErrorKind::BrokenPipe)
    })
}
