//! Turns a template into what one person typed about one service.

use crate::corpus::{Corpus, Kind, Language, Symptom};
use crate::dice::Dice;
use crate::scenario::Service;

/// A text before fingers and telephones had their way with it.
#[derive(Debug, Clone)]
pub(crate) struct Wording {
    pub(crate) text: String,
    pub(crate) language: Language,
    /// Whether the text names the service, by name, account or hashtag.
    pub(crate) names_service: bool,
    /// Whether something may be put before it: it starts in the middle of a breath.
    pub(crate) takes_opener: bool,
}

/// What a text is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) kind: Kind,
    pub(crate) language: Language,
    pub(crate) service: &'a Service,
    pub(crate) provider: Option<&'a Service>,
}

/// Share of people's posts that say a second thing: enough that a text is not known by its first half alone.
const ASIDE_SHARE: f64 = 0.17;

/// Writes one text; where a language has no text of the kind, the nearest it has, and English at last.
pub(crate) fn compose(dice: &mut Dice, subject: Subject<'_>) -> Wording {
    let (language, template) = template(dice, subject);
    let names_service = ["{service}", "{handle}", "{tag}"].iter().any(|slot| template.contains(slot));
    let takes_opener = template.starts_with(|first: char| first == '{' || first.is_lowercase());
    let subject = Subject { language, ..subject };
    let mut text = fill(dice, template, subject);
    if dice.chance(ASIDE_SHARE) {
        add_aside(dice, &mut text, subject);
    }
    Wording { text, language, names_service, takes_opener }
}

/// A second sentence about the person's own day or trouble; accounts of record have none.
fn add_aside(dice: &mut Dice, text: &mut String, subject: Subject<'_>) {
    let slot = match subject.kind {
        Kind::News | Kind::NewsFixed | Kind::Official | Kind::OfficialFixed => return,
        kind if kind.is_complaint() => "aside",
        _ => "aside_light",
    };
    let list = Corpus::of(subject.language).slot(slot);
    if list.is_empty() {
        return;
    }
    let aside = dice.pick(list).as_str();
    let aside = fill(dice, aside, subject);
    let stop = if text.ends_with(['?', '!', '.', '？']) { "" } else { "." };
    let (stop, space) = if subject.language == Language::Ja { ("。", "") } else { (stop, " ") };
    *text = format!("{text}{stop}{space}{aside}");
}

fn template(dice: &mut Dice, subject: Subject<'_>) -> (Language, &'static str) {
    let topic = subject.service.topic;
    for (language, kind) in candidates(subject.kind, subject.language) {
        let templates = Corpus::of(language).templates(kind, topic);
        if !templates.is_empty() {
            return (language, dice.pick(templates).as_str());
        }
    }
    unreachable!("English has a text of every kind for every topic: a test asks for each")
}

fn candidates(kind: Kind, language: Language) -> [(Language, Kind); 4] {
    let nearest = match kind {
        Kind::Complaint(_) | Kind::Blame => Kind::Complaint(Symptom::Access),
        Kind::Oblique(_) => Kind::Oblique(Symptom::Access),
        other => other,
    };
    [(language, kind), (language, nearest), (Language::En, kind), (Language::En, nearest)]
}

fn fill(dice: &mut Dice, template: &str, subject: Subject<'_>) -> String {
    let mut text = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((slot, after)) = after.split_once('}') else { break };
        push_slot(dice, &mut text, slot, subject);
        rest = after;
    }
    text.push_str(rest);
    text
}

fn push_slot(dice: &mut Dice, text: &mut String, slot: &str, subject: Subject<'_>) {
    match slot {
        "service" => text.push_str(spelling(dice, subject.service, subject.language)),
        "provider" => {
            let provider = subject.provider.unwrap_or(subject.service);
            text.push_str(spelling(dice, provider, subject.language));
        }
        "handle" => {
            text.push('@');
            text.push_str(&subject.service.handle);
        }
        "tag" => text.push_str(&subject.service.tag),
        "n" => text.push_str(&(2 + dice.below(28)).to_string()),
        _ => text.push_str(filling(dice, slot, subject.language)),
    }
}

fn filling(dice: &mut Dice, slot: &str, language: Language) -> &'static str {
    let own = Corpus::of(language).slot(slot);
    let list = if own.is_empty() { Corpus::of(Language::En).slot(slot) } else { own };
    if list.is_empty() { "" } else { dice.pick(list).as_str() }
}

/// One spelling of a service; where a language has its own, half of its people use them.
pub(crate) fn spelling<'a>(dice: &mut Dice, service: &'a Service, language: Language) -> &'a str {
    match service.local_names.get(&language) {
        Some(local) if dice.chance(0.5) => dice.pick(local).as_str(),
        _ => dice.pick(&service.names).as_str(),
    }
}
