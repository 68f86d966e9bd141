//! Reads tables of counts (CSV): `timestamp,service,count` or `timestamp,count`, columns in any order.
//!
//! Nothing is guessed: a row that cannot be read ends the table with its line, column and reason, since a count that is
//! silently dropped or rounded would be evidence of something that did not happen.

use std::path::Path;

use csv::ByteRecord;
use groundswell_core::EventTime;
use thiserror::Error;

use crate::lines::{InputError, Line, Lines, StopFlag};
use crate::times;

/// The service of a table without that column.
pub const ONLY_SERVICE: &str = "series";

/// Why a table cannot be used.
#[derive(Debug, Error)]
pub enum TableError {
    /// It cannot be opened or read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A row, or the header, is not as it must be.
    #[error("{name}:{line}: {reason}")]
    Row {
        /// The table as the user named it.
        name: String,
        /// The line, from 1.
        line: u64,
        /// Which column, what is wrong, and what would be right.
        reason: String,
    },
}

/// A column, by its place and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    index: usize,
    name: String,
}

impl Column {
    /// What is wrong with this column of a row.
    pub fn fault(&self, what: &str) -> String {
        format!("column {} (`{}`): {what}", self.index + 1, self.name)
    }
}

/// Reads any CSV table with a header, row by row. A row is one line, so that the line in a message is the one that an
/// editor shows, whatever the line ends and however many lines are empty.
#[derive(Debug)]
pub struct TableReader {
    lines: Lines,
    header: Vec<String>,
    record: ByteRecord,
    line: u64,
}

impl TableReader {
    /// Opens a table, plain or packed; `-` is standard input, which ends once `stop` is raised.
    ///
    /// # Errors
    /// If it cannot be opened or has no header.
    pub fn open(path: &Path, stop: &StopFlag) -> Result<Self, TableError> {
        Self::of_lines(Lines::open(path, stop)?)
    }

    fn of_lines(lines: Lines) -> Result<Self, TableError> {
        let mut table = Self { lines, header: Vec::new(), record: ByteRecord::new(), line: 1 };
        if !table.next_record()? {
            return Err(table.refuse("the table is empty; its first line must name the columns".to_owned()));
        }
        let lower = |field: &[u8]| String::from_utf8_lossy(field).trim().to_lowercase();
        table.header = table.record.iter().map(lower).collect();
        let twin = (1..table.header.len()).find(|&n| table.header[..n].contains(&table.header[n]));
        match twin {
            Some(twin) => Err(table.refuse(format!("two columns are named `{}`", table.header[twin]))),
            None => Ok(table),
        }
    }

    /// The column that has one of `names`, the earliest of them that there is.
    pub fn column(&self, names: &[&str]) -> Option<Column> {
        let index = names.iter().find_map(|name| self.header.iter().position(|column| column == name))?;
        Some(Column { index, name: self.header[index].clone() })
    }

    /// The same, where there must be one.
    ///
    /// # Errors
    /// If there is none.
    pub fn required_column(&self, names: &[&str]) -> Result<Column, TableError> {
        self.column(names).ok_or_else(|| {
            let alternatives = names.join("` or `");
            self.refuse(format!("there is no column `{alternatives}`; the first line must name it"))
        })
    }

    /// Reads the next row; `false` at the end.
    ///
    /// # Errors
    /// If it cannot be read or has not as many fields as the header.
    pub fn next_row(&mut self) -> Result<bool, TableError> {
        if !self.next_record()? {
            return Ok(false);
        }
        let (n_fields, n_columns) = (self.record.len(), self.header.len());
        if n_fields == n_columns {
            Ok(true)
        } else {
            Err(self.refuse(format!("{n_fields} fields, but the header names {n_columns} columns")))
        }
    }

    /// Splits the next line that is not empty into fields.
    fn next_record(&mut self) -> Result<bool, TableError> {
        loop {
            let number = self.lines.line_number() + 1;
            let Some(line) = self.lines.next_line()? else { return Ok(false) };
            self.line = number;
            let split = match line {
                Line::Whole(b"") => continue,
                Line::Whole(line) => split(line, &mut self.record),
                Line::TooLong(_) => Err("longer than 1 MiB".to_owned()),
            };
            return split.map(|()| true).map_err(|reason| self.refuse(reason));
        }
    }

    /// The text of a column of the present row.
    ///
    /// # Errors
    /// If it is empty or not UTF-8.
    pub fn text(&self, column: &Column) -> Result<&str, TableError> {
        let text = std::str::from_utf8(&self.record[column.index])
            .map_err(|_| self.refuse(column.fault("is not UTF-8")))?;
        if text.trim().is_empty() { Err(self.refuse(column.fault("is empty"))) } else { Ok(text) }
    }

    /// The time in a column of the present row.
    ///
    /// # Errors
    /// If it is none.
    pub fn time(&self, column: &Column) -> Result<EventTime, TableError> {
        let text = self.text(column)?;
        times::parse_table_time(text).ok_or_else(|| {
            let form = "is not a time; write RFC 3339, `YYYY-MM-DD HH:MM:SS` (UTC), or seconds since 1970";
            self.refuse(column.fault(&format!("{text:?} {form}")))
        })
    }

    /// Number of the present row's line, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// A refusal of the present row.
    pub fn refuse(&self, reason: String) -> TableError {
        TableError::Row { name: self.lines.name().to_owned(), line: self.line, reason }
    }
}

/// Splits a line into fields. The `csv` crate is asked only where there are quotes, which spares it a buffer a line.
fn split(line: &[u8], record: &mut ByteRecord) -> Result<(), String> {
    if !line.contains(&b'"') {
        record.clear();
        line.split(|&byte| byte == b',').for_each(|field| record.push_field(field));
        return Ok(());
    }
    if line.iter().filter(|&&byte| byte == b'"').count() % 2 == 1 {
        return Err("a quoted field does not end in its line".to_owned());
    }
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(line);
    reader.read_byte_record(record).map(|_| ()).map_err(|error| error.to_string())
}

/// One row of counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRow {
    /// Its line, from 1.
    pub line: u64,
    /// The time as it was written.
    pub timestamp: String,
    /// The time.
    pub time: EventTime,
    /// The service.
    pub service: String,
    /// The count as it was written.
    pub count_text: String,
    /// The count.
    pub count: u32,
}

/// Reads a table of counts row by row.
#[derive(Debug)]
pub struct CountsReader {
    table: TableReader,
    time: Column,
    service: Option<Column>,
    count: Column,
}

impl CountsReader {
    /// Opens a table, plain or packed; `-` is standard input, which ends once `stop` is raised.
    ///
    /// # Errors
    /// If it cannot be opened or its header lacks a column.
    pub fn open(path: &Path, stop: &StopFlag) -> Result<Self, TableError> {
        Self::of_table(TableReader::open(path, stop)?)
    }

    fn of_table(table: TableReader) -> Result<Self, TableError> {
        Ok(Self {
            time: table.required_column(&["timestamp"])?,
            count: table.required_column(&["count", "value"])?,
            service: table.column(&["service"]),
            table,
        })
    }

    /// A refusal of the present row, for what only its neighbours show.
    pub fn refuse(&self, reason: String) -> TableError {
        self.table.refuse(reason)
    }

    /// The next row; `None` at the end.
    ///
    /// # Errors
    /// If the row cannot be read.
    pub fn next_row(&mut self) -> Result<Option<CountRow>, TableError> {
        if !self.table.next_row()? {
            return Ok(None);
        }
        let table = &self.table;
        let time = table.time(&self.time)?;
        let service = self.service.as_ref().map(|column| table.text(column)).transpose()?;
        let count_text = table.text(&self.count)?;
        let count = parse_count(count_text).map_err(|reason| table.refuse(self.count.fault(&reason)))?;
        Ok(Some(CountRow {
            line: table.line(),
            timestamp: table.text(&self.time)?.to_owned(),
            time,
            service: service.unwrap_or(ONLY_SERVICE).to_owned(),
            count_text: count_text.to_owned(),
            count,
        }))
    }
}

/// A whole number from 0 to 4294967295; `12.0` is one.
fn parse_count(text: &str) -> Result<u32, String> {
    const RANGE: &str = "counts are whole numbers from 0 to 4294967295";
    let text = text.trim();
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(positive) = text.strip_prefix('-').filter(|rest| rest.parse::<f64>().is_ok_and(|n| n > 0.0)) {
        return Err(format!("-{positive} is negative; {RANGE}"));
    }
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return Err(format!("{text:?} is not a count; {RANGE}"));
    }
    if fraction.bytes().any(|byte| byte != b'0') {
        return Err(format!("{text} is fractional; {RANGE}"));
    }
    whole.parse().map_err(|_| format!("{text} is too large; {RANGE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(table: &'static [u8]) -> Result<Vec<CountRow>, TableError> {
        let table = TableReader::of_lines(
            Lines::of_reader("t.csv".to_owned(), table, None).expect("memory can be read"),
        )?;
        let mut reader = CountsReader::of_table(table)?;
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row()? {
            rows.push(row);
        }
        Ok(rows)
    }

    #[track_caller]
    fn check_refused(table: &'static [u8], expected: &str) {
        let error = read(table).expect_err("the table must be refused").to_string();
        assert!(error.contains(expected), "expected {expected:?} in {error:?}");
    }

    #[test]
    fn columns_may_come_in_any_order_and_others_are_ignored() {
        let rows = read(b"value,note,timestamp\n12.0,x,2023-04-20 12:00:00\n").expect("a good table");
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].service.as_str(), rows[0].count, rows[0].line), ("series", 12, 2));
        assert_eq!(rows[0].timestamp, "2023-04-20 12:00:00", "as it was written");
    }

    #[test]
    fn each_mistake_is_named_with_line_and_column() {
        check_refused(b"", "t.csv:1: the table is empty");
        check_refused(b"2023-04-20 12:00:00,5\n", "t.csv:1: there is no column `timestamp`");
        check_refused(b"timestamp,n\n", "there is no column `count` or `value`");
        check_refused(
            b"timestamp,count\n\n1700000000,1\nnoon,1\n",
            "t.csv:4: column 1 (`timestamp`): \"noon\" is not",
        );
        check_refused(b"timestamp,count\r\n\r\n\n1700000000,1\r\nnoon,1\r\n", "t.csv:5: column 1");
        check_refused(b"timestamp,service,count\n1700000000,\"a,1\n", "t.csv:2: a quoted field does not end");
        check_refused(b"timestamp,count\n1700000000,-4\n", "t.csv:2: column 2 (`count`): -4 is negative");
        check_refused(b"timestamp,count\n1700000000,1.5\n", "1.5 is fractional");
        check_refused(b"timestamp,count\n1700000000,4294967296\n", "4294967296 is too large");
        check_refused(b"timestamp,count\n1700000000,many\n", "\"many\" is not a count");
        check_refused(b"timestamp,count\n1700000000,\n", "is empty");
        check_refused(b"timestamp,count\n1700000000\n", "1 fields, but the header names 2");
        check_refused(b"timestamp,service,count\n1700000000,\xff,1\n", "column 2 (`service`): is not UTF-8");
        check_refused(b"timestamp,count\n1700000000,NaN\n", "\"NaN\" is not a count");
    }
}
