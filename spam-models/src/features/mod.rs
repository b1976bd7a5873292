//! A post's features: hashed, each tied to the token or the structural signal that it stands for.
//!
//! Words and pairs of words, character n-grams inside words (2 to 5) and across them (4 and 6, so that scripts without
//! spaces and words that are run together read the same), words as written, readings of disguised words with hash
//! seeds of their own (shared seeds cost 0.02 to 0.03 of the recall on honest text), shapes of neighbouring tokens,
//! and structure. A feature is a 32-bit hash; models take its upper bits.

mod hash;
mod shape;
mod signal;
mod structure;

use crate::post::Post;
use crate::text::{self, Class, Extract, Gap, Token, Tokens, links::Link};
pub(crate) use hash::Distinct;
use hash::{Hash, Kind};
pub(crate) use signal::Signal;

/// Tokens of a segment, before the next end of a sentence closes it. Short enough that spam of one line between three
/// ham texts fills one, long enough that a segment says something.
const SEGMENT: usize = 10;
/// Tokens at which a segment ends, sentence or not.
const SEGMENT_MOST: usize = 16;
/// Letters of a run without spaces that count as one word.
const LETTERS_A_WORD: usize = 3;

/// Where a feature comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A token, by its place.
    Token(u32),
    /// A structural signal, by its place in [`Features::signals`].
    Signal(u32),
}

/// One hashed feature.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Feature {
    pub hash: u32,
    pub source: Source,
}

/// All that the model sees of a post.
#[derive(Debug)]
pub(crate) struct Features {
    /// In order of the tokens they begin at, structure last; may hold a hash twice.
    pub list: Vec<Feature>,
    pub tokens: Tokens,
    pub signals: Vec<Signal>,
    /// The segment of each token.
    pub segment_of: Vec<u32>,
    pub segments: u32,
    /// Segments from here on hold what the post hides; they never count for the whole.
    pub hidden_from: u32,
    pub extract: Extract,
}

impl Features {
    /// Reads a post.
    pub(crate) fn of(post: &Post) -> Self {
        let mut extract = match &post.title {
            Some(title) if !title.is_empty() => text::extract(&format!("{title}\n{}", post.text)),
            _ => text::extract(&post.text),
        };
        let visible = std::mem::take(&mut extract.text);
        let backwards = shape::looks_reversed(&visible);
        let tokens = text::tokenize(&visible);
        let mut this = Self {
            list: Vec::with_capacity(visible.len() * 8 + 64),
            tokens,
            signals: Vec::new(),
            segment_of: Vec::new(),
            segments: 0,
            hidden_from: 0,
            extract,
        };
        this.segment();
        this.emit_tokens();
        this.emit_across();
        shape::emit(&mut this);
        structure::emit(&mut this, post);
        this.hidden_from = this.segments;
        if !this.extract.hidden.trim().is_empty() {
            let hidden = std::mem::take(&mut this.extract.hidden);
            this.append(&hidden);
        }
        if backwards {
            this.append(&visible.chars().rev().collect::<String>());
        }
        this
    }

    /// Adds text that counts only as segments of its own.
    fn append(&mut self, text: &str) {
        let mut other = Self {
            list: Vec::new(),
            tokens: text::tokenize(text),
            signals: Vec::new(),
            segment_of: Vec::new(),
            segments: 0,
            hidden_from: 0,
            extract: Extract::default(),
        };
        other.segment();
        other.emit_tokens();
        other.emit_across();
        let (tokens, chars) = (self.tokens.list.len() as u32, self.tokens.chars.len() as u32);
        let (words, raw) = (self.tokens.words.len() as u32, self.tokens.raw.len() as u32);
        self.list.extend(other.list.into_iter().map(|feature| match feature.source {
            Source::Token(at) => Feature { source: Source::Token(at + tokens), ..feature },
            Source::Signal(_) => feature,
        }));
        self.tokens.chars.extend(other.tokens.chars);
        self.tokens.raw.push_str(&other.tokens.raw);
        self.tokens.words.extend(other.tokens.words.into_iter().map(|mut word| {
            word.start += raw;
            word.end += raw;
            word
        }));
        self.tokens.list.extend(other.tokens.list.into_iter().map(|token| Token {
            start: token.start + chars,
            end: token.end + chars,
            word: token.word + words,
            ..token
        }));
        self.segment_of.extend(other.segment_of.into_iter().map(|segment| segment + self.segments));
        self.segments += other.segments;
    }

    /// The distinct hashes of the visible post: what the model is trained on.
    pub(crate) fn distinct(&self) -> Vec<u32> {
        let mut seen = Distinct::with_room_for(self.list.len());
        let mut out = Vec::with_capacity(self.list.len());
        for feature in &self.list {
            if self.counts_for_whole(feature.source) && seen.insert(feature.hash) {
                out.push(feature.hash);
            }
        }
        out
    }

    /// The distinct hashes of each segment, by its tokens alone.
    pub(crate) fn distinct_by_segment(&self) -> Vec<Vec<u32>> {
        let mut out = vec![Vec::new(); self.segments as usize];
        for feature in &self.list {
            if let Source::Token(at) = feature.source {
                out[self.segment_of[at as usize] as usize].push(feature.hash);
            }
        }
        for hashes in &mut out {
            let mut seen = Distinct::with_room_for(hashes.len());
            hashes.retain(|&hash| seen.insert(hash));
        }
        out
    }

    /// Whether a feature is part of what a reader sees.
    pub(crate) fn counts_for_whole(&self, source: Source) -> bool {
        match source {
            Source::Token(at) => self.segment_of[at as usize] < self.hidden_from,
            Source::Signal(_) => true,
        }
    }

    fn push(&mut self, hash: Hash, token: usize) {
        self.list.push(Feature { hash: hash.finish(), source: Source::Token(token as u32) });
    }

    fn segment(&mut self) {
        let (mut segment, mut size) = (0, 0);
        for token in &self.tokens.list {
            if (token.gap == Gap::Line && size >= SEGMENT / 2) || size >= SEGMENT_MOST {
                segment += 1;
                size = 0;
            }
            self.segment_of.push(segment);
            size += match token.class {
                Class::Run => (token.end - token.start) as usize / LETTERS_A_WORD + 1,
                Class::Sign | Class::Emoji => 0,
                _ => 1,
            };
            let ends = token.class == Class::Sign
                && matches!(self.tokens.chars[token.start as usize], '.' | '!' | '?' | '。' | '…');
            if ends && size >= SEGMENT {
                segment += 1;
                size = 0;
            }
        }
        self.segments = self.segment_of.last().map_or(0, |last| last + 1);
    }

    fn emit_tokens(&mut self) {
        let mut previous: Option<Hash> = None;
        let mut written = u32::MAX;
        for at in 0..self.tokens.list.len() {
            let token = self.tokens.list[at];
            let range = token.start as usize..token.end as usize;
            let word = match token.class {
                Class::Word | Class::Mixed | Class::Tag | Class::Handle => {
                    let word = self.emit_word(at, &token);
                    previous.replace(word).map(|before| before.pair(word))
                }
                Class::Run => {
                    self.emit_grams(at, range.clone(), Kind::Gram, 1, 5);
                    let word = Hash::new(Kind::Word).chars(&self.tokens.chars[range]);
                    previous.replace(word).map(|before| before.pair(word))
                }
                Class::Number => {
                    self.push(Hash::new(Kind::Digits).add(range.len().min(16) as u32), at);
                    let word = Hash::new(Kind::Word).chars(&self.tokens.chars[range.clone()]);
                    if range.len() <= 6 {
                        self.push(word, at);
                    }
                    previous
                        .replace(Hash::new(Kind::Digits).add(range.len().min(16) as u32))
                        .map(|before| before.pair(word))
                }
                Class::Url => {
                    self.emit_link(at, range);
                    None
                }
                Class::Mail => {
                    let letters = &self.tokens.chars[range];
                    let from = letters.iter().position(|&c| c == '@').map_or(0, |sign| sign + 1);
                    let domain = Hash::new(Kind::Mail).chars(&letters[from..]);
                    self.push(domain, at);
                    None
                }
                Class::Emoji => {
                    for place in range {
                        self.push(Hash::new(Kind::Emoji).add(self.tokens.chars[place] as u32), at);
                    }
                    None
                }
                Class::Money => {
                    self.push(Hash::new(Kind::Word).chars(&self.tokens.chars[range]), at);
                    None
                }
                Class::Sign => None,
            };
            if let Some(pair) = word {
                self.push(pair, at);
            }
            if token.word != written && !matches!(token.class, Class::Url | Class::Mail | Class::Sign | Class::Emoji) {
                written = token.word;
                self.emit_written(at, &token);
            }
        }
    }

    fn emit_word(&mut self, at: usize, token: &Token) -> Hash {
        let range = token.start as usize..token.end as usize;
        let letters = &self.tokens.chars[range.clone()];
        let word = Hash::new(Kind::Word).chars(letters);
        let doubled = token.stretched || letters.windows(2).any(|pair| pair[0] == pair[1]);
        let squeezed = doubled.then(|| Hash::new(Kind::Squeezed).squeezed(letters));
        let masked = (token.class == Class::Mixed).then(|| Hash::new(Kind::Masked).masked(letters));
        self.push(word, at);
        for reading in [squeezed, masked].into_iter().flatten() {
            self.push(reading, at);
        }
        if matches!(token.class, Class::Tag | Class::Handle) {
            let kind = if token.class == Class::Tag { Kind::Tag } else { Kind::Handle };
            let named = Hash::new(kind).chars(&self.tokens.chars[range.clone()]);
            self.push(named, at);
        }
        self.emit_padded_grams(at, range);
        word
    }

    /// n-grams of 2 to 5 with the word's borders as letters.
    fn emit_padded_grams(&mut self, at: usize, range: std::ops::Range<usize>) {
        const BORDER: u32 = 0x11_0000;
        let length = range.len() + 2;
        let letter = |chars: &[char], place: usize| {
            if place == 0 || place + 1 == length { BORDER } else { chars[range.start + place - 1] as u32 }
        };
        for from in 0..length.saturating_sub(1) {
            let mut hash = Hash::new(Kind::Gram);
            for place in from..length.min(from + 5) {
                hash = hash.add(letter(&self.tokens.chars, place));
                if place > from {
                    self.push(hash, at);
                }
            }
        }
    }

    fn emit_grams(&mut self, at: usize, range: std::ops::Range<usize>, kind: Kind, least: usize, most: usize) {
        for from in range.clone() {
            let mut hash = Hash::new(kind);
            for place in from..range.end.min(from + most) {
                hash = hash.add(self.tokens.chars[place] as u32);
                if place + 1 >= from + least {
                    self.push(hash, at);
                }
            }
        }
    }

    fn emit_link(&mut self, at: usize, range: std::ops::Range<usize>) {
        let text: String = self.tokens.chars[range].iter().collect();
        if let Some(link) = Link::parse(&text) {
            for hash in link_hashes(&link) {
                self.push(hash, at);
            }
        }
    }

    /// The word as it was written, and the reading of its digits and signs as letters.
    fn emit_written(&mut self, at: usize, token: &Token) {
        let written = self.tokens.written(token).trim_matches(|c: char| c.is_ascii_punctuation());
        let same = written.chars().eq(self.tokens.letters(token).iter().copied());
        if same || written.is_empty() || written.len() > 64 {
            return;
        }
        let raw = (token.class != Class::Run).then(|| Hash::new(Kind::Written).text(written));
        let leet = hash::leet(self.tokens.written(token));
        if let Some(raw) = raw {
            self.push(raw, at);
        }
        if let Some(leet) = leet {
            self.push(Hash::new(Kind::Leet).chars(&leet), at);
            for size in [3, 4] {
                for gram in leet.windows(size) {
                    self.push(Hash::new(Kind::LeetGram).chars(gram), at);
                }
            }
        }
    }

    /// 4-grams over the borders of tokens, and 6-grams anywhere.
    fn emit_across(&mut self) {
        let mut stream: Vec<(u32, u32)> = Vec::with_capacity(self.tokens.chars.len());
        for (at, token) in self.tokens.list.iter().enumerate() {
            if matches!(token.class, Class::Word | Class::Mixed | Class::Run | Class::Number | Class::Tag) {
                stream.extend(self.tokens.letters(token).iter().map(|&c| (c as u32, at as u32)));
            }
        }
        for from in 0..stream.len() {
            let token = stream[from].1;
            let mut hash = Hash::new(Kind::Across);
            for (place, &(letter, of)) in stream[from..stream.len().min(from + 6)].iter().enumerate() {
                hash = hash.add(letter);
                if (place == 3 && of != token) || place == 5 {
                    self.list.push(Feature { hash: hash.finish(), source: Source::Token(token) });
                }
            }
        }
    }
}

/// What a link tells: its names, their parts, the words of its path.
fn link_hashes(link: &Link) -> Vec<Hash> {
    let mut out = vec![
        Hash::new(Kind::Domain).text(link.registrable()),
        Hash::new(Kind::Top).text(link.top()),
        Hash::new(Kind::Host).text(&link.host),
    ];
    for part in link.host.split(['.', '-']).take(8) {
        out.push(Hash::new(Kind::LinkWord).text(part));
    }
    for part in link.path.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).take(12) {
        out.push(Hash::new(Kind::PathWord).text(part));
    }
    let host: Vec<char> = link.host.chars().take(64).collect();
    for size in 3..=5 {
        out.extend(host.windows(size).map(|gram| Hash::new(Kind::LinkGram).chars(gram)));
    }
    out
}
