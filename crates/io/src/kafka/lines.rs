//! A partition as if it were a file: a line a message, from the oldest to the end as it was at the start.

use std::io::{self, Read};
use std::time::Duration;

use rdkafka::Message;

use super::connection::{Connection, ConnectionError};
use super::reader::{Next, TopicReader};
use super::topics::n_partitions;
use crate::lines::{Lines, StopFlag};

/// How long to wait for a message before looking at the stop flag.
const POLL: Duration = Duration::from_millis(100);

/// Opens every partition of `topic`. Nothing is committed. Once `stop` is raised they are at their end.
///
/// # Errors
/// If the topic is not there or cannot be read.
pub fn open_topic(
    connection: &Connection,
    topic: &str,
    stop: &StopFlag,
) -> Result<Vec<Lines>, ConnectionError> {
    let numbers = 0..i32::try_from(n_partitions(connection, topic)?).unwrap_or(i32::MAX);
    let open = |number| {
        let reader = TopicReader::open_partition(connection, topic, number)?;
        let messages = Messages { reader, stop: stop.clone(), line: Vec::new(), n_given: 0 };
        let name = format!("{topic}/{number}");
        Lines::of_reader(name.clone(), messages, None).map_err(|error| ConnectionError::Request {
            what: format!("cannot read {name}"),
            reason: error.to_string(),
            code: None,
            troubles: connection.troubles().latest(),
        })
    };
    numbers.map(open).collect()
}

/// The messages of one partition, each with a line end.
struct Messages {
    reader: TopicReader,
    stop: StopFlag,
    line: Vec<u8>,
    n_given: usize,
}

impl Read for Messages {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.n_given == self.line.len() {
            if self.reader.is_at_end() || self.stop.is_raised() {
                return Ok(0);
            }
            if let Next::Message(message) = self.reader.poll(POLL).map_err(io::Error::other)? {
                self.line.clear();
                // JSON that is written over several lines is the same JSON on one.
                let payload = message.payload().unwrap_or_default();
                self.line.extend(payload.iter().map(|&byte| if byte == b'\n' { b' ' } else { byte }));
                self.line.push(b'\n');
                self.n_given = 0;
            }
        }
        let n = buffer.len().min(self.line.len() - self.n_given);
        buffer[..n].copy_from_slice(&self.line[self.n_given..self.n_given + n]);
        self.n_given += n;
        Ok(n)
    }
}
