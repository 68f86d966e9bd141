//! The system beside a real Apache Kafka, run as the real program: its alerts must be those of a plain replay.
//!
//! These tests need a broker. `scripts/kafka/kafka start DIR` starts one, and `GROUNDSWELL_TEST_KAFKA=127.0.0.1:PORT`
//! tells them of it; without that each says what it leaves out and passes. Tests that stop brokers start their own.
//!
//! * [`system`] is an installation with topics of its own, its processes, and what they publish.
//! * `equality`: any number of partitions and processes.
//! * `brokers`: brokers that go away.
//! * `kills`: processes that are killed, or wake up late.
//! * `commands`: the commands as a user meets them.

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test says what it leaves out and what it measured"
)]

#[path = "../common/mod.rs"]
mod common;

mod brokers;
mod commands;
mod equality;
mod kills;
mod system;
