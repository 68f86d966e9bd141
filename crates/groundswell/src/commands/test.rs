//! `groundswell test`: do catalogue, lexicon and detector do what somebody expects of them?

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use groundswell_core::{
    Accusation, BinWidth, Catalogue, Detector, EventKind, EventTime, Judge, Judgement, Post, Symptom,
};
use groundswell_io::cases::{CaseFile, CountsCase, TextCase};

use crate::failure::{Failure, Outcome, usage};
use crate::judging::{ratio, share};
use crate::settings::{Settings, SettingsArgs, read};

const EXAMPLES: &str = "\
Examples:
  groundswell test cases.toml
  groundswell test --catalog mine.toml mine-cases.toml
  groundswell test cases/                                every .toml file of a folder

A file of cases has texts, and counts:
  [[text]]
  text = \"netflix ne marche plus\"
  lang = \"fr\"                        optional, as a post has it
  service = \"netflix\"                optional: the post is addressed to it
  complains = [\"netflix\"]            the services it counts for, by id; [] if for none
  symptom = \"access\"                 optional; [\"access\", \"loading\"] if either would do
  trap = \"price\"                     optional: a name for what makes it hard

  [[counts]]
  counts = \"7200x2 60x6 180x2\"       two in each of 7,200 minutes, then six in each of 60, …
  events = [\"suspected\", \"started\", \"ended\"]   in order, updates left out

Each case that fails is told with its file and line and what was found instead, then how many held, by language and by
trap, and how many of the complaints found have the right service and symptom. Exit code 1 if a case failed, 2 if a
file is not sound.";

/// Options of `test`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files of cases, or folders of them.
    #[arg(required = true, value_name = "CASES.toml")]
    cases: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// The longest counts of a case, bins: a year and a half of minutes.
const BINS_MAX: u64 = 800_000;

/// Runs every case and tells of those that fail.
pub(crate) fn run(args: Args) -> Outcome {
    let (settings, lexicon) = args.settings.load()?;
    let files = files_of(&args.cases)?;
    let mut tester = Tester {
        judge: settings.judge(lexicon),
        settings: &settings,
        judgement: Judgement::default(),
        tallies: Tallies::default(),
        out: BufWriter::new(io::stdout().lock()),
    };
    for file in &files {
        tester.test_file(file)?;
    }
    tester.tallies.write(&mut tester.out)?;
    tester.out.flush()?;
    let (n_failed, n) = (tester.tallies.all.n - tester.tallies.all.n_right, tester.tallies.all.n);
    if n_failed > 0 {
        return Err(Failure::Failed(anyhow!("{n_failed} of {n} cases failed")));
    }
    Ok(())
}

/// The files themselves, and those of folders in the order of their names.
fn files_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).with_context(|| path.display().to_string()).map_err(usage)?;
        let mut of_folder: Vec<PathBuf> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
        of_folder.retain(|file| file.extension().is_some_and(|extension| extension == "toml"));
        if of_folder.is_empty() {
            return Err(usage(anyhow!("{}: the folder has no .toml file", path.display())));
        }
        of_folder.sort();
        files.append(&mut of_folder);
    }
    Ok(files)
}

struct Tester<'a, W: Write> {
    settings: &'a Settings,
    judge: Judge,
    judgement: Judgement,
    tallies: Tallies,
    out: W,
}

impl<W: Write> Tester<'_, W> {
    fn test_file(&mut self, path: &Path) -> Outcome {
        let source = read(path)?;
        let cases: CaseFile = toml::from_str(&source.text)
            .map_err(|error| usage(anyhow!("{}", source.toml_problem(&error))))?;
        let place = |span: Range<usize>| format!("{}:{}", source.name, source.line_of(span.start));
        if cases.text.is_empty() && cases.counts.is_empty() {
            return Err(usage(anyhow!("{}: it has no case; write [[text]] or [[counts]]", source.name)));
        }
        for case in &cases.text {
            let place = place(case.span());
            self.test_text(&place, case.get_ref())?;
        }
        for case in &cases.counts {
            let place = place(case.span());
            self.test_counts(&place, case.get_ref())?;
        }
        Ok(())
    }

    fn test_text(&mut self, place: &str, case: &TextCase) -> Outcome {
        let catalogue = &self.settings.catalogue;
        for id in case.complains.iter().chain(&case.service) {
            if catalogue.index_of(id).is_none() {
                return Err(usage(anyhow!("{place}: the catalogue has no service {id:?}")));
            }
        }
        let symptoms = &case.symptoms;
        if !symptoms.is_empty() && case.complains.is_empty() {
            return Err(usage(anyhow!("{place}: a text that does not complain has no symptom")));
        }
        let post = Post {
            lang: case.lang.as_deref(),
            service: case.service.as_deref(),
            ..Post::of_text(&case.text)
        };
        let outcome = self.judge.explain(&post, &mut self.judgement);
        let accusations = self.judgement.accusations();
        let found = ids(catalogue, accusations);
        let mut expected: Vec<&str> = case.complains.iter().map(String::as_str).collect();
        expected.sort_unstable();
        let is_service_right = found == expected;
        let is_symptom_right =
            symptoms.is_empty() || accusations.iter().any(|one| symptoms.contains(&one.symptom));
        self.tallies.note(case, !found.is_empty(), is_service_right, is_symptom_right);
        if is_service_right && is_symptom_right {
            return Ok(());
        }
        let said: Vec<String> = accusations
            .iter()
            .map(|one| format!("{} ({})", catalogue.service(one.service).id, one.symptom.name()))
            .collect();
        let verdicts: Vec<String> = self
            .judgement
            .findings()
            .iter()
            .map(|finding| format!("\"{}\" {}", self.judge.phrase_text(finding), finding.verdict.name()))
            .collect();
        writeln!(
            self.out,
            "{place}: {}\n  expected {}{}, found {}: {}{}",
            case.text,
            list(&expected),
            if symptoms.is_empty() { String::new() } else { format!(" ({})", names(symptoms)) },
            list(&said),
            outcome.name(),
            if verdicts.is_empty() { String::new() } else { format!("; {}", verdicts.join(", ")) },
        )?;
        Ok(())
    }

    fn test_counts(&mut self, place: &str, case: &CountsCase) -> Outcome {
        let kinds = [EventKind::Suspected, EventKind::Started, EventKind::Ended, EventKind::Retracted];
        if let Some(unknown) = case.events.iter().find(|&event| kinds.iter().all(|kind| kind.name() != event))
        {
            return Err(usage(anyhow!(
                "{place}: {unknown:?} is no event; there are suspected, started, ended and retracted"
            )));
        }
        let found =
            events_of(&case.counts, self.settings).map_err(|reason| usage(anyhow!("{place}: {reason}")))?;
        let is_right = found == case.events;
        self.tallies.all.note(is_right);
        if is_right {
            return Ok(());
        }
        writeln!(
            self.out,
            "{place}: {}\n  expected {}, found {}",
            case.counts,
            list(&case.events),
            list(&found)
        )?;
        Ok(())
    }
}

/// The services that are complained about, in the order of their ids.
fn ids<'a>(catalogue: &'a Catalogue, accusations: &[Accusation]) -> Vec<&'a str> {
    let mut ids: Vec<&str> =
        accusations.iter().map(|one| catalogue.service(one.service).id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn names(symptoms: &[Symptom]) -> String {
    symptoms.iter().map(|symptom| symptom.name()).collect::<Vec<_>>().join(" or ")
}

fn list(items: &[impl AsRef<str>]) -> String {
    if items.is_empty() {
        return "nothing".to_owned();
    }
    items.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ")
}

/// The names of the events that these counts a minute bring about, updates left out.
fn events_of(notation: &str, settings: &Settings) -> Result<Vec<String>, String> {
    let runs = runs_of(notation)?;
    let mut services = Catalogue::default();
    let service = services.push_bare("case");
    let mut detector = Detector::new(settings.config.clone());
    let mut bin = BinWidth::MINUTE.bin_of(EventTime::MIN);
    let mut found = Vec::new();
    for (n_bins, count) in runs {
        for _ in 0..n_bins {
            detector.handle_counts(bin, &[(service, count)], &[]);
            while let Some(event) = detector.poll_event() {
                found.push(event.kind);
            }
            bin = bin.plus(1);
        }
    }
    found.retain(|&kind| kind != EventKind::Updated);
    Ok(found.into_iter().map(|kind| kind.name().to_owned()).collect())
}

/// Reads `7200x2 30x12` as runs of (bins, count in each); a number alone is one bin.
fn runs_of(notation: &str) -> Result<Vec<(u64, u32)>, String> {
    let mut runs = Vec::new();
    for word in notation.split_whitespace() {
        let (n_bins, count) = word.split_once('x').unwrap_or(("1", word));
        let run = n_bins.parse::<u64>().ok().zip(count.parse::<u32>().ok());
        runs.push(
            run.ok_or_else(|| format!("{word:?} in counts: write bins and count, as 7200x2, or a count"))?,
        );
    }
    let n_bins = runs.iter().fold(0_u64, |sum, run| sum.saturating_add(run.0));
    if n_bins == 0 || n_bins > BINS_MAX {
        return Err(format!("counts has {n_bins} bins; there must be 1 to {BINS_MAX}"));
    }
    Ok(runs)
}

/// How many cases of some kind held.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    n: usize,
    n_right: usize,
}

impl Tally {
    fn note(&mut self, is_right: bool) {
        self.n += 1;
        self.n_right += usize::from(is_right);
    }
}

/// How texts of one language were taken: as complaints or not.
#[derive(Debug, Default, Clone, Copy)]
struct Language {
    n: usize,
    n_true: usize,
    n_found: usize,
    n_both: usize,
}

/// What the cases came to.
#[derive(Debug, Default)]
struct Tallies {
    all: Tally,
    languages: BTreeMap<String, Language>,
    traps: BTreeMap<String, Tally>,
    /// Of the complaints that were found.
    services: Tally,
    /// Of those whose symptom is expected.
    symptoms: Tally,
}

impl Tallies {
    fn note(&mut self, case: &TextCase, is_found: bool, is_service_right: bool, is_symptom_right: bool) {
        let is_right = is_service_right && is_symptom_right;
        self.all.note(is_right);
        let is_true = !case.complains.is_empty();
        if is_true && is_found {
            self.services.note(is_service_right);
            if !case.symptoms.is_empty() {
                self.symptoms.note(is_symptom_right);
            }
        }
        let language = case.lang.clone().unwrap_or_else(|| "-".to_owned());
        let language = self.languages.entry(language).or_default();
        language.n += 1;
        language.n_true += usize::from(is_true);
        language.n_found += usize::from(is_found);
        language.n_both += usize::from(is_true && is_found);
        if let Some(trap) = &case.trap {
            self.traps.entry(trap.clone()).or_default().note(is_right);
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if !self.languages.is_empty() {
            writeln!(out, "{:<14}{:>6}{:>11}{:>8}{:>7}", "language", "texts", "precision", "recall", "F1")?;
        }
        for (name, language) in &self.languages {
            let precision = share(ratio(language.n_both, language.n_found));
            let recall = share(ratio(language.n_both, language.n_true));
            let f1 = share(ratio(2 * language.n_both, language.n_true + language.n_found));
            writeln!(out, "{name:<14}{:>6}{precision:>11}{recall:>8}{f1:>7}", language.n)?;
        }
        if !self.traps.is_empty() {
            writeln!(out, "{:<14}{:>6}{:>11}", "trap", "texts", "left out")?;
        }
        for (name, trap) in &self.traps {
            writeln!(out, "{name:<14}{:>6}{:>11.3}", trap.n, trap.n_right as f64 / trap.n as f64)?;
        }
        if self.services.n > 0 {
            writeln!(out, "{:<14}{:>6}{:>11}", "of complaints", "found", "right")?;
        }
        for (name, tally) in [("service", self.services), ("symptom", self.symptoms)] {
            if tally.n > 0 {
                writeln!(out, "{name:<14}{:>6}{:>11.3}", tally.n, tally.n_right as f64 / tally.n as f64)?;
            }
        }
        writeln!(out, "{} of {} cases held", self.all.n_right, self.all.n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_runs() {
        assert_eq!(runs_of("7200x2  30x12\n1"), Ok(vec![(7200, 2), (30, 12), (1, 1)]));
        for wrong in ["", "0x5", "7200*2", "x2", "3x", "-1", "1.5", "900000x1"] {
            assert!(runs_of(wrong).is_err(), "{wrong:?}");
        }
    }
}
