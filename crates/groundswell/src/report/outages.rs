//! The report on outages: each service that failed or was said to fail, drawn as a whole and outage by outage.

use anyhow::Result;
use groundswell_core::{Catalogue, EventKind, EventTime, OutageEvent};
use groundswell_io::times;

use super::chart::{self, Marks, Role};
use super::history::{Histories, History};
use super::page::{escape, figure, legend};
use crate::judging::{Detection, Matching, Truth};
use crate::told::{Told, tell};

/// Drawings are some 30 kB each: with these the file stays below three megabytes.
const SERVICES_MAX: usize = 20;
const CLOSE_UPS_MAX: usize = 60;
const MINUTE_MS: f64 = 60_000.0;

/// Outages that are known and outages that were told, of services that were watched.
#[derive(Debug)]
pub(crate) struct Outages<'a> {
    pub(crate) services: &'a Catalogue,
    pub(crate) histories: &'a Histories,
    pub(crate) events: &'a [OutageEvent],
    pub(crate) truths: &'a [Truth],
    pub(crate) detections: &'a [Detection],
    pub(crate) matching: &'a Matching,
}

/// Known and told outages that overlap, and so are drawn together.
#[derive(Debug, PartialEq, Eq)]
struct Trouble {
    from: EventTime,
    to: EventTime,
    truths: Vec<usize>,
    told: Vec<usize>,
}

/// One service of the report.
#[derive(Debug)]
struct Chapter {
    id: String,
    troubles: Vec<Trouble>,
    /// How many of them are drawn.
    n_drawn: usize,
}

/// Everything about the services, ready to be written; what is left out is decided.
#[derive(Debug)]
pub(crate) struct Chapters<'a> {
    outages: &'a Outages<'a>,
    told: Vec<Told>,
    chapters: Vec<Chapter>,
    n_left_out: usize,
    n_seen: usize,
}

impl<'a> Chapters<'a> {
    /// Puts the services with something wrong first, so that what is left out is rather what is well.
    pub(crate) fn new(outages: &'a Outages<'a>) -> Self {
        let told = tell(outages.events);
        let name = |told: &Told| outages.services.service(told.service).id.as_str();
        let mut ids: Vec<&str> = told.iter().map(name).collect();
        ids.extend(outages.truths.iter().map(|truth| truth.service.as_str()));
        ids.sort_unstable();
        ids.dedup();
        let is_wrong = |id: &str| {
            outages.matching.missed.iter().any(|&t| outages.truths[t].service == id)
                || outages.matching.false_alarms.iter().any(|&d| outages.detections[d].service == id)
        };
        ids.sort_by_key(|id| !is_wrong(id));
        let n_seen = ids.iter().filter(|id| outages.histories.of(id).is_some()).count();
        let n_left_out = ids.len().saturating_sub(SERVICES_MAX);
        ids.truncate(SERVICES_MAX);
        let mut n_free = CLOSE_UPS_MAX;
        let chapter = |id: &str| {
            let history = outages.histories.of(id);
            let troubles = troubles(id, outages, &told, history.and_then(History::last));
            let n_drawn = if history.is_some() { troubles.len().min(n_free) } else { 0 };
            n_free -= n_drawn;
            Chapter { id: id.to_owned(), troubles, n_drawn }
        };
        let chapters = ids.into_iter().map(chapter).collect();
        Self { outages, told, chapters, n_left_out, n_seen }
    }

    /// How many of the services that were watched there is something to tell of.
    pub(crate) fn n_seen(&self) -> usize {
        self.n_seen
    }

    /// A link to where a known outage is drawn, or the text alone.
    pub(crate) fn link_truth(&self, t: usize, text: &str) -> String {
        self.link(&self.outages.truths[t].service, text, |trouble| trouble.truths.contains(&t))
    }

    /// A link to where a detection is drawn, or the text alone.
    pub(crate) fn link_detection(&self, d: usize, text: &str) -> String {
        let detection = &self.outages.detections[d];
        let is_it = |&told: &usize| {
            let told = &self.told[told];
            told.suspected.at == detection.raised || told.started.is_some_and(|up| up.at == detection.raised)
        };
        self.link(&detection.service, text, |trouble| trouble.told.iter().any(is_it))
    }

    fn link(&self, service: &str, text: &str, is_in: impl Fn(&Trouble) -> bool) -> String {
        let text = escape(text);
        let Some(c) = self.chapters.iter().position(|chapter| chapter.id == service) else { return text };
        let chapter = &self.chapters[c];
        match chapter.troubles[..chapter.n_drawn].iter().position(is_in) {
            Some(n) => format!("<a href=\"#s{c}-{n}\">{text}</a>"),
            None => format!("<a href=\"#s{c}\">{text}</a>"),
        }
    }

    /// All sections, as HTML.
    pub(crate) fn to_html(&self) -> Result<String> {
        let mut out = String::new();
        for (c, chapter) in self.chapters.iter().enumerate() {
            self.write_chapter(c, chapter, &mut out)?;
        }
        if self.n_left_out > 0 {
            out.push_str(&format!(
                "<p class=\"note\">{} further services with an outage are left out.</p>\n",
                self.n_left_out
            ));
        }
        Ok(out)
    }

    fn write_chapter(&self, c: usize, chapter: &Chapter, out: &mut String) -> Result<()> {
        let id = escape(&chapter.id);
        let history = self.outages.histories.of(&chapter.id);
        let name = history.map_or_else(|| id.clone(), |history| escape(history.name()));
        let beside = if name == id { String::new() } else { format!(" <small>{id}</small>") };
        out.push_str(&format!("<section id=\"s{c}\">\n<h2>{name}{beside}</h2>\n"));
        let Some(history) = history else {
            out.push_str("<p>Nobody was counted as complaining about it, so there is nothing to draw.</p>\n");
            for trouble in &chapter.troubles {
                out.push_str(&self.account(trouble));
            }
            out.push_str("</section>\n");
            return Ok(());
        };
        let whole = history.whole();
        if whole.bins_a_bucket() > 1 {
            out.push_str(&format!(
                "<p class=\"note\">The whole, mean and maximum of {} bins a point.</p>\n",
                whole.bins_a_bucket()
            ));
        }
        let marks = self.marks(&chapter.troubles, false);
        let label = format!("{}, the whole", chapter.id);
        out.push_str(&figure(&chart::over_time(whole, &marks, &label)?, true));
        out.push_str(&legend(&LEGEND));
        for (n, trouble) in chapter.troubles[..chapter.n_drawn].iter().enumerate() {
            let heading = span(trouble.from, trouble.to);
            out.push_str(&format!("<article id=\"s{c}-{n}\">\n<h3>{heading} UTC</h3>\n"));
            let marks = self.marks(std::slice::from_ref(trouble), true);
            let track = history.around(trouble.from, trouble.to);
            let label = format!("{}, {heading}", chapter.id);
            out.push_str(&figure(&chart::over_time(&track, &marks, &label)?, true));
            out.push_str(&self.account(trouble));
            out.push_str("</article>\n");
        }
        let n_more = chapter.troubles.len() - chapter.n_drawn;
        if n_more > 0 {
            out.push_str(&format!("<p class=\"note\">{n_more} further outages are not drawn.</p>\n"));
        }
        out.push_str("</section>\n");
        Ok(())
    }

    /// What to mark: in a close-up onsets, too.
    fn marks(&self, troubles: &[Trouble], is_close: bool) -> Marks {
        let truths = troubles.iter().flat_map(|trouble| &trouble.truths);
        let truths = truths.map(|&t| (self.outages.truths[t].start, self.outages.truths[t].end)).collect();
        let mut moments = Vec::new();
        for told in troubles.iter().flat_map(|trouble| &trouble.told).map(|&n| &self.told[n]) {
            if is_close {
                moments.push((told.onset(), chart::ONSET));
            }
            // What was started at once was never merely suspected.
            if told.started.is_none_or(|raised| raised.at != told.suspected.at) {
                moments.push((told.suspected.at, chart::SUSPECTED));
            }
            moments.extend(told.started.map(|raised| (raised.at, chart::STARTED)));
            moments.extend(told.ended.filter(|_| is_close).map(|(_, decided)| (decided, chart::ENDED)));
        }
        Marks { truths, moments }
    }

    /// What was known and what was said, in words.
    fn account(&self, trouble: &Trouble) -> String {
        let mut out = String::from("<ul class=\"why\">\n");
        trouble.truths.iter().for_each(|&t| out.push_str(&self.account_of_truth(t)));
        for told in trouble.told.iter().map(|&n| &self.told[n]) {
            let of_it =
                |event: &&OutageEvent| event.service == told.service && event.opened_at == told.suspected.at;
            for event in self.outages.events.iter().filter(of_it) {
                out.push_str(&account_of_event(event));
            }
            out.push_str(&self.verdict(told));
        }
        out + "</ul>\n"
    }

    fn account_of_truth(&self, t: usize) -> String {
        let truth = &self.outages.truths[t];
        let pair = self.outages.matching.pairs.iter().find(|pair| pair.0 == t);
        let verdict = match pair {
            Some(&(_, d)) => {
                let delay_min = self.outages.detections[d].raised.ms_since(truth.start) as f64 / MINUTE_MS;
                format!("<span class=\"good\">found after {delay_min:.1} min</span>")
            }
            None if truth.is_ignored => "not judged".to_owned(),
            None => "<span class=\"bad\">missed</span>".to_owned(),
        };
        let kind = escape(&truth.kind);
        format!("<li>Known: {}, {kind}: {verdict}.</li>\n", span(truth.start, truth.end))
    }

    fn verdict(&self, told: &Told) -> String {
        let service = &self.outages.services.service(told.service).id;
        let is_it = |detection: &Detection| {
            detection.service == *service
                && (detection.raised == told.suspected.at
                    || told.started.is_some_and(|raised| raised.at == detection.raised))
        };
        let Some(d) = self.outages.detections.iter().position(is_it) else {
            return "<li>Not judged: it did not reach the tier that is judged.</li>\n".to_owned();
        };
        if self.outages.matching.false_alarms.contains(&d) {
            return "<li><span class=\"bad\">False alarm</span>: no known outage matches it.</li>\n"
                .to_owned();
        }
        String::new()
    }
}

const LEGEND: [(Role, &str); 12] = [
    (chart::OBSERVED, "complaints a bin"),
    (chart::PEAK, "most in one bin"),
    (chart::EXPECTED, "expected, at most"),
    (chart::USUAL, "where 19 of 20 bins lie"),
    (chart::EVIDENCE, "evidence"),
    (chart::THRESHOLD, "threshold of suspected"),
    (chart::TRUTH, "known outage"),
    (chart::GAP_SPAN, "nothing known"),
    (chart::ONSET, "onset"),
    (chart::SUSPECTED, "suspected"),
    (chart::STARTED, "started"),
    (chart::ENDED, "end decided"),
];

/// Puts what overlaps together, in time. What goes on lasts until `last`.
fn troubles(id: &str, outages: &Outages<'_>, told: &[Told], last: Option<EventTime>) -> Vec<Trouble> {
    let mut all = Vec::new();
    for (t, truth) in outages.truths.iter().enumerate().filter(|(_, truth)| truth.service == id) {
        all.push(Trouble { from: truth.start, to: truth.end, truths: vec![t], told: Vec::new() });
    }
    let is_of_it = |told: &Told| outages.services.service(told.service).id == id;
    for (n, told) in told.iter().enumerate().filter(|(_, told)| is_of_it(told)) {
        let over = told.ended.map(|(_, decided)| decided).or(last).unwrap_or(told.suspected.at);
        let (from, to) = (told.suspected.onset.min(told.onset()), over.max(told.suspected.at));
        all.push(Trouble { from, to, truths: Vec::new(), told: vec![n] });
    }
    all.sort_by_key(|trouble| trouble.from);
    let mut joined: Vec<Trouble> = Vec::new();
    for trouble in all {
        match joined.last_mut().filter(|before| trouble.from <= before.to) {
            Some(before) => {
                before.to = before.to.max(trouble.to);
                before.truths.extend(trouble.truths);
                before.told.extend(trouble.told);
            }
            None => joined.push(trouble),
        }
    }
    joined
}

/// Why an event was raised; updates say nothing new here.
fn account_of_event(event: &OutageEvent) -> String {
    let decision = &event.decision;
    let numbers = || {
        format!(
            "observed {}, expected {:.2} (×{:.1}), evidence {:.1} against a threshold of {:.1}; \
             {} people within the hour; onset {}; {}",
            decision.observed,
            decision.expected,
            f64::from(decision.observed) / decision.expected,
            decision.evidence,
            decision.threshold,
            decision.n_authors_recent,
            clock(event.started_at),
            event.severity.name()
        )
    };
    let text = match event.kind {
        EventKind::Suspected | EventKind::Started => numbers() + &symptoms(event),
        EventKind::Ended if event.is_new_normal => "it lasted so long that it is the new normal".to_owned(),
        EventKind::Ended | EventKind::Retracted => {
            let back = event
                .ended_at
                .map_or_else(String::new, |ended| format!("the rate was back at {}; ", clock(ended)));
            format!("{back}at its worst {} complaints at {}", event.peak.observed, clock(event.peak.at))
        }
        EventKind::Updated => return String::new(),
    };
    format!("<li><b>{}</b> {}: {text}.</li>\n", event.kind.name(), clock(event.time))
}

fn symptoms(event: &OutageEvent) -> String {
    let named = event.scope.symptoms.iter().take(4);
    let named: Vec<String> = named.map(|(symptom, n)| format!("{} {n}", symptom.name())).collect();
    if named.is_empty() { String::new() } else { format!("; symptoms: {}", named.join(", ")) }
}

/// A time for people, to the minute, UTC.
pub(crate) fn clock(time: EventTime) -> String {
    times::format(time)[..16].replace('T', " ")
}

/// From one time to another, with the day of the second only if it is another.
pub(crate) fn span(start: EventTime, end: EventTime) -> String {
    let (start, end) = (clock(start), clock(end));
    let end = if start[..10] == end[..10] { &end[11..] } else { &end };
    format!("{start} to {end}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judging::{Tier, detections, match_onsets};
    use crate::told::tests::{at, event};

    fn truth(service: &str, start: i64, end: i64) -> Truth {
        let (start, end) = (at(start), at(end));
        Truth { service: service.to_owned(), start, end, kind: "outage".to_owned(), is_ignored: false }
    }

    /// One outage that is found, one that is missed, one false alarm, and one that is only suspected.
    fn check(judge: impl FnOnce(&Chapters<'_>)) {
        let services = Catalogue::of_ids(["s"]);
        let truths = [truth("s", 100, 160), truth("s", 900, 960), truth("unheard", 100, 160)];
        let events = [
            event(EventKind::Started, 105, 105, 101, None),
            event(EventKind::Ended, 105, 180, 101, Some(161)),
            event(EventKind::Started, 400, 400, 390, None),
            event(EventKind::Ended, 400, 450, 390, Some(440)),
            event(EventKind::Suspected, 600, 600, 590, None),
            event(EventKind::Retracted, 600, 650, 590, Some(640)),
        ];
        let mut histories = Histories::new(&truths);
        events.iter().for_each(|event| histories.note(event, &services));
        let detections = detections(&events, &services, Tier::Started);
        let matching = match_onsets(&truths, &detections, 900_000);
        let outages = Outages {
            services: &services,
            histories: &histories,
            events: &events,
            truths: &truths,
            detections: &detections,
            matching: &matching,
        };
        judge(&Chapters::new(&outages));
    }

    #[test]
    fn an_outage_and_its_alarm_are_told_together_and_others_apart() {
        check(|chapters| {
            let troubles = &chapters.chapters[0].troubles;
            let told: Vec<(&[usize], &[usize])> =
                troubles.iter().map(|trouble| (&*trouble.truths, &*trouble.told)).collect();
            assert_eq!(told, [(&[0][..], &[0][..]), (&[], &[1]), (&[], &[2]), (&[1], &[])]);
            assert_eq!((troubles[0].from, troubles[0].to), (at(100), at(180)));
        });
    }

    #[test]
    fn a_service_that_was_never_heard_of_is_told_and_not_counted_as_watched() {
        check(|chapters| assert_eq!((chapters.chapters.len(), chapters.n_seen()), (2, 1)));
    }

    #[test]
    fn every_verdict_is_told() {
        check(|chapters| {
            let troubles = &chapters.chapters[0].troubles;
            for (trouble, said) in troubles.iter().zip([
                "found after 5.0 min",
                "False alarm",
                "Not judged: it did not reach the tier",
                "missed",
            ]) {
                let account = chapters.account(trouble);
                assert!(account.contains(said), "{said:?} in {account}");
            }
            let account = chapters.account(&troubles[0]);
            let numbers = "observed 5, expected 1.00 (×5.0), evidence 14.0 against a threshold of 13.0; \
                           9 people within the hour; onset 1970-01-01 01:41; minor.";
            assert!(account.contains(numbers), "{account}");
        });
    }

    #[test]
    fn links_lead_to_a_drawing_or_at_least_to_the_service() {
        check(|chapters| {
            assert_eq!(chapters.link_truth(1, "<s>"), "<a href=\"#s0-3\">&lt;s&gt;</a>");
            assert_eq!(chapters.link_detection(1, "s"), "<a href=\"#s0-1\">s</a>");
            assert_eq!(chapters.link_truth(2, "unheard"), "<a href=\"#s1\">unheard</a>");
        });
    }

    #[test]
    fn a_day_is_told_once_if_it_is_the_same() {
        assert_eq!(span(at(0), at(60)), "1970-01-01 00:00 to 01:00");
        assert_eq!(span(at(0), at(1_440)), "1970-01-01 00:00 to 1970-01-02 00:00");
    }
}
