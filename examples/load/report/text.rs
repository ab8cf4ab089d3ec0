//! For a terminal.

use std::fmt::{self, Write as _};

use super::words::{bytes, count, percent, rate, time};
use crate::{
    findings::{Findings, Little},
    plan::{Answers, Pace},
    tally::{Counts, Errors, Times},
};

/// The percentiles that are told.
pub(super) const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

pub(crate) fn text(findings: &Findings) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _infallible = write(&mut text, findings);
    text
}

fn write(out: &mut String, findings: &Findings) -> fmt::Result {
    let (plan, tally, counts) = (&findings.plan, &findings.tally, findings.messages());
    for url in plan.target.shown() {
        writeln!(out, "{url}")?;
    }
    writeln!(out, "{}; {}", describe_pace(findings), plan.messages.describe())?;

    let connections = &tally.connections;
    writeln!(out, "\nConnections")?;
    row(
        out,
        "connected",
        &format!(
            "{} of {} within {}",
            count(findings.connected as u64),
            count(findings.connections as u64),
            time(findings.connecting)
        ),
    )?;
    row(out, "time to connect", &percentiles(&connections.open_times, &[50.0, 99.0, 100.0]))?;
    if connections.failed_attempts > 0 {
        row(out, "failed attempts", &count(connections.failed_attempts))?;
    }
    if connections.given_up > 0 {
        row(out, "given up", &count(connections.given_up))?;
    }
    if connections.disconnects > 0 {
        row(
            out,
            "disconnected",
            &format!(
                "{}; {} came back, without a session for {}",
                count(connections.disconnects),
                count(connections.reopened),
                percentiles(&connections.downtimes, &[50.0, 100.0])
            ),
        )?;
    }

    writeln!(out, "\nMessages of {}", time(findings.message_took))?;
    let answered = if plan.answers == Answers::None { "written" } else { "answered" };
    row(
        out,
        answered,
        &format!("{} of {}, {}", count(counts.answered), count(counts.due), rate(findings.rate())),
    )?;
    row(out, "errors", &errors(&counts))?;
    row(
        out,
        "bytes",
        &format!("{} sent, {} received", bytes(counts.bytes_sent), bytes(counts.bytes_received)),
    )?;
    if tally.unasked > 0 {
        row(out, "unasked", &format!("{} messages that answer nothing", count(tally.unasked)))?;
    }

    let response = findings.response();
    write!(out, "\n  {:<28}", "")?;
    for percent in PERCENTILES {
        let name = if percent < 100.0 { format!("p{percent}") } else { "max".to_owned() };
        write!(out, "{name:>10}")?;
    }
    writeln!(out, "{:>10}", "mean")?;
    let estimated = if response.estimated { "response time, estimated" } else { "response time" };
    times_row(out, estimated, &response.times)?;
    times_row(out, "service time", &counts.service)?;
    if matches!(plan.pace, Pace::Rate(_)) {
        times_row(out, "sent after it was due", &counts.lateness)?;
    }
    writeln!(out, "\n  {}", explain_times(response.estimated))?;

    if let Some(churn) = findings.churn() {
        writeln!(out, "\nChurn")?;
        row(out, "closed and opened again", &count(connections.churned))?;
        row(out, "time to connect", &percentiles(&connections.churn_times, &[50.0, 99.0, 100.0]))?;
        row(out, "response time", &percentiles(&churn.response, &[50.0, 99.0, 100.0]))?;
        row(out, "errors", &errors(churn))?;
    }

    writeln!(out, "\nGenerator")?;
    for (name, figure) in generator_rows(findings) {
        row(out, name, &figure)?;
    }

    if !tally.reasons.is_empty() {
        writeln!(out, "\nWhat went wrong")?;
        for (reason, times) in &tally.reasons {
            writeln!(out, "  {:>8} × {reason}", count(*times))?;
        }
    }
    let verdicts = findings.verdicts();
    if !verdicts.is_empty() {
        writeln!(out, "\nThresholds")?;
        for verdict in verdicts {
            writeln!(out, "  {verdict}")?;
        }
    }
    for warning in findings.warnings() {
        let about = if warning.blames_the_generator() { "generator" } else { "note" };
        writeln!(out, "\n{about}: {warning}")?;
    }
    Ok(())
}

/// What the generator itself used, name by name.
pub(super) fn generator_rows(findings: &Findings) -> Vec<(&'static str, String)> {
    let (generator, mut rows) = (&findings.generator, Vec::new());
    if let Some(cpu) = generator.cpu {
        let share = cpu.as_secs_f64() / generator.took.as_secs_f64().max(1e-9);
        let answered = u32::try_from(findings.messages().answered.max(1)).unwrap_or(u32::MAX);
        let each = cpu.checked_div(answered).unwrap_or_default();
        let figure =
            format!("{} of one processor, {} for each message", percent(share), time(each));
        rows.push(("processor time", figure));
    }
    if let Some(resident) = generator.resident {
        rows.push(("memory at most", bytes(resident)));
    }
    let threads: Vec<_> = generator.threads.iter().map(|it| percent(it.busy)).collect();
    if !threads.is_empty() {
        rows.push(("workers busy", threads.join(", ")));
    }
    rows.push(("woke late by", percentiles(&findings.tally.loop_lag, &[50.0, 99.0])));
    if let Some(little) = findings.little() {
        let Little { seen, expected } = little;
        let verdict = if little.holds() { "holds" } else { "DOES NOT HOLD" };
        let figure = format!(
            "{verdict}: {seen:.1} in flight were seen, rate × service time is {expected:.1}"
        );
        rows.push(("Little's law", figure));
    }
    rows
}

pub(super) fn describe_pace(findings: &Findings) -> String {
    let (plan, connections) = (&findings.plan, count(findings.connections as u64));
    match plan.pace {
        Pace::Rate(rate) => format!("open loop, {rate} over {connections} connections"),
        Pace::Answers { in_flight, think } => {
            let mut text =
                format!("closed loop, {connections} connections, {in_flight} in flight each");
            if !think.is_zero() {
                let _infallible = write!(text, ", {} between answer and next", time(think));
            }
            text
        }
    }
}

/// What the two kinds of time are.
pub(super) const fn explain_times(estimated: bool) -> &'static str {
    if estimated {
        "A closed loop asks nothing while it waits. The response time is estimated: what users would\n  \
         have seen who come at the usual interval all the same. --rate measures it."
    } else {
        "The response time counts from when a message was due, the service time from when it was sent."
    }
}

pub(super) fn errors(counts: &Counts) -> String {
    let Errors { refused, lost, timed_out, unanswered } = counts.errors;
    let total = counts.errors.total();
    if total == 0 {
        return "none".to_owned();
    }
    let parts = [
        (refused, "not sent"),
        (lost, "lost with their session"),
        (timed_out, "timed out"),
        (unanswered, "unanswered at the end"),
    ];
    let parts = parts.iter().filter(|(times, _)| *times > 0);
    let parts: Vec<_> = parts.map(|(times, what)| format!("{} {what}", count(*times))).collect();
    format!("{} ({}): {}", count(total), percent(counts.share(total)), parts.join(", "))
}

fn percentiles(times: &Times, percents: &[f64]) -> String {
    if times.is_empty() {
        return "–".to_owned();
    }
    let tell = |percent: &f64| match percent {
        100.0 => format!("max {}", time(times.max())),
        percent => format!("p{percent} {}", time(times.percentile(*percent))),
    };
    percents.iter().map(tell).collect::<Vec<_>>().join(", ")
}

fn row(out: &mut String, name: &str, figure: &str) -> fmt::Result {
    writeln!(out, "  {name:<28}{figure}")
}

fn times_row(out: &mut String, name: &str, times: &Times) -> fmt::Result {
    write!(out, "  {name:<28}")?;
    if times.is_empty() {
        return writeln!(out, "{:>10}", "–");
    }
    for percent in PERCENTILES {
        write!(out, "{:>10}", time(times.percentile(percent)))?;
    }
    writeln!(out, "{:>10}", time(times.mean()))
}
