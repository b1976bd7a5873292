//! Where two values differ, for people: the common beginning and end are left plain, what is between is marked.

/// A value in three pieces; the middle one is what differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) before: String,
    pub(super) differs: String,
    pub(super) after: String,
}

/// Marks where `one` differs from `other`.
pub(super) fn mark(one: &str, other: &str) -> Marked {
    let (a, b): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let front = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let room = a.len().min(b.len()) - front;
    let back = a.iter().rev().zip(b.iter().rev()).take(room).take_while(|(a, b)| a == b).count();
    let piece = |from: usize, to: usize| a[from..to].iter().collect();
    Marked { before: piece(0, front), differs: piece(front, a.len() - back), after: piece(a.len() - back, a.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(one: &str, other: &str) -> (String, String, String) {
        let Marked { before, differs, after } = mark(one, other);
        (before, differs, after)
    }

    #[test]
    fn what_differs_is_between_what_does_not() {
        let expect = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(pieces("p=none", "p=reject"), expect("p=", "none", ""));
        assert_eq!(pieces("aXa", "aa"), expect("a", "X", "a"));
        assert_eq!(pieces("aa", "aXa"), expect("a", "", "a"));
        assert_eq!(pieces("same", "same"), expect("same", "", ""));
        assert_eq!(pieces("", "x"), expect("", "", ""));
    }
}
