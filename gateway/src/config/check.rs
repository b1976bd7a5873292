//! The check of a file against the table of keys: goes on after every mistake, so that all come back together.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::complaint::{Complaint, Place};
use super::keys::{self, SECTIONS};
use super::kind::{Absent, Key, Kind, Occurs, Section};
use super::read::{Wrong, read, remedy, shown};
use super::value::{self, Entry, SectionValues, Values};

/// What the names of overriding variables begin with.
pub(super) const PREFIX: &str = "WAXSEAL__";

/// Checks everything that can be checked key by key. The values are whole even when there are complaints: a
/// default stands in for each bad one.
pub(super) fn check(source: &Path, text: &str, overrides: &[(String, String)]) -> (Values, Vec<Complaint>) {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let mut complaints: Vec<Complaint> = syntax
        .iter()
        .map(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            let problem = error.message().lines().collect::<Vec<_>>().join("; ");
            Complaint::at(Place::in_text(source, text, offset), "", format!("not TOML: {problem}"), "")
        })
        .collect();
    let broken_lines: Vec<_> = complaints.iter().filter_map(|complaint| complaint.place.line()).collect();

    let mut checker =
        Checker { source, text, whole: syntax.is_empty(), complaints: Vec::new(), overrides: BTreeMap::new() };
    checker.take_overrides(overrides);
    let mut values = Values { file: source.to_owned(), sections: BTreeMap::new() };
    for section in SECTIONS {
        let instances = checker.section(section, document.get_ref());
        values.sections.insert(section.path, instances);
    }
    // A line that is not TOML has had its complaint; what the parser saved of it only makes noise.
    let more = checker.complaints.into_iter();
    complaints.extend(more.filter(|complaint| complaint.place.line().is_none_or(|line| !broken_lines.contains(&line))));
    (values, complaints)
}

struct Checker<'a> {
    source: &'a Path,
    text: &'a str,
    /// Was the text whole TOML? If not, what is missing may only have been lost.
    whole: bool,
    complaints: Vec<Complaint>,
    /// `section.key` → variable and text.
    overrides: BTreeMap<String, (String, String)>,
}

impl Checker<'_> {
    fn place(&self, offset: usize) -> Place {
        Place::in_text(self.source, self.text, offset)
    }

    fn complain(
        &mut self,
        place: Place,
        key: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.complaints.push(Complaint::at(place, key, problem, remedy));
    }

    fn take_overrides(&mut self, overrides: &[(String, String)]) {
        for (variable, text) in overrides {
            let path = variable[PREFIX.len()..].to_lowercase().replace("__", ".");
            let (section, name) = path.rsplit_once('.').unwrap_or(("", &path));
            let known = keys::find(section).filter(|section| section.keys.iter().any(|key| key.name == name));
            let place = Place::Environment(variable.clone());
            match known {
                Some(section) if section.occurs == Occurs::Repeated => self.complain(
                    place,
                    path.clone(),
                    format!("[[{}]] occurs several times, so a variable cannot say which is meant", section.path),
                    "write it in the file",
                ),
                Some(_) => {
                    self.overrides.insert(path, (variable.clone(), text.clone()));
                }
                None => {
                    let all =
                        SECTIONS.iter().flat_map(|section| section.keys.iter().map(|key| full_name(section, key.name)));
                    let all: Vec<String> = all.collect();
                    let remedy = closest(&path, all.iter().map(String::as_str)).map_or_else(
                        || "see \"waxseal config example\" for every key".to_owned(),
                        |near| format!("did you mean {PREFIX}{}?", near.to_uppercase().replace('.', "__")),
                    );
                    self.complain(place, path.clone(), "there is no such key", remedy);
                }
            }
        }
    }

    fn section(&mut self, section: &'static Section, root: &DeTable<'_>) -> Vec<SectionValues> {
        let start = self.place(0);
        if section.path.is_empty() {
            return vec![self.instance(section, root, &start)];
        }
        let overridden = section.keys.iter().any(|key| self.overrides.contains_key(&full_name(section, key.name)));
        match (find(root, section.path), section.occurs) {
            (None, Occurs::Repeated) => Vec::new(),
            (None, Occurs::Optional) if !overridden => Vec::new(),
            (None, Occurs::Optional | Occurs::Once) => vec![self.instance(section, &DeTable::new(), &start)],
            (Some(found), Occurs::Repeated) => self.instances(section, found),
            (Some(found), Occurs::Optional | Occurs::Once) => {
                let place = self.place(found.span().start);
                let nothing = DeTable::new();
                let table = found.get_ref().as_table().unwrap_or_else(|| {
                    self.complain(
                        place.clone(),
                        section.path,
                        "is a section, not a value",
                        format!("write [{}] on a line of its own", section.path),
                    );
                    &nothing
                });
                vec![self.instance(section, table, &place)]
            }
        }
    }

    fn instances(&mut self, section: &'static Section, found: &Spanned<DeValue<'_>>) -> Vec<SectionValues> {
        let remedy = || format!("write [[{}]] on a line of its own, once for each", section.path);
        let Some(members) = found.get_ref().as_array() else {
            self.complain(self.place(found.span().start), section.path, "occurs any number of times", remedy());
            return Vec::new();
        };
        let mut instances = Vec::new();
        for member in members {
            let place = self.place(member.span().start);
            match member.get_ref().as_table() {
                Some(table) => instances.push(self.instance(section, table, &place)),
                None => self.complain(place, section.path, "is not a section", remedy()),
            }
        }
        instances
    }

    fn instance(&mut self, section: &'static Section, table: &DeTable<'_>, place: &Place) -> SectionValues {
        for name in table.keys() {
            self.known(section, name);
        }
        let entries = section.keys.iter().map(|key| (key.name, self.entry(section, key, table, place))).collect();
        SectionValues { section, place: place.clone(), entries }
    }

    fn entry(&mut self, section: &'static Section, key: &Key, table: &DeTable<'_>, place: &Place) -> Entry {
        let name = full_name(section, key.name);
        let mut wrong = Vec::new();
        let (value, place, from_file) = if let Some((variable, text)) = self.overrides.get(&name) {
            (override_value(key.kind, text, &mut wrong), Place::Environment(variable.clone()), false)
        } else if let Some(written) = table.get(key.name) {
            (read(key.kind, written, &mut wrong), self.place(written.span().start), true)
        } else {
            if matches!(key.default, Absent::Required(_)) && self.whole {
                let line = if section.path.is_empty() {
                    String::new()
                } else if section.occurs == Occurs::Repeated {
                    format!(" under [[{}]]", section.path)
                } else {
                    format!(" under [{}]", section.path)
                };
                self.complain(
                    place.clone(),
                    name,
                    "is missing",
                    format!("write {} = {}{line}", key.name, key.default.text()),
                );
                return Entry { bad: true, ..value::default_entry(section, key.name, place) };
            }
            return value::default_entry(section, key.name, place);
        };
        for Wrong { offset, problem, remedy } in wrong {
            let place = if from_file { self.place(offset) } else { place.clone() };
            self.complain(place, name.clone(), problem, remedy);
        }
        match value {
            Some(value) => Entry { value: Some(value), place, bad: false },
            None => Entry { bad: true, ..value::default_entry(section, key.name, &place) },
        }
    }

    /// Complains of a name that the section does not have.
    fn known(&mut self, section: &Section, name: &Spanned<std::borrow::Cow<'_, str>>) {
        let names = names_in(section);
        let written = &**name.get_ref();
        if names.contains(&written) {
            return;
        }
        let elsewhere = SECTIONS.iter().find(|other| other.keys.iter().any(|key| key.name == written));
        let remedy = match (closest(written, names.iter().copied()), elsewhere) {
            (Some(near), _) => format!("did you mean \"{near}\"?"),
            (None, Some(other)) if other.path.is_empty() => {
                "it belongs at the top of the file, before any section".to_owned()
            }
            (None, Some(other)) => format!("it belongs under [{}]", other.path),
            (None, None) => "remove it; \"waxseal config example\" shows every key".to_owned(),
        };
        // An unknown name may be anything, a secret pasted into the wrong place included: it is shown shortened.
        let shown = written.chars().take(40).filter(|c| !c.is_control()).collect::<String>();
        let key = if section.path.is_empty() { shown } else { format!("{}.{shown}", section.path) };
        self.complain(self.place(name.span().start), key, "there is no such key", remedy);
    }
}

/// A section's keys and the sections directly inside it.
fn names_in(section: &Section) -> Vec<&'static str> {
    let inside = SECTIONS.iter().filter_map(|other| match other.path.rsplit_once('.') {
        Some((parent, name)) => (parent == section.path).then_some(name),
        None => (section.path.is_empty() && !other.path.is_empty()).then_some(other.path),
    });
    section.keys.iter().map(|key| key.name).chain(inside).collect()
}

fn full_name(section: &Section, key: &str) -> String {
    if section.path.is_empty() { key.to_owned() } else { format!("{}.{key}", section.path) }
}

fn find<'t, 'i>(root: &'t DeTable<'i>, path: &str) -> Option<&'t Spanned<DeValue<'i>>> {
    match path.split_once('.') {
        None => root.get(path),
        Some((first, rest)) => find(root.get(first)?.get_ref().as_table()?, rest),
    }
}

/// A variable's text as a value: what is written in quotes in the file needs none here.
fn override_value(kind: Kind, text: &str, wrong: &mut Vec<Wrong>) -> Option<value::Value> {
    let bare = !matches!(kind, Kind::Integer(..) | Kind::Fraction | Kind::Boolean | Kind::Keep | Kind::List(..));
    if bare {
        return read(kind, &Spanned::new(0..0, DeValue::String(text.into())), wrong);
    }
    if let Ok(parsed) = DeValue::parse(text) {
        return read(kind, &parsed, wrong);
    }
    wrong.push(Wrong { offset: 0, problem: format!("{} is not valid here", shown(&text)), remedy: remedy(kind) });
    None
}

/// The candidate that is a typing error or two away, if there is one.
pub(super) fn closest<'c>(written: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    // Names are short; anything longer is not a typing error, and the table below is quadratic.
    if written.len() > 64 {
        return None;
    }
    candidates
        .map(|candidate| (distance(&written.to_lowercase(), candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 5)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Insertions, removals, replacements and swaps of neighbours between two words (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
