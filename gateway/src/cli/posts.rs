//! `waxseal posts classify`: the filter on a file of posts, without a gateway.
//!
//! One JSON line in, one JSON line out, in the same order; each answer is written as soon as it is known, so that a
//! program may keep the process and feed it.

use std::io::{BufRead, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;
use waxseal_spam::{Model, Post, Reason, Verdict};

use super::{CliError, Exit};

/// Posts, by file: the classifier without a gateway.
#[derive(Debug, Args)]
pub struct PostsArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read posts as JSON lines on standard input; write probability, verdict and reasons as JSON lines.
    #[command(
        after_help = "Example:\n  echo '{\"id\":\"1\",\"text\":\"How do I reset my password?\"}' | waxseal posts classify"
    )]
    Classify {
        /// The model; the one shipped with the program without it
        #[arg(long, value_name = "MODEL")]
        model: Option<PathBuf>,
        /// Below this probability a post is published; the model's own without it
        #[arg(long, value_name = "P", value_parser = share)]
        publish_below: Option<f64>,
        /// Above this probability a post is spam; the model's own without it
        #[arg(long, value_name = "P", value_parser = share)]
        spam_above: Option<f64>,
    },
}

fn share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|p| (0.0..=1.0).contains(p)).ok_or_else(|| "a number from 0 to 1".to_owned())
}

/// One answer.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    id: &'a str,
    probability: f64,
    verdict: &'static str,
    reasons: &'a [Reason],
}

/// The model of a file, or the one shipped.
pub(super) fn model(path: Option<&std::path::Path>) -> Result<Arc<Model>, CliError> {
    match path {
        None => Ok(Model::built_in()),
        Some(path) => Model::open(path)
            .map(Arc::new)
            .map_err(|error| CliError::new(Exit::RunTime, format!("--model {}: {error}", path.display()))),
    }
}

/// Does what the command line asks for.
pub fn run(args: &PostsArgs) -> Result<(), CliError> {
    let Verb::Classify { model: path, publish_below, spam_above } = &args.verb;
    let model = model(path.as_deref())?;
    let low = publish_below.unwrap_or(model.card().publish_below);
    let high = spam_above.unwrap_or(model.card().spam_above);
    if low > high {
        let text = format!("--publish-below {low} lies above --spam-above {high}: nothing could be held between them");
        return Err(CliError::new(Exit::Usage, text));
    }
    classify(&model, low, high, std::io::stdin().lock(), std::io::stdout().lock())
}

fn classify(model: &Model, low: f64, high: f64, input: impl BufRead, output: impl Write) -> Result<(), CliError> {
    let mut out = BufWriter::new(output);
    let failed = |error: std::io::Error| CliError::new(Exit::RunTime, format!("standard input: {error}"));
    for (number, line) in input.lines().enumerate() {
        let line = line.map_err(failed)?;
        if line.trim().is_empty() {
            continue;
        }
        let post: Post = serde_json::from_str(&line).map_err(|error| {
            let text = format!(
                "standard input, line {}: {error}; each line is an object with \"id\" and \"text\"",
                number + 1
            );
            CliError::new(Exit::RunTime, text)
        })?;
        let Verdict { probability, reasons } = model.score(&post);
        let verdict = match probability {
            p if p < low => "published",
            p if p > high => "spam",
            _ => "held",
        };
        let answer = Answer { id: &post.id, probability, verdict, reasons: &reasons };
        let written = serde_json::to_writer(&mut out, &answer).map_err(std::io::Error::from);
        match written.and_then(|()| out.write_all(b"\n")) {
            Ok(()) => {}
            // Whoever reads has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(CliError::new(Exit::RunTime, format!("standard output: {error}"))),
        }
    }
    match out.flush() {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::new(Exit::RunTime, format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(input: &str) -> Result<Vec<serde_json::Value>, CliError> {
        let mut out = Vec::new();
        classify(&Model::built_in(), 0.2, 0.97, input.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    #[test]
    fn every_line_is_answered_in_order() {
        let input = "{\"id\":\"a\",\"text\":\"Where is my invoice?\",\"url\":\"https://help.example\",\"likes\":3}\n\n\
                     {\"id\":\"b\",\"text\":\"SLOT GACOR maxwin daftar bestslot88 dot com bonus 100% https://bit.ly/x\",\"author\":null}\n";
        let answers = answers(input).unwrap();
        assert_eq!((&answers[0]["id"], &answers[1]["id"]), (&"a".into(), &"b".into()));
        assert_eq!(answers[0]["verdict"], "published");
        assert!(answers[1]["probability"].as_f64() > answers[0]["probability"].as_f64());
        assert!(answers[1]["reasons"][0]["signal"].is_string() && answers[1]["reasons"][0]["weight"].is_number());
    }

    #[test]
    fn a_line_that_is_no_post_is_named() {
        let error = answers("{\"id\":\"a\",\"text\":\"x\"}\nnonsense\n").unwrap_err();
        assert!(error.exit == Exit::RunTime && error.message.contains("line 2"), "{error}");
    }
}
