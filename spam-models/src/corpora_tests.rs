//! What only the corpora show. They lie outside the repository; where they are absent, each test says so and ends.

use std::path::{Path, PathBuf};

use crate::corpus::{self, Sample};
use crate::ftrl::Dice;
use crate::report::Report;
use crate::train::{Plan, train, training_digest};
use crate::{Label, Model};

/// The corpora's files in the order that the shipped model was trained in; ours last.
fn files() -> Option<Vec<PathBuf>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(folders) = std::fs::read_dir(here.join("../../shared/corpora")) else {
        eprintln!("skipped: the corpora are not at ../shared/corpora beside the repository");
        return None;
    };
    let mut folders: Vec<PathBuf> = folders.filter_map(Result::ok).map(|entry| entry.path()).collect();
    folders.sort();
    let names = ["train.jsonl", "train.jsonl.gz"];
    let mut files: Vec<PathBuf> =
        folders.iter().flat_map(|folder| names.map(|name| folder.join(name))).filter(|file| file.exists()).collect();
    files.push(here.join("seeds/own.jsonl"));
    Some(files)
}

fn samples() -> Option<Vec<Sample>> {
    Some(files()?.iter().flat_map(|file| corpus::read(file).unwrap()).collect())
}

#[test]
fn the_shipped_model_was_trained_on_what_its_card_names() {
    let Some(samples) = samples() else { return };
    let model = Model::built_in();
    assert_eq!(model.card().training_digest, training_digest(&samples));
    assert!(model.card().corpora.iter().any(|name| name == "own"));
}

#[test]
fn a_model_of_a_part_of_the_posts_judges_the_rest() {
    let Some(samples) = samples() else { return };
    let part = |sample: &Sample| Dice::of(12, &sample.group()).roll() % 8;
    let learned: Vec<Sample> = samples.iter().filter(|sample| part(sample) < 3).cloned().collect();
    let kept: Vec<Sample> =
        samples.iter().filter(|sample| part(sample) == 3 && sample.corpus != "own").cloned().collect();
    let plan = Plan { bits: 20, folds: 2, runs: 1, epochs: 3, ..Plan::default() };
    let model = train(&learned, &plan, &mut |_| {}).unwrap();
    let report = Report::of(&model, &kept, true);
    let overall = report.overall.as_ref().unwrap();
    assert!(overall.auc > 0.98 && overall.recall_at_1 > 0.8 && overall.brier < 0.03, "{}", report.table());
    // Disguises that normalisation undoes wholly must not help anybody.
    for disguised in report.attacks.iter().filter(|disguised| disguised.attack.contains("zero-width in")) {
        assert!(disguised.recall[1] > overall.recall_at_1 - 0.03, "{disguised:?}");
    }
    let japanese: Vec<&Sample> = kept.iter().filter(|s| s.lang() == "ja" && s.label == Label::Ham).collect();
    let wrong = japanese.iter().filter(|sample| model.probability(&sample.post) > 0.5).count();
    assert!(wrong * 100 <= japanese.len(), "{wrong} of {}", japanese.len());
}
