//! The verdict: one pure function from what is known of a post to where it goes.
//!
//! Order: the author's standing, rules, the classifier. Whatever fails or is missing ends in held (invariant 9): only
//! a number below `publish_below`, or a trusted author with a number that is not above `spam_above`, publishes.

use super::{Cause, ClassifierError, PostState, Score, Standing};

/// Between these a person decides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Below this probability of spam a post is published.
    pub publish_below: f64,
    /// Above this one it is spam.
    pub spam_above: f64,
}

/// What is known when a post is judged.
pub struct Evidence<'e> {
    /// The classifier's answer.
    pub score: &'e Result<Score, ClassifierError>,
    /// How the author is treated.
    pub standing: Standing,
    /// An enforced rule that stops the post, and whether as spam.
    pub rule: Option<(String, bool)>,
    /// Posts of the author within an hour, if they are too many.
    pub rate: Option<u32>,
    /// Nearly equal posts and their authors, if they are a campaign.
    pub campaign: Option<(u32, u32)>,
    /// What the submission itself says against publishing.
    pub doubts: Vec<Cause>,
}

/// Where a post goes, and why.
pub fn judge(evidence: &Evidence<'_>, thresholds: Thresholds) -> (PostState, Vec<Cause>) {
    if evidence.standing == Standing::Banned {
        return (PostState::Spam, vec![Cause::AuthorBanned]);
    }
    if let Some((rule, true)) = &evidence.rule {
        return (PostState::Spam, vec![Cause::Rule { rule: rule.clone() }]);
    }
    let mut causes = Vec::new();
    if let Some((rule, false)) = &evidence.rule {
        causes.push(Cause::Rule { rule: rule.clone() });
    }
    if matches!(evidence.standing, Standing::Silenced { .. }) {
        causes.push(Cause::AuthorSilenced);
    }
    causes.extend(evidence.doubts.iter().cloned());
    let trusted = evidence.standing == Standing::Trusted;
    if !trusted {
        causes.extend(evidence.rate.map(|posts| Cause::Rate { posts }));
        causes.extend(evidence.campaign.map(|(posts, authors)| Cause::Campaign { posts, authors }));
    }
    // A number that is none would pass both comparisons; it is a failure.
    let score = evidence.score.as_ref().ok().filter(|score| score.probability.is_finite());
    let Some(score) = score else {
        causes.push(Cause::ClassifierFailed);
        return (PostState::Held, causes);
    };
    if score.probability > thresholds.spam_above {
        causes.push(Cause::LikelySpam);
        let state = if trusted { PostState::Held } else { PostState::Spam };
        return (state, causes);
    }
    let fine = score.probability < thresholds.publish_below;
    if causes.is_empty() && (fine || trusted) {
        return (PostState::Published, vec![if fine { Cause::LikelyFine } else { Cause::AuthorTrusted }]);
    }
    causes.push(if fine { Cause::LikelyFine } else { Cause::Unsure });
    (PostState::Held, causes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Timestamp;

    const THRESHOLDS: Thresholds = Thresholds { publish_below: 0.2, spam_above: 0.97 };

    #[allow(clippy::unnecessary_wraps, reason = "the shape that evidence has")]
    fn score(probability: f64) -> Result<Score, ClassifierError> {
        Ok(Score { probability, reasons: Vec::new() })
    }

    fn evidence(score: &Result<Score, ClassifierError>) -> Evidence<'_> {
        Evidence { score, standing: Standing::Normal, rule: None, rate: None, campaign: None, doubts: Vec::new() }
    }

    #[test]
    fn the_number_decides_between_the_thresholds_and_failure_is_held() {
        for (probability, state) in [
            (0.0, PostState::Published),
            (0.199, PostState::Published),
            (0.2, PostState::Held),
            (0.97, PostState::Held),
            (0.971, PostState::Spam),
            (f64::NAN, PostState::Held),
        ] {
            assert_eq!(judge(&evidence(&score(probability)), THRESHOLDS).0, state, "{probability}");
        }
        let failed = Err(ClassifierError("broken".into()));
        assert_eq!(judge(&evidence(&failed), THRESHOLDS), (PostState::Held, vec![Cause::ClassifierFailed]));
        let trusted = Evidence { standing: Standing::Trusted, ..evidence(&failed) };
        assert_eq!(judge(&trusted, THRESHOLDS).0, PostState::Held);
    }

    #[test]
    fn standing_and_rules_go_before_the_number() {
        let (fine, spam, unsure) = (score(0.01), score(0.99), score(0.5));
        let with = |score, standing| judge(&Evidence { standing, ..evidence(score) }, THRESHOLDS).0;
        let silenced = Standing::Silenced { until: Timestamp::from_millis(9) };
        assert_eq!(with(&fine, Standing::Banned), PostState::Spam);
        assert_eq!(with(&fine, silenced), PostState::Held);
        assert_eq!(with(&spam, silenced), PostState::Spam);
        assert_eq!(with(&unsure, Standing::Trusted), PostState::Published);
        assert_eq!(with(&spam, Standing::Trusted), PostState::Held);
        let rule = |bites| Evidence { rule: Some(("word \"x\"".into(), bites)), ..evidence(&fine) };
        assert_eq!(judge(&rule(true), THRESHOLDS).0, PostState::Spam);
        assert_eq!(judge(&rule(false), THRESHOLDS).0, PostState::Held);
        let flood = Evidence { rate: Some(40), campaign: Some((5, 4)), ..evidence(&fine) };
        assert_eq!(judge(&flood, THRESHOLDS).0, PostState::Held);
    }

    proptest! {
        #[test]
        fn nothing_is_published_without_a_number(trusted: bool, rate: Option<u32>, doubts: bool) {
            let failed = Err(ClassifierError("x".into()));
            let standing = if trusted { Standing::Trusted } else { Standing::Normal };
            let doubts = if doubts { vec![Cause::Honeypot] } else { Vec::new() };
            let evidence = Evidence { standing, rate, doubts, ..evidence(&failed) };
            prop_assert_eq!(judge(&evidence, THRESHOLDS).0, PostState::Held);
        }
    }
}
