//! Tables for people, and JSON lines for programs.

use std::fmt;

use anyhow::Result;
use serde_json::{Value, json};

/// What a benchmark found.
pub(crate) struct Report {
    pub(crate) table: Table,
    /// The table's rows again, with all that was measured.
    pub(crate) lines: Vec<Value>,
    pub(crate) targets: Vec<Target>,
}

/// A figure that wsvisor is meant to reach.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) measured: f64,
    pub(crate) at_most: f64,
}

pub(crate) struct Table {
    title: String,
    rows: Vec<Vec<String>>,
}

/// Prints all tables, then the targets, then one JSON object a line.
pub(crate) fn print(reports: &[Report]) -> Result<()> {
    for report in reports {
        println!("{}", report.table);
    }
    let targets = || reports.iter().flat_map(|report| &report.targets);
    println!("{}", verdicts(targets()));
    for line in reports.iter().flat_map(|report| &report.lines) {
        println!("{}", serde_json::to_string(line)?);
    }
    for target in targets() {
        println!("{}", serde_json::to_string(&target.line())?);
    }
    Ok(())
}

fn verdicts<'a>(targets: impl Iterator<Item = &'a Target>) -> Table {
    let mut table = Table::new("Targets".to_owned(), &["target", "measured", "at most", "verdict"]);
    for target in targets {
        let figure = |value: f64| match target.at_most {
            ..10.0 => format!("{value:.2}"),
            _ => format!("{value:.0}"),
        };
        let verdict = if target.is_met() { "pass" } else { "FAIL" };
        table.row(vec![
            target.name.to_owned(),
            figure(target.measured),
            figure(target.at_most),
            verdict.to_owned(),
        ]);
    }
    table
}

impl Target {
    pub(crate) const fn new(name: &'static str, measured: f64, at_most: f64) -> Self {
        Self { name, measured, at_most }
    }

    fn is_met(&self) -> bool {
        self.measured <= self.at_most
    }

    fn line(&self) -> Value {
        json!({
            "benchmark": "target", "target": self.name,
            "measured": self.measured, "at_most": self.at_most, "met": self.is_met(),
        })
    }
}

impl Table {
    pub(crate) fn new(title: String, head: &[&str]) -> Self {
        Self { title, rows: vec![head.iter().map(|&cell| cell.to_owned()).collect()] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// A name, its figures, and the ratio that they are read by.
    pub(crate) fn figures(&mut self, name: &str, figures: &[f64], ratio: f64) {
        let mut cells = vec![name.to_owned()];
        cells.extend(figures.iter().map(|&figure| match figure {
            ..100.0 => format!("{figure:.1}"),
            _ => format!("{figure:.0}"),
        }));
        cells.push(format!("{ratio:.2}"));
        self.row(cells);
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

/// The first column to the left, the figures to the right.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.title)?;
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                let width = self.width(column);
                match column {
                    0 => write!(f, "  {cell:width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
