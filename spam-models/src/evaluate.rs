//! Figures: how well scores tell spam from ham.

use serde::Serialize;

/// The figures of one set of scored posts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Spam posts.
    pub spam: usize,
    /// Ham posts.
    pub ham: usize,
    /// Area under the ROC curve; 0.5 is chance.
    pub auc: f64,
    /// Recall where at most 0.1 % of the ham is taken for spam.
    pub recall_at_0_1: f64,
    /// Recall where at most 1 % of the ham is.
    pub recall_at_1: f64,
    /// Mean squared error of the probabilities.
    pub brier: f64,
    /// Expected calibration error, over ten bins of equal width.
    pub calibration_error: f64,
}

impl Figures {
    /// The figures of (score, probability, spam) rows; `None` where one class is missing.
    pub fn of(rows: &[(f64, bool)]) -> Option<Self> {
        let spam = rows.iter().filter(|(_, spam)| *spam).count();
        let ham = rows.len() - spam;
        if spam == 0 || ham == 0 {
            return None;
        }
        let brier =
            rows.iter().map(|&(p, spam)| (p - f64::from(u8::from(spam))).powi(2)).sum::<f64>() / rows.len() as f64;
        Some(Self {
            spam,
            ham,
            auc: auc(rows),
            recall_at_0_1: recall_at(rows, threshold_at(rows, 0.001)),
            recall_at_1: recall_at(rows, threshold_at(rows, 0.01)),
            brier,
            calibration_error: reliability(rows)
                .iter()
                .map(|bin| bin.posts as f64 * (bin.predicted - bin.observed).abs())
                .sum::<f64>()
                / rows.len() as f64,
        })
    }
}

/// The score above which at most `share` of the ham lies.
pub fn threshold_at(rows: &[(f64, bool)], share: f64) -> f64 {
    let mut ham: Vec<f64> = rows.iter().filter(|(_, spam)| !spam).map(|&(score, _)| score).collect();
    ham.sort_by(|a, b| b.total_cmp(a));
    let allowed = (ham.len() as f64 * share) as usize;
    ham.get(allowed).copied().unwrap_or(f64::NEG_INFINITY)
}

/// The share of the spam that scores above a threshold.
pub fn recall_at(rows: &[(f64, bool)], threshold: f64) -> f64 {
    let spam = rows.iter().filter(|(_, spam)| *spam).count();
    let found = rows.iter().filter(|&&(score, spam)| spam && score > threshold).count();
    found as f64 / spam.max(1) as f64
}

/// Mann and Whitney's statistic, ties counted half.
pub fn auc(rows: &[(f64, bool)]) -> f64 {
    let mut sorted = rows.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins, mut spam_total) = (0.0, 0.0, 0.0);
    let mut at = 0;
    while at < sorted.len() {
        let end = sorted[at..].iter().position(|row| row.0 > sorted[at].0).map_or(sorted.len(), |n| at + n);
        let spam = sorted[at..end].iter().filter(|row| row.1).count() as f64;
        let ham = (end - at) as f64 - spam;
        wins += spam * (below + ham / 2.0);
        below += ham;
        spam_total += spam;
        at = end;
    }
    wins / (below * spam_total).max(1.0)
}

/// One bin of the reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Posts in it.
    pub posts: usize,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Share of spam.
    pub observed: f64,
}

/// Ten bins of equal width; empty ones left out.
pub fn reliability(rows: &[(f64, bool)]) -> Vec<Bin> {
    let mut bins = [(0_usize, 0.0, 0.0); 10];
    for &(p, spam) in rows {
        let bin = &mut bins[((p * 10.0) as usize).min(9)];
        bin.0 += 1;
        bin.1 += p;
        bin.2 += f64::from(u8::from(spam));
    }
    bins.iter()
        .filter(|bin| bin.0 > 0)
        .map(|&(posts, predicted, observed)| Bin {
            posts,
            predicted: predicted / posts as f64,
            observed: observed / posts as f64,
        })
        .collect()
}
