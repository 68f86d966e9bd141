//! How well the lexicon that is built in judges labelled rows.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

use anyhow::Result;
use groundswell_core::{Catalogue, Judge, Judgement, Outcome};

use crate::features::explain;
use crate::rows::Row;

/// What came of rows that should be complaints, or should not.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    found: u32,
    wrong: u32,
    missed: u32,
}

impl Tally {
    /// Adds a row that counted as a complaint, or not, and is one, or not.
    pub(crate) fn add(&mut self, counted: bool, is_complaint: bool) {
        match (counted, is_complaint) {
            (true, true) => self.found += 1,
            (true, false) => self.wrong += 1,
            (false, true) => self.missed += 1,
            (false, false) => {}
        }
    }
}

/// Precision, recall and F1; 0 where there is nothing to divide by.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [found, wrong, missed] = [self.found, self.wrong, self.missed].map(f64::from);
        let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let (precision, recall) = (ratio(found, found + wrong), ratio(found, found + missed));
        let f1 = ratio(2.0 * found, 2.0 * found + wrong + missed);
        write!(f, "{precision:.3}     {recall:.3}  {f1:.3}")
    }
}

/// Judges the rows of each language, and writes how many were found, wrong and missed: of the certain ones, and of all.
pub(crate) fn report(
    by_language: &BTreeMap<String, Vec<Row>>,
    catalogue: &Catalogue,
    judge: &Judge,
    out: &mut impl Write,
) -> Result<()> {
    writeln!(out, "lang  which      rows  found wrong missed  precision recall F1")?;
    let mut judgement = Judgement::default();
    for (lang, rows) in by_language {
        let counts = |row| explain(row, catalogue, judge, &mut judgement) == Outcome::Complaint;
        let counted: Vec<bool> = rows.iter().map(counts).collect();
        for (which, only_certain) in [("certain", true), ("all", false)] {
            let (mut tally, mut n) = (Tally::default(), 0);
            let judged = rows.iter().zip(&counted);
            for (row, &counted) in judged.filter(|(row, _)| row.is_certain() || !only_certain) {
                tally.add(counted, row.label == 1);
                n += 1;
            }
            let Tally { found, wrong, missed } = tally;
            writeln!(out, "{lang:<5} {which:<9} {n:>5}  {found:>5} {wrong:>5} {missed:>6}  {tally}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use groundswell_core::Lexicon;

    use super::*;
    use crate::features;
    use crate::rows::read_csv;

    /// Of the four certain rows one is found that names its service, one that is addressed to it, and one addressed to
    /// a service that we do not know; praise is left out. A doubtful row that is praise is labelled a complaint: missed.
    #[test]
    fn rows_are_judged_for_their_service_or_for_some() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("rows.csv");
        let rows = "id,lang,text,service,label,certain,addressed\n\
                    1,en,spotify is down,,1,1,0\n2,en,the app keeps crashing,spotify,1,1,1\n\
                    3,en,the app keeps crashing,no-such-service,1,1,1\n4,en,what a lovely app,spotify,0,1,1\n\
                    5,en,what a lovely app,spotify,1,0,1\n";
        std::fs::write(&path, rows).expect("the temporary folder can be written");
        let by_language = BTreeMap::from([("en".to_owned(), read_csv(&path).expect("good rows"))]);
        let catalogue = features::catalogue().expect("the built-in catalogue is sound");
        let lexicon = Lexicon::load(true, &[]).expect("the built-in lexicon is sound");
        let judge = Judge::new(&catalogue, lexicon, [0; 16]);
        let mut out = Vec::new();
        report(&by_language, &catalogue, &judge, &mut out).expect("a vector takes it");
        let out = String::from_utf8(out).expect("text");
        let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["en", "certain", "4", "3", "0", "0", "1.000", "1.000", "1.000"]);
        assert_eq!(lines[2], ["en", "all", "5", "3", "0", "1", "1.000", "0.750", "0.857"]);
    }

    /// 6 found, 2 wrong, 4 missed: 6/8, 6/10, 12/18.
    #[test]
    fn a_tally_tells_precision_recall_and_f1() {
        let mut tally = Tally::default();
        let rows = [(true, true, 6), (true, false, 2), (false, true, 4), (false, false, 9)];
        for (counted, is_complaint, n) in rows {
            (0..n).for_each(|_| tally.add(counted, is_complaint));
        }
        assert_eq!(tally.to_string(), "0.750     0.600  0.667");
        assert_eq!(Tally::default().to_string(), "0.000     0.000  0.000");
    }
}
