//! Opens files and standard input, unpacks them by their first bytes, and cuts them into lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use flate2::bufread::MultiGzDecoder;
use thiserror::Error;

/// The longest line that is kept, bytes. A post of 64 KiB escaped as `\u0000` throughout needs 384 KiB.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
const BUFFER_BYTES: usize = 128 * 1024;
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Why an input cannot be read.
#[derive(Debug, Error)]
pub enum InputError {
    /// It cannot be opened.
    #[error("cannot open {name}")]
    Open {
        /// The input as the user named it.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// Reading or unpacking failed on the way.
    #[error("cannot read {name} after line {line}")]
    Read {
        /// The input as the user named it.
        name: String,
        /// Lines that were read before.
        line: u64,
        /// What the system or the decompressor said.
        source: io::Error,
    },
}

/// One line, without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its bytes.
    Whole(&'a [u8]),
    /// It is longer than [`LINE_BYTES_MAX`]; its first bytes.
    TooLong(&'a [u8]),
}

/// The lines of one input.
pub struct Lines {
    name: String,
    reader: Box<dyn BufRead>,
    buffer: Vec<u8>,
    line: u64,
    n_bytes_read: Arc<AtomicU64>,
    n_bytes_total: Option<u64>,
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").field("name", &self.name).field("line", &self.line).finish_non_exhaustive()
    }
}

impl Lines {
    /// Opens a file, or standard input for `-`. Packed content is recognised by its first bytes, not by its name.
    /// Once `stop` is raised, standard input is at its end.
    ///
    /// # Errors
    /// If the file cannot be opened or its first bytes cannot be read.
    pub fn open(path: &Path, stop: &StopFlag) -> Result<Self, InputError> {
        let is_stdin = path == Path::new("-");
        let name = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
        let failed = |source| InputError::Open { name: name.clone(), source };
        if is_stdin {
            let stdin = StoppableReader::new(io::stdin(), stop.clone());
            return Self::of_reader(name.clone(), stdin, None).map_err(failed);
        }
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let size = metadata.is_file().then_some(metadata.len());
        Self::of_reader(name.clone(), file, size).map_err(failed)
    }

    pub(crate) fn of_reader(name: String, raw: impl Read + 'static, size: Option<u64>) -> io::Result<Self> {
        let n_bytes_read = Arc::new(AtomicU64::new(0));
        let counted = CountedReader { inner: raw, n_bytes: Arc::clone(&n_bytes_read) };
        let mut packed = BufReader::with_capacity(BUFFER_BYTES, counted);
        let start = packed.fill_buf()?;
        let reader: Box<dyn BufRead> = if start.starts_with(GZIP_MAGIC) {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(packed)))
        } else if start.starts_with(ZSTD_MAGIC) {
            Box::new(BufReader::with_capacity(BUFFER_BYTES, zstd::Decoder::with_buffer(packed)?))
        } else {
            Box::new(packed)
        };
        Ok(Self { name, reader, buffer: Vec::new(), line: 0, n_bytes_read, n_bytes_total: size })
    }

    /// The input as the user named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of the line last given, from 1.
    pub fn line_number(&self) -> u64 {
        self.line
    }

    /// Bytes read of the input as it is stored.
    pub fn n_bytes_read(&self) -> u64 {
        self.n_bytes_read.load(Ordering::Relaxed)
    }

    /// Size of the input as it is stored, where that is known.
    pub fn n_bytes_total(&self) -> Option<u64> {
        self.n_bytes_total
    }

    /// The next line; `None` at the end. The last line needs no line end, and a carriage return before one is dropped.
    ///
    /// # Errors
    /// If reading or unpacking fails.
    pub fn next_line(&mut self) -> Result<Option<Line<'_>>, InputError> {
        self.buffer.clear();
        let is_whole = match read_bounded(&mut self.reader, &mut self.buffer) {
            Ok(ReadLine::End) => return Ok(None),
            Ok(ReadLine::Whole) => true,
            Ok(ReadLine::Cut) => false,
            Err(source) => return Err(InputError::Read { name: self.name.clone(), line: self.line, source }),
        };
        self.line += 1;
        let mut bytes = self.buffer.as_slice();
        if self.line == 1 {
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        Ok(Some(if is_whole { Line::Whole(bytes) } else { Line::TooLong(bytes) }))
    }
}

enum ReadLine {
    End,
    Whole,
    Cut,
}

/// Reads up to the next line feed, which is not kept; of a line too long only the beginning.
fn read_bounded(reader: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<ReadLine> {
    let mut is_cut = false;
    let mut is_empty = true;
    loop {
        let available = match reader.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() && is_empty {
            return Ok(ReadLine::End);
        }
        is_empty = false;
        let end = available.iter().position(|&byte| byte == b'\n');
        let content = &available[..end.unwrap_or(available.len())];
        let room = LINE_BYTES_MAX - buffer.len();
        is_cut |= content.len() > room;
        buffer.extend_from_slice(&content[..content.len().min(room)]);
        let n_used = content.len() + usize::from(end.is_some());
        let is_over = end.is_some() || n_used == 0;
        reader.consume(n_used);
        if is_over {
            return Ok(if is_cut { ReadLine::Cut } else { ReadLine::Whole });
        }
    }
}

/// Tells every reader that the user wants to stop (Ctrl-C).
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks to stop.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether stopping was asked for.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often a reader that waits for input looks at the stop flag.
const STOP_POLL: Duration = Duration::from_millis(50);
/// Pieces of input that may wait between the reading thread and its consumer.
const PIECES_MAX: usize = 4;

/// A reader that can be left while it waits: a blocking read cannot be interrupted, so a thread of its own does it.
/// The thread ends with its input or its consumer, or is left behind at exit.
struct StoppableReader {
    pieces: Receiver<io::Result<Vec<u8>>>,
    current: io::Cursor<Vec<u8>>,
    stop: StopFlag,
}

impl StoppableReader {
    fn new(mut inner: impl Read + Send + 'static, stop: StopFlag) -> Self {
        let (sender, pieces) = sync_channel(PIECES_MAX);
        std::thread::spawn(move || {
            loop {
                let mut piece = vec![0; BUFFER_BYTES];
                let read = inner.read(&mut piece).map(|n| {
                    piece.truncate(n);
                    piece
                });
                let is_last = read.as_ref().map_or(true, Vec::is_empty);
                if sender.send(read).is_err() || is_last {
                    break;
                }
            }
        });
        Self { pieces, current: io::Cursor::new(Vec::new()), stop }
    }
}

impl Read for StoppableReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.current.read(buffer)?;
            if n > 0 || self.stop.is_raised() {
                return Ok(n);
            }
            match self.pieces.recv_timeout(STOP_POLL) {
                Ok(piece) => {
                    let piece = piece?;
                    if piece.is_empty() {
                        return Ok(0);
                    }
                    self.current = io::Cursor::new(piece);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}

struct CountedReader<R> {
    inner: R,
    n_bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for CountedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.n_bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn lines_of(content: Vec<u8>) -> Vec<(bool, Vec<u8>)> {
        let mut lines =
            Lines::of_reader("test".into(), io::Cursor::new(content), None).expect("memory can be read");
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().expect("memory can be read") {
            match line {
                Line::Whole(bytes) => all.push((true, bytes.to_vec())),
                Line::TooLong(bytes) => all.push((false, bytes.to_vec())),
            }
        }
        all
    }

    fn whole(lines: &[&str]) -> Vec<(bool, Vec<u8>)> {
        lines.iter().map(|line| (true, line.as_bytes().to_vec())).collect()
    }

    #[test]
    fn line_ends_may_be_mixed_and_the_last_may_be_missing() {
        assert_eq!(lines_of(b"a\r\nb\n\nc".to_vec()), whole(&["a", "b", "", "c"]));
        assert_eq!(lines_of(b"a\n".to_vec()), whole(&["a"]));
        assert_eq!(lines_of(Vec::new()), whole(&[]));
        assert_eq!(lines_of(b"\xef\xbb\xbfa\n".to_vec()), whole(&["a"]), "a byte order mark is no content");
    }

    #[test]
    fn gzip_and_zstd_are_recognised_by_content() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"a\nb\n").expect("memory can be written");
        assert_eq!(lines_of(gzip.finish().expect("memory can be written")), whole(&["a", "b"]));
        let packed = zstd::encode_all(&b"a\nb\n"[..], 1).expect("memory can be written");
        assert_eq!(lines_of(packed), whole(&["a", "b"]));
    }

    #[test]
    fn a_line_too_long_is_cut_and_the_next_is_whole() {
        let mut content = vec![b'x'; LINE_BYTES_MAX + 10];
        content.extend(b"\nnext\n");
        let lines = lines_of(content);
        assert_eq!((lines[0].0, lines[0].1.len()), (false, LINE_BYTES_MAX));
        assert_eq!(lines[1], (true, b"next".to_vec()));
    }
}
