//! The system beside a real Apache Kafka, run as the real program: its alerts must be those of a plain replay.
//!
//! These tests need a broker. `scripts/kafka/kafka start DIR` starts one, and `GROUNDSWELL_TEST_KAFKA=127.0.0.1:PORT`
//! tells them of it; without that each says what it leaves out and passes. Tests that stop brokers start their own.
//!
//! * [`system`] is an installation with topics of its own, its processes, and what they publish; [`topic`] looks into a
//!   topic without the program, and [`proxy`] is a network that can be cut.
//! * `equality`: any number of partitions and processes.
//! * `kills`: processes that are killed, or wake up late.
//! * `faults`: brokers that go away, networks that are cut, processes that come and go, a full disk.
//! * `inputs`: posts that come twice, garbage, floods, posts that are gone before they were read.
//! * `state`: what detect has learned, compacted, or put back from before.
//! * `verifier`: recomputes the alerts from what is on the posts topic, and finds planted mistakes.
//! * `commands`: the commands as a user meets them.

#![expect(clippy::print_stderr, reason = "a test says what it leaves out and what it measured")]

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod equality;
mod faults;
mod inputs;
mod kills;
mod proxy;
mod state;
mod system;
mod topic;
mod verifier;
