//! From log-odds to probabilities: logistic regression over the two scores of a post (Platt 1999), fitted on posts
//! that the weights were not trained on.

use serde::{Deserialize, Serialize};

use crate::logits::Logits;

/// Maps the scores of a post to calibrated log-odds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Offset and slope where the post is one stretch.
    pub short: [f64; 2],
    /// Offset, slope of the whole, slope of the worst stretch, and of log2 of the number of segments.
    pub long: [f64; 4],
}

impl Calibration {
    /// Takes the scores as they are, half and half.
    pub const PLAIN: Self = Self { short: [0.0, 1.0], long: [0.0, 0.5, 0.5, 0.0] };

    /// Calibrated log-odds of spam.
    pub fn apply(&self, logits: Logits) -> f64 {
        if logits.segments <= 1 {
            return self.short[0] + self.short[1] * f64::from(logits.full);
        }
        let row = long_row(logits);
        self.long.iter().zip(row).map(|(weight, value)| weight * value).sum()
    }

    /// Fits both maps on scores of held-out posts, each with its label and weight.
    pub fn fit(scored: &[(Logits, bool, f64)]) -> Self {
        let short: Vec<_> = scored
            .iter()
            .filter(|(logits, ..)| logits.segments <= 1)
            .map(|&(logits, spam, weight)| ([1.0, f64::from(logits.full)], spam, weight))
            .collect();
        let long: Vec<_> = scored
            .iter()
            .filter(|(logits, ..)| logits.segments > 1)
            .map(|&(logits, spam, weight)| (long_row(logits), spam, weight))
            .collect();
        let plain = Self::PLAIN;
        Self { short: regress(&short, plain.short), long: regress(&long, plain.long) }
    }
}

fn long_row(logits: Logits) -> [f64; 4] {
    [1.0, f64::from(logits.full), f64::from(logits.best), f64::from(logits.segments.max(1)).log2()]
}

/// P(spam) of log-odds, never quite 0 or 1: no post is beyond doubt.
pub fn probability(logit: f64) -> f64 {
    (1.0 / (1.0 + (-logit).exp())).clamp(1e-6, 1.0 - 1e-6)
}

/// Logistic regression by Newton's method, held near `start` by a little ridge so that any data gives an answer.
fn regress<const N: usize>(rows: &[([f64; N], bool, f64)], start: [f64; N]) -> [f64; N] {
    const RIDGE: f64 = 1.0;
    let mut weights = start;
    for _ in 0..25 {
        let mut gradient = [0.0; N];
        let mut hessian = [[0.0; N]; N];
        for i in 0..N {
            gradient[i] = RIDGE * (weights[i] - start[i]);
            hessian[i][i] = RIDGE;
        }
        for (row, spam, weight) in rows {
            let logit: f64 = row.iter().zip(weights).map(|(value, weight)| value * weight).sum();
            let p = 1.0 / (1.0 + (-logit).exp());
            let error = (p - f64::from(u8::from(*spam))) * weight;
            for i in 0..N {
                gradient[i] += error * row[i];
                for j in 0..N {
                    hessian[i][j] += weight * p * (1.0 - p) * row[i] * row[j];
                }
            }
        }
        let step = solve(hessian, gradient);
        for i in 0..N {
            weights[i] -= step[i].clamp(-2.0, 2.0);
        }
    }
    weights
}

/// Gauss' elimination; the ridge keeps the matrix positive definite.
fn solve<const N: usize>(mut matrix: [[f64; N]; N], mut right: [f64; N]) -> [f64; N] {
    for at in 0..N {
        let pivot = (at..N).max_by(|&a, &b| matrix[a][at].abs().total_cmp(&matrix[b][at].abs())).unwrap_or(at);
        matrix.swap(at, pivot);
        right.swap(at, pivot);
        for row in at + 1..N {
            let factor = matrix[row][at] / matrix[at][at];
            let above = matrix[at];
            for (value, above) in matrix[row].iter_mut().zip(above).skip(at) {
                *value -= factor * above;
            }
            right[row] -= factor * right[at];
        }
    }
    for at in (0..N).rev() {
        for column in at + 1..N {
            right[at] -= matrix[at][column] * right[column];
        }
        right[at] /= matrix[at][at];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skewed_score_is_set_right() {
        // True log-odds are 2·score − 1; the fit must find that.
        let mut dice = crate::ftrl::Dice::new(1);
        let scored: Vec<_> = (0..20_000)
            .map(|_| {
                let score = (dice.below(8000) as f32 - 4000.0) / 1000.0;
                let p = probability(2.0 * f64::from(score) - 1.0);
                let spam = (dice.below(1_000_000) as f64) < p * 1e6;
                (Logits { full: score, best: score, segments: 1 }, spam, 1.0)
            })
            .collect();
        let fitted = Calibration::fit(&scored);
        assert!((fitted.short[0] + 1.0).abs() < 0.1 && (fitted.short[1] - 2.0).abs() < 0.1, "{fitted:?}");
        assert!(fitted.long.iter().zip(Calibration::PLAIN.long).all(|(a, b)| (a - b).abs() < 1e-9), "{fitted:?}");
    }
}
