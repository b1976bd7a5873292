//! Which windows stand together, and how numbers are grouped.

use super::{Group, Strength, Window};

/// An accepted window makes the boundary of its neighbours clear.
pub(super) fn spread(windows: &mut [(Window, bool)]) {
    if windows.iter().all(|(_, accepted)| *accepted) || !windows.iter().any(|(_, accepted)| *accepted) {
        return;
    }
    windows.sort_by_key(|(window, _)| window.first);
    let mut ends = std::collections::HashSet::new();
    for (window, accepted) in windows.iter_mut() {
        *accepted |= window.first > 0 && ends.contains(&(window.first - 1));
        if *accepted {
            ends.insert(window.last);
        }
    }
    windows.sort_by_key(|(window, _)| std::cmp::Reverse(window.last));
    let mut starts = std::collections::HashSet::new();
    for (window, accepted) in windows.iter_mut() {
        *accepted |= starts.contains(&(window.last + 1));
        if *accepted {
            starts.insert(window.first);
        }
    }
}

/// The disjoint windows that cover most digits; among equals the strong ones, then those that begin earlier.
pub(super) fn best(mut windows: Vec<Window>, groups: &[Group]) -> Vec<Window> {
    if windows.len() <= 1 {
        return windows;
    }
    windows.sort_by_key(|window| (window.last, std::cmp::Reverse(window.first)));
    let worth = |window: &Window| {
        let digits: u32 = groups[window.first..=window.last].iter().map(|group| group.len).sum();
        digits * 16 + u32::from(window.strength == Strength::Strong) * 8 + u32::from(window.last - window.first <= 4)
    };
    // total[i]: the best of the first i windows; chosen[i]: was window i - 1 taken for it?
    let mut total = vec![0u32; windows.len() + 1];
    let mut chosen = vec![None; windows.len() + 1];
    for (i, window) in windows.iter().enumerate() {
        let before = windows[..i].partition_point(|other| other.last < window.first);
        let with = total[before] + worth(window);
        if with > total[i] {
            (total[i + 1], chosen[i + 1]) = (with, Some(before));
        } else {
            total[i + 1] = total[i];
        }
    }
    let mut out = Vec::new();
    let mut at = windows.len();
    while at > 0 {
        match chosen[at] {
            Some(before) => {
                out.push(windows[at - 1]);
                at = before;
            }
            None => at -= 1,
        }
    }
    out.reverse();
    out
}

/// Groupings that are printed on cards or that forms make.
pub(super) fn is_usual(lengths: &[u32]) -> bool {
    match lengths {
        [4, 4, 4] | [4, 4, 4, 1..=4] | [4, 4, 4, 4, 1..=3] | [4, 4, 4, 5..=7] => true,
        [4, 6, 4 | 5] | [4, 5, 6] | [6, 4, 5] | [3, 4, 4, 4] | [4, 3, 3, 3] | [4, 8, 4] | [4, 4, 8] | [8, 4, 4] => true,
        [6, 6, 4]
        | [6, 4, 6]
        | [6, 6, 6 | 7 | 3]
        | [6, 2, 4, 4]
        | [4, 2, 6, 4]
        | [4, 6, 6]
        | [5, 5, 5 | 6]
        | [4, 2, 2, 4, 4] => true,
        [8, 8 | 6 | 7 | 11]
        | [6, 8..=13]
        | [4, 8..=12]
        | [10..=15, 4]
        | [10, 6]
        | [4, 4, 5]
        | [11, 5]
        | [9, 4..=7]
        | [15, 1] => true,
        _ => false,
    }
}

/// All groups as long as the first, the last one at most as long.
pub(super) fn is_regular(lengths: &[u32]) -> bool {
    let (last, rest) = lengths.split_last().map_or((0, &[][..]), |(last, rest)| (*last, rest));
    rest.len() >= 2 && rest.iter().all(|len| *len == rest[0]) && last <= rest[0] && rest[0] <= 7
}

/// One digit a group.
pub(super) fn spelled(lengths: &[u32]) -> bool {
    lengths.len() >= 13 && lengths.iter().all(|len| *len == 1)
}

/// `1,234,567,890,123`: an amount.
pub(super) fn is_thousands(lengths: &[u32], groups: &[Group]) -> bool {
    matches!(lengths.first(), Some(1..=3))
        && lengths[1..].iter().all(|len| *len == 3)
        && groups[1..]
            .iter()
            .all(|group| matches!(group.before.first, ',' | '.' | '\'' | '\u{66c}') && group.before.width == 1)
}
