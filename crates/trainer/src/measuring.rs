//! How well the lexicon that is built in judges labelled rows.

use std::collections::BTreeMap;
use std::fmt;

use groundswell_core::{Catalogue, Judge, Judgement, Outcome};

use crate::features::explain;
use crate::rows::Row;

/// What came of rows that should be complaints, or should not.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
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

/// Judges the rows of each language, and tells how many were found, wrong and missed: the certain ones, and all.
pub(crate) fn report(
    by_language: &BTreeMap<String, Vec<Row>>,
    catalogue: &Catalogue,
    judge: &Judge,
    mut write: impl FnMut(String) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    write("lang  which      rows  found wrong missed  precision recall F1".to_owned())?;
    let mut judgement = Judgement::default();
    for (lang, rows) in by_language {
        let judged: Vec<(&Row, bool)> = rows
            .iter()
            .map(|row| (row, explain(row, catalogue, judge, &mut judgement) == Outcome::Complaint))
            .collect();
        for (which, only_certain) in [("certain", true), ("all", false)] {
            let (mut tally, mut n) = (Tally::default(), 0);
            for (row, counted) in judged.iter().filter(|(row, _)| row.is_certain() || !only_certain) {
                tally.add(*counted, row.label == 1);
                n += 1;
            }
            let Tally { found, wrong, missed } = tally;
            write(format!("{lang:<5} {which:<9} {n:>5}  {found:>5} {wrong:>5} {missed:>6}  {tally}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

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
