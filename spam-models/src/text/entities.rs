//! Character references (HTML Living Standard §13.2.5.72 on), as far as posts use them: every numeric one, and the
//! names that stand for letters, signs and invisible characters.

/// The names that turn up in posts. The standard's table has 2,231; the rest stay as they are written.
const NAMES: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", '\u{a0}'),
    ("shy", '\u{ad}'),
    ("zwnj", '\u{200c}'),
    ("zwj", '\u{200d}'),
    ("lrm", '\u{200e}'),
    ("rlm", '\u{200f}'),
    ("ensp", '\u{2002}'),
    ("emsp", '\u{2003}'),
    ("thinsp", '\u{2009}'),
    ("ZeroWidthSpace", '\u{200b}'),
    ("NoBreak", '\u{2060}'),
    ("period", '.'),
    ("commat", '@'),
    ("colon", ':'),
    ("sol", '/'),
    ("num", '#'),
    ("excl", '!'),
    ("dollar", '$'),
    ("percnt", '%'),
    ("lpar", '('),
    ("rpar", ')'),
    ("comma", ','),
    ("quest", '?'),
    ("equals", '='),
    ("ast", '*'),
    ("plus", '+'),
    ("hyphen", '\u{2010}'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("laquo", '«'),
    ("raquo", '»'),
    ("hellip", '…'),
    ("bull", '•'),
    ("middot", '·'),
    ("copy", '©'),
    ("reg", '®'),
    ("trade", '™'),
    ("euro", '€'),
    ("pound", '£'),
    ("yen", '¥'),
    ("cent", '¢'),
    ("deg", '°'),
    ("times", '×'),
    ("hearts", '♥'),
    ("rarr", '→'),
    ("auml", 'ä'),
    ("ouml", 'ö'),
    ("uuml", 'ü'),
    ("Auml", 'Ä'),
    ("Ouml", 'Ö'),
    ("Uuml", 'Ü'),
    ("szlig", 'ß'),
    ("aacute", 'á'),
    ("eacute", 'é'),
    ("iacute", 'í'),
    ("oacute", 'ó'),
    ("uacute", 'ú'),
    ("ntilde", 'ñ'),
    ("agrave", 'à'),
    ("egrave", 'è'),
    ("ccedil", 'ç'),
    ("acirc", 'â'),
    ("ecirc", 'ê'),
    ("icirc", 'î'),
    ("ocirc", 'ô'),
    ("ucirc", 'û'),
    ("atilde", 'ã'),
    ("otilde", 'õ'),
    ("oslash", 'ø'),
    ("aring", 'å'),
    ("aelig", 'æ'),
    ("iexcl", '¡'),
    ("iquest", '¿'),
];

/// Longest reference that is looked at, from `&` on: hostile input must not make each `&` cost the rest of the text.
const LONGEST: usize = 24;

/// The character that a reference at the start of `text` stands for, and the reference's length in octets.
pub(super) fn decode(text: &str) -> Option<(char, usize)> {
    let bytes = text.as_bytes();
    if bytes.get(1) == Some(&b'#') {
        return numeric(bytes);
    }
    let end = bytes.iter().take(LONGEST).position(|&octet| octet == b';')?;
    let name = text.get(1..end)?;
    NAMES.iter().find(|(known, _)| *known == name).map(|&(_, character)| (character, end + 1))
}

fn numeric(bytes: &[u8]) -> Option<(char, usize)> {
    let (radix, from) = if matches!(bytes.get(2), Some(b'x' | b'X')) { (16, 3) } else { (10, 2) };
    let mut value = 0_u32;
    let mut at = from;
    while let Some(digit) = bytes.get(at).and_then(|&octet| char::from(octet).to_digit(radix)) {
        if at >= LONGEST {
            return None;
        }
        value = value.saturating_mul(radix).saturating_add(digit);
        at += 1;
    }
    if at == from {
        return None;
    }
    // The semicolon may be missing: browsers show the character all the same.
    let length = at + usize::from(bytes.get(at) == Some(&b';'));
    char::from_u32(value).filter(|&character| character != '\0').map(|character| (character, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_browsers_read_them() {
        assert_eq!(decode("&#102;ree"), Some(('f', 6)));
        assert_eq!(decode("&#x66ree"), Some(('f', 5)));
        assert_eq!(decode("&commat;"), Some(('@', 8)));
        assert_eq!(decode("&nosuch;"), None);
        assert_eq!(decode("& then"), None);
        assert_eq!(decode("&#;"), None);
        assert_eq!(decode("&#xD800;"), None);
    }
}
