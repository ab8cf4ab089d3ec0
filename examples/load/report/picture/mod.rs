//! The page's pictures, as SVG.

mod axis;
mod canvas;

use std::time::Duration;

use self::{axis::Axis, canvas::Canvas};
use super::words::{count, percent, three_digits, time};
use crate::{
    plan::{Phase, Timetable},
    tally::{Step, Times},
};

const BARS: u32 = 60;

/// How many took how long: bars for the response time, a line for the service time.
pub(crate) fn latency(response: &Times, service: &Times) -> String {
    let low = response.min().min(service.min()).max(Duration::from_micros(1)).as_secs_f64() * 0.9;
    let high = response.max().max(service.max()).as_secs_f64() * 1.1;
    let x = Axis::in_ratios(low, high);
    let edges: Vec<_> =
        (0..=BARS).map(|edge| x.figure(f64::from(edge) / f64::from(BARS))).collect();
    let shares = |times: &Times| -> Vec<f64> {
        let between = edges.windows(2).map(|edge| match edge {
            [from, to] => times.between(seconds(*from), seconds(*to)),
            _ => 0,
        });
        between.map(|found| share(found, times.count())).collect()
    };
    let (of_response, of_service) = (shares(response), shares(service));
    let highest = of_response.iter().chain(&of_service).copied().fold(0.0, f64::max);
    let mut canvas = Canvas::new(
        "How many messages took how long",
        (x, "time, each step in the same ratio", |figure| time(seconds(figure))),
        (Axis::from_zero(highest), |share| format!("{} %", three_digits(share * 100.0))),
    );
    for (bar, share) in edges.windows(2).zip(&of_response) {
        if let ([from, to], true) = (bar, *share > 0.0) {
            let (from_words, to_words) = (time(seconds(*from)), time(seconds(*to)));
            let says = format!("{from_words} to {to_words}: {}", percent(*share));
            canvas.bar("first", (*from, *to), *share, &says);
        }
    }
    let steps = edges.windows(2).zip(&of_service).flat_map(|(bar, share)| match bar {
        [from, to] => vec![(*from, *share), (*to, *share)],
        _ => Vec::new(),
    });
    canvas.line("second", steps);
    for (row, percent) in (0..).zip([50.0, 99.0, 99.9]) {
        canvas.mark(response.percentile(percent).as_secs_f64(), &format!("p{percent}"), row);
    }
    canvas.finish()
}

/// Messages a second over the whole run, with the phases.
pub(crate) fn rates(steps: &[Step], load_began: Duration, timetable: &Timetable) -> String {
    let end = load_began + timetable.phases().iter().map(|(_, length)| *length).sum::<Duration>();
    let shown = |step: &&Step| step.to > load_began && step.from < end;
    let steps: Vec<_> = steps.iter().filter(shown).collect();
    let rate = |step: &Step| step.rate(step.sent.max(step.answered).max(step.errors));
    let highest = steps.iter().map(|step| rate(step)).fold(0.0, f64::max);
    let mut canvas =
        over_time("Messages a second", &steps, load_began, Axis::from_zero(highest), |rate| {
            if rate >= 10_000.0 {
                format!("{} k", three_digits(rate / 1e3))
            } else {
                count_of(rate)
            }
        });
    shade(&mut canvas, timetable);
    let points = |figure: fn(&Step) -> f64| stairs(&steps, load_began, figure);
    if steps.iter().any(|step| step.errors > 0) {
        canvas.line("bad", points(|step| step.rate(step.errors)));
    }
    canvas.line("second", points(|step| step.rate(step.sent)));
    canvas.line("first", points(|step| step.rate(step.answered)));
    canvas.finish()
}

/// The response time from moment to moment.
pub(crate) fn times(steps: &[Step], load_began: Duration, timetable: &Timetable) -> String {
    let shown = |step: &&Step| step.to > load_began && step.answered > 0;
    let steps: Vec<_> = steps.iter().filter(shown).collect();
    let micros = |time: Duration| time.as_secs_f64().max(1e-6);
    let lowest = steps.iter().map(|step| micros(step.p50)).fold(f64::MAX, f64::min);
    let highest = steps.iter().map(|step| micros(step.p99)).fold(1e-6, f64::max);
    let y = Axis::in_ratios(lowest.min(highest) * 0.8, highest * 1.2);
    let words = |figure| time(seconds(figure));
    let mut canvas = over_time("Response time from moment to moment", &steps, load_began, y, words);
    shade(&mut canvas, timetable);
    canvas.line("second", stairs(&steps, load_began, |step| step.p99.as_secs_f64()));
    canvas.line("first", stairs(&steps, load_began, |step| step.p50.as_secs_f64()));
    canvas.finish()
}

/// How many connections there were while they were opened, and how many were to be.
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52 connections")]
pub(crate) fn connects(
    steps: &[Step],
    (took, all): (Duration, usize),
    due: impl Fn(usize) -> Duration,
) -> String {
    let length = took.max(Duration::from_millis(1)).as_secs_f64();
    let mut canvas = Canvas::new(
        "Connections while they were opened",
        (Axis::up_to(length), "since the beginning", at),
        (Axis::from_zero(all as f64), count_of),
    );
    let wished = (0..=20).map(|part| {
        let number = all * part / 20;
        (due(number).as_secs_f64().min(length), number as f64)
    });
    canvas.line("second", wished);
    let within = steps.iter().filter(|step| step.to <= took + Duration::from_millis(60));
    let reached = within.map(|step| (step.to.as_secs_f64().min(length), step.connected as f64));
    canvas.line("first", std::iter::once((0.0, 0.0)).chain(reached));
    canvas.finish()
}

fn over_time(
    title: &str,
    steps: &[&Step],
    began: Duration,
    y: Axis,
    y_words: fn(f64) -> String,
) -> Canvas {
    let end = steps.last().map_or(Duration::ZERO, |step| step.to.saturating_sub(began));
    let x = Axis::up_to(end.as_secs_f64());
    Canvas::new(title, (x, "since messages began to flow", at), (y, y_words))
}

fn shade(canvas: &mut Canvas, timetable: &Timetable) {
    for phase in [Phase::WarmUp, Phase::Churn] {
        let (from, length) = (timetable.start_of(phase), timetable.length_of(phase));
        if !length.is_zero() {
            canvas.shade(from.as_secs_f64(), (from + length).as_secs_f64(), phase.name());
        }
    }
}

/// Each step is level.
fn stairs(steps: &[&Step], began: Duration, figure: fn(&Step) -> f64) -> Vec<(f64, f64)> {
    let since = |time: Duration| time.saturating_sub(began).as_secs_f64();
    let level = |step: &&Step| {
        let height = figure(step);
        [(since(step.from), height), (since(step.to), height)]
    };
    steps.iter().flat_map(level).collect()
}

fn seconds(figure: f64) -> Duration {
    Duration::try_from_secs_f64(figure).unwrap_or(Duration::ZERO)
}

fn at(figure: f64) -> String {
    // Ticks are round figures: 0.5 s and not 0.50 s.
    format!("{} s", (figure * 1e6).round() / 1e6)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a round figure")]
fn count_of(figure: f64) -> String {
    if figure < 10.0 { three_digits(figure) } else { count(figure.round().max(0.0) as u64) }
}

#[expect(clippy::cast_precision_loss, reason = "a share is drawn")]
fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}
