//! `groundswell check`: is the configuration, catalogue and lexicon sound?

use std::io::{Write, stdout};

use groundswell_core::{names_that_are_common_words, unreachable_entries};

#[cfg(feature = "kafka")]
use crate::connecting;
use crate::failure::{Outcome, usage};
use crate::settings::SettingsArgs;

const EXAMPLES: &str = "\
Examples:
  groundswell check                                       the built-in files
  groundswell check --catalog mine.toml                   an entry of your own, merged with ours
  groundswell check --lexicon sv.toml --config prod.toml

Every problem is reported with its file and line: unknown keys, bad ids, names and phrases that no text can match,
handles that two services claim, dependencies and categories that do not exist, settings outside their range, settings
that the Kafka library does not know, secrets in the file. If there is none, names that are common words and ask for no
context, and names and phrases that others always cover. Nothing is connected to. Exit code 2 if there is any.";

/// Options of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Checks everything and says how much there is.
pub(crate) fn run(args: Args) -> Outcome {
    let (settings, lexicon) = args.settings.load()?;
    #[cfg(feature = "kafka")]
    connecting::check(&settings.section)?;
    let judge = settings.judge(lexicon.clone());
    let mut problems = unreachable_entries(&judge, &settings.catalogue, &lexicon);
    problems.extend(names_that_are_common_words(&settings.catalogue, &lexicon));
    if !problems.is_empty() {
        return Err(usage(anyhow::anyhow!("{}", problems.join("\n"))));
    }
    let languages: Vec<&str> =
        lexicon.languages().iter().map(|language| language.language.as_str()).collect();
    let n_phrases: usize =
        lexicon.languages().iter().flat_map(|language| &language.phrases).map(|group| group.any.len()).sum();
    writeln!(
        stdout(),
        "sound: {} services; {n_phrases} phrases in {} languages ({}); configuration {}",
        settings.catalogue.services().len(),
        languages.len(),
        languages.join(", "),
        settings.hash
    )?;
    Ok(())
}
