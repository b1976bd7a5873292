//! `waxseal spam`: train the filter's model, measure it, ask it for its reasons.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use waxseal_spam::corpus::{self, Sample};
use waxseal_spam::ftrl::Dice;
use waxseal_spam::report::Report;
use waxseal_spam::train::{Plan, train};
use waxseal_spam::{Model, Post, replay};

use super::{CliError, Exit, posts, print};

/// The filter's model.
#[derive(Debug, Args)]
pub struct SpamArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Train(TrainArgs),
    Evaluate(EvaluateArgs),
    Explain(ExplainArgs),
}

/// Train a model from labelled posts; the same posts and seed give the same bytes.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  waxseal spam train --corpus forum.jsonl --corpus comments.jsonl.gz --out forum.model"
)]
struct TrainArgs {
    /// JSON lines with id, text, label (spam or ham), lang; also .gz; may be given again
    #[arg(long, value_name = "F", required = true, num_args = 1..)]
    corpus: Vec<PathBuf>,
    /// Where the model goes
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// Seed of shuffles and disguises
    #[arg(long, default_value_t = 5)]
    seed: u64,
    /// What the model's card calls this version
    #[arg(long, default_value = "1", value_name = "NAME")]
    name: String,
}

/// Measure a model on labelled posts, or train and measure on a grouped split.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  waxseal spam evaluate --model forum.model --corpus kept-back.jsonl --svg curves.svg\n  waxseal spam evaluate --corpus forum.jsonl --split --attacks"
)]
#[allow(clippy::struct_excessive_bools)] // Switches of a command line.
struct EvaluateArgs {
    /// The model; the one shipped with the program without it
    #[arg(long, value_name = "MODEL", conflicts_with_all = ["split", "leave_one_out"])]
    model: Option<PathBuf>,
    /// Labelled posts, as for train
    #[arg(long, value_name = "F", required = true, num_args = 1..)]
    corpus: Vec<PathBuf>,
    /// One JSON document
    #[arg(long)]
    json: bool,
    /// Draw the ROC curve and the reliability diagram
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Measure the spam in every known disguise too
    #[arg(long)]
    attacks: bool,
    /// Train on three quarters of the posts and measure the rest; near duplicates stay together
    #[arg(long)]
    split: bool,
    /// For each corpus, train on all others and measure on it
    #[arg(long, conflicts_with_all = ["split", "attacks", "svg"])]
    leave_one_out: bool,
    /// Go through each corpus as a moderator would decide; errors of every 500 posts
    #[arg(long, conflicts_with_all = ["attacks", "svg", "leave_one_out", "poisoning"])]
    online: bool,
    /// Teach a tenant wrong decisions and measure what that does
    #[arg(long, conflicts_with_all = ["attacks", "svg", "leave_one_out"])]
    poisoning: bool,
}

/// Say what the model thinks of the text on standard input, and why.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  echo 'Cheap watches https://bit.ly/x' | waxseal spam explain")]
struct ExplainArgs {
    /// The model; the one shipped with the program without it
    #[arg(long, value_name = "MODEL")]
    model: Option<PathBuf>,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Does what the command line asks for.
pub fn run(args: &SpamArgs) -> Result<(), CliError> {
    match &args.verb {
        Verb::Train(args) => train_model(args),
        Verb::Evaluate(args) => evaluate(args),
        Verb::Explain(args) => explain(args),
    }
}

fn read(paths: &[PathBuf]) -> Result<Vec<Sample>, CliError> {
    let mut out = Vec::new();
    for path in paths {
        out.extend(corpus::read(path).map_err(|error| CliError::new(Exit::RunTime, error.to_string()))?);
    }
    Ok(out)
}

fn trained(samples: &[Sample], plan: &Plan) -> Result<Model, CliError> {
    let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let mut progress = |what: &str| {
        if terminal {
            eprintln!("{what}");
        }
    };
    train(samples, plan, &mut progress).map_err(|error| CliError::new(Exit::Usage, error.to_string()))
}

fn train_model(args: &TrainArgs) -> Result<(), CliError> {
    let samples = read(&args.corpus)?;
    let plan = Plan { seed: args.seed, version: args.name.clone(), ..Plan::default() };
    let model = trained(&samples, &plan)?;
    let bytes = model.to_bytes();
    std::fs::write(&args.out, &bytes)
        .map_err(|error| CliError::new(Exit::RunTime, format!("{}: {error}", args.out.display())))?;
    let [spam, ham] = model.card().trained_on;
    print::text(&print::fields(&[
        ("model", args.out.display().to_string()),
        ("octets", bytes.len().to_string()),
        ("digest", model.digest().to_owned()),
        ("training digest", model.card().training_digest.clone()),
        ("posts", format!("{spam} spam, {ham} ham")),
    ]))
}

/// Three quarters and a quarter; near duplicates on the same side.
fn split(samples: Vec<Sample>) -> (Vec<Sample>, Vec<Sample>) {
    samples.into_iter().partition(|sample| !Dice::of(99, &sample.group()).roll().is_multiple_of(4))
}

fn evaluate(args: &EvaluateArgs) -> Result<(), CliError> {
    let samples = read(&args.corpus)?;
    if args.leave_one_out {
        return leave_one_out(&samples, args.json);
    }
    let (model, learned, samples) = if args.split {
        let (learned, kept) = split(samples);
        (std::sync::Arc::new(trained(&learned, &Plan::default())?), learned, kept)
    } else {
        (posts::model(args.model.as_deref())?, Vec::new(), samples)
    };
    if args.online {
        let steps = replay::online(&model, &samples, 5000);
        return print::list(
            &steps,
            args.json,
            ["CORPUS", "POSTS", "ERRORS OF THE BASE", "ERRORS", "DECISIONS"],
            |step| {
                let numbers = [step.posts, step.errors_of_base, step.errors, step.decisions].map(|n| n.to_string());
                let [posts, base, errors, decisions] = numbers;
                [step.corpus.clone(), posts, base, errors, decisions]
            },
        );
    }
    if args.poisoning {
        return poisoning(&model, learned, samples, args.json);
    }
    let report = Report::of(&model, &samples, args.attacks);
    if let Some(path) = &args.svg {
        write_svg(path, &report)?;
    }
    if args.json { print::json(&report) } else { print::text(&report.table()) }
}

fn write_svg(path: &Path, report: &Report) -> Result<(), CliError> {
    std::fs::write(path, report.svg())
        .map_err(|error| CliError::new(Exit::RunTime, format!("{}: {error}", path.display())))
}

fn poisoning(model: &Model, learned: Vec<Sample>, mut kept: Vec<Sample>, json: bool) -> Result<(), CliError> {
    // Decisions are taken on posts that the model has not seen, where there are such.
    drop(learned);
    Dice::new(11).shuffle(&mut kept);
    let others = kept.split_off(kept.len().min(1000));
    let rows = replay::poisoning(model, &kept, &others);
    print::list(&rows, json, ["DECISIONS", "AUC", "R@0.1 %", "R@1 %", "HAM NOT PUBLISHED", "FOLLOWED"], |row| {
        let figures = &row.figures;
        [
            row.what.to_owned(),
            format!("{:.4}", figures.auc),
            format!("{:.3}", figures.recall_at_0_1),
            format!("{:.3}", figures.recall_at_1),
            format!("{:.2} %", row.ham_not_published * 100.0),
            format!(
                "{} of {}, strength {}",
                row.standing.decisions - row.standing.set_aside,
                row.standing.decisions,
                row.standing.strength
            ),
        ]
    })
}

fn leave_one_out(samples: &[Sample], json: bool) -> Result<(), CliError> {
    let mut corpora: Vec<&str> = samples.iter().map(|sample| sample.corpus.as_str()).collect();
    corpora.sort_unstable();
    corpora.dedup();
    let mut out = std::collections::BTreeMap::new();
    for corpus in corpora {
        let (left_out, learned): (Vec<Sample>, Vec<Sample>) =
            samples.iter().cloned().partition(|sample| sample.corpus == corpus);
        let model = trained(&learned, &Plan::default())?;
        let report = Report::of(&model, &left_out, false);
        if !json {
            print::text(&format!("{corpus} left out\n{}\n", report.table()))?;
        }
        out.insert(corpus.to_owned(), report);
    }
    if json { print::json(&out) } else { Ok(()) }
}

fn explain(args: &ExplainArgs) -> Result<(), CliError> {
    let model = posts::model(args.model.as_deref())?;
    let mut input = Vec::new();
    std::io::stdin()
        .read_to_end(&mut input)
        .map_err(|error| CliError::new(Exit::RunTime, format!("standard input: {error}")))?;
    let verdict = model.score(&Post::of(String::from_utf8_lossy(&input)));
    if args.json {
        return print::json(&verdict);
    }
    print::line(&format!("probability of spam {:.4}", verdict.probability))?;
    let rows: Vec<(String, String)> =
        verdict.reasons.iter().map(|reason| (format!("{:+.2}", reason.weight), reason.signal.clone())).collect();
    let pairs: Vec<(&str, String)> = rows.iter().map(|(weight, signal)| (weight.as_str(), signal.clone())).collect();
    print::text(&print::fields(&pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_writes_the_same_bytes_twice_and_they_classify() {
        let dir = tempfile::tempdir().unwrap();
        let corpus = dir.path().join("own.jsonl");
        let mut lines = String::new();
        for n in 0..60 {
            let (label, text) = if n % 2 == 0 {
                ("spam", format!("cheap lottery tickets number {n} at https://win{n}.example"))
            } else {
                ("ham", format!("where is parcel number {n} that I ordered"))
            };
            let line = serde_json::json!({"id": n.to_string(), "text": text, "label": label, "lang": "en"});
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
        std::fs::write(&corpus, lines).unwrap();
        let train = |name: &str| {
            let out = dir.path().join(name);
            let args = TrainArgs { corpus: vec![corpus.clone()], out: out.clone(), seed: 5, name: "test".into() };
            train_model(&args).unwrap();
            std::fs::read(out).unwrap()
        };
        let bytes = train("a.model");
        assert_eq!(bytes, train("b.model"));
        let model = Model::load(&bytes).unwrap();
        assert!(model.score(&Post::of("cheap lottery tickets https://win.example")).probability > 0.5);
        assert!(model.score(&Post::of("where is the parcel that I ordered")).probability < 0.5);
        let few = dir.path().join("few.jsonl");
        std::fs::write(&few, "{\"id\":\"1\",\"text\":\"x\",\"label\":\"ham\"}\n").unwrap();
        let args = TrainArgs { corpus: vec![few], out: dir.path().join("c"), seed: 5, name: "test".into() };
        assert_eq!(train_model(&args).unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn near_duplicates_stay_on_one_side() {
        let samples: Vec<Sample> = (0..400)
            .map(|n| Sample {
                post: Post::of(n.to_string()),
                label: waxseal_spam::Label::Ham,
                cluster: (n / 4).to_string(),
                corpus: "own".into(),
            })
            .collect();
        let (learned, kept) = split(samples);
        assert!(kept.len() > 40 && learned.len() > kept.len());
        assert!(kept.iter().all(|one| learned.iter().all(|other| other.cluster != one.cluster)));
    }
}
