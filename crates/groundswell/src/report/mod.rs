//! What was measured as one HTML file: figures, and drawings that show at a glance why each alarm was raised and where
//! the promise stands.
//!
//! * [`Histories`] keeps what is to be drawn while a run is under way, in bounded memory.
//! * [`of_outages`] and [`of_worlds`] write the file, from values alone: the same run gives the same bytes.
//!
//! The drawings are SVG within the page, so that it needs neither network nor program, and can be kept beside the data.

mod history;
mod page;

mod axis;
mod chart;
mod outages;
mod worlds;

use anyhow::Result;
use groundswell_core::Config;

pub(crate) use self::history::Histories;
pub(crate) use self::outages::Outages;
use self::outages::{Chapters, clock, span};
use self::page::{escape, page, table};
use crate::judging::Figures;
use crate::synthetic::{Figure, Measured};

const HOW_TO_READ: &str = "<p>Complaints are distinct people in one bin: a minute, or a step of the table of counts. \
    Expected is the rate that evidence is held against. Evidence is drawn as e / (1 + e), with e its share of the \
    threshold of <i>suspected</i>. Times are UTC.</p>\n";

/// What was held against known outages. `rows` are the figures in words; `n_services` were watched.
pub(crate) fn of_outages(
    outages: &Outages<'_>,
    figures: &Figures,
    rows: &[(&str, String)],
    n_services: usize,
) -> Result<String> {
    let chapters = Chapters::new(outages);
    let rows: Vec<Vec<String>> = rows.iter().map(|(name, value)| vec![escape(name), escape(value)]).collect();
    let mut body = HOW_TO_READ.to_owned() + &table(&[], &rows);
    body.push_str("<h2>Missed outages and false alarms</h2>\n");
    body.push_str(&mistakes(outages, &chapters));
    body.push_str(&chapters.to_html()?);
    let n_quiet = n_services.saturating_sub(chapters.n_seen());
    if n_quiet > 0 {
        body.push_str(&format!(
            "<p class=\"note\">{n_quiet} further services without an outage are left out.</p>\n"
        ));
    }
    let title = format!("Groundswell: {} of {} known outages found", figures.true_positives, figures.outages);
    Ok(page(&title, &body))
}

fn mistakes(outages: &Outages<'_>, chapters: &Chapters<'_>) -> String {
    let mut rows = Vec::new();
    for &t in &outages.matching.missed {
        let truth = &outages.truths[t];
        let when = span(truth.start, truth.end);
        let link = chapters.link_truth(t, &truth.service);
        rows.push(vec!["<span class=\"bad\">missed</span>".to_owned(), link, when]);
    }
    for &d in &outages.matching.false_alarms {
        let found = &outages.detections[d];
        let when = format!("raised {}, onset {}", clock(found.raised), clock(found.onset));
        let link = chapters.link_detection(d, &found.service);
        rows.push(vec!["<span class=\"bad\">false alarm</span>".to_owned(), link, when]);
    }
    if rows.is_empty() {
        return "<p class=\"good\">None.</p>\n".to_owned();
    }
    table(&["", "service", "when (UTC)"], &rows)
}

/// What the synthetic worlds came to, with some services of one of them as `example`.
pub(crate) fn of_worlds(measured: &Measured, config: &Config, example: &Outages<'_>) -> Result<String> {
    let figures = measured.figures();
    let n_failed = figures.iter().filter(|figure| figure.holds == Some(false)).count();
    let rows: Vec<Vec<String>> = figures.iter().map(row_of_figure).collect();
    let mut body = table(&["", "figure", "measured", "bar"], &rows);
    body.push_str("<h2>False alarms, promised and measured</h2>\n");
    let promised =
        (config.suspected_false_alarms_per_service_year, config.started_false_alarms_per_service_year);
    body.push_str(&worlds::promises(measured, promised)?);
    body.push_str("<h2>Delay against the least that is possible</h2>\n");
    body.push_str(
        "<p>Each dot is the mean of sharp outages of one strength at rates within half a decade; on the line nothing \
         could be sooner.</p>\n",
    );
    body.push_str(&worlds::delays(&measured.delays())?);
    body.push_str("<h2>Some services of the first world with outages</h2>\n");
    body.push_str(HOW_TO_READ);
    body.push_str(&Chapters::new(example).to_html()?);
    Ok(page(
        &format!("Groundswell in synthetic worlds: {n_failed} of {} figures break", figures.len()),
        &body,
    ))
}

fn row_of_figure(figure: &Figure) -> Vec<String> {
    let verdict = match figure.holds {
        Some(true) => "<span class=\"good\">holds</span>",
        Some(false) => "<span class=\"bad\">breaks</span>",
        None => "",
    };
    vec![verdict.to_owned(), escape(&figure.name), escape(&figure.measured), escape(figure.bar)]
}

#[cfg(test)]
mod tests {
    use groundswell_core::Catalogue;

    use super::*;
    use crate::judging::Matching;
    use crate::synthetic::Alarms;

    #[test]
    fn synthetic_worlds_are_drawn_from_their_figures_alone() {
        let measured = Measured {
            steady: Alarms { suspected: 3, started: 0, service_years: 10.0 },
            wandering: Alarms { suspected: 12, started: 1, service_years: 10.0 },
            ..Measured::default()
        };
        let (services, histories) = (Catalogue::default(), Histories::new(&[]));
        let nothing = Outages {
            services: &services,
            histories: &histories,
            events: &[],
            truths: &[],
            detections: &[],
            matching: &Matching::default(),
        };
        let page = of_worlds(&measured, &Config::default(), &nothing).expect("it can be drawn");
        assert_eq!(page.matches("<svg").count(), 2, "the promise and the delay");
        // Three rates are above zero and have a dot; nothing was delayed.
        assert_eq!(page.matches("<circle").count(), 3);
        assert!(page.contains("holds</span>") && page.contains("0.300 (0.062 to 0.877, 10.0 years)"));
        assert!(page.contains("&lt;= 1.2") && !page.contains("<= 1.2"), "bars are escaped");
    }
}
