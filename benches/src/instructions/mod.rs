//! Instructions on the hot paths, counted by callgrind: a figure that does not depend on what else
//! the machine does.

mod actors;
mod canned;
mod path;

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(crate) use self::canned::Canned;
use self::path::Path;
use crate::{
    process::{Measurement, arguments, this_program},
    report::{self, Report, Table},
};

/// By how much a path may grow before it counts as grown. Another compiler, or another version of a
/// dependency, moves figures by a few hundredths.
const TOLERANCE: f64 = 0.10;
/// A path that takes less than this part of what it took is not taken any more, or is so much better that
/// this must be held from then on.
const VANISHED: f64 = 0.5;

/// A hot path and how often it is taken, for callgrind to count.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Taken {
    path: Path,
    times: u32,
}

impl Measurement for Taken {
    const NAME: &'static str = "instructions";
    type Sample = ();

    fn measure(self) -> Result<()> {
        self.path.take(self.times)
    }
}

/// Counts all paths, and holds them against what was counted before, or puts them in its place.
pub(crate) fn run(update: bool) -> Result<()> {
    let known = if update { BTreeMap::new() } else { read()? };
    let mut table = Table::new(
        "Instructions an operation, counted by callgrind".to_owned(),
        &["path", "operation", "counted", "before", "ratio"],
    );
    let mut counted = BTreeMap::new();
    let (mut lines, mut grown, mut vanished) = (Vec::new(), Vec::new(), Vec::new());
    for path in Path::ALL {
        eprintln!("instructions: {}", path.name());
        let instructions = count(path)?;
        let before = known.get(path.name()).copied();
        let ratio = before.map(|before| instructions / before);
        if ratio.is_some_and(|ratio| ratio > 1.0 + TOLERANCE) {
            grown.push(path.name());
        }
        if ratio.is_some_and(|ratio| ratio < VANISHED) {
            vanished.push(path.name());
        }
        let figure = |value: Option<f64>, digits| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        table.row(vec![
            path.name().to_owned(),
            path.operation().to_owned(),
            figure(Some(instructions), 1),
            figure(before, 1),
            figure(ratio, 2),
        ]);
        lines.push(json!({
            "benchmark": "instructions", "path": path.name(), "operation": path.operation(),
            "instructions": instructions, "before": before,
        }));
        counted.insert(path.name().to_owned(), (instructions * 10.0).round() / 10.0);
    }
    report::print(&[Report { table, lines, targets: vec![] }])?;
    if update {
        write(&counted)?;
        println!("written to {}", file().display());
    }
    ensure!(
        grown.is_empty(),
        "these paths have grown by more than {:.0} %: {}. Mend that, or say in the commit why it is \
         worth it and run `cargo run --release -p wsvisor-bench -- instructions --update`",
        TOLERANCE * 100.0,
        grown.join(", ")
    );
    ensure!(
        vanished.is_empty(),
        "these paths take less than half of what they took: {}. See whether they are still taken; if \
         they are, run `cargo run --release -p wsvisor-bench -- instructions --update`",
        vanished.join(", ")
    );
    Ok(())
}

/// What one operation takes: the difference between many and twice as many, so that the start of
/// the program is not in it.
fn count(path: Path) -> Result<f64> {
    let times = path.times();
    let (once, twice) = (callgrind(path, times)?, callgrind(path, 2 * times)?);
    let operations = f64::from(times) * path.operations_each_time();
    Ok((twice - once) / operations)
}

/// All instructions of this program while it takes the path so many times.
fn callgrind(path: Path, times: u32) -> Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this_program()?)
        .args(arguments(Taken::NAME, &Taken { path, times })?)
        .output()
        .context("valgrind could not be started; install it (Debian: valgrind)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("valgrind ended with {}:\n{said}", output.status);
    }
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let (_, collected) = collected.with_context(|| format!("no count in:\n{said}"))?;
    collected.trim().parse().context("the count")
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("instructions.json")
}

fn read() -> Result<BTreeMap<String, f64>> {
    let file = file();
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    serde_json::from_str(&text).with_context(|| file.display().to_string())
}

fn write(counted: &BTreeMap<String, f64>) -> Result<()> {
    let file = file();
    let text = serde_json::to_string_pretty(counted)? + "\n";
    fs::write(&file, text).with_context(|| file.display().to_string())
}
