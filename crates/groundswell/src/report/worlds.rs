//! Drawings of what the synthetic worlds came to: the promise against what was measured, the delay against the oracle.

use anyhow::Result;
use plotters::prelude::*;

use super::axis::Axis;
use super::chart::{self, GRID, INK, OBSERVED, Role, STARTED, draw, font};
use super::page::{figure, legend};
use crate::synthetic::{Delay, Measured};

/// What was promised, and what was measured with its 95 % interval, false alarms a service-year.
#[derive(Debug)]
struct Promise {
    name: String,
    promised: f64,
    rate: f64,
    low: f64,
    high: f64,
}

/// Decades of false alarms a service-year: a hundred times better than the promises, and ten times worse. What is
/// beyond stands at the edge.
const PROMISE_DECADES: (i32, i32) = (-4, 1);
const ROW_HEIGHT: u32 = 64;
const WIDTH: u32 = 1_200;

/// Multipliers of outages, each with a colour.
const STRENGTHS: [(f64, Role); 6] = [
    (2.0, chart::INK),
    (3.0, chart::EVIDENCE),
    (5.0, chart::OBSERVED),
    (10.0, chart::ONSET),
    (20.0, chart::ENDED),
    (50.0, chart::SUSPECTED),
];

/// Whether the promises hold, drawn on a scale of decades. `promised` are those of *suspected* and of *started*.
pub(crate) fn promises(measured: &Measured, promised: (f64, f64)) -> Result<String> {
    let mut rows = Vec::new();
    for (rates, alarms) in [("steady", &measured.steady), ("wandering", &measured.wandering)] {
        for (tier, n, promised) in
            [("suspected", alarms.suspected, promised.0), ("started", alarms.started, promised.1)]
        {
            let (rate, low, high) = alarms.rate(n);
            rows.push(Promise { name: format!("{tier}, {rates}"), promised, rate, low, high });
        }
    }
    let marks = [
        (OBSERVED, "measured, with the exact 95 % interval; without a dot where there was none"),
        (STARTED, "promised"),
    ];
    Ok(figure(&draw_promises(&rows)?, false) + &legend(&marks))
}

fn draw_promises(rows: &[Promise]) -> Result<String> {
    let (first, last) = PROMISE_DECADES;
    let x = |rate: f64| rate.log10().clamp(f64::from(first), f64::from(last));
    let n = rows.len();
    let label = "false alarms a service-year, promised and measured";
    draw((WIDTH, ROW_HEIGHT * n as u32 + 100), label, |root| {
        let mut chart = ChartBuilder::on(root)
            .margin_top(10)
            .margin_right(30)
            .x_label_area_size(86)
            .y_label_area_size(270)
            .build_cartesian_2d(
                Axis::decades(first, last),
                Axis::rows(rows.iter().map(|row| row.name.as_str())),
            )?;
        chart
            .configure_mesh()
            .bold_line_style(GRID.light)
            .light_line_style(TRANSPARENT)
            .axis_style(INK.light)
            .y_label_formatter(&|middle| {
                rows.get(*middle as usize).map_or_else(String::new, |row| row.name.clone())
            })
            .x_desc("false alarms a service-year")
            .label_style(font())
            .draw()?;
        for (row, promise) in rows.iter().enumerate() {
            let (top, middle, bottom) = (row as f64 + 0.15, row as f64 + 0.5, row as f64 + 0.85);
            let at = x(promise.promised);
            let bars = [
                PathElement::new([(at, top), (at, bottom)], STARTED.light.stroke_width(5)),
                PathElement::new(
                    [(x(promise.low), middle), (x(promise.high), middle)],
                    OBSERVED.light.stroke_width(4),
                ),
            ];
            chart.draw_series(bars)?;
            let dot = (promise.rate > 0.0)
                .then(|| Circle::new((x(promise.rate), middle), 9, OBSERVED.light.filled()));
            chart.draw_series(dot)?;
        }
        Ok(())
    })
}

/// Mean delays of outages of like strength and rate against the oracle's for the same ones, both on a scale of decades.
pub(crate) fn delays(delays: &[Delay]) -> Result<String> {
    let marks = STRENGTHS.map(|(multiplier, role)| (role, format!("×{multiplier}")));
    let marks: Vec<(Role, &str)> = marks.iter().map(|(role, name)| (*role, name.as_str())).collect();
    Ok(figure(&draw_delays(delays)?, false) + &legend(&marks))
}

fn draw_delays(delays: &[Delay]) -> Result<String> {
    let log = |minutes: f64| minutes.max(1.0).log10();
    let longest =
        delays.iter().map(|delay| log(delay.ours_min.max(delay.oracle_min))).fold(1.0, f64::max).ceil()
            as i32;
    draw((WIDTH, 720), "mean delay against the oracle's", |root| {
        let mut chart = ChartBuilder::on(root)
            .margin_top(14)
            .margin_right(30)
            .x_label_area_size(86)
            .y_label_area_size(110)
            .build_cartesian_2d(Axis::decades(0, longest), Axis::decades(0, longest))?;
        chart
            .configure_mesh()
            .bold_line_style(GRID.light)
            .light_line_style(TRANSPARENT)
            .axis_style(INK.light)
            .x_desc("the oracle's, minutes")
            .y_desc("ours, minutes")
            .label_style(font())
            .draw()?;
        chart.draw_series(LineSeries::new(
            [(0.0, 0.0), (f64::from(longest), f64::from(longest))],
            chart::THRESHOLD.light.stroke_width(2),
        ))?;
        for (multiplier, role) in STRENGTHS {
            let of_it = delays.iter().filter(|delay| delay.multiplier == multiplier);
            let dots = of_it.map(|delay| {
                Circle::new((log(delay.oracle_min), log(delay.ours_min)), 8, role.light.filled())
            });
            chart.draw_series(dots)?;
        }
        Ok(())
    })
}
