//! The tags of HTML whose names say how they show; those that are not here leave no trace in HTML.

use super::Shows;

/// By name, sorted.
pub(super) const TAGS: &[(&str, Shows)] = &[
    ("a", Shows::Nothing),
    ("abbr", Shows::Nothing),
    ("address", Shows::Line),
    ("article", Shows::Line),
    ("aside", Shows::Line),
    ("b", Shows::Nothing),
    ("bdi", Shows::Nothing),
    ("bdo", Shows::Nothing),
    ("big", Shows::Nothing),
    ("blockquote", Shows::Line),
    ("body", Shows::Line),
    ("br", Shows::Line),
    ("caption", Shows::Line),
    ("center", Shows::Line),
    ("cite", Shows::Nothing),
    ("code", Shows::Nothing),
    ("data", Shows::Nothing),
    ("dd", Shows::Line),
    ("del", Shows::Nothing),
    ("details", Shows::Line),
    ("div", Shows::Line),
    ("dl", Shows::Line),
    ("dt", Shows::Line),
    ("em", Shows::Nothing),
    ("fieldset", Shows::Line),
    ("figure", Shows::Line),
    ("font", Shows::Nothing),
    ("footer", Shows::Line),
    ("form", Shows::Line),
    ("h1", Shows::Line),
    ("h2", Shows::Line),
    ("h3", Shows::Line),
    ("h4", Shows::Line),
    ("h5", Shows::Line),
    ("h6", Shows::Line),
    ("head", Shows::Line),
    ("header", Shows::Line),
    ("hr", Shows::Line),
    ("html", Shows::Line),
    ("i", Shows::Nothing),
    ("img", Shows::Nothing),
    ("ins", Shows::Nothing),
    ("kbd", Shows::Nothing),
    ("label", Shows::Nothing),
    ("legend", Shows::Line),
    ("li", Shows::Line),
    ("link", Shows::Line),
    ("main", Shows::Line),
    ("mark", Shows::Nothing),
    ("meta", Shows::Line),
    ("nav", Shows::Line),
    ("nobr", Shows::Nothing),
    ("noembed", Shows::Program),
    ("ol", Shows::Line),
    ("option", Shows::Cell),
    ("p", Shows::Line),
    ("pre", Shows::Line),
    ("q", Shows::Nothing),
    ("s", Shows::Nothing),
    ("samp", Shows::Nothing),
    ("script", Shows::Program),
    ("section", Shows::Line),
    ("select", Shows::Line),
    ("small", Shows::Nothing),
    ("span", Shows::Nothing),
    ("strike", Shows::Nothing),
    ("strong", Shows::Nothing),
    ("style", Shows::Program),
    ("sub", Shows::Nothing),
    ("summary", Shows::Line),
    ("sup", Shows::Nothing),
    ("table", Shows::Line),
    ("tbody", Shows::Line),
    ("td", Shows::Cell),
    ("template", Shows::Program),
    ("text", Shows::Nothing),
    ("textarea", Shows::Line),
    ("th", Shows::Cell),
    ("thead", Shows::Line),
    ("time", Shows::Nothing),
    ("title", Shows::Line),
    ("tr", Shows::Line),
    ("tspan", Shows::Nothing),
    ("tt", Shows::Nothing),
    ("u", Shows::Nothing),
    ("ul", Shows::Line),
    ("var", Shows::Nothing),
    ("wbr", Shows::Nothing),
];

/// Where the tags begin that begin with each letter.
const FIRST: [u8; 27] = {
    let mut table = [TAGS.len() as u8; 27];
    let mut at = TAGS.len();
    while at > 0 {
        at -= 1;
        table[(TAGS[at].0.as_bytes()[0] - b'a') as usize] = at as u8;
    }
    // A letter without tags begins where the next one does.
    let mut letter = 26;
    while letter > 0 {
        letter -= 1;
        if table[letter] > table[letter + 1] {
            table[letter] = table[letter + 1];
        }
    }
    table
};

/// Letters of the longest name.
const LONGEST: usize = 10;

/// A name of up to eight letters as one number, to be compared at once; 0 for a longer one.
const fn key(name: &[u8]) -> u64 {
    let (mut key, mut at) = (0, 0);
    while at < name.len() && name.len() <= 8 {
        key = key << 8 | name[at] as u64;
        at += 1;
    }
    key
}

const KEYS: [u64; TAGS.len()] = {
    let mut keys = [0; TAGS.len()];
    let mut at = 0;
    while at < TAGS.len() {
        keys[at] = key(TAGS[at].0.as_bytes());
        at += 1;
    }
    keys
};

/// How the tag shows whose name, in any case, `text` begins with.
pub(super) fn find(text: &[u8]) -> Option<Shows> {
    let letter = usize::from((text.first()? | 0x20).wrapping_sub(b'a'));
    let (from, to) = (usize::from(*FIRST.get(letter)?), usize::from(*FIRST.get(letter + 1)?));
    let (mut wanted, mut len) = (0, 0);
    for byte in text.iter().take(LONGEST + 1) {
        if !byte.is_ascii_alphanumeric() && !matches!(byte, b':' | b'-' | b'_') {
            break;
        }
        wanted = wanted << 8 | u64::from(byte.to_ascii_lowercase());
        len += 1;
    }
    if len > 8 {
        // Longer names have no key.
        let mut long = TAGS[from..to].iter().filter(|(known, _)| known.len() == len);
        return long.find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(&text[..len])).map(|(_, shows)| *shows);
    }
    KEYS[from..to].iter().position(|key| *key == wanted).map(|at| TAGS[from + at].1)
}
