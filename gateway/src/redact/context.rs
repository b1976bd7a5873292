//! Words about cards, near a number: what lets a weak number count, and a strong one in odd company.
//!
//! Whole words only, in a window of 64 characters before and 48 after; a word that the window cuts does not count.
//! There are no words that make a well-formed number harmless, save a label directly before it that says what else
//! it is ([`other_label`]): anything wider would be a way around the stage.

mod words;

use words::{BETWEEN, EXPIRY, OTHERS, PIECES, WORDS};

/// How far before a number a word counts, in characters.
pub const BEFORE: usize = 64;
/// How far after it.
pub const AFTER: usize = 48;

/// Is this word, in lower case, about cards?
pub fn is_card_word(word: &str) -> bool {
    if WORDS.binary_search(&word).is_ok() {
        return true;
    }
    // cardNumber, credit-card-no, paymentCardPan in one word.
    let tail = |rest: &str| {
        matches!(
            rest,
            "number"
                | "numbers"
                | "num"
                | "no"
                | "nr"
                | "pan"
                | "holder"
                | "details"
                | "data"
                | "info"
                | "id"
                | "s"
                | "type"
                | "value"
        )
    };
    word.strip_prefix("card").is_some_and(tail)
        || word.strip_suffix("card").is_some_and(|head| {
            matches!(
                head,
                "credit"
                    | "debit"
                    | "bank"
                    | "payment"
                    | "charge"
                    | "prepaid"
                    | "giro"
                    | "master"
                    | "visa"
                    | "cc"
                    | "my"
                    | "customer"
                    | "user"
            )
        })
        || word.strip_suffix("cardnumber").is_some()
        || is_german(word)
        || PIECES.iter().any(|piece| word.contains(piece))
}

/// `Kreditkartennummer`, `Bankkarten`, `Zahlkarte`: but not every card (`Landkarte`, `Speisekarte`).
fn is_german(word: &str) -> bool {
    let Some((head, tail)) = word.split_once("karte") else { return false };
    matches!(head, "kredit" | "debit" | "bank" | "ec" | "zahl" | "giro" | "geld" | "prepaid" | "firmen" | "")
        && matches!(tail, "" | "n" | "nnummer" | "nummer" | "nnr" | "ndaten" | "nzahlung" | "ninhaber" | "nnummern")
}

/// Calls `found(start, end)` for each run of letters in `text`, and for each piece of a camelCase run.
fn each_word(text: &str, mut found: impl FnMut(&str, usize, usize)) {
    let mut start = None;
    let mut lower = String::new();
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let letter =
            c.is_alphabetic() || matches!(c, '\u{300}'..='\u{36f}' | '\u{900}'..='\u{dff}' | '\u{e31}'..='\u{e4e}');
        if letter {
            start.get_or_insert(at);
            lower.extend(c.to_lowercase());
        } else if let Some(begin) = start.take() {
            // "cvv2" and "cvc2" are words; other digits after letters are not part of one.
            found(&lower, begin, at);
            lower.clear();
        }
    }
}

/// The window before `at`: its text and where it begins.
fn before(text: &str, at: usize) -> &str {
    let start = text[..at].char_indices().rev().take(BEFORE).last().map_or(at, |(start, _)| start);
    &text[start..at]
}

fn after(text: &str, at: usize) -> &str {
    let end = text[at..].char_indices().nth(AFTER).map_or(text.len(), |(end, _)| at + end);
    &text[at..end]
}

/// Is this word followed by a month and a year, as a card's last day is written?
fn is_expiry(word: &str, rest: &str) -> bool {
    if !EXPIRY.contains(&word) {
        return false;
    }
    let head = rest.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '\n');
    let bytes = head.as_bytes();
    let month = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let year = bytes.iter().skip(month + 1).take_while(|byte| byte.is_ascii_digit()).count();
    rest.len() - head.len() <= 16
        && matches!(month, 1 | 2)
        && matches!(year, 2 | 4)
        && matches!(bytes.get(month), Some(b'/' | b'-' | b'.'))
        && head[..month].parse().is_ok_and(|month: u8| (1..=12).contains(&month))
        && !matches!(bytes.get(month + 1 + year), Some(b'/' | b'-' | b'.') if bytes.get(month + year + 2).is_some_and(u8::is_ascii_digit))
}

/// How many bytes before `at` the nearest card word ends, if one is near.
pub fn word_before(text: &str, at: usize) -> Option<usize> {
    let window = before(text, at);
    let cut = window.len() < at && text[..at - window.len()].chars().next_back().is_some_and(char::is_alphabetic);
    let mut nearest = None;
    each_word(window, |word, start, end| {
        if !(cut && start == 0) && (is_card_word(word) || is_expiry(word, &window[end..])) {
            nearest = Some(window.len() - end);
        }
    });
    nearest
}

/// How many bytes after `at` the nearest card word begins, if one is near.
pub fn word_after(text: &str, at: usize) -> Option<usize> {
    let window = after(text, at);
    let cut = text[at + window.len()..].chars().next().is_some_and(char::is_alphabetic);
    let mut nearest = None;
    each_word(window, |word, start, end| {
        if !(cut && end == window.len())
            && nearest.is_none()
            && (is_card_word(word) || is_expiry(word, &text[at + end..]))
        {
            nearest = Some(start);
        }
    });
    nearest
}

/// How long a table's line may be whose columns are counted, in bytes.
const TABLE_LINE: usize = 4096;

/// Does the first line of a table (comma, semicolon, tab or bar) name the column of `at` by a card word?
pub fn column_word(text: &str, at: usize) -> bool {
    let Some(head_end) = memchr::memchr(b'\n', &text.as_bytes()[..text.len().min(TABLE_LINE)]) else { return false };
    let floor = at.saturating_sub(TABLE_LINE);
    let Some(found) = memchr::memrchr(b'\n', &text.as_bytes()[floor..at]) else { return false };
    let start = floor + found + 1;
    if start <= head_end {
        return false;
    }
    let head = text[..head_end].trim_start_matches('\u{feff}');
    [',', ';', '\t', '|'].into_iter().any(|delimiter| {
        let Some(name) = head.split(delimiter).nth(delimiters(&text[start..at], delimiter)) else { return false };
        head.contains(delimiter) && head.split(delimiter).all(|name| name.len() <= 40) && names_card(name)
    })
}

/// Delimiters outside of quotes.
fn delimiters(line: &str, delimiter: char) -> usize {
    let mut quoted = false;
    line.chars()
        .filter(|c| {
            quoted ^= *c == '"';
            !quoted && *c == delimiter
        })
        .count()
}

/// Is this the name of a field that holds card numbers?
fn names_card(name: &str) -> bool {
    let joined: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let mut found = matches!(joined.as_str(), "cc" | "ccn") || is_card_word(&joined);
    each_word(name, |word, _, _| found |= is_card_word(word));
    found
}

/// Does the text between the tags of an Office document name a card anywhere?
pub fn document_names_card(markup: &str) -> bool {
    let texts = markup.split('<').filter_map(|piece| piece.split_once('>').map(|(_, text)| text));
    texts.filter(|text| (2..=60).contains(&text.len())).any(names_card)
}

/// Does a label directly before `at` say that the number is something else? Only on the same line, with no other
/// number between, and no word but those that belong to a label: in `my phone is broken, take 4111…` it is none.
pub fn other_label(text: &str, at: usize) -> bool {
    let window = before(text, at);
    let line = window.rsplit(['\n', ';', '|', ',', '\u{1f}', '!', '?']).next().unwrap_or(window);
    let line = line.rsplit(|c: char| c.is_ascii_digit()).next().unwrap_or(line);
    let mut words: Vec<String> = Vec::new();
    each_word(line, |word, _, _| words.push(word.to_owned()));
    let near = words.iter().rev().take(4).find(|word| !BETWEEN.contains(&word.as_str()));
    near.is_some_and(|word| OTHERS.contains(&word.as_str())) && !words.iter().any(|word| is_card_word(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_count_and_pieces_do_not() {
        for text in [
            "Card number: ",
            "your Kreditkarte ",
            "card_number=",
            "cardNumber\":",
            "カード番号：",
            "номер карты ",
            "您的信用卡 ",
            "CVV ",
        ] {
            assert!(word_before(text, text.len()).is_some(), "{text}");
        }
        for text in ["discard ", "cardigan ", "Discover our ", "expected ", "placard ", "postcards from ", ""] {
            assert!(word_before(text, text.len()).is_none(), "{text}");
        }
        let far = format!("card {}", "x ".repeat(40));
        assert!(word_before(&far, far.len()).is_none());
        assert!(word_after(" (visa)", 0).is_some());
    }

    #[test]
    fn a_label_directly_before_says_what_else_it_is() {
        for text in ["IMEI: ", "Tracking number: ", "IBAN "] {
            assert!(other_label(text, text.len()), "{text}");
        }
        for text in [
            "IMEI was sent, and ",
            "card tracking ",
            "tracking 12 ",
            "Tracking:\n",
            "my phone is broken. Take ",
            "we track payments with ",
        ] {
            assert!(!other_label(text, text.len()), "{text}");
        }
    }

    #[test]
    fn the_table_of_words_is_sorted() {
        assert!(WORDS.is_sorted());
    }

    #[test]
    fn a_month_and_a_year_behind_their_word_count() {
        for text in ["# exp 04/29", "# (Exp. 4/2029)", "# gültig bis 12/28", "# valid thru: 01-27"] {
            assert!(word_after(text, 1).is_some(), "{text}");
        }
        for text in ["# expected 04/29", "# exp 13/29", "# expires 12/10/2026", "# exp. order 42/17"] {
            assert!(word_after(text, 1).is_none(), "{text}");
        }
    }

    #[test]
    fn the_head_of_a_column_counts_for_its_numbers() {
        let table = "order,card_number,amount\r\n1,2,3\r\n\"a,b\",#,49.90\r\n";
        assert!(column_word(table, table.find('#').unwrap()));
        assert!(!column_word(table, table.find("49").unwrap()));
        assert!(!column_word("Dear customer\n#", 14));
        assert!(document_names_card("<si><t>Card No.</t></si>") && !document_names_card("<card><t>Order</t></card>"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_asked(text in "\\PC{0,120}", at in 0usize..120) {
            let at = text.char_indices().map(|(i, _)| i).nth(at % 121).unwrap_or(text.len());
            word_before(&text, at);
            word_after(&text, at);
            other_label(&text, at);
            column_word(&text, at);
        }
    }
}
