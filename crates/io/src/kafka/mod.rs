//! Apache Kafka: how to connect, what must not be told, and which topics there are.
//!
//! * [`connection`] turns settings into clients and keeps what the library says of its troubles, without secrets.
//! * [`topics`] names the topics of an installation, creates and checks them.
//! * [`reader`] reads a range of a topic without a group, [`lines`] as if it were a file.
//! * [`alerts`] finds the event in a message of the alerts topic.

pub mod alerts;
pub mod connection;
pub mod lines;
pub mod reader;
pub mod topics;
