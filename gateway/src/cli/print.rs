//! Printing: aligned tables for people, JSON for programs.

use std::io::Write;

use serde::Serialize;

use super::{CliError, Exit};

/// Writes text to standard output. A closed pipe ends the program at once and quietly, as it would end any filter:
/// whoever reads has seen enough.
pub(super) fn text(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(CliError::new(Exit::RunTime, format!("standard output: {error}"))),
    }
}

/// Writes one line.
pub(super) fn line(line: &str) -> Result<(), CliError> {
    text(&format!("{line}\n"))
}

/// Writes one document, indented.
pub(super) fn json(value: &impl Serialize) -> Result<(), CliError> {
    let document =
        serde_json::to_string_pretty(value).map_err(|error| CliError::new(Exit::RunTime, error.to_string()))?;
    line(&document)
}

/// Writes one object a line.
pub(super) fn json_lines<T: Serialize>(values: &[T]) -> Result<(), CliError> {
    let mut out = String::new();
    for value in values {
        out += &serde_json::to_string(value).map_err(|error| CliError::new(Exit::RunTime, error.to_string()))?;
        out.push('\n');
    }
    text(&out)
}

/// Writes a list: as one JSON array, or as a table of `row`s.
pub(super) fn list<T: Serialize, const N: usize>(
    values: &[T],
    as_json: bool,
    headings: [&str; N],
    row: impl Fn(&T) -> [String; N],
) -> Result<(), CliError> {
    if as_json { json(&values) } else { text(&table(headings, values.iter().map(row))) }
}

/// A table with aligned columns; only its headings where there are no rows.
pub(super) fn table<const N: usize>(headings: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> =
        std::iter::once(headings.map(str::to_owned)).chain(rows.map(|row| row.map(|cell| clean(&cell)))).collect();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        out += cells.join("  ").trim_end();
        out.push('\n');
    }
    out
}

/// Names and values under each other.
pub(super) fn fields(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    pairs
        .iter()
        .map(|(name, value)| format!("{name:width$}  {}\n", clean(value)).trim_end_matches(' ').to_owned())
        .collect()
}

/// Text from outside must not move the cursor or make lines of its own on a person's terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `1 letter`, `2 letters`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}
