//! Numbers that one row of groups does not hold: over a line end, over the edges of cells, two written as one run.

use super::{
    DOUBLED, Group, Judge, LENGTHS, Number, Row, Strength, Window, context, is_usual, issuer, kind, luhn, spelled,
    surroundings,
};

impl Judge<'_> {
    /// Two numbers written as one run of 28 to 38 digits.
    pub(super) fn doubled(&self, out: &mut Vec<Number>) {
        for group in self.chain.groups.iter().filter(|group| DOUBLED.contains(&group.len)) {
            let all = group.first as usize..(group.first + group.len) as usize;
            let Some(values) = self.chain.values.get(all.clone()) else { continue };
            let strong =
                |values: &[u8]| issuer(values).filter(|found| found.strength == Strength::Strong && luhn(values));
            for cut in 13..=19 {
                if values.len() < cut + 13 {
                    break;
                }
                let (Some(one), Some(two)) = (strong(&values[..cut]), strong(&values[cut..])) else { continue };
                if surroundings::of(self.text, group.start as usize, group.end as usize) == surroundings::Place::Text {
                    out.push(Number { digits: all.start..all.start + cut, brand: one.brand });
                    out.push(Number { digits: all.start + cut..all.end, brand: two.brand });
                }
                break;
            }
        }
    }

    /// Numbers that go over one line end or over the edges of cells.
    pub(super) fn across(&self, rows: &[Row], taken: &mut Vec<Window>) {
        let groups = &self.chain.groups;
        let free =
            |taken: &[Window], first: usize, last: usize| !taken.iter().any(|w| w.first <= last && first <= w.last);
        let long = |row: Row| groups[row.first..=row.last].iter().map(|group| group.len).sum::<u32>() >= 13;
        for pair in rows.windows(2) {
            let (above, below) = (pair[0], pair[1]);
            let separator = groups[below.first].before;
            if separator.kinds & kind::CELL != 0 || long(above) && long(below) && above.last - above.first > 8 {
                continue;
            }
            let whole = rows.len() == 2 && !self.chain.continued && !self.chain.continues;
            let mut head = 0;
            for first in (above.first..=above.last).rev() {
                head += groups[first].len;
                let mut digits = head;
                for (last, group) in groups.iter().enumerate().take(below.last + 1).skip(below.first) {
                    digits += group.len;
                    if digits as usize > *LENGTHS.end() {
                        break;
                    }
                    let entire = whole && first == above.first && last == below.last;
                    let Some(window) = self.window(first, last) else { continue };
                    if free(taken, first, last) && self.over_line(window, above, below, entire) {
                        taken.push(window);
                    }
                }
                if head as usize >= *LENGTHS.end() {
                    break;
                }
            }
        }
        self.down(rows, taken);
    }

    /// Numbers whose groups, or digits, stand in cells or lines of their own.
    fn down(&self, rows: &[Row], taken: &mut Vec<Window>) {
        let groups = &self.chain.groups;
        let cells = |row: &Row| groups[row.first].before.kinds & kind::CELL != 0;
        for start in 0..rows.len() {
            let in_cells = rows.get(start + 1).is_some_and(cells);
            let one_each = rows[start].first == rows[start].last && groups[rows[start].first].len == 1;
            let most = if one_each { 19 } else { 6 };
            for end in start + 1..rows.len().min(start + most) {
                if cells(&rows[end]) != in_cells {
                    break;
                }
                let (first, last) = (rows[start].first, rows[end].last);
                let Some(window) = self.window(first, last) else { continue };
                let lengths: Vec<u32> = groups[first..=last].iter().map(|group| group.len).collect();
                let bounded = (start == 0 || in_cells && !cells(&rows[start]))
                    && rows.get(end + 1).is_none_or(|next| in_cells && !cells(next));
                let usual = lengths.len() >= 3 && is_usual(&lengths) || spelled(&lengths);
                let free = !taken.iter().any(|w| w.first <= last && first <= w.last);
                if bounded && usual && free && self.card_word(&window) {
                    taken.push(window);
                }
            }
        }
    }

    fn over_line(&self, window: Window, above: Row, below: Row, entire: bool) -> bool {
        let groups = &self.chain.groups;
        let count = |first: usize, last: usize| groups[first..=last].iter().map(|group| group.len).sum::<u32>();
        let mut lengths: Vec<u32> = groups[window.first..=window.last].iter().map(|group| group.len).collect();
        let half = count(window.first, above.last) >= 13 || count(below.first, window.last) >= 13;
        if half && !(entire && (lengths.len() >= 4 || self.card_word(&window))) {
            return false;
        }
        let mut usual = is_usual(&lengths);
        let cut = above.last - window.first;
        let joined = lengths.remove(cut + 1);
        lengths[cut] += joined;
        usual |= is_usual(&lengths) || lengths.len() == 1;
        let inner: Vec<&Group> =
            (window.first + 1..=window.last).filter(|i| *i != below.first).map(|i| &groups[i.to_owned()]).collect();
        let uniform = inner.iter().all(|group| {
            group.before.is_like(inner[0].before) && group.before.kinds & !(kind::SPACE | kind::HYPHEN) == 0
        });
        let (start, _) = self.span(&window);
        if !usual
            || !uniform
            || surroundings::after_plus(self.text, start)
            || (self.allow)(self.text, start, groups[window.last].end as usize)
        {
            return false;
        }
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let wrapped = groups[above.last].end as usize - line_start >= 55;
        let plain = entire && (groups.len() >= 3 || wrapped) && window.strength == Strength::Strong;
        (plain || self.card_word(&window)) && !context::other_label(self.text, start)
    }
}
