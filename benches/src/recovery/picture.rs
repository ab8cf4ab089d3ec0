//! The dial-rate curve and the return of the connections, as one SVG.

use std::fmt::Write as _;

use super::{
    client::Client,
    measure::{BIN, Case, Sample},
    scenario::Scenario,
};

const STYLE: &str = "\
svg{--ink:#1d2129;--soft:#5b6472;--rule:#dfe3e8;--ground:#fff;--ours:#2563eb;--theirs:#d97706;--gate:#15803d}\
@media(prefers-color-scheme:dark){svg{--ink:#e7eaf0;--soft:#9aa4b2;--rule:#323943;--ground:#1c2027;--ours:#6ea2ff;--theirs:#f2a93b;--gate:#4ade80}}\
text{font:12px system-ui,sans-serif;fill:var(--soft)}.title{font-size:14px;fill:var(--ink);font-weight:600}\
.end{text-anchor:end}.middle{text-anchor:middle}.rule{stroke:var(--rule)}.axis{stroke:var(--soft)}\
.gate{stroke:var(--gate);stroke-dasharray:5 4}.away{fill:var(--soft);opacity:.12}\
polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}.ours{stroke:var(--ours)}.theirs{stroke:var(--theirs)}\
.ground{fill:var(--ground)}";

const WIDTH: f64 = 980.0;
const ROW: f64 = 236.0;
const HEAD: f64 = 44.0;
const PANEL: f64 = 400.0;
const TALL: f64 = 150.0;
/// Dials a second that the default gate lets through once its burst is spent.
const GATE: f64 = 500.0;

/// A panel's place, and the figures at its far corner.
#[derive(Clone, Copy)]
struct Panel {
    left: f64,
    top: f64,
    seconds: f64,
    highest: f64,
    /// Each step upwards is ten times the last; else all are the same.
    in_tens: bool,
}

/// Draws the largest fleets.
pub(super) fn draw(cases: &[Case]) -> String {
    let most = cases.iter().map(|case| case.sample.connections).max().unwrap_or(0);
    let largest: Vec<_> = cases.iter().filter(|case| case.sample.connections == most).collect();
    let height = HEAD + ROW * Scenario::ALL.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"How {most} connections come back\">\n<style>{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\"/>\n"
    );
    // Writing to a String cannot fail.
    let _infallible = writeln!(
        svg,
        "<text x=\"66\" y=\"24\" class=\"title\">{most} connections after their server was killed</text>\
         <text x=\"{right}\" y=\"24\" class=\"end\"><tspan fill=\"var(--ours)\">━ wsvisor</tspan>  \
         <tspan fill=\"var(--theirs)\">━ ezsockets</tspan>  \
         <tspan fill=\"var(--gate)\">┅ the gate's rate</tspan></text>",
        right = WIDTH - 20.0
    );
    for (row, scenario) in (0_u32..).zip(Scenario::ALL) {
        let cases: Vec<_> = largest.iter().filter(|case| case.scenario == scenario).collect();
        let samples = cases.iter().map(|case| (case.client, &case.sample)).collect::<Vec<_>>();
        draw_row(&mut svg, HEAD + ROW * f64::from(row), scenario, &samples);
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw_row(svg: &mut String, top: f64, scenario: Scenario, samples: &[(Client, &Sample)]) {
    let _infallible = writeln!(
        svg,
        "<text x=\"66\" y=\"{:.0}\" class=\"title\">{}</text>",
        top + 14.0,
        scenario.title()
    );
    let bins = samples.iter().map(|(_, it)| it.dial_bins.len().max(it.up_bins.len())).max();
    let seconds = (bins.unwrap_or(1) as f64 * BIN.as_secs_f64()).max(10.0);
    let all = samples.first().map_or(1, |(_, sample)| sample.connections) as f64;
    let highest = samples.iter().flat_map(|(_, it)| &it.dial_bins).copied().max().unwrap_or(1);
    let highest = (f64::from(highest) / BIN.as_secs_f64()).max(1_000.0);
    let dials = Panel {
        left: 66.0,
        top: top + 24.0,
        seconds,
        highest: 10_f64.powf(highest.log10().ceil()),
        in_tens: true,
    };
    let ups = Panel { left: 66.0 + PANEL + 90.0, highest: all, in_tens: false, ..dials };
    let back = samples.first().map_or(0.0, |(_, sample)| sample.back);
    for (panel, name) in [(dials, "dials a second"), (ups, "connections that are back")] {
        panel.frame(svg, name, back);
    }
    let gate = dials.y(GATE);
    let _infallible = writeln!(
        svg,
        "<line class=\"gate\" x1=\"{}\" x2=\"{}\" y1=\"{gate:.1}\" y2=\"{gate:.1}\"/>",
        dials.left,
        dials.left + PANEL
    );
    for (client, sample) in samples {
        let class = if *client == Client::Wsvisor { "ours" } else { "theirs" };
        let rates = sample.dial_bins.iter().map(|bin| f64::from(*bin) / BIN.as_secs_f64());
        dials.stairs(svg, class, rates);
        let mut sum = 0.0;
        let sums = sample.up_bins.iter().map(|bin| {
            sum += f64::from(*bin);
            sum
        });
        ups.stairs(svg, class, sums);
    }
}

impl Panel {
    fn x(&self, seconds: f64) -> f64 {
        self.left + (seconds / self.seconds).min(1.0) * PANEL
    }

    fn y(&self, figure: f64) -> f64 {
        let part = if self.in_tens {
            figure.max(1.0).log10() / self.highest.log10()
        } else {
            figure / self.highest
        };
        self.top + TALL * (1.0 - part.clamp(0.0, 1.0))
    }

    fn ticks(&self) -> Vec<f64> {
        if self.in_tens {
            let tens = (0..=6).map(|power| 10_f64.powi(power));
            tens.filter(|tick| *tick <= self.highest).collect()
        } else {
            (0..=4).map(|part| self.highest * f64::from(part) / 4.0).collect()
        }
    }

    fn frame(&self, svg: &mut String, name: &str, back: f64) {
        let floor = self.top + TALL;
        let _infallible = writeln!(
            svg,
            "<rect class=\"away\" x=\"{:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{TALL}\"/>",
            self.left,
            self.top,
            self.x(back) - self.left
        );
        for tick in self.ticks() {
            let y = self.y(tick);
            let _infallible = writeln!(
                svg,
                "<line class=\"rule\" x1=\"{}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"end\" x=\"{}\" y=\"{:.1}\">{tick:.0}</text>",
                self.left,
                self.left + PANEL,
                self.left - 7.0,
                y + 4.0
            );
        }
        let step = [2.0, 5.0, 10.0, 20.0, 50.0].into_iter().find(|it| self.seconds / it <= 9.0);
        let step = step.unwrap_or(100.0);
        let mut tick = 0.0;
        while tick <= self.seconds {
            let _infallible = writeln!(
                svg,
                "<text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{tick:.0} s</text>",
                self.x(tick),
                floor + 17.0
            );
            tick += step;
        }
        let _infallible = writeln!(
            svg,
            "<line class=\"axis\" x1=\"{}\" x2=\"{}\" y1=\"{floor}\" y2=\"{floor}\"/><text class=\"middle\" x=\"{:.1}\" y=\"{:.1}\">{name}, since the kill</text>",
            self.left,
            self.left + PANEL,
            self.left + PANEL / 2.0,
            floor + 36.0
        );
    }

    fn stairs(&self, svg: &mut String, class: &str, figures: impl Iterator<Item = f64>) {
        let width = BIN.as_secs_f64();
        let mut points = String::new();
        let mut at = 0.0;
        for figure in figures {
            let (left, right, y) = (self.x(at), self.x(at + width), self.y(figure));
            let _infallible = write!(points, "{left:.1},{y:.1} {right:.1},{y:.1} ");
            at += width;
        }
        let _infallible =
            writeln!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", points.trim_end());
    }
}
