//! The tag lists of DKIM and DMARC: `tag=value` between semicolons (RFC 6376 §3.2).

/// Reads a list. White space around names and values goes, an empty piece at the end too; names keep their case,
/// which matters (RFC 6376 §3.2). A name twice makes the list invalid.
pub(crate) fn parse(text: &str) -> Result<Vec<(&str, &str)>, String> {
    let mut tags: Vec<(&str, &str)> = Vec::new();
    let mut pieces = text.split(';').peekable();
    while let Some(piece) = pieces.next() {
        let piece = piece.trim_ascii();
        if piece.is_empty() {
            if pieces.peek().is_none() {
                break;
            }
            return Err("two semicolons with nothing between them".to_owned());
        }
        let shown = || piece.chars().take(40).collect::<String>();
        let (name, value) = piece.split_once('=').ok_or_else(|| format!("\"{}\" is no tag=value", shown()))?;
        let (name, value) = (name.trim_ascii(), value.trim_ascii());
        let starts = name.bytes().next().is_some_and(|octet| octet.is_ascii_alphabetic());
        if !starts || !name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_') {
            return Err(format!("\"{}\" does not start with a tag's name", shown()));
        }
        if tags.iter().any(|(known, _)| *known == name) {
            return Err(format!("the tag {name}= stands twice"));
        }
        tags.push((name, value));
    }
    Ok(tags)
}

/// A list between colons (or commas) with white space around its items.
pub(crate) fn list(value: &str, separator: char) -> Vec<String> {
    value.split(separator).map(|item| item.trim_ascii().to_owned()).filter(|item| !item.is_empty()).collect()
}

/// Writes tags that have a value.
pub(crate) fn write(f: &mut std::fmt::Formatter<'_>, tags: &[(&str, String)]) -> std::fmt::Result {
    for (index, (name, value)) in tags.iter().enumerate() {
        write!(f, "{}{name}={value}", if index == 0 { "" } else { "; " })?;
    }
    Ok(())
}
