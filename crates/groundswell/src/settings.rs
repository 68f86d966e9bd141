//! Catalogue, lexicon and configuration: as typed, then read, merged and checked.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use groundswell_core::{
    Catalogue, Config, ConfigHash, Judge, Lexicon, Pipeline, Problem, SourceText, Stream, restore,
};
use serde::Deserialize;

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

/// Begins the names of the environment variables that override the file: `GROUNDSWELL_ALLOWED_LATENESS_S=20`.
pub(crate) const VARIABLE_PREFIX: &str = "GROUNDSWELL_";

/// A value in the environment, if it is set and not empty.
pub(crate) fn variable(key: &str) -> Option<String> {
    let name = format!("{VARIABLE_PREFIX}{}", key.to_ascii_uppercase().replace('.', "_"));
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The keys that the environment overrides, with their values, as TOML.
fn overrides() -> String {
    let keys = [
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
    let line = |key: &&str| {
        let value = variable(key)?;
        let value = if *key == "author_key_file" { toml::Value::from(value).to_string() } else { value };
        Some(format!("{key} = {value}\n"))
    };
    keys.iter().filter_map(line).collect()
}

/// The same, resolved: everything is read, merged and valid.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
    pub(crate) catalogue: Catalogue,
    pub(crate) lexicon: Lexicon,
    #[cfg_attr(
        not(feature = "kafka"),
        expect(dead_code, reason = "it is checked, and used by the commands for Kafka")
    )]
    pub(crate) run: RawRun,
    #[cfg_attr(
        not(feature = "kafka"),
        expect(dead_code, reason = "it is checked, and used by the commands for Kafka")
    )]
    pub(crate) kafka: toml::Table,
}

impl SettingsArgs {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// A usage failure that lists every problem with its file and line.
    pub(crate) fn load(&self) -> Result<Settings, Failure> {
        let catalogs = read_all(&self.catalog)?;
        let lexicons = read_all(&self.lexicon)?;
        let mut problems = Vec::new();
        let catalogue = sound(Catalogue::load(!self.no_builtin_catalog, &catalogs), &mut problems);
        let lexicon = sound(Lexicon::load(!self.no_builtin_lexicon, &lexicons), &mut problems);
        let config =
            sound(read_config(self.config.as_deref()).map_err(|problem| vec![problem]), &mut problems);
        match (catalogue, lexicon, config) {
            (Some(catalogue), Some(lexicon), Some((config, run, kafka))) => {
                Ok(Settings { config, catalogue, lexicon, run, kafka })
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

fn read(path: &Path) -> Result<SourceText, Failure> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    Ok(SourceText::new(path.display().to_string(), text.map_err(usage)?))
}

/// Reads the file, if there is one, and what the environment overrides.
fn read_config(path: Option<&Path>) -> Result<(Config, RawRun, toml::Table), Problem> {
    let file = path.map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
    let problem = |line, reason| Problem { file: file.clone(), line, reason };
    let text = match path {
        Some(path) => {
            fs::read_to_string(path).map_err(|error| problem(None, format!("cannot be read: {error}")))?
        }
        None => String::new(),
    };
    let source = SourceText::new(file.clone(), text);
    let raw: RawConfig = toml::from_str(&source.text).map_err(|error| source.toml_problem(&error))?;
    let environment = SourceText::new(format!("the environment ({VARIABLE_PREFIX}…)"), overrides());
    let over: RawConfig =
        toml::from_str(&environment.text).map_err(|error| environment.toml_problem(&error))?;
    let (run, kafka) = (raw.run.clone().unwrap_or_default(), raw.kafka.clone().unwrap_or_default());
    let config = resolve(&over, raw, path.and_then(Path::parent)).map_err(|reason| problem(None, reason))?;
    config.validate().map_err(|error| {
        if over_names(&environment.text, error.key) {
            return Problem { file: environment.name.clone(), line: None, reason: error.to_string() };
        }
        let line =
            source.text.lines().position(|line| line.trim_start().starts_with(error.key)).map(|n| n + 1);
        problem(line, error.to_string())
    })?;
    Ok((config, run, kafka))
}

fn over_names(environment: &str, key: &str) -> bool {
    environment.lines().any(|line| line.split(" = ").next() == Some(key))
}

/// `over` wins over `raw`.
fn resolve(over: &RawConfig, raw: RawConfig, folder: Option<&Path>) -> Result<Config, String> {
    let defaults = Config::default();
    let suspected = over.false_alarms_per_service_year.or(raw.false_alarms_per_service_year);
    let author_key = match (&over.author_key_file, &raw.author_key_file) {
        (None, None) => defaults.author_key,
        (Some(file), _) => read_key(file)?,
        (None, Some(file)) => read_key(&folder.unwrap_or(Path::new("")).join(file))?,
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

fn ms(key: &str, seconds: Option<f64>, default: u32) -> Result<u32, String> {
    let Some(seconds) = seconds else { return Ok(default) };
    if !(0.0..=4e6).contains(&seconds) {
        return Err(format!("`{key}` is {seconds}; it must be a number of seconds, 0 or more"));
    }
    Ok((seconds * 1000.0).round() as u32)
}

/// Reads the key of the author hash: 32 hexadecimal digits. The key itself never gets into a message.
fn read_key(path: &Path) -> Result<[u8; 16], String> {
    let wrong = || format!("`author_key_file` {}: it must hold 32 hexadecimal digits", path.display());
    let text = fs::read_to_string(path)
        .map_err(|error| format!("`author_key_file` {} cannot be read: {error}", path.display()))?;
    let digits: Vec<u8> = text
        .trim()
        .chars()
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()
        .ok_or_else(wrong)?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] * 16 + pair[1]).collect();
    if digits.len() != 32 {
        return Err(wrong());
    }
    bytes.try_into().map_err(|_| wrong())
}

impl Settings {
    /// Identifies the settings.
    pub(crate) fn hash(&self) -> ConfigHash {
        ConfigHash::of(&self.config, &self.catalogue, &self.lexicon)
    }

    /// Compiles catalogue and lexicon.
    pub(crate) fn judge(&self) -> Judge {
        Judge::new(&self.catalogue, &self.lexicon, self.config.author_key)
    }

    /// A pipeline that has seen nothing.
    pub(crate) fn pipeline(&self) -> Pipeline {
        Pipeline::with_stream(self.judge(), Stream::new(self.config.clone()))
    }

    /// A pipeline that goes on from a snapshot.
    ///
    /// # Errors
    /// A usage failure if the file cannot be read or was not written under these settings.
    pub(crate) fn pipeline_from(&self, snapshot: &Path) -> Result<Pipeline, Failure> {
        let name = || format!("snapshot {}", snapshot.display());
        let bytes = fs::read(snapshot).with_context(name).map_err(usage)?;
        let stream = restore(&bytes, self.config.clone(), self.hash()).with_context(name).map_err(usage)?;
        Ok(Pipeline::with_stream(self.judge(), stream))
    }
}
