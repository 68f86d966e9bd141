//! One file a command: its options, and a thin `run` that joins the core to files and the terminal.

pub(crate) mod simulate;
