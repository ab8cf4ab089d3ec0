//! One page that needs nothing else: no scripts, no other files.

use std::fmt::{self, Display, Write as _};

use super::{
    picture,
    text::{PERCENTILES, describe_pace, errors, explain_times, generator_rows},
    words::{count, percent, rate, time},
};
use crate::{
    findings::{Findings, Warning},
    tally::Times,
};

const STYLE: &str = include_str!("page.css");

pub(crate) fn html(findings: &Findings) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _infallible = write(&mut page, findings);
    page
}

fn write(out: &mut String, findings: &Findings) -> fmt::Result {
    let urls = findings.plan.target.shown().join(", ");
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Load on {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>",
        Escaped(&urls)
    )?;
    writeln!(
        out,
        "<h1>Load report</h1>\n<p><code>{}</code></p>\n<p class=\"soft\">{}; {}</p>",
        Escaped(&urls),
        Escaped(&describe_pace(findings)),
        Escaped(&findings.plan.messages.describe())
    )?;
    tiles(out, findings)?;
    verdicts(out, findings)?;
    warnings(out, findings)?;
    latency(out, findings)?;
    pictures(out, findings)?;
    churn(out, findings)?;
    generator(out, findings)?;
    reasons(out, findings)?;
    writeln!(out, "</main>\n</body>\n</html>")
}

fn tiles(out: &mut String, findings: &Findings) -> fmt::Result {
    let (counts, response) = (findings.messages(), findings.response());
    let connected =
        format!("{} of {}", count(findings.connected as u64), count(findings.connections as u64));
    let kind = if response.estimated { "response time, estimated" } else { "response time" };
    let tiles = [
        (rate(findings.rate()), "answered".to_owned()),
        (time(response.times.percentile(50.0)), format!("p50 {kind}")),
        (time(response.times.percentile(99.0)), format!("p99 {kind}")),
        (percent(counts.share(counts.errors.total())), "errors".to_owned()),
        (connected, format!("connected within {}", time(findings.connecting))),
    ];
    writeln!(out, "<div class=\"tiles\">")?;
    for (figure, name) in tiles {
        writeln!(out, "<div class=\"tile\"><b>{figure}</b><span>{name}</span></div>")?;
    }
    writeln!(out, "</div>")
}

fn verdicts(out: &mut String, findings: &Findings) -> fmt::Result {
    let verdicts = findings.verdicts();
    if verdicts.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section><h2>Thresholds</h2><table>")?;
    for verdict in verdicts {
        let measured = verdict.measured.map_or("nothing".to_owned(), |it| it.to_string());
        let (class, word) =
            if verdict.holds { ("good", "✓ holds") } else { ("wrong", "✗ does not hold") };
        writeln!(
            out,
            "<tr><td>{}</td><td>{measured}</td><td class=\"{class}\">{word}</td></tr>",
            Escaped(&verdict.threshold.to_string())
        )?;
    }
    writeln!(out, "</table></section>")
}

fn warnings(out: &mut String, findings: &Findings) -> fmt::Result {
    let warnings = findings.warnings();
    if warnings.is_empty() {
        return Ok(());
    }
    let blamed = warnings.iter().any(Warning::blames_the_generator);
    let title =
        if blamed { "The generator may have been the limit" } else { "Before you believe it" };
    writeln!(out, "<section class=\"warn\"><h2>{title}</h2><ul>")?;
    for warning in warnings {
        writeln!(out, "<li>{}</li>", Escaped(&warning.to_string()))?;
    }
    writeln!(out, "</ul></section>")
}

fn latency(out: &mut String, findings: &Findings) -> fmt::Result {
    let (counts, response) = (findings.messages(), findings.response());
    writeln!(out, "<section><h2>How long answers took</h2>")?;
    let name = if response.estimated { "response time, estimated" } else { "response time" };
    if counts.service.is_empty() {
        return writeln!(out, "<p>There was no answer.</p></section>");
    }
    key(out, &[("first", name), ("second", "service time")])?;
    writeln!(out, "{}", picture::latency(&response.times, &counts.service))?;
    writeln!(out, "<div class=\"scroll\"><table><tr><th></th>")?;
    for percent in PERCENTILES {
        let name = if percent < 100.0 { format!("p{percent}") } else { "max".to_owned() };
        write!(out, "<th>{name}</th>")?;
    }
    writeln!(out, "<th>mean</th></tr>")?;
    times_row(out, name, &response.times)?;
    times_row(out, "service time", &counts.service)?;
    if !response.estimated {
        times_row(out, "sent after it was due", &counts.lateness)?;
    }
    writeln!(out, "</table></div><p class=\"soft\">{}</p>", explain_times(response.estimated))?;
    writeln!(out, "<p class=\"soft\">Errors: {}.</p></section>", Escaped(&errors(&counts)))
}

fn pictures(out: &mut String, findings: &Findings) -> fmt::Result {
    let (steps, plan) = (findings.timeline.steps(), &findings.plan);
    let load_began = findings.load_began;
    writeln!(out, "<section><h2>Messages a second</h2>")?;
    let mut keys = vec![("first", "answered"), ("second", "sent")];
    if steps.iter().any(|step| step.errors > 0) {
        keys.push(("bad", "errors"));
    }
    key(out, &keys)?;
    writeln!(out, "{}</section>", picture::rates(steps, load_began, &plan.timetable))?;
    writeln!(out, "<section><h2>Response time from moment to moment</h2>")?;
    key(out, &[("first", "p50"), ("second", "p99")])?;
    writeln!(out, "{}</section>", picture::times(steps, load_began, &plan.timetable))?;
    writeln!(out, "<section><h2>Connections while they were opened</h2>")?;
    key(out, &[("first", "connected"), ("second", "asked for")])?;
    let connects = plan.connects();
    let due = |number: usize| {
        let due = connects.as_ref().and_then(|connects| connects.due(number as u64));
        due.map(|due| due.after).unwrap_or_default()
    };
    let curve = picture::connects(steps, (findings.connecting, findings.connections), due);
    writeln!(out, "{curve}</section>")
}

fn churn(out: &mut String, findings: &Findings) -> fmt::Result {
    let Some(churn) = findings.churn() else { return Ok(()) };
    let connections = &findings.tally.connections;
    writeln!(out, "<section><h2>Churn</h2><div class=\"scroll\"><table><tr><th></th>")?;
    for percent in PERCENTILES {
        let name = if percent < 100.0 { format!("p{percent}") } else { "max".to_owned() };
        write!(out, "<th>{name}</th>")?;
    }
    writeln!(out, "<th>mean</th></tr>")?;
    times_row(out, "time to connect again", &connections.churn_times)?;
    times_row(out, "response time", &churn.response)?;
    writeln!(
        out,
        "</table></div><p class=\"soft\">{} connections were closed and opened again. Errors: {}.</p></section>",
        count(connections.churned),
        Escaped(&errors(churn))
    )
}

fn generator(out: &mut String, findings: &Findings) -> fmt::Result {
    writeln!(out, "<section><h2>The generator itself</h2><table>")?;
    for (name, figure) in generator_rows(findings) {
        writeln!(out, "<tr><td>{name}</td><td>{}</td></tr>", Escaped(&figure))?;
    }
    writeln!(out, "</table></section>")
}

fn reasons(out: &mut String, findings: &Findings) -> fmt::Result {
    if findings.tally.reasons.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section><h2>What went wrong</h2><table>")?;
    for (reason, times) in &findings.tally.reasons {
        writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", Escaped(reason), count(*times))?;
    }
    writeln!(out, "</table></section>")
}

fn key(out: &mut String, keys: &[(&str, &str)]) -> fmt::Result {
    write!(out, "<p class=\"key\">")?;
    for (class, name) in keys {
        write!(out, "<span><i class=\"{class}\"></i>{name}</span>")?;
    }
    writeln!(out, "</p>")
}

fn times_row(out: &mut String, name: &str, times: &Times) -> fmt::Result {
    write!(out, "<tr><td>{name}</td>")?;
    for percent in PERCENTILES {
        write!(out, "<td>{}</td>", time(times.percentile(percent)))?;
    }
    writeln!(out, "<td>{}</td></tr>", time(times.mean()))
}

/// Text that may hold what a server said, or a user.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_stays_text() {
        let said = Escaped("<script>\"&\"</script>").to_string();
        assert_eq!(said, "&lt;script&gt;&quot;&amp;&quot;&lt;/script&gt;");
    }
}
