//! What an attachment is: told by its first bytes before its label, because labels are wrong more often.

/// A kind of content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text without markup.
    Text,
    /// HTML.
    Html,
    /// Other markup.
    Xml,
    /// JSON.
    Json,
    /// Rich text format.
    Rtf,
    /// A message.
    Message,
    /// A ZIP archive, and what is built on one (Office, OpenDocument).
    Zip,
    /// gzip.
    Gzip,
    /// tar.
    Tar,
    /// PDF.
    Pdf,
    /// An OLE compound file: old Office, or an encrypted new one.
    Ole,
    /// Microsoft's `winmail.dat`.
    Tnef,
    /// Opaque S/MIME.
    Smime,
    /// An archive that is not opened.
    Closed(&'static str),
    /// Images, sound, film, fonts: nothing that is read here.
    Media,
    /// Anything else.
    Unknown,
}

/// The kind of `content` with this declared media type and file name.
pub fn of(media: &str, name: &str, content: &[u8]) -> Kind {
    if let Some(kind) = by_magic(content) {
        return kind;
    }
    let name = name.to_ascii_lowercase();
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if matches!(media, "application/pkcs7-mime" | "application/x-pkcs7-mime") || extension == "p7m" {
        return Kind::Smime;
    }
    if media.starts_with("image/svg")
        || matches!(media, "text/xml" | "application/xml")
        || media.ends_with("+xml")
        || matches!(extension, "xml" | "svg")
    {
        return if media.contains("xhtml") { Kind::Html } else { Kind::Xml };
    }
    if media == "text/html" || matches!(extension, "html" | "htm" | "xhtml") {
        return Kind::Html;
    }
    if media == "application/json" || media.ends_with("+json") || matches!(extension, "json" | "jsonl" | "ndjson") {
        return Kind::Json;
    }
    if matches!(
        media,
        "message/rfc822" | "message/global" | "message/news" | "text/rfc822-headers" | "message/global-headers"
    ) || extension == "eml"
    {
        return Kind::Message;
    }
    if media.starts_with("text/") || media.starts_with("message/") || looks_like_text(content) {
        return by_look(content);
    }
    if ["image/", "audio/", "video/", "font/"].iter().any(|prefix| media.starts_with(prefix)) {
        return Kind::Media;
    }
    Kind::Unknown
}

fn by_magic(content: &[u8]) -> Option<Kind> {
    let kind = match content {
        [b'P', b'K', 3 | 5, 4 | 6, ..] => Kind::Zip,
        [0x1f, 0x8b, 8, ..] => Kind::Gzip,
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => Kind::Ole,
        [0x78, 0x9f, 0x3e, 0x22, ..] => Kind::Tnef,
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => Kind::Closed("7z archive"),
        [b'R', b'a', b'r', b'!', 0x1a, 7, ..] => Kind::Closed("RAR archive"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Kind::Closed("xz archive"),
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, ..] => Kind::Closed("bzip2 archive"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Kind::Closed("zstd archive"),
        [b'M', b'S', b'C', b'F', ..] => Kind::Closed("cabinet archive"),
        [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] | [b'G', b'I', b'F', b'8', ..] | [0, 0, 1, 0, ..] => {
            Kind::Media
        }
        [b'R', b'I', b'F', b'F', ..]
        | [b'O', b'g', b'g', b'S', ..]
        | [b'I', b'D', b'3', ..]
        | [b'w', b'O', b'F', b'F' | b'2', ..] => Kind::Media,
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] | [_, _, _, _, b'f', b't', b'y', b'p', ..] => Kind::Media,
        _ if content.starts_with(b"{\\rtf") => Kind::Rtf,
        _ if memchr::memmem::find(&content[..content.len().min(1024)], b"%PDF-").is_some() => Kind::Pdf,
        _ if content.get(257..262) == Some(b"ustar") => Kind::Tar,
        _ => return None,
    };
    Some(kind)
}

fn by_look(content: &[u8]) -> Kind {
    let head = content.trim_ascii_start();
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let begins = |text: &[u8]| head.len() >= text.len() && head[..text.len()].eq_ignore_ascii_case(text);
    if begins(b"<?xml") {
        Kind::Xml
    } else if begins(b"<!doctype") || begins(b"<html") {
        Kind::Html
    } else if matches!(head.first(), Some(b'{' | b'['))
        && matches!(content.trim_ascii_end().last(), Some(b'}' | b']'))
        && memchr::memchr(b'"', head).is_some()
    {
        Kind::Json
    } else {
        Kind::Text
    }
}

/// Few control characters in the first kilobytes, or a byte order mark, or every other byte zero (UTF-16; dashes hold
/// a control's byte there).
pub fn looks_like_text(content: &[u8]) -> bool {
    if matches!(content, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return true;
    }
    let head = &content[..content.len().min(4096)];
    let controls = head.iter().filter(|b| **b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c | 0x1b)).count();
    let zeros = head.iter().filter(|b| **b == 0).count();
    controls * 50 <= head.len()
        || (controls - zeros) * 20 <= zeros && zeros * 5 >= head.len() && zeros * 5 <= head.len() * 4
}
