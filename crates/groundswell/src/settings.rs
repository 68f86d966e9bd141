//! Catalogue, lexicon and configuration: as typed, then read, merged and checked.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use groundswell_core::{
    Catalogue, Config, ConfigHash, Judge, Lexicon, Pipeline, Problem, SourceText, Stream, restore,
};
use serde::Deserialize;
use toml::de::DeTable;

use crate::failure::{Failure, usage};

/// The options that decide results, exactly as typed.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SettingsArgs {
    /// Add the services of this catalogue file, or replace ours by id (repeatable).
    #[arg(long, value_name = "FILE")]
    pub(crate) catalog: Vec<PathBuf>,
    /// Leave the built-in catalogue out.
    #[arg(long)]
    pub(crate) no_builtin_catalog: bool,
    /// Add the language of this lexicon file, or replace ours (repeatable).
    #[arg(long, value_name = "FILE")]
    pub(crate) lexicon: Vec<PathBuf>,
    /// Leave the built-in lexicon out.
    #[arg(long)]
    pub(crate) no_builtin_lexicon: bool,
    /// Read settings such as `false_alarms_per_service_year` from this TOML file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// The configuration file, exactly as written. Every key is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    false_alarms_per_service_year: Option<f64>,
    started_false_alarms_per_service_year: Option<f64>,
    allowed_lateness_s: Option<f64>,
    ahead_s_max: Option<f64>,
    author_window_s: Option<f64>,
    copies_max: Option<u32>,
    cooldown_s: Option<u32>,
    update_interval_s: Option<u32>,
    outage_hours_max: Option<u32>,
    author_key_file: Option<PathBuf>,
    /// Used by the commands that talk to Kafka.
    run: Option<RawRun>,
    /// Settings of librdkafka, handed through.
    kafka: Option<toml::Table>,
}

/// What `run` and its kin take from the file; options win over it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(
    not(feature = "kafka"),
    expect(dead_code, reason = "it is checked, and used by the commands for Kafka")
)]
pub(crate) struct RawRun {
    pub(crate) bootstrap: Option<String>,
    pub(crate) posts_topic: Option<String>,
    pub(crate) prefix: Option<String>,
    pub(crate) metrics: Option<String>,
}

/// What a configuration file says of Kafka, and where it says it.
#[derive(Debug, Clone, Default)]
#[cfg_attr(
    not(feature = "kafka"),
    expect(dead_code, reason = "it is checked, and used by the commands for Kafka")
)]
pub(crate) struct FileSection {
    /// The file, as the user named it.
    name: String,
    /// What relative paths in it are relative to.
    pub(crate) folder: PathBuf,
    pub(crate) run: RawRun,
    pub(crate) kafka: toml::Table,
    /// The line of each key, by its whole dotted name.
    lines: BTreeMap<String, usize>,
}

#[cfg(feature = "kafka")]
impl FileSection {
    /// The same, read from a file for a command that needs nothing else of it.
    pub(crate) fn load(path: Option<&Path>) -> Result<Self, Failure> {
        let read = read_config(path).map_err(|problem| usage(anyhow!("{problem}")))?;
        Ok(read.1)
    }

    /// Where `key` stands: `prod.toml:7: `run.prefix``.
    pub(crate) fn place(&self, key: &str) -> String {
        match self.lines.get(key) {
            Some(line) => format!("{}:{line}: `{key}`", self.name),
            None => format!("{}: `{key}`", self.name),
        }
    }
}

/// Begins the names of the environment variables that override the file: `GROUNDSWELL_ALLOWED_LATENESS_S=20`.
pub(crate) const VARIABLE_PREFIX: &str = "GROUNDSWELL_";

/// The name of the variable for a key.
pub(crate) fn variable_name(key: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", key.to_ascii_uppercase().replace('.', "_"))
}

/// A value in the environment, if it is set and not empty.
pub(crate) fn variable(key: &str) -> Option<String> {
    std::env::var(variable_name(key)).ok().filter(|value| !value.is_empty())
}

/// The keys that the environment can override.
const KEYS: [&str; 10] = [
    "false_alarms_per_service_year",
    "started_false_alarms_per_service_year",
    "allowed_lateness_s",
    "ahead_s_max",
    "author_window_s",
    "copies_max",
    "cooldown_s",
    "update_interval_s",
    "outage_hours_max",
    "author_key_file",
];

/// What the environment overrides.
fn overrides() -> Result<RawConfig, Problem> {
    let mut all = toml::Table::new();
    for key in KEYS {
        let Some(value) = variable(key) else { continue };
        let value = match value.parse() {
            Ok(number) if key != "author_key_file" => number,
            _ => toml::Value::from(value),
        };
        let only = toml::Table::from_iter([(key.to_owned(), value)]);
        let read: Result<RawConfig, _> = only.clone().try_into();
        read.map_err(|error| in_environment(key, error.message()))?;
        all.extend(only);
    }
    Ok(all.try_into().expect("each of them was read before"))
}

/// A problem with the variable of a key.
fn in_environment(key: &str, reason: &str) -> Problem {
    let reason = reason.trim().replace('\n', ", ");
    Problem { file: format!("the environment ({})", variable_name(key)), line: None, reason }
}

/// The same, resolved: everything is read, merged and valid. The lexicon stands beside it, for it is large and used up by
/// [`Settings::judge`].
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) catalogue: Catalogue,
    /// Identifies all of it, the lexicon too.
    pub(crate) hash: ConfigHash,
    #[cfg_attr(
        not(feature = "kafka"),
        expect(dead_code, reason = "it is checked, and used by the commands for Kafka")
    )]
    pub(crate) section: FileSection,
}

impl SettingsArgs {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// A usage failure that lists every problem with its file and line.
    pub(crate) fn load(&self) -> Result<(Settings, Lexicon), Failure> {
        let catalogs = read_all(&self.catalog)?;
        let lexicons = read_all(&self.lexicon)?;
        let mut problems = Vec::new();
        let catalogue = sound(Catalogue::load(!self.no_builtin_catalog, &catalogs), &mut problems);
        let lexicon = sound(Lexicon::load(!self.no_builtin_lexicon, &lexicons), &mut problems);
        let config =
            sound(read_config(self.config.as_deref()).map_err(|problem| vec![problem]), &mut problems);
        match (catalogue, lexicon, config) {
            (Some(catalogue), Some(lexicon), Some((config, section))) => {
                let hash = ConfigHash::of(&config, &catalogue, &lexicon);
                Ok((Settings { config, catalogue, hash, section }, lexicon))
            }
            _ => Err(usage(anyhow!("{}", list(&problems)))),
        }
    }
}

/// The value, if it is sound; else its problems go to the others.
fn sound<T>(result: Result<T, Vec<Problem>>, problems: &mut Vec<Problem>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}

/// The problems, a line each.
fn list(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    match lines.as_slice() {
        [only] => only.clone(),
        _ => format!("{} problems\n{}", lines.len(), lines.join("\n")),
    }
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<SourceText>, Failure> {
    paths.iter().map(|path| read(path)).collect()
}

/// Reads a file of the user's.
pub(crate) fn read(path: &Path) -> Result<SourceText, Failure> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    Ok(SourceText::new(path.display().to_string(), text.map_err(usage)?))
}

/// Reads the file, if there is one, and what the environment overrides.
fn read_config(path: Option<&Path>) -> Result<(Config, FileSection), Problem> {
    let name = path.map_or_else(|| "the defaults".to_owned(), |path| path.display().to_string());
    let problem = |line, reason| Problem { file: name.clone(), line, reason };
    let text = match path {
        Some(path) => {
            fs::read_to_string(path).map_err(|error| problem(None, format!("cannot be read: {error}")))?
        }
        None => String::new(),
    };
    let source = SourceText::new(name.clone(), text);
    let raw: RawConfig = toml::from_str(&source.text).map_err(|error| source.toml_problem(&error))?;
    let over = overrides()?;
    let folder = path.and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    let section = FileSection {
        name: name.clone(),
        folder,
        run: raw.run.clone().unwrap_or_default(),
        kafka: raw.kafka.clone().unwrap_or_default(),
        lines: lines_of_keys(&source),
    };
    let wrong = |Wrong { key, reason }: Wrong| match variable(key) {
        Some(_) => in_environment(key, &reason),
        None => problem(section.lines.get(key).copied(), reason),
    };
    let config = resolve(&over, raw, &section.folder).map_err(wrong)?;
    config.validate().map_err(|error| wrong(Wrong { key: error.key, reason: error.to_string() }))?;
    Ok((config, section))
}

/// The line of each key of a TOML file, by its whole dotted name.
fn lines_of_keys(source: &SourceText) -> BTreeMap<String, usize> {
    fn collect(prefix: &str, table: &DeTable<'_>, source: &SourceText, lines: &mut BTreeMap<String, usize>) {
        for (key, value) in table {
            let name = format!("{prefix}{}", key.get_ref());
            if let Some(table) = value.get_ref().as_table() {
                collect(&format!("{name}."), table, source, lines);
            }
            lines.insert(name, source.line_of(key.span().start));
        }
    }
    let mut lines = BTreeMap::new();
    if let Ok(table) = DeTable::parse(&source.text) {
        collect("", table.get_ref(), source, &mut lines);
    }
    lines
}

/// A value that cannot be used.
struct Wrong {
    key: &'static str,
    reason: String,
}

/// `over` wins over `raw`.
fn resolve(over: &RawConfig, raw: RawConfig, folder: &Path) -> Result<Config, Wrong> {
    let defaults = Config::default();
    let suspected = over.false_alarms_per_service_year.or(raw.false_alarms_per_service_year);
    let author_key = match (&over.author_key_file, &raw.author_key_file) {
        (None, None) => defaults.author_key,
        (Some(file), _) => read_key(file)?,
        (None, Some(file)) => read_key(&folder.join(file))?,
    };
    let lateness = over.allowed_lateness_s.or(raw.allowed_lateness_s);
    let author_window = over.author_window_s.or(raw.author_window_s);
    Ok(Config {
        bin_width: defaults.bin_width,
        suspected_false_alarms_per_service_year: suspected
            .unwrap_or(defaults.suspected_false_alarms_per_service_year),
        started_false_alarms_per_service_year: over
            .started_false_alarms_per_service_year
            .or(raw.started_false_alarms_per_service_year)
            .or(suspected.map(|suspected| suspected / 100.0))
            .unwrap_or(defaults.started_false_alarms_per_service_year),
        allowed_lateness_ms: ms("allowed_lateness_s", lateness, defaults.allowed_lateness_ms)?,
        ahead_ms_max: ms("ahead_s_max", over.ahead_s_max.or(raw.ahead_s_max), defaults.ahead_ms_max)?,
        author_window_ms: ms("author_window_s", author_window, defaults.author_window_ms)?,
        copies_max: over.copies_max.or(raw.copies_max).unwrap_or(defaults.copies_max),
        cooldown_s: over.cooldown_s.or(raw.cooldown_s).unwrap_or(defaults.cooldown_s),
        update_interval_s: over
            .update_interval_s
            .or(raw.update_interval_s)
            .unwrap_or(defaults.update_interval_s),
        outage_hours_max: over.outage_hours_max.or(raw.outage_hours_max).unwrap_or(defaults.outage_hours_max),
        author_key,
    })
}

fn ms(key: &'static str, seconds: Option<f64>, default: u32) -> Result<u32, Wrong> {
    let Some(seconds) = seconds else { return Ok(default) };
    if !(0.0..=4e6).contains(&seconds) {
        let reason = format!("`{key}` is {seconds}; it must be a number of seconds, 0 to 4 million");
        return Err(Wrong { key, reason });
    }
    Ok((seconds * 1000.0).round() as u32)
}

/// Reads the key of the author hash: 32 hexadecimal digits. The key itself never gets into a message.
fn read_key(path: &Path) -> Result<[u8; 16], Wrong> {
    let wrong = |reason: String| Wrong {
        key: "author_key_file",
        reason: format!("`author_key_file` {}{reason}", path.display()),
    };
    let malformed = || wrong(": it must hold 32 hexadecimal digits".to_owned());
    let text = fs::read_to_string(path).map_err(|error| wrong(format!(" cannot be read: {error}")))?;
    let digits: Vec<u8> = text
        .trim()
        .chars()
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()
        .ok_or_else(malformed)?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]).collect();
    if digits.len() != 32 {
        return Err(malformed());
    }
    bytes.try_into().map_err(|_| malformed())
}

impl Settings {
    /// Compiles catalogue and lexicon.
    pub(crate) fn judge(&self, lexicon: Lexicon) -> Judge {
        Judge::new(&self.catalogue, lexicon, self.config.author_key)
    }

    /// A pipeline that has seen nothing.
    pub(crate) fn pipeline(&self, lexicon: Lexicon) -> Pipeline {
        Pipeline::with_stream(self.judge(lexicon), Stream::new(self.config.clone()))
    }

    /// A pipeline that goes on from a snapshot.
    ///
    /// # Errors
    /// A usage failure if the file cannot be read or was not written under these settings.
    pub(crate) fn pipeline_from(&self, snapshot: &Path, lexicon: Lexicon) -> Result<Pipeline, Failure> {
        let name = || format!("snapshot {}", snapshot.display());
        let bytes = fs::read(snapshot).with_context(name).map_err(usage)?;
        let stream = restore(&bytes, self.config.clone(), self.hash).with_context(name).map_err(usage)?;
        Ok(Pipeline::with_stream(self.judge(lexicon), stream))
    }
}
