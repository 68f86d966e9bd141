//! One file a command: its options, and a thin `run` that joins the core to files and the terminal.

pub(crate) mod check;
pub(crate) mod evaluate;
pub(crate) mod explain;
pub(crate) mod replay;
pub(crate) mod score;
pub(crate) mod simulate;
