use std::{
    io::{IsTerminal as _, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    plan::Phase,
    report::words::{count, rate, time},
    tally::Step,
};

/// Tells on stderr how the run goes: in place on a terminal, else as a line every few seconds.
pub(crate) struct Progress {
    bar: ProgressBar,
    lines: Lines,
}

/// Whether lines are printed, and when the last one was.
enum Lines {
    Never,
    Since(Instant),
}

const BETWEEN_LINES: Duration = Duration::from_secs(2);

impl Progress {
    pub(crate) fn start(quiet: bool) -> Self {
        let is_live = stderr().is_terminal() && !quiet;
        let target =
            if is_live { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(1_000), target);
        let style = ProgressStyle::with_template("{prefix:>8} [{bar:24}] {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        let lines = if is_live || quiet { Lines::Never } else { Lines::Since(Instant::now()) };
        Self { bar, lines }
    }

    /// A phase is so far along, from 0 to 1.
    pub(crate) fn tell(&mut self, phase: Phase, done: f64, connections: usize, step: &Step) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,000")]
        self.bar.set_position((done.clamp(0.0, 1.0) * 1_000.0) as u64);
        self.bar.set_prefix(phase.name());
        let text = line(phase, connections, step);
        if let Lines::Since(last) = &mut self.lines
            && last.elapsed() >= BETWEEN_LINES
        {
            *last = Instant::now();
            eprintln!("{:>8} {:3.0} %  {text}", phase.name(), done * 100.0);
        }
        self.bar.set_message(text);
    }

    pub(crate) fn say(&self, text: &str) {
        if self.bar.is_hidden() {
            if matches!(self.lines, Lines::Since(_)) {
                eprintln!("{text}");
            }
        } else {
            self.bar.println(text);
        }
    }

    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn line(phase: Phase, connections: usize, step: &Step) -> String {
    let connected =
        format!("{} of {} connected", count(step.connected as u64), count(connections as u64));
    match phase {
        Phase::Connect | Phase::Idle => connected,
        Phase::Drain => format!("{} answers to come", count(step.in_flight)),
        _ => {
            let (sent, answered) = (step.rate(step.sent), step.rate(step.answered));
            let mut text = format!(
                "{connected}, {} sent, {} answered, p50 {}, p99 {}",
                rate(sent),
                rate(answered),
                time(step.p50),
                time(step.p99),
            );
            if step.errors > 0 {
                text += ", ";
                text += &count(step.errors);
                text += " errors";
            }
            text
        }
    }
}
