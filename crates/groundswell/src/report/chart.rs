//! Plots as SVG text, in colours that the page can change.

use std::ops::Range;

use anyhow::Result;
use groundswell_core::EventTime;
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::*;

use super::axis::Axis;
use super::history::{Bucket, Track};

/// A colour by what it stands for. The drawing has the light one; the page's style sheet gives each its colour in a
/// dark surrounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Role {
    /// Its name in the style sheet.
    pub(crate) name: &'static str,
    pub(crate) light: RGBColor,
    pub(crate) dark: RGBColor,
}

macro_rules! roles {
    ($($constant:ident $name:literal $light:tt $dark:tt)+) => {
        $(pub(crate) const $constant: Role =
            Role { name: $name, light: roles!(@ $light), dark: roles!(@ $dark) };)+
        /// Every role; no two have the same light colour, since that is what the style sheet knows them by.
        pub(crate) const ROLES: &[Role] = &[$($constant),+];
    };
    (@ [$r:literal $g:literal $b:literal]) => { RGBColor($r, $g, $b) };
}

roles! {
    INK       "ink"       [0x24 0x29 0x2f] [0xd5 0xda 0xe0]
    GRID      "grid"      [0xe1 0xe4 0xe8] [0x33 0x3a 0x42]
    GAP_SPAN  "gap"       [0xee 0xee 0xe8] [0x2b 0x2c 0x2a]
    USUAL     "usual"     [0xe0 0xdc 0xf4] [0x35 0x30 0x50]
    TRUTH     "truth"     [0xfb 0xdf 0xdc] [0x4d 0x26 0x26]
    OBSERVED  "observed"  [0x1f 0x66 0xc4] [0x6c 0xb0 0xff]
    PEAK      "peak"      [0xa9 0xcb 0xf2] [0x2f 0x5d 0x90]
    EXPECTED  "expected"  [0xb5 0x1d 0x78] [0xf2 0x7c 0xc2]
    EVIDENCE  "evidence"  [0x7a 0x3f 0xb0] [0xc4 0x9a 0xf0]
    THRESHOLD "threshold" [0x98 0xa0 0xa8] [0x76 0x7e 0x87]
    ONSET     "onset"     [0x00 0x8c 0x95] [0x3c 0xc8 0xd0]
    SUSPECTED "suspected" [0xd6 0x8a 0x00] [0xf0 0xb2 0x3c]
    STARTED   "started"   [0xc6 0x28 0x28] [0xff 0x6b 0x63]
    ENDED     "ended"     [0x2e 0x7d 0x32] [0x63 0xc1 0x68]
}

/// Units of a drawing; it is shown at two thirds of it, so that lines lie on fractions of a pixel.
const WIDTH: u32 = 1_200;
const COUNTS_HEIGHT: u32 = 330;
const EVIDENCE_HEIGHT: u32 = 190;
const FONT_SIZE: u32 = 26;
/// Between one plot and the next, whose labels are half a line higher and lower.
const GAP: u32 = 18;
/// A label at the very end of the time axis goes so far beyond it.
const LABEL_HALF_WIDTH: u32 = 44;
const LABELS_WIDTH: u32 = 116;
const LABELS_HEIGHT: u32 = 50;
const MINUTE_MS: i64 = 60_000;

/// What is marked in a plot over time.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Stretches of true outages.
    pub(crate) truths: Vec<(EventTime, EventTime)>,
    /// Times of detections, and of what.
    pub(crate) moments: Vec<(EventTime, Role)>,
}

/// What is drawn over time.
struct Shown<'a> {
    track: &'a Track,
    runs: Vec<&'a [Bucket]>,
    /// Stretches of which nothing is known.
    gaps: Vec<(EventTime, EventTime)>,
    marks: &'a Marks,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// Counts and expectation above, the evidence below; `label` says what it shows to those who cannot see it.
pub(crate) fn over_time(track: &Track, marks: &Marks, label: &str) -> Result<String> {
    let (runs, gaps) = track.runs();
    let shown = Shown { track, runs, gaps, marks };
    draw((WIDTH, COUNTS_HEIGHT + EVIDENCE_HEIGHT), label, |root| {
        let (counts, evidence) = root.split_vertically(COUNTS_HEIGHT);
        draw_counts(&counts, &shown)?;
        draw_evidence(&evidence, &shown)
    })
}

/// Draws on an area of `size` and gives the SVG element.
pub(crate) fn draw(
    size: (u32, u32),
    label: &str,
    on: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        on(&root)?;
        root.present()?;
    }
    let label = super::page::escape(label);
    Ok(svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1))
}

/// The font of labels.
pub(crate) fn font() -> TextStyle<'static> {
    ("sans-serif", FONT_SIZE).into_font().color(&INK.light)
}

/// The range of the time axis, milliseconds; never empty.
fn time_range(track: &Track) -> Range<f64> {
    let ms = |bucket: Option<&Bucket>| bucket.map_or(0, |bucket| bucket.start.as_ms());
    let (first, last) = (ms(track.buckets().first()), ms(track.buckets().last()));
    first as f64..last.max(first + MINUTE_MS) as f64
}

fn draw_counts(area: &Area<'_>, shown: &Shown<'_>) -> Result<()> {
    let x = time_range(shown.track);
    let highest = shown.track.buckets().iter().map(|bucket| bucket.observed_max).max().unwrap_or(0).max(1);
    let y_max = f64::from(highest) * 1.08;
    let mut chart = panel(area, &x, (Axis::counts(y_max), y_max), false, "complaints", shown)?;
    for run in &shown.runs {
        // Of a service that has just been met so much may be expected that counts would lie flat: it stays at the edge.
        let points = |of: fn(&Bucket) -> f64| {
            run.iter().map(move |bucket| (bucket.start.as_ms() as f64, of(bucket).clamp(0.0, y_max)))
        };
        let band: Vec<(f64, f64)> =
            points(|bucket| bucket.usual().1).chain(points(|bucket| bucket.usual().0).rev()).collect();
        chart.draw_series([Polygon::new(band, USUAL.light.filled())])?;
        if shown.track.bins_a_bucket() > 1 {
            chart
                .draw_series(LineSeries::new(points(|bucket| f64::from(bucket.observed_max)), PEAK.light))?;
        }
        chart.draw_series(LineSeries::new(points(Bucket::observed), OBSERVED.light.stroke_width(2)))?;
        chart.draw_series(LineSeries::new(points(Bucket::expected), EXPECTED.light.stroke_width(3)))?;
    }
    draw_moments(&mut chart, shown.marks, &x, y_max)
}

fn draw_evidence(area: &Area<'_>, shown: &Shown<'_>) -> Result<()> {
    let x = time_range(shown.track);
    let shares = Axis::new(0.0..1.0, [0.0, 0.5, 1.0].map(|share| (share, share.to_string())).into());
    let mut chart = panel(area, &x, (shares, 1.0), true, "evidence", shown)?;
    let threshold = [(x.start, 0.5), (x.end, 0.5)];
    chart.draw_series(LineSeries::new(threshold, THRESHOLD.light.stroke_width(2)))?;
    for run in &shown.runs {
        let evidence = run.iter().map(|bucket| (bucket.start.as_ms() as f64, bucket.evidence_max));
        chart.draw_series(LineSeries::new(evidence, EVIDENCE.light.stroke_width(2)))?;
    }
    draw_moments(&mut chart, shown.marks, &x, 1.0)
}

/// A plot over time with nothing in it but the stretches of true outages and those of which nothing is known. `y` has an
/// axis and where it ends.
fn panel<'a, 'b>(
    area: &'a Area<'b>,
    x: &Range<f64>,
    (y, y_max): (Axis, f64),
    has_times: bool,
    name: &str,
    shown: &Shown<'_>,
) -> Result<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(area)
        .margin_top(GAP)
        .margin_right(LABEL_HALF_WIDTH)
        .x_label_area_size(if has_times { LABELS_HEIGHT } else { 0 })
        .y_label_area_size(LABELS_WIDTH)
        .build_cartesian_2d(Axis::over_time(x.clone()), y)?;
    chart.draw_series(spans(&shown.gaps, GAP_SPAN, x, y_max))?;
    chart.draw_series(spans(&shown.marks.truths, TRUTH, x, y_max))?;
    chart
        .configure_mesh()
        .bold_line_style(GRID.light)
        .light_line_style(TRANSPARENT)
        .axis_style(INK.light)
        .y_desc(name)
        .label_style(font())
        .draw()?;
    Ok(chart)
}

fn spans(
    stretches: &[(EventTime, EventTime)],
    role: Role,
    x: &Range<f64>,
    y_max: f64,
) -> Vec<Rectangle<(f64, f64)>> {
    let inside = |time: EventTime| (time.as_ms() as f64).clamp(x.start, x.end);
    let spans = stretches
        .iter()
        .filter(|(start, end)| (start.as_ms() as f64) < x.end && end.as_ms() as f64 > x.start);
    let rectangle = |&(start, end): &(EventTime, EventTime)| {
        Rectangle::new([(inside(start), 0.0), (inside(end), y_max)], role.light.filled())
    };
    spans.map(rectangle).collect()
}

/// A line for each moment in the plot, with a head lower than the one before: lines a minute apart hide each other.
fn draw_moments(chart: &mut Chart<'_, '_>, marks: &Marks, x: &Range<f64>, y_max: f64) -> Result<()> {
    for (n, (at, role)) in inside(marks, x).into_iter().enumerate() {
        let head = y_max * (0.94 - 0.16 * (n % 4) as f64);
        let line = PathElement::new([(at, 0.0), (at, y_max)], role.light.stroke_width(2));
        chart.draw_series([line])?;
        chart.draw_series([Circle::new((at, head), 7, role.light.filled())])?;
    }
    Ok(())
}

fn inside(marks: &Marks, x: &Range<f64>) -> Vec<(f64, Role)> {
    let moments = marks.moments.iter().map(|&(time, role)| (time.as_ms() as f64, role));
    moments.filter(|(at, _)| (x.start..=x.end).contains(at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_told_apart_by_their_light_colour() {
        for (n, role) in ROLES.iter().enumerate() {
            assert!(ROLES[..n].iter().all(|other| other.light != role.light), "{}", role.name);
        }
    }

    #[test]
    fn what_is_outside_the_plot_is_not_drawn() {
        let at = |ms: i64| EventTime::from_ms(ms).expect("a time in range");
        let marks = Marks { truths: vec![(at(10), at(20))], moments: vec![(at(15), STARTED)] };
        assert_eq!(
            (spans(&marks.truths, TRUTH, &(0.0..5.0), 1.0).len(), inside(&marks, &(0.0..5.0)).len()),
            (0, 0)
        );
        assert_eq!(
            (spans(&marks.truths, TRUTH, &(12.0..18.0), 1.0).len(), inside(&marks, &(12.0..18.0)).len()),
            (1, 1)
        );
    }
}
