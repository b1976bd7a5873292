//! One SPF record out of several: a domain may have one only (RFC 7208 §3.2).

use super::{Mechanism, Modifier, Qualifier, SpfRecord, SpfTerm};

/// The record that says what all of them say: their mechanisms in order, each once, and the `all` or `redirect=` of
/// the first that has one. With nothing to merge it is the empty record.
///
/// A mechanism that passes goes before the first that does not, so that nothing in an older record takes away what a
/// newer one grants.
pub fn merge(records: &[SpfRecord]) -> SpfRecord {
    let mut terms: Vec<SpfTerm> = Vec::new();
    let mut last: Option<SpfTerm> = None;
    for term in records.iter().flat_map(|record| &record.terms) {
        let ends = matches!(term, SpfTerm::Directive(_, Mechanism::All) | SpfTerm::Modifier(Modifier::Redirect(_)));
        if ends {
            last.get_or_insert_with(|| term.clone());
            continue;
        }
        let explains = |term: &SpfTerm| matches!(term, SpfTerm::Modifier(Modifier::Explanation(_)));
        if terms.contains(term) || (explains(term) && terms.iter().any(explains)) {
            continue;
        }
        let granting = matches!(term, SpfTerm::Directive(Qualifier::Pass, _));
        let before = terms.iter().position(|known| !matches!(known, SpfTerm::Directive(Qualifier::Pass, _)));
        match before.filter(|_| granting) {
            Some(at) => terms.insert(at, term.clone()),
            None => terms.push(term.clone()),
        }
    }
    terms.extend(last);
    SpfRecord { terms }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(records: &[&str]) -> String {
        merge(&records.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>()).to_string()
    }

    #[test]
    fn nothing_is_lost_and_nothing_stands_twice() {
        assert_eq!(
            merged(&["v=spf1 include:_spf.host.example mx ~all", "v=spf1 ip4:192.0.2.10 mx -all"]),
            "v=spf1 include:_spf.host.example mx ip4:192.0.2.10 ~all"
        );
        assert_eq!(merged(&["v=spf1 -ip4:192.0.2.1 -all", "v=spf1 a -all"]), "v=spf1 a -ip4:192.0.2.1 -all");
        assert_eq!(merged(&["v=spf1 redirect=x.example", "v=spf1 a ~all"]), "v=spf1 a redirect=x.example");
    }
}
