//! Takes several inputs in event time.
//!
//! Inputs are only roughly ordered, and a single post dated 2099 must not hold its file back until all the others are
//! through. So each input is judged by the earliest event time among its next lines, and gives its
//! lines in their own order.

use std::collections::VecDeque;

use groundswell_core::EventTime;

use crate::decode::decode;
use crate::lines::{InputError, Line, Lines};

/// Lines that are looked at ahead, each input. More than the few that a burst of wrong dates has.
const LOOKAHEAD_LINES: usize = 16;

/// A line of a merged input.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnedLine {
    /// Its bytes, or its first bytes if it is too long.
    bytes: Vec<u8>,
    /// Whether it was longer than can be kept.
    is_too_long: bool,
    /// Which input it is from.
    input: usize,
    /// Its number there, from 1.
    number: u64,
}

#[derive(Debug)]
struct Ahead {
    line: OwnedLine,
    event_time: Option<EventTime>,
}

#[derive(Debug)]
struct Input {
    lines: Lines,
    ahead: VecDeque<Ahead>,
    is_over: bool,
}

/// Several inputs, merged.
#[derive(Debug)]
pub struct Merge {
    inputs: Vec<Input>,
}

impl Merge {
    /// Merges `inputs`; between equal times the earlier input comes first.
    pub fn new(inputs: Vec<Lines>) -> Self {
        let inputs = inputs.into_iter().map(|lines| Input { lines, ahead: VecDeque::new(), is_over: false });
        Self { inputs: inputs.collect() }
    }

    /// Bytes read of all inputs as they are stored.
    pub fn n_bytes_read(&self) -> u64 {
        self.inputs.iter().map(|input| input.lines.n_bytes_read()).sum()
    }

    /// Size of all inputs, if it is known of each.
    pub fn n_bytes_total(&self) -> Option<u64> {
        self.inputs.iter().map(|input| input.lines.n_bytes_total()).sum()
    }

    /// How many inputs there are.
    pub fn n_inputs(&self) -> usize {
        self.inputs.len()
    }

    /// The name of an input.
    pub fn name(&self, input: usize) -> &str {
        self.inputs[input].lines.name()
    }

    /// Passes the next line to `take`; `None` at the end of all inputs. A single input is passed through as it is.
    ///
    /// # Errors
    /// If an input cannot be read on.
    pub fn with_next<R>(
        &mut self,
        take: impl FnOnce(usize, u64, Line<'_>) -> R,
    ) -> Result<Option<R>, InputError> {
        if let [only] = self.inputs.as_mut_slice() {
            let number = only.lines.line_number() + 1;
            return Ok(only.lines.next_line()?.map(|line| take(0, number, line)));
        }
        for (index, input) in self.inputs.iter_mut().enumerate() {
            input.look_ahead(index)?;
        }
        let next = (0..self.inputs.len())
            .filter(|&index| !self.inputs[index].ahead.is_empty())
            .min_by_key(|&index| (self.inputs[index].earliest(), index));
        let Some(line) = next.and_then(|index| self.inputs[index].ahead.pop_front()) else { return Ok(None) };
        let OwnedLine { bytes, is_too_long, input, number } = line.line;
        let line = if is_too_long { Line::TooLong(&bytes) } else { Line::Whole(&bytes) };
        Ok(Some(take(input, number, line)))
    }
}

impl Input {
    fn look_ahead(&mut self, index: usize) -> Result<(), InputError> {
        while !self.is_over && self.ahead.len() < LOOKAHEAD_LINES {
            let number = self.lines.line_number() + 1;
            let Some(line) = self.lines.next_line()? else {
                self.is_over = true;
                break;
            };
            let (bytes, is_too_long) = match line {
                Line::Whole(bytes) => (bytes.to_vec(), false),
                Line::TooLong(bytes) => (bytes.to_vec(), true),
            };
            let event_time = decode(&bytes).ok().map(|post| post.as_post().event_time);
            self.ahead.push_back(Ahead {
                line: OwnedLine { bytes, is_too_long, input: index, number },
                event_time,
            });
        }
        Ok(())
    }

    /// The earliest time ahead; `None`, which sorts first, if none of the lines has one.
    fn earliest(&self) -> Option<EventTime> {
        self.ahead.iter().filter_map(|ahead| ahead.event_time).min()
    }
}
