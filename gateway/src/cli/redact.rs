//! `waxseal redact`: the redaction stage on one message, on a folder of messages, or explained on a text.
//!
//! Writes what the gateway would queue before it adds its own fields. Exit 5 where the policy refuses a message; in a
//! batch the others are done all the same.

use std::fs;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{CliError, Exit};
use crate::redact::{Hit, Limits, Mode, Policy, Refusal, Report, Unscanned, explain, redact_bytes_within};

/// Strike card numbers out of one message, or of a folder of messages.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waxseal redact < letter.eml > redacted.eml\n  waxseal redact letter.eml --report report.json > redacted.eml\n  waxseal redact --batch in/ out/\n  echo 'Order 4111 1111 1111 1111' | waxseal redact --explain"
)]
pub struct RedactArgs {
    /// The message; standard input without it
    pub file: Option<PathBuf>,
    /// Write a JSON report: part, place, brand and masked form of each number
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Redact every *.eml of folder IN into folder OUT, with OUT/report.jsonl
    #[arg(long, num_args = 2, value_names = ["IN", "OUT"], conflicts_with_all = ["file", "report", "explain"])]
    pub batch: Option<Vec<PathBuf>>,
    /// Read plain text and say for each number in it what was decided and why
    #[arg(long)]
    pub explain: bool,
    /// Take policy and limits from this configuration file
    #[arg(long, value_name = "F")]
    pub config: Option<PathBuf>,
}

/// One message's line in `report.jsonl`, and the whole of `--report`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    hits: &'a [Hit],
    unscanned: &'a [Unscanned],
}

impl<'a> Line<'a> {
    fn new(file: Option<&'a str>, mode: Mode, outcome: &'a Result<Report, Refusal>) -> Self {
        match outcome {
            Ok(report) => {
                let result = match (report.hits.is_empty(), mode) {
                    (true, _) => "clean",
                    (false, Mode::Report) => "reported",
                    (false, _) => "redacted",
                };
                Self { file, result, reason: None, hits: &report.hits, unscanned: &report.unscanned }
            }
            Err(refusal) => {
                Self { file, result: "refused", reason: Some(refusal.to_string()), hits: &[], unscanned: &[] }
            }
        }
    }
}

fn io(what: &Path) -> impl Fn(std::io::Error) -> CliError + '_ {
    move |error| CliError::new(Exit::RunTime, format!("{}: {error}", what.display()))
}

/// Does what the command line asks for.
pub fn run(args: &RedactArgs) -> Result<(), CliError> {
    let (policy, limits) = match &args.config {
        Some(path) => from_config(path)?,
        None => (Policy::default(), Limits::default()),
    };
    if let Some([from, to]) = args.batch.as_deref() {
        return batch(from, to, &policy, &limits);
    }
    let input = if let Some(path) = &args.file {
        fs::read(path).map_err(io(path))?
    } else {
        let mut input = Vec::new();
        std::io::stdin().read_to_end(&mut input).map_err(io(Path::new("standard input")))?;
        input
    };
    let mut out = std::io::stdout().lock();
    if args.explain {
        let text = String::from_utf8_lossy(&input);
        for finding in explain(&text, &policy) {
            writeln!(out, "line {}: {}  {}: {}", finding.line, finding.masked, finding.verdict, finding.reason)
                .map_err(io(Path::new("standard output")))?;
        }
        return Ok(());
    }
    let (output, outcome) = one(&input, &policy, &limits);
    if let Some(path) = &args.report {
        let line = Line::new(None, policy.mode, &outcome);
        let json = serde_json::to_vec_pretty(&line).map_err(|error| CliError::new(Exit::RunTime, error.to_string()))?;
        fs::write(path, json).map_err(io(path))?;
    }
    match outcome {
        Ok(_) => out.write_all(&output).and_then(|()| out.flush()).map_err(io(Path::new("standard output"))),
        Err(refusal) => Err(CliError::new(Exit::Refused, refusal.to_string())),
    }
}

fn one(input: &[u8], policy: &Policy, limits: &Limits) -> (Vec<u8>, Result<Report, Refusal>) {
    match redact_bytes_within(input, policy, limits) {
        Ok((output, report)) => (output.into_owned(), Ok(report)),
        Err(refusal) => (Vec::new(), Err(refusal)),
    }
}

fn batch(from: &Path, to: &Path, policy: &Policy, limits: &Limits) -> Result<(), CliError> {
    let mut names: Vec<String> = fs::read_dir(from)
        .map_err(io(from))?
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "eml"))
        .collect();
    names.sort();
    fs::create_dir_all(to).map_err(io(to))?;
    let report = to.join("report.jsonl");
    let mut lines = BufWriter::new(fs::File::create(&report).map_err(io(&report))?);
    let mut refused = 0;
    for name in &names {
        let input = fs::read(from.join(name)).map_err(io(&from.join(name)))?;
        let (output, outcome) = one(&input, policy, limits);
        let target = to.join(name);
        if outcome.is_ok() {
            fs::write(&target, output).map_err(io(&target))?;
        } else {
            refused += 1;
            // What an earlier run left there would pass for this one's result.
            if target.exists() {
                fs::remove_file(&target).map_err(io(&target))?;
            }
        }
        serde_json::to_writer(&mut lines, &Line::new(Some(name), policy.mode, &outcome))
            .map_err(|error| CliError::new(Exit::RunTime, error.to_string()))?;
        lines.write_all(b"\n").map_err(io(&report))?;
    }
    lines.flush().map_err(io(&report))?;
    if refused > 0 {
        let text = format!("{refused} of {} messages refused; {} says why", names.len(), report.display());
        return Err(CliError::new(Exit::Refused, text));
    }
    Ok(())
}

/// The two tables of the configuration file that concern this tool; the gateway's own reader checks the whole file.
#[derive(Debug, Default, Deserialize)]
struct Tables {
    #[serde(default)]
    redaction: Redaction,
    #[serde(default)]
    limits: Bounds,
}

#[derive(Debug, Default, Deserialize)]
struct Redaction {
    mode: Option<Mode>,
    keep: Option<crate::redact::Keep>,
    unscannable: Option<crate::redact::Unscannable>,
    signed_parts: Option<crate::redact::SignedParts>,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    allow_unredacted: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Bounds {
    mime_depth: Option<usize>,
    mime_parts: Option<usize>,
}

fn from_config(path: &Path) -> Result<(Policy, Limits), CliError> {
    let text = fs::read_to_string(path).map_err(io(path))?;
    let usage = |error: String| CliError::new(Exit::Usage, format!("{}: {error}", path.display()));
    let tables: Tables = toml::from_str(&text).map_err(|error| usage(error.to_string()))?;
    let (default, bounds) = (Policy::default(), Limits::default());
    let policy = Policy {
        mode: tables.redaction.mode.unwrap_or(default.mode),
        keep: tables.redaction.keep.unwrap_or(default.keep),
        unscannable: tables.redaction.unscannable.unwrap_or(default.unscannable),
        signed_parts: tables.redaction.signed_parts.unwrap_or(default.signed_parts),
        allow: tables.redaction.allow,
    };
    if matches!(policy.mode, Mode::Report | Mode::Off) && !tables.redaction.allow_unredacted {
        return Err(usage("redaction.mode \"report\" and \"off\" need allow_unredacted = true".into()));
    }
    let limits = Limits {
        mime_depth: tables.limits.mime_depth.unwrap_or(bounds.mime_depth),
        mime_parts: tables.limits.mime_parts.unwrap_or(bounds.mime_parts),
        ..bounds
    };
    Ok((policy, limits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_writes_a_line_for_every_file_and_no_output_for_refused_ones() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("in"), dir.path().join("out"));
        fs::create_dir(&from).unwrap();
        fs::write(from.join("a.eml"), "Subject: x\r\n\r\nhello\r\n").unwrap();
        fs::write(from.join("b.eml"), "Subject: x\r\n\r\n4111 1111 1111 1111\r\n").unwrap();
        fs::write(from.join("notes.txt"), "4111 1111 1111 1111").unwrap();
        let args = |config| RedactArgs {
            file: None,
            report: None,
            batch: Some(vec![from.clone(), to.clone()]),
            explain: false,
            config,
        };
        run(&args(None)).unwrap();
        let lines: Vec<serde_json::Value> = fs::read_to_string(to.join("report.jsonl"))
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!((lines.len(), &lines[0]["result"], &lines[1]["result"]), (2, &"clean".into(), &"redacted".into()));
        assert_eq!(lines[1]["hits"][0]["masked"], "************1111");
        assert!(fs::read_to_string(to.join("b.eml")).unwrap().contains("**** **** **** 1111"));
        let config = dir.path().join("waxseal.toml");
        fs::write(&config, "[redaction]\nmode = \"reject\"\n").unwrap();
        let error = run(&args(Some(config))).unwrap_err();
        assert_eq!(error.exit, Exit::Refused);
        assert!(to.join("a.eml").exists() && !to.join("b.eml").exists());
        let report = fs::read_to_string(to.join("report.jsonl")).unwrap();
        assert!(report.contains("part 1 (text/plain) line 1") && report.contains("\"refused\""), "{report}");
    }
}
