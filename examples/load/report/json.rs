//! For programs. Times are in microseconds, shares from 0 to 1.

use std::time::Duration;

use serde_json::{Value, json};

use super::text::{PERCENTILES, describe_pace};
use crate::{
    findings::Findings,
    plan::Phase,
    tally::{Counts, Step, Times},
};

pub(crate) fn json(findings: &Findings) -> Value {
    let (plan, tally) = (&findings.plan, &findings.tally);
    let connections = &tally.connections;
    let (counts, response) = (findings.messages(), findings.response());
    json!({
        "tool": {"name": "wsvisor load", "version": env!("CARGO_PKG_VERSION")},
        "plan": {
            "urls": plan.target.shown(),
            "pace": describe_pace(findings),
            "messages": plan.messages.describe(),
            "connections": findings.connections,
            "workers": plan.workers,
        },
        "interrupted": findings.interrupted,
        "connections": {
            "connected": findings.connected,
            "connecting_us": micros(findings.connecting),
            "time_to_connect_us": times(&connections.open_times),
            "failed_attempts": connections.failed_attempts,
            "given_up": connections.given_up,
            "disconnects": connections.disconnects,
            "reconnected": connections.reopened,
            "downtime_us": times(&connections.downtimes),
        },
        "messages": {
            "seconds": findings.message_took.as_secs_f64(),
            "answers_per_second": findings.rate(),
            "response_time_us": times(&response.times),
            "response_time_is_estimated": response.estimated,
            "counts": self::counts(&counts),
            "unasked": tally.unasked,
        },
        "churn": findings.churn().map(|churn| json!({
            "closed_and_opened": connections.churned,
            "time_to_connect_us": times(&connections.churn_times),
            "response_time_us": times(&churn.response),
            "counts": self::counts(churn),
        })),
        "warm_up": tally.phases.get(&Phase::WarmUp).map(self::counts),
        "generator": {
            "cpu_us": findings.generator.cpu.map(micros),
            "resident_bytes_max": findings.generator.resident,
            "threads": findings.generator.threads.iter().map(|thread| json!({
                "busy": thread.busy, "waited": thread.waited,
            })).collect::<Vec<_>>(),
            "processors": findings.generator.processors,
            "loop_lag_us": times(&tally.loop_lag),
            "littles_law": findings.little().map(|little| json!({
                "in_flight_seen": little.seen,
                "rate_times_service_time": little.expected,
                "holds": little.holds(),
            })),
        },
        "thresholds": findings.verdicts().iter().map(|verdict| json!({
            "threshold": verdict.threshold.to_string(),
            "measured": verdict.measured.map(|measured| measured.to_string()),
            "holds": verdict.holds,
        })).collect::<Vec<_>>(),
        "warnings": findings.warnings().iter().map(|warning| json!({
            "generator": warning.blames_the_generator(), "text": warning.to_string(),
        })).collect::<Vec<_>>(),
        "reasons": tally.reasons,
        "timeline": findings.timeline.steps().iter().map(step).collect::<Vec<_>>(),
    })
}

fn counts(counts: &Counts) -> Value {
    json!({
        "due": counts.due,
        "sent": counts.sent,
        "answered": counts.answered,
        "errors": {
            "total": counts.errors.total(),
            "share": counts.share(counts.errors.total()),
            "not_sent": counts.errors.refused,
            "lost": counts.errors.lost,
            "timed_out": counts.errors.timed_out,
            "unanswered": counts.errors.unanswered,
        },
        "late": counts.late,
        "bytes_sent": counts.bytes_sent,
        "bytes_received": counts.bytes_received,
        "service_time_us": times(&counts.service),
        "sent_after_due_us": times(&counts.lateness),
    })
}

fn step(step: &Step) -> Value {
    json!({
        "from_s": step.from.as_secs_f64(), "to_s": step.to.as_secs_f64(),
        "sent": step.sent, "answered": step.answered, "errors": step.errors,
        "connected": step.connected, "in_flight": step.in_flight,
        "p50_us": micros(step.p50), "p99_us": micros(step.p99),
    })
}

fn times(times: &Times) -> Value {
    if times.is_empty() {
        return Value::Null;
    }
    let percentiles = PERCENTILES.iter().map(|percent| {
        let name = if *percent < 100.0 { format!("p{percent}") } else { "max".to_owned() };
        (name, json!(micros(times.percentile(*percent))))
    });
    let mut object: serde_json::Map<_, _> = percentiles.collect();
    object.insert("count".to_owned(), json!(times.count()));
    object.insert("min".to_owned(), json!(micros(times.min())));
    object.insert("mean".to_owned(), json!(micros(times.mean())));
    Value::Object(object)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
