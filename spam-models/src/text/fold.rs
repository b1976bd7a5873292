//! Characters to the letters they are read as.
//!
//! Invisible characters go (Unicode Default_Ignorable_Code_Point, as far as it is used to split words), styled letters
//! become plain, compatibility forms are folded by NFKC (UAX #15), stray combining marks fall off Latin, Cyrillic and
//! Greek letters only: in Thai, Devanagari or Arabic they carry the meaning. Look-alikes (UTS #39) are folded towards
//! the script that the word, or else the whole text, is written in; a Russian text stays Russian.

use unicode_normalization::UnicodeNormalization as _;

/// What was undone in a piece of text.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Folded {
    pub invisible: u32,
    pub styled: u32,
    pub marks: u32,
    pub mixed: u32,
}

/// The script that look-alikes are folded to where a word alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaning {
    Latin,
    Other,
}

/// The leaning of a text: Latin where its Cyrillic and Greek letters could all be disguised Latin ones.
pub(super) fn leaning(text: &str) -> Leaning {
    let (mut latin, mut genuine) = (0_usize, 0_usize);
    for character in text.chars() {
        if character.is_ascii_alphabetic() {
            latin += 1;
        } else if foreign(character) && as_latin(character).is_none() {
            genuine += 1;
        }
    }
    if latin > genuine * 3 { Leaning::Latin } else { Leaning::Other }
}

/// Whether a text in East Asian letters: there, full-width forms are ordinary.
pub(super) fn east_asian(text: &str) -> bool {
    text.chars().any(|c| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}'))
}

/// Folds one word that is not plain ASCII, into `out`, case kept.
pub(super) fn fold(word: &str, leaning: Leaning, east_asian: bool, out: &mut Vec<char>) -> Folded {
    let mut folded = Folded::default();
    let mut plain = String::with_capacity(word.len());
    let mut characters = word.chars().peekable();
    while let Some(character) = characters.next() {
        if invisible(character) {
            folded.invisible += 1;
        } else if let Some(letter) = styled(character) {
            folded.styled += 1;
            plain.push(letter);
        } else if let Some(letter) = regional(character) {
            // Two regional indicators are a flag; a third in a row makes them letters.
            let next = characters.peek().copied().and_then(regional);
            if next.is_some() || plain.ends_with(|c: char| c.is_ascii_alphabetic()) {
                folded.styled += 1;
                plain.push(letter);
            } else {
                plain.push('\u{1f3f3}');
            }
        } else {
            if compatibility_letter(character, east_asian) {
                folded.styled += 1;
            }
            plain.push(character);
        }
    }
    let start = out.len();
    for character in plain.nfkc() {
        if combining(character) {
            if out.len() > start && out.last().is_some_and(|&base| base.is_ascii_graphic() || foreign(base)) {
                folded.marks += 1;
                continue;
            }
        } else if invisible(character) {
            continue;
        }
        out.push(base_letter(character));
    }
    fold_look_alikes(&mut out[start..], leaning, &mut folded);
    folded
}

/// Letters without their accents, for Latin and Greek; Cyrillic й is a letter of its own and stays.
fn base_letter(character: char) -> char {
    match character {
        'ß' => 's',
        'ø' | 'Ø' => 'o',
        'đ' | 'Đ' => 'd',
        'ł' | 'Ł' => 'l',
        'ı' => 'i',
        'ё' => 'е',
        'Ё' => 'Е',
        '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' | '\u{386}'..='\u{3ce}' | '\u{1f00}'..='\u{1fff}' => {
            let mut base = None;
            unicode_normalization::char::decompose_canonical(character, |part| {
                base.get_or_insert(part);
            });
            base.unwrap_or(character)
        }
        _ => character,
    }
}

/// Cyrillic and Greek, whose letters pass for Latin ones.
fn foreign(character: char) -> bool {
    matches!(character, '\u{370}'..='\u{3ff}' | '\u{400}'..='\u{52f}' | '\u{561}'..='\u{587}')
}

fn fold_look_alikes(word: &mut [char], leaning: Leaning, folded: &mut Folded) {
    let mut foreign_letters = 0;
    let mut disguised = 0;
    let mut latin = 0;
    for &character in word.iter() {
        latin += usize::from(character.is_ascii_alphabetic());
        if foreign(character) {
            foreign_letters += 1;
            disguised += usize::from(as_latin(character).is_some());
        }
    }
    if foreign_letters == 0 || (latin == 0 && leaning == Leaning::Other) {
        return;
    }
    let all_disguised = disguised == foreign_letters;
    if latin == 0 && !all_disguised {
        return;
    }
    let latin_passes = word.iter().all(|&c| !c.is_ascii_alphabetic() || as_cyrillic(c).is_some());
    let to_cyrillic = latin_passes && (!all_disguised || leaning == Leaning::Other);
    for character in word {
        let other = if to_cyrillic { as_cyrillic(*character) } else { as_latin(*character) };
        if let Some(other) = other {
            *character = other;
            folded.mixed += 1;
        }
    }
}

/// The Latin letter that a Cyrillic, Greek or Armenian letter looks like.
fn as_latin(character: char) -> Option<char> {
    const FOREIGN: &str = "аАвВсСеЕһҺіІјЈкКмМнНоОрРѕЅтТуУхХԁԛԝьѵӏгпАαΑβΒεΕηΗιΙκΚνΝοΟρΡτΤυΥχΧγωΖΜϲϹհոսօ";
    const LATIN: &str = "aAbBcCeEhHiIjJkKmMhHoOpPsStTyYxXdqwbvlrnAaAbBeEnHiIkKvNoOpPtTuYxXywZMcChnuo";
    static TABLE: std::sync::OnceLock<Vec<(char, char)>> = std::sync::OnceLock::new();
    if !foreign(character) {
        return None;
    }
    let table = TABLE.get_or_init(|| {
        let mut pairs: Vec<(char, char)> = FOREIGN.chars().zip(LATIN.chars()).collect();
        pairs.sort_unstable();
        pairs
    });
    table.binary_search_by_key(&character, |pair| pair.0).ok().map(|at| table[at].1)
}

/// The Cyrillic letter that a Latin letter looks like.
fn as_cyrillic(character: char) -> Option<char> {
    const LATIN: &str = "aAbBcCeEhHiIjJkKmMoOpPsStTyYxX";
    const CYRILLIC: &str = "аАьВсСеЕһНіІјЈкКмМоОрРѕЅтТуУхХ";
    LATIN.find(character).and_then(|at| CYRILLIC.chars().nth(at))
}

/// Characters that take no place on the page: they only split words for machines.
pub(super) fn invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || (character.is_control() && !character.is_whitespace())
}

/// Marks that are put over, under and through letters.
fn combining(character: char) -> bool {
    matches!(character,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// Letters in boxes, in black circles, and small capitals: NFKC leaves them as they are.
fn styled(character: char) -> Option<char> {
    const SMALL_CAPITALS: &str = "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘǫʀꜱᴛᴜᴠᴡʏᴢ";
    const PLAIN: &str = "abcdefghijklmnopqrstuvwyz";
    let from = |first: char, last: char| {
        (first..=last).contains(&character).then(|| char::from(b'a' + ((character as u32 - first as u32) % 26) as u8))
    };
    match character {
        '\u{1f130}'..='\u{1f149}' => from('\u{1f130}', '\u{1f149}'),
        '\u{1f150}'..='\u{1f169}' => from('\u{1f150}', '\u{1f169}'),
        '\u{1f170}'..='\u{1f189}' => from('\u{1f170}', '\u{1f189}'),
        'ᴀ'..='ᴢ' | 'ʙ' | 'ɢ' | 'ʜ' | 'ɪ' | 'ʟ' | 'ɴ' | 'ǫ' | 'ʀ' | 'ʏ' | 'ꜰ' | 'ꜱ' => {
            SMALL_CAPITALS.chars().position(|c| c == character).map(|at| char::from(PLAIN.as_bytes()[at]))
        }
        'ɑ' => Some('a'),
        'ɡ' => Some('g'),
        'ɩ' => Some('i'),
        _ => None,
    }
}

fn regional(character: char) -> Option<char> {
    matches!(character, '\u{1f1e6}'..='\u{1f1ff}').then(|| char::from(b'a' + (character as u32 - 0x1f1e6) as u8))
}

/// Letters and digits that NFKC makes plain and that people do not type by accident.
fn compatibility_letter(character: char, east_asian: bool) -> bool {
    match character {
        '\u{1d400}'..='\u{1d7ff}' | '\u{24b6}'..='\u{24e9}' | '\u{1f100}'..='\u{1f12b}' | '\u{2100}'..='\u{214f}' => {
            !matches!(character, '℃' | '№' | '™' | '℠' | 'Ω')
        }
        '\u{ff10}'..='\u{ff5a}' => !east_asian,
        '\u{2460}'..='\u{24b5}' => !east_asian,
        '\u{1d2c}'..='\u{1d6a}' | '\u{2b0}'..='\u{2b8}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(word: &str) -> (String, Folded) {
        let mut out = Vec::new();
        let what = fold(word, Leaning::Latin, false, &mut out);
        (out.into_iter().collect::<String>().to_lowercase(), what)
    }

    #[test]
    fn disguises_come_off() {
        for disguised in [
            "c\u{200b}a\u{200b}sino",
            "ca\u{ad}sino",
            "саsіnо",
            "𝐜𝐚𝐬𝐢𝐧𝐨",
            "ｃａｓｉｎｏ",
            "🅲🅰🆂🅸🅽🅾",
            "ⓒⓐⓢⓘⓝⓞ",
            "ᴄᴀꜱɪɴᴏ",
            "c\u{332}a\u{332}s\u{332}i\u{332}n\u{332}o\u{332}",
            "🇨🇦🇸🇮🇳🇴",
            "cαsιnο",
            "cásïnó",
            "c\u{e0020}asino",
        ] {
            let (word, what) = folded(disguised);
            assert_eq!(word, "casino", "{disguised}");
            assert!(what != Folded::default() || disguised == "cásïnó", "{disguised}");
        }
    }

    #[test]
    fn other_scripts_keep_their_letters_and_marks() {
        for word in ["สวัสดีครับ", "नमस्ते", "ありがとう", "привет", "сорока", "안녕하세요"]
        {
            let mut out = Vec::new();
            let what = fold(word, Leaning::Other, false, &mut out);
            assert_eq!((out.iter().collect::<String>(), what), (word.nfkc().collect(), Folded::default()));
        }
        let mut out = Vec::new();
        fold("зaрaбoтoк", Leaning::Other, false, &mut out);
        assert_eq!(out.into_iter().collect::<String>(), "заработок");
    }

    #[test]
    fn full_width_is_ordinary_in_japanese() {
        let mut out = Vec::new();
        let what = fold("ＷｉＦｉはありますか", Leaning::Latin, true, &mut out);
        assert_eq!((out.into_iter().collect::<String>().as_str(), what.styled), ("WiFiはありますか", 0));
    }

    #[test]
    fn the_tables_of_look_alikes_are_level() {
        for (from, to) in
            [('а', 'a'), ('Н', 'H'), ('п', 'n'), ('օ', 'o'), ('ο', 'o'), ('Μ', 'M'), ('ϲ', 'c'), ('ո', 'n')]
        {
            assert_eq!(as_latin(from), Some(to), "{from}");
        }
        assert_eq!((as_cyrillic('X'), as_cyrillic('e'), as_cyrillic('z')), (Some('Х'), Some('е'), None));
    }
}
