//! Reports: scored posts by language, by corpus and in disguise, as a table, as data and as curves.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::attack::Attack;
use crate::corpus::Sample;
use crate::evaluate::{Bin, Figures, recall_at, reliability, threshold_at};
use crate::ftrl::Dice;
use crate::model::Model;
use crate::post::{Label, Post};

/// A set of which one class is missing: only its false positives, or misses, can be told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OneClass {
    /// Posts.
    pub posts: usize,
    /// Share above the threshold at which 1 % of all ham is taken for spam.
    pub above_1: f64,
}

/// A disguise and what is still found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Disguised {
    /// The disguise.
    pub attack: &'static str,
    /// Recall at the thresholds of 0.1 % and 1 % false positives on plain posts.
    pub recall: [f64; 2],
}

/// What a model makes of labelled posts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// All posts together.
    pub overall: Option<Figures>,
    /// Thresholds at 0.1 % and 1 % false positives.
    pub thresholds: [f64; 2],
    /// Languages with both classes, each at its own thresholds.
    pub languages: BTreeMap<String, Figures>,
    /// Recall of each language at the threshold of 1 % over all.
    pub recall_at_common_1: BTreeMap<String, f64>,
    /// Corpora with both classes.
    pub corpora: BTreeMap<String, Figures>,
    /// Languages and corpora with ham alone.
    pub one_class: BTreeMap<String, OneClass>,
    /// Predicted against observed.
    pub calibration: Vec<Bin>,
    /// Under attack; empty unless asked for.
    pub attacks: Vec<Disguised>,
    /// Scores and labels, for curves.
    #[serde(skip)]
    pub rows: Vec<(f64, bool)>,
}

impl Report {
    /// Scores `samples` by `model`; in disguise too where `attacks`.
    pub fn of(model: &Model, samples: &[Sample], attacks: bool) -> Self {
        let rows = samples.iter().map(|s| (model.probability(&s.post), s.label == Label::Spam)).collect();
        let mut report = Self::from_rows(samples, rows);
        if attacks {
            report.attacks = under_attack(model, samples, report.thresholds);
        }
        report
    }

    /// The report of scores that were made elsewhere, one for each sample in order.
    pub fn from_rows(samples: &[Sample], rows: Vec<(f64, bool)>) -> Self {
        let thresholds = [threshold_at(&rows, 0.001), threshold_at(&rows, 0.01)];
        let mut sets: BTreeMap<(bool, String), Vec<(f64, bool)>> = BTreeMap::new();
        for (sample, row) in samples.iter().zip(&rows) {
            sets.entry((false, sample.lang().to_owned())).or_default().push(*row);
            sets.entry((true, sample.corpus.clone())).or_default().push(*row);
        }
        let mut report = Self {
            overall: Figures::of(&rows),
            thresholds,
            languages: BTreeMap::new(),
            recall_at_common_1: BTreeMap::new(),
            corpora: BTreeMap::new(),
            one_class: BTreeMap::new(),
            calibration: reliability(&rows),
            attacks: Vec::new(),
            rows,
        };
        for ((is_corpus, name), rows) in sets {
            match Figures::of(&rows) {
                Some(figures) if is_corpus => {
                    report.corpora.insert(name, figures);
                }
                Some(figures) => {
                    report.recall_at_common_1.insert(name.clone(), recall_at(&rows, thresholds[1]));
                    report.languages.insert(name, figures);
                }
                None => {
                    let above = rows.iter().filter(|(score, _)| *score > thresholds[1]).count();
                    let above_1 = above as f64 / rows.len() as f64;
                    report.one_class.insert(name, OneClass { posts: rows.len(), above_1 });
                }
            }
        }
        report
    }

    /// As a table for people.
    pub fn table(&self) -> String {
        let mut out = format!(
            "{:<28}{:>8}{:>8}{:>9}{:>10}{:>8}{:>8}{:>8}\n",
            "", "spam", "ham", "ROC AUC", "R@0.1 %", "R@1 %", "Brier", "ECE"
        );
        let mut row = |name: &str, figures: &Figures| {
            let Figures { spam, ham, auc, recall_at_0_1, recall_at_1, brier, calibration_error } = figures;
            let _ = writeln!(
                out,
                "{name:<28}{spam:>8}{ham:>8}{auc:>9.4}{recall_at_0_1:>10.3}{recall_at_1:>8.3}{brier:>8.4}{calibration_error:>8.4}"
            );
        };
        if let Some(overall) = &self.overall {
            row("all", overall);
        }
        for (name, figures) in self.languages.iter().chain(&self.corpora) {
            row(name, figures);
        }
        if !self.recall_at_common_1.is_empty() {
            let recalls: Vec<String> =
                self.recall_at_common_1.iter().map(|(name, recall)| format!("{name} {recall:.3}")).collect();
            let _ = writeln!(out, "recall at the common threshold of 1 %: {}", recalls.join(", "));
        }
        for (name, set) in &self.one_class {
            let _ =
                writeln!(out, "{name:<28}{:>8} posts of one class, {:.2} % above it", set.posts, set.above_1 * 100.0);
        }
        for bin in &self.calibration {
            let (predicted, observed) = (bin.predicted, bin.observed);
            let _ = writeln!(out, "predicted {predicted:.3}  observed {observed:.3}  posts {}", bin.posts);
        }
        for Disguised { attack, recall } in &self.attacks {
            let _ = writeln!(out, "{attack:<44}{:>8.3}{:>8.3}", recall[0], recall[1]);
        }
        out
    }

    /// The ROC curve (false positives on a logarithmic scale) and the reliability diagram, as SVG.
    pub fn svg(&self) -> String {
        let mut ham: Vec<f64> = self.rows.iter().filter(|(_, spam)| !spam).map(|(score, _)| *score).collect();
        let mut spam: Vec<f64> = self.rows.iter().filter(|(_, spam)| *spam).map(|(score, _)| *score).collect();
        ham.sort_by(|a, b| b.total_cmp(a));
        spam.sort_by(|a, b| b.total_cmp(a));
        let mut roc = String::new();
        for step in 0..=160 {
            // From 0.01 % to 100 %.
            let share = 10_f64.powf(f64::from(step) / 40.0 - 4.0);
            let at = ((ham.len() as f64 * share) as usize).min(ham.len().saturating_sub(1));
            let threshold = ham.get(at).copied().unwrap_or(1.0);
            let found = spam.partition_point(|score| *score > threshold) as f64 / spam.len().max(1) as f64;
            let _ = write!(roc, "{:.1},{:.1} ", 50.0 + f64::from(step) * 2.0, 350.0 - found * 320.0);
        }
        let mut bins = String::new();
        for bin in &self.calibration {
            let (x, y) = (450.0 + bin.predicted * 320.0, 350.0 - bin.observed * 320.0);
            let _ = write!(bins, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{:.1}\"/>", 2.0 + (bin.posts as f64).log10());
        }
        let mut ticks = String::new();
        for (at, text) in ["0.01 %", "0.1 %", "1 %", "10 %", "100 %"].iter().enumerate() {
            let _ = write!(ticks, "<text x=\"{}\" y=\"368\">{text}</text>", 50 + at * 80);
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 800 400\" font-family=\"sans-serif\" font-size=\"12\">\
             <rect width=\"800\" height=\"400\" fill=\"white\"/>\
             <g fill=\"none\" stroke=\"#888\"><rect x=\"50\" y=\"30\" width=\"320\" height=\"320\"/>\
             <rect x=\"450\" y=\"30\" width=\"320\" height=\"320\"/><path d=\"M450 350 770 30\"/></g>\
             <g text-anchor=\"middle\">{ticks}<text x=\"210\" y=\"390\">false positives</text>\
             <text x=\"610\" y=\"390\">predicted probability</text><text x=\"210\" y=\"20\">recall</text>\
             <text x=\"610\" y=\"20\">observed share of spam</text></g>\
             <polyline points=\"{roc}\" fill=\"none\" stroke=\"#0a58ca\" stroke-width=\"2\"/><g fill=\"#0a58ca\">{bins}</g></svg>\n"
        )
    }
}

/// The recall of the spam of `samples` in every disguise; the ham stays as it is, and so do the thresholds.
fn under_attack(model: &Model, samples: &[Sample], thresholds: [f64; 2]) -> Vec<Disguised> {
    let of = |label: Label| samples.iter().filter(move |sample| sample.label == label);
    let ham: Vec<&str> = of(Label::Ham).map(|sample| sample.post.text.as_str()).collect();
    Attack::ALL
        .into_iter()
        .map(|attack| {
            let mut dice = Dice::new(77);
            let rows: Vec<(f64, bool)> = of(Label::Spam)
                .map(|sample| {
                    let text = attack.apply(&sample.post.text, &mut dice, &mut |dice| match ham.len() {
                        0 => String::new(),
                        all => ham[dice.below(all)].to_owned(),
                    });
                    (model.probability(&Post { text, ..sample.post.clone() }), true)
                })
                .collect();
            Disguised { attack: attack.name(), recall: thresholds.map(|threshold| recall_at(&rows, threshold)) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_languages_corpora_and_draws_curves() {
        let sample = |text: &str, label, lang: &str| Sample {
            post: Post { lang: Some(lang.into()), ..Post::of(text) },
            label,
            cluster: String::new(),
            corpus: "own".into(),
        };
        let samples = [
            sample("win money at the casino https://bet.example", Label::Spam, "en"),
            sample("how do I reset my password", Label::Ham, "en"),
            sample("パスワードを忘れました", Label::Ham, "ja"),
        ];
        let report = Report::of(&Model::built_in(), &samples, true);
        assert_eq!(report.overall.as_ref().map(|figures| (figures.spam, figures.ham)), Some((1, 2)));
        assert!(report.languages.contains_key("en") && report.one_class.contains_key("ja"));
        assert_eq!(report.attacks.len(), Attack::ALL.len());
        assert!(report.table().contains("own") && report.svg().contains("<polyline"));
    }
}
