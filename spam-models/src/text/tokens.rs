//! Text to tokens: words, links, numbers, signs, each with the letters it is read as and how it was written.
//!
//! Scripts without spaces between words (Han, kana, Thai, Lao, Khmer, Burmese) give one token a run; the features cut
//! it into n-grams. Words spelled with gaps ("f r e e", "f.r.e.e") are joined, "name dot com" becomes a link.

use super::fold::{self, Folded, Leaning};
use super::links::{self, Link};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Letters of a script that puts spaces between words.
    Word,
    /// A run of a script that does not.
    Run,
    /// Digits only.
    Number,
    /// Letters and digits mixed.
    Mixed,
    Url,
    Mail,
    /// `@name`.
    Handle,
    /// `#word`.
    Tag,
    Emoji,
    /// A sign for money.
    Money,
    /// Other signs; one token a run of the same.
    Sign,
}

/// One token.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // Ways of writing; a token may be written in all of them.
pub(crate) struct Token {
    pub class: Class,
    /// Its letters in [`Tokens::chars`].
    pub start: u32,
    pub end: u32,
    /// The word as written, in [`Tokens::words`].
    pub word: u32,
    /// What stood before it.
    pub gap: Gap,
    pub capitals: bool,
    /// Disguised: styled letters, invisible characters, marks, look-alikes.
    pub disguised: bool,
    /// Joined from single letters.
    pub spaced: bool,
    /// Letters repeated three times or more.
    pub stretched: bool,
}

/// What stands between a token and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gap {
    None,
    Space,
    Line,
}

/// A word between two spaces, as written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Written {
    /// Octets in [`Tokens::raw`].
    pub start: u32,
    pub end: u32,
}

/// Signs that are counted over the whole text.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub letters: u32,
    pub capitals: u32,
    pub digits: u32,
    pub exclamations: u32,
    pub emoji: u32,
    pub longest_run: u32,
    pub lines: u32,
    pub spoken_dots: u32,
    pub spaced_words: u32,
    pub folded: Folded,
}

/// A text as tokens.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// The letters of all tokens, in lower case.
    pub chars: Vec<char>,
    pub list: Vec<Token>,
    pub raw: String,
    pub words: Vec<Written>,
    pub links: Vec<Link>,
    pub counts: Counts,
}

impl Tokens {
    /// The letters of a token.
    pub(crate) fn letters(&self, token: &Token) -> &[char] {
        &self.chars[token.start as usize..token.end as usize]
    }

    /// The word, as written, that a token stands in.
    pub(crate) fn written(&self, token: &Token) -> &str {
        self.words.get(token.word as usize).map_or("", |word| &self.raw[word.start as usize..word.end as usize])
    }
}

/// Cuts a text into tokens.
pub(crate) fn tokenize(text: &str) -> Tokens {
    let ascii = text.is_ascii();
    let (leaning, east_asian) =
        if ascii { (Leaning::Latin, false) } else { (fold::leaning(text), fold::east_asian(text)) };
    let mut out = Tokens { raw: text.to_owned(), ..Tokens::default() };
    out.chars.reserve(text.len());
    let mut folded = Vec::new();
    let mut gap = Gap::Line;
    let mut rest = 0;
    while rest < text.len() {
        let space = text[rest..].find(|c: char| !c.is_whitespace()).map_or(text.len(), |at| rest + at);
        if text[rest..space].contains('\n') {
            gap = Gap::Line;
            out.counts.lines += 1;
        } else if space > rest && gap != Gap::Line {
            gap = Gap::Space;
        }
        if space == text.len() {
            break;
        }
        let end = text[space..].find(char::is_whitespace).map_or(text.len(), |at| space + at);
        let word = &text[space..end];
        folded.clear();
        let before = out.counts.folded;
        if word.is_ascii() {
            folded.extend(word.chars());
        } else {
            add(&mut out.counts.folded, fold::fold(word, leaning, east_asian, &mut folded));
        }
        out.words.push(Written { start: space as u32, end: end as u32 });
        let disguised = out.counts.folded != before;
        cut(&mut out, &folded, gap, disguised);
        gap = Gap::None;
        rest = end;
    }
    join_spaced(&mut out);
    join_spoken_dots(&mut out);
    out
}

fn add(total: &mut Folded, more: Folded) {
    total.invisible += more.invisible;
    total.styled += more.styled;
    total.marks += more.marks;
    total.mixed += more.mixed;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Letter,
    Unspaced,
    Digit,
    Emoji,
    Money,
    Sign,
    Space,
}

fn kind(c: char) -> Kind {
    if c.is_ascii() {
        return match c {
            'a'..='z' | 'A'..='Z' => Kind::Letter,
            '0'..='9' => Kind::Digit,
            '$' => Kind::Money,
            ' ' | '\t' | '\n' | '\r' => Kind::Space,
            _ => Kind::Sign,
        };
    }
    match c {
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' => {
            if c == '฿' {
                Kind::Money
            } else {
                Kind::Unspaced
            }
        }
        '\u{3005}'..='\u{3007}'
        | '\u{3041}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Kind::Unspaced,
        // Vowel signs and viramas of the Indic scripts belong to their words.
        '\u{900}'..='\u{dff}' => Kind::Letter,
        '\u{20a0}'..='\u{20bf}' | '£' | '¥' | '¢' => Kind::Money,
        '\u{1f000}'..='\u{1faff}'
        | '\u{2600}'..='\u{27bf}'
        | '\u{2b00}'..='\u{2bff}'
        | '\u{2190}'..='\u{21ff}'
        | '\u{25a0}'..='\u{25ff}'
        | '\u{2300}'..='\u{23ff}' => Kind::Emoji,
        _ if c.is_numeric() => Kind::Digit,
        _ if c.is_alphanumeric() => Kind::Letter,
        _ if c.is_whitespace() => Kind::Space,
        '\u{300}'..='\u{36f}' => Kind::Letter,
        _ => Kind::Sign,
    }
}

/// Cuts one word, folded, into tokens.
fn cut(out: &mut Tokens, word: &[char], mut gap: Gap, disguised: bool) {
    let mut at = 0;
    let mut span = links::find(word, 0);
    while at < word.len() {
        if let Some(found) = span.filter(|found| found.start == at) {
            let class = if found.mail { Class::Mail } else { Class::Url };
            let text: String = word[found.start..found.end].iter().collect();
            out.links.extend((!found.mail).then(|| Link::parse(&text)).flatten());
            push(out, class, &word[found.start..found.end], gap, disguised);
            at = found.end;
            span = links::find(word, at);
        } else {
            let end = span.map_or(word.len(), |found| found.start);
            at = cut_one(out, &word[..end], at, gap, disguised);
        }
        gap = Gap::None;
    }
}

/// Makes the token that begins at `at`; says where the next begins.
fn cut_one(out: &mut Tokens, word: &[char], at: usize, gap: Gap, disguised: bool) -> usize {
    let first = word[at];
    let run = |is: &dyn Fn(char) -> bool| word[at..].iter().position(|&c| !is(c)).map_or(word.len(), |n| at + n);
    let sort = kind(first);
    match sort {
        Kind::Space => at + 1,
        Kind::Letter | Kind::Digit => {
            let inside = |c: char| matches!(kind(c), Kind::Letter | Kind::Digit);
            let mut end = run(&inside);
            // "don't" is one word; a quote at its end is not part of it.
            if end + 1 < word.len() && matches!(word[end], '\'' | '’') && kind(word[end + 1]) == Kind::Letter {
                end = word[end + 1..].iter().position(|&c| !inside(c)).map_or(word.len(), |n| end + 1 + n);
            }
            let letters = word[at..end].iter().any(|&c| kind(c) == Kind::Letter);
            let digits = word[at..end].iter().any(|&c| kind(c) == Kind::Digit);
            let class = match (letters, digits) {
                (true, true) => Class::Mixed,
                (false, _) => Class::Number,
                _ => Class::Word,
            };
            push(out, class, &word[at..end], gap, disguised);
            end
        }
        Kind::Unspaced => {
            let end = run(&|c| kind(c) == Kind::Unspaced);
            push(out, Class::Run, &word[at..end], gap, disguised);
            end
        }
        Kind::Emoji => {
            let end = run(&|c| kind(c) == Kind::Emoji);
            out.counts.emoji += (end - at) as u32;
            // A wall of emoji says no more than its kinds: the first few stand for it.
            push(out, Class::Emoji, &word[at..end.min(at + 4)], gap, false);
            end
        }
        Kind::Money => {
            push(out, Class::Money, &word[at..=at], gap, false);
            at + 1
        }
        Kind::Sign => {
            let named = matches!(first, '@' | '#')
                && word.get(at + 1).is_some_and(|&c| matches!(kind(c), Kind::Letter | Kind::Unspaced));
            if named {
                let inside = |c: char| matches!(kind(c), Kind::Letter | Kind::Digit | Kind::Unspaced) || c == '_';
                let end = word[at + 1..].iter().position(|&c| !inside(c)).map_or(word.len(), |n| at + 1 + n);
                let class = if first == '@' { Class::Handle } else { Class::Tag };
                push(out, class, &word[at + 1..end], gap, disguised);
                return end;
            }
            let end = run(&|c| c == first);
            if first == '!' {
                out.counts.exclamations += (end - at) as u32;
            }
            push(out, Class::Sign, &word[at..end.min(at + 3)], gap, false);
            end
        }
    }
}

fn push(out: &mut Tokens, class: Class, letters: &[char], gap: Gap, disguised: bool) {
    let start = out.chars.len();
    let (mut upper, mut lower, mut run) = (0_u32, 0_u32, 0_u32);
    let mut stretched = false;
    let mut previous = '\0';
    for &c in letters {
        let small = if c.is_ascii() { c.to_ascii_lowercase() } else { c.to_lowercase().next().unwrap_or(c) };
        if small != c {
            upper += 1;
        } else if c.is_alphabetic() {
            lower += 1;
        }
        out.counts.digits += u32::from(c.is_ascii_digit());
        run = if small == previous { run + 1 } else { 1 };
        out.counts.longest_run = out.counts.longest_run.max(run);
        // No word of any language has a letter three times: a stretched one is read as one.
        if run == 3 && matches!(class, Class::Word | Class::Mixed) && small.is_alphabetic() {
            stretched = true;
            out.chars.pop();
        }
        if run < 3 || !stretched || !small.is_alphabetic() {
            out.chars.push(small);
        }
        previous = small;
    }
    if matches!(class, Class::Word | Class::Mixed | Class::Run) {
        out.counts.letters += upper + lower;
        out.counts.capitals += upper;
    }
    out.list.push(Token {
        class,
        start: start as u32,
        end: out.chars.len() as u32,
        word: (out.words.len() - 1) as u32,
        gap,
        capitals: upper >= 2 && lower == 0,
        disguised,
        spaced: false,
        stretched,
    });
}

/// Joins words that are spelled letter by letter: three single letters or more with the same kind of gap.
fn join_spaced(out: &mut Tokens) {
    let single = |token: &Token| token.class == Class::Word && token.end - token.start == 1;
    if out.list.iter().filter(|token| single(token)).take(3).count() < 3 {
        return;
    }
    let list = std::mem::take(&mut out.list);
    let mut at = 0;
    while at < list.len() {
        let end = spelled(out, &list, at, single);
        if end == at {
            out.list.push(list[at]);
            at += 1;
            continue;
        }
        let start = out.chars.len();
        for token in &list[at..end] {
            if single(token) {
                let letter = out.chars[token.start as usize];
                out.chars.push(letter);
            }
        }
        out.counts.spaced_words += 1;
        out.list.push(Token { start: start as u32, end: out.chars.len() as u32, spaced: true, ..list[at] });
        at = end;
    }
}

/// Where the word that is spelled letter by letter from `at` on ends; `at` where none is.
fn spelled(out: &Tokens, list: &[Token], at: usize, single: impl Fn(&Token) -> bool) -> usize {
    if !single(&list[at]) {
        return at;
    }
    let (mut letters, mut end) = (1, at + 1);
    let between = |token: &Token| token.class == Class::Sign && token.end - token.start == 1;
    let sign = list.get(at + 1).filter(|token| between(token)).map(|token| out.chars[token.start as usize]);
    loop {
        let step = usize::from(sign.is_some());
        if let Some(sign) = sign
            && list.get(end).is_none_or(|token| !between(token) || out.chars[token.start as usize] != sign)
        {
            break;
        }
        let Some(next) = list.get(end + step).filter(|next| single(next)) else { break };
        if next.gap == Gap::Line || (sign.is_none() && next.gap != Gap::Space) {
            break;
        }
        letters += 1;
        end += step + 1;
    }
    if letters >= 3 { end } else { at }
}

/// Reads "name dot com", "name [.] com" and "name . com" as the link that it is.
fn join_spoken_dots(out: &mut Tokens) {
    let word = |token: &Token| matches!(token.class, Class::Word | Class::Mixed);
    let list = std::mem::take(&mut out.list);
    let mut at = 0;
    while at < list.len() {
        let (token, mut next) = (list[at], at + 1);
        let opening =
            |token: &Token| token.class == Class::Sign && matches!(out.chars[token.start as usize], '(' | '[' | '{');
        let closing =
            |token: &Token| token.class == Class::Sign && matches!(out.chars[token.start as usize], ')' | ']' | '}');
        let mut bracket = false;
        if word(&token) && list.get(next).is_some_and(opening) {
            bracket = true;
            next += 1;
        }
        let spoken = word(&token)
            && list.get(next).is_some_and(|dot| {
                let letters: String = out.letters(dot).iter().collect();
                links::DOTS.contains(&letters.as_str()) || (letters == "." && (bracket || dot.gap == Gap::Space))
            });
        next += 1;
        if spoken && bracket && list.get(next).is_some_and(closing) {
            next += 1;
        }
        let ending = list.get(next).filter(|_| spoken).map(|top| out.letters(top).iter().collect::<String>());
        if let Some(top) = ending.filter(|top| links::SPOKEN.contains(&top.as_str()) && list[next].gap != Gap::Line) {
            let name: String = out.letters(&token).iter().collect();
            let start = out.chars.len();
            out.chars.extend(name.chars().chain(['.']).chain(top.chars()));
            out.links.extend(Link::parse(&format!("{name}.{top}")));
            out.counts.spoken_dots += 1;
            out.list.push(Token { class: Class::Url, start: start as u32, end: out.chars.len() as u32, ..token });
            at = next + 1;
        } else {
            out.list.push(token);
            at += 1;
        }
    }
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
