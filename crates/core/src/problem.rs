//! What is wrong with a configuration file, catalogue or lexicon, and where.

use std::fmt;

/// One mistake in a file, told so that its author can go and mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// The line, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.reason),
            None => write!(f, "{}: {}", self.file, self.reason),
        }
    }
}

/// A file's name and content; reading it is the adapters' business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// The name to use in messages.
    pub name: String,
    /// The whole content.
    pub text: String,
}

impl SourceText {
    /// Pairs a name with a content.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    pub(crate) fn builtin(name: &str, text: &str) -> Self {
        Self::new(format!("built-in {name}"), text)
    }

    /// The line, from 1, that holds byte `offset`.
    pub fn line_of(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
    }

    /// The problem that a TOML error describes.
    pub fn toml_problem(&self, error: &toml::de::Error) -> Problem {
        Problem {
            file: self.name.clone(),
            line: error.span().map(|span| self.line_of(span.start)),
            reason: error.message().trim().replace('\n', ", "),
        }
    }
}
