//! `groundswell explain`: why does a text count as a complaint, or why not?

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use groundswell_core::{Catalogue, Finding, Judge, Judgement, Outcome, Post, Symptom};
use groundswell_io::lines::{Line, Lines};
use serde::{Deserialize, Serialize};

use crate::failure::{Outcome as Done, usage};
use crate::interrupt;
use crate::settings::SettingsArgs;

const EXAMPLES: &str = "\
Examples:
  groundswell explain \"is spotify down?\"
  groundswell explain --service spotify \"can't log in since the update\"
  groundswell explain --json < posts.jsonl

Standard input (`-`, or no text with --json) is read line by line: a JSON object is taken for a post, anything else for
a text. With --json each text or post gives one line:
  {\"id\", \"outcome\", \"complaints\": [{\"service\", \"symptom\", \"weight\", \"votes\": {symptom: votes}}],
   \"mentioned\": [service],
   \"findings\": [{\"phrase\", \"service\", \"tier\", \"weight\", \"symptom\", \"language\", \"verdict\"}],
   \"cues\": [{\"words\", \"weight\", \"category\"}], \"signs\": [{\"sign\", \"weight\"}],
   \"tells\": [{\"words\", \"votes\": {symptom: votes}}]}
`id` is null for a text. `verdict` is `counts`, or the rule that set the phrase aside. The weight of a complaint is that
of its strongest phrase that counts, 0.2 more for each of tier C beside it, and all cues and signs; from 0.5 it counts.
A cue with a `category` counts for services of that category only, and for those of none that cues know beside one.
The symptom of a complaint is that with most votes, among equals `access`: those of the tells, of the strongest phrase
(1.5; `access` 1.2) and of the category of the service.";

/// How many cues are shown to a reader; the rest are in the JSON.
const CUES_SHOWN_MAX: usize = 12;

/// Options of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Texts to explain; `-`, or none with --json, reads them from standard input, a text or a post as JSON in each line.
    #[arg(required_unless_present = "json", value_name = "TEXT")]
    texts: Vec<String>,
    /// Print a line of JSON for each text or post.
    #[arg(long)]
    json: bool,
    /// Take plain texts as addressed to this service.
    #[arg(long, value_name = "ID")]
    service: Option<String>,
    /// Take plain texts as written in this language (BCP 47).
    #[arg(long, value_name = "TAG")]
    lang: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A post as far as it matters here: only the text is needed, and no time.
#[derive(Debug, Default, Deserialize)]
struct LoosePost {
    id: Option<String>,
    text: String,
    author: Option<String>,
    lang: Option<String>,
    country: Option<String>,
    is_repost: Option<bool>,
    service: Option<String>,
}

#[derive(Serialize)]
struct Explanation<'a> {
    id: Option<&'a str>,
    outcome: &'static str,
    complaints: Vec<WireComplaint<'a>>,
    mentioned: Vec<&'a str>,
    findings: Vec<WireFinding<'a>>,
    cues: Vec<WireCue<'a>>,
    signs: Vec<WireSign>,
    tells: Vec<WireTell<'a>>,
}

#[derive(Serialize)]
struct WireCue<'a> {
    words: &'a str,
    weight: f64,
    /// The category of the services that it counts for, if not for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
}

#[derive(Serialize)]
struct WireSign {
    sign: &'static str,
    weight: f64,
}

#[derive(Serialize)]
struct WireTell<'a> {
    words: &'a str,
    votes: WireVotes,
}

/// Votes by symptom.
type WireVotes = BTreeMap<&'static str, f64>;

#[derive(Serialize)]
struct WireComplaint<'a> {
    service: &'a str,
    symptom: &'static str,
    weight: f64,
    votes: WireVotes,
}

#[derive(Serialize)]
struct WireFinding<'a> {
    phrase: &'a str,
    service: Option<&'a str>,
    tier: groundswell_core::Tier,
    weight: f64,
    symptom: &'static str,
    language: String,
    verdict: &'static str,
}

/// Explains each text.
pub(crate) fn run(args: Args) -> Done {
    if args.texts.is_empty() && io::stdin().is_terminal() {
        return Err(usage(anyhow::anyhow!(
            "no <TEXT>, and standard input is a terminal; `-` reads from it all the same"
        )));
    }
    let (settings, lexicon) = args.settings.load()?;
    if let Some(id) = &args.service
        && settings.catalogue.index_of(id).is_none()
    {
        return Err(usage(anyhow::anyhow!("--service {id}: the catalogue has no such service")));
    }
    let judge = settings.judge(lexicon);
    let mut explainer = Explainer {
        catalogue: &settings.catalogue,
        judge,
        judgement: Judgement::default(),
        args: &args,
        out: BufWriter::new(io::stdout().lock()),
    };
    if args.texts.is_empty() {
        explainer.explain_stdin()?;
    }
    for text in &args.texts {
        if text == "-" {
            explainer.explain_stdin()?;
        } else {
            explainer.explain_line(text)?;
        }
    }
    Ok(explainer.out.flush()?)
}

struct Explainer<'a, W: Write> {
    catalogue: &'a Catalogue,
    judge: Judge,
    judgement: Judgement,
    args: &'a Args,
    out: W,
}

impl<W: Write> Explainer<'_, W> {
    fn explain_stdin(&mut self) -> Done {
        let stop = interrupt::stop_flag()?;
        let mut lines = Lines::open(Path::new("-"), &stop).map_err(anyhow::Error::from)?;
        while let Some(line) = lines.next_line().map_err(anyhow::Error::from)? {
            let (Line::Whole(bytes) | Line::TooLong(bytes)) = line;
            let text = String::from_utf8_lossy(bytes).into_owned();
            if !text.trim().is_empty() {
                self.explain_line(&text)?;
            }
        }
        Ok(())
    }

    /// Explains a post, if the line is a JSON object, or a text.
    fn explain_line(&mut self, line: &str) -> Done {
        let post = if line.trim_start().starts_with('{') {
            match serde_json::from_str::<LoosePost>(line) {
                Ok(post) => post,
                Err(error) => return self.report_unreadable(&error),
            }
        } else {
            LoosePost {
                text: line.to_owned(),
                service: self.args.service.clone(),
                lang: self.args.lang.clone(),
                ..LoosePost::default()
            }
        };
        self.explain_post(&post)
    }

    fn report_unreadable(&mut self, error: &serde_json::Error) -> Done {
        let outcome = if error.is_data() { Outcome::BadField } else { Outcome::NotJson };
        if self.args.json {
            let explanation = Explanation {
                id: None,
                outcome: outcome.name(),
                complaints: Vec::new(),
                mentioned: Vec::new(),
                findings: Vec::new(),
                cues: Vec::new(),
                signs: Vec::new(),
                tells: Vec::new(),
            };
            serde_json::to_writer(&mut self.out, &explanation)?;
            writeln!(self.out)?;
        } else {
            writeln!(self.out, "{}: {error}\n", outcome.name())?;
        }
        Ok(())
    }

    fn explain_post(&mut self, loose: &LoosePost) -> Done {
        let post = Post {
            author: loose.author.as_deref().unwrap_or_default(),
            lang: loose.lang.as_deref().filter(|lang| !lang.is_empty()),
            country: loose.country.as_deref(),
            is_repost: loose.is_repost.unwrap_or(false),
            service: loose.service.as_deref().filter(|service| !service.is_empty()),
            ..Post::of_text(&loose.text)
        };
        let outcome = self.judge.explain(&post, &mut self.judgement);
        if self.args.json {
            self.write_json(loose.id.as_deref(), outcome)
        } else {
            self.write_text(&post, outcome)
        }
    }

    fn write_json(&mut self, id: Option<&str>, outcome: Outcome) -> Done {
        let complaints = self.judgement.accusations().iter().map(|accusation| WireComplaint {
            service: &self.catalogue.service(accusation.service).id,
            symptom: accusation.symptom.name(),
            weight: accusation.weight,
            votes: wire_votes(accusation.votes()),
        });
        let mentioned = self.judgement.mentioned();
        let findings = self.judgement.findings().iter();
        let explanation = Explanation {
            id,
            outcome: outcome.name(),
            complaints: complaints.collect(),
            mentioned: mentioned.iter().map(|&index| self.catalogue.service(index).id.as_str()).collect(),
            findings: findings.map(|finding| wire_finding(&self.judge, self.catalogue, finding)).collect(),
            cues: wire_cues(&self.judge, &self.judgement),
            signs: wire_signs(&self.judge, &self.judgement),
            tells: wire_tells(&self.judge, &self.judgement),
        };
        serde_json::to_writer(&mut self.out, &explanation)?;
        Ok(writeln!(self.out)?)
    }

    fn write_text(&mut self, post: &Post<'_>, outcome: Outcome) -> Done {
        writeln!(self.out, "{}", post.text)?;
        writeln!(self.out, "  {}: {}", outcome.name(), outcome.meaning())?;
        for accusation in self.judgement.accusations() {
            writeln!(
                self.out,
                "  complains about {}: {} (weight {:.1}, counts from 0.5)",
                self.catalogue.service(accusation.service).id,
                accusation.symptom.name(),
                accusation.weight
            )?;
        }
        let mentioned = self.judgement.mentioned();
        if !mentioned.is_empty() {
            let ids: Vec<&str> =
                mentioned.iter().map(|&index| self.catalogue.service(index).id.as_str()).collect();
            writeln!(self.out, "  names {}", ids.join(", "))?;
        }
        for finding in self.judgement.findings() {
            let wire = wire_finding(&self.judge, self.catalogue, finding);
            writeln!(
                self.out,
                "  {:<10} {:?} {:.1} {:<10} {} \"{}\"{}",
                wire.verdict,
                wire.tier,
                wire.weight,
                wire.symptom,
                wire.language,
                wire.phrase,
                wire.service.map(|id| format!(" about {id}")).unwrap_or_default()
            )?;
        }
        self.write_cues()?;
        self.write_votes()?;
        Ok(writeln!(self.out)?)
    }

    /// What fails: the votes for it, those of the symptom named first.
    fn write_votes(&mut self) -> io::Result<()> {
        for accusation in self.judgement.accusations() {
            let mut votes: Vec<_> = accusation.votes().filter(|&(_, votes)| votes > 0.0).collect();
            if votes.is_empty() {
                continue;
            }
            let is_named = |symptom: Symptom| symptom == accusation.symptom;
            votes.sort_by(|a, b| b.1.total_cmp(&a.1).then(is_named(b.0).cmp(&is_named(a.0))));
            let votes: Vec<String> =
                votes.iter().map(|(symptom, votes)| format!("{} {votes:.2}", symptom.name())).collect();
            let service = &self.catalogue.service(accusation.service).id;
            writeln!(self.out, "  fails, of {service}: {}", votes.join(", "))?;
        }
        Ok(())
    }

    /// The sum of what the words add, and the words that add most.
    fn write_cues(&mut self) -> io::Result<()> {
        let signs = wire_signs(&self.judge, &self.judgement);
        let cues = wire_cues(&self.judge, &self.judgement);
        let n = signs.len() + cues.len();
        let weights = signs.iter().map(|sign| sign.weight).chain(cues.iter().map(|cue| cue.weight));
        let total: f64 = weights.sum();
        let signs = signs.iter().map(|sign| format!("[{}] {:+.2}", sign.sign, sign.weight));
        let cues = cues.iter().map(|cue| {
            let category = cue.category.map(|category| format!(" ({category})")).unwrap_or_default();
            format!("{}{category} {:+.2}", cue.words, cue.weight)
        });
        let shown: Vec<String> = signs.chain(cues).take(CUES_SHOWN_MAX).collect();
        if shown.is_empty() {
            return Ok(());
        }
        let more = if n > shown.len() { format!(", {} more", n - shown.len()) } else { String::new() };
        writeln!(self.out, "  words {total:+.2}: {}{more}", shown.join(", "))
    }
}

/// What the words add, the heaviest first.
fn wire_cues<'a>(judge: &'a Judge, judgement: &'a Judgement) -> Vec<WireCue<'a>> {
    let mut cues: Vec<WireCue<'_>> =
        judge.cues(judgement).map(|(words, weight, category)| WireCue { words, weight, category }).collect();
    let rank = |cue: &WireCue<'a>| (cue.words, cue.category);
    cues.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()).then_with(|| rank(a).cmp(&rank(b))));
    cues
}

fn wire_signs(judge: &Judge, judgement: &Judgement) -> Vec<WireSign> {
    judge.signs(judgement).map(|(sign, weight)| WireSign { sign: sign.name(), weight }).collect()
}

fn wire_tells<'a>(judge: &'a Judge, judgement: &'a Judgement) -> Vec<WireTell<'a>> {
    judge.tells(judgement).map(|(words, votes)| WireTell { words, votes: wire_votes(votes) }).collect()
}

fn wire_votes(votes: impl Iterator<Item = (Symptom, f64)>) -> WireVotes {
    votes.map(|(symptom, votes)| (symptom.name(), votes)).collect()
}

fn wire_finding<'a>(judge: &'a Judge, catalogue: &'a Catalogue, finding: &Finding) -> WireFinding<'a> {
    WireFinding {
        phrase: judge.phrase_text(finding),
        service: finding.service.map(|index| catalogue.service(index).id.as_str()),
        tier: finding.tier,
        weight: finding.weight,
        symptom: finding.symptom.name(),
        language: finding.language.as_str().to_owned(),
        verdict: finding.verdict.name(),
    }
}
