//! One command line, read into a value (RFC 5321 §4.1.1 and the extensions that are served).
//!
//! An unknown verb is a [`Command::Unknown`], not an error: what to do about it is the session's business. Paths
//! are strict: no space behind the colon, angle brackets are a must. A source route is accepted and dropped
//! (RFC 5321 §4.1.1.3, appendix C). UTF-8 in a path is allowed only under SMTPUTF8 (RFC 6531 §3.3).

use std::fmt;

use super::parameters::{MailParameters, RcptParameters};
use crate::message::{AddressError, Mailbox};

/// Why a command line is refused. `smtp::reply` gives each its code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// A control character, or bytes that are not UTF-8.
    #[error("the command line holds octets that are not text")]
    NotText,
    /// The argument is missing.
    #[error("{0} needs an argument: {1}")]
    Missing(&'static str, &'static str),
    /// There is an argument where none belongs.
    #[error("{0} takes no argument")]
    Superfluous(&'static str),
    /// The name behind EHLO or HELO.
    #[error("the name behind {0} must be a host name or an address in brackets")]
    Name(&'static str),
    /// White space between the colon and the path.
    #[error("no space is allowed between \"{0}:\" and \"<\"")]
    Space(&'static str),
    /// No `<…>`.
    #[error("the address must stand in angle brackets: {0}:<local-part@domain>")]
    Brackets(&'static str),
    /// The address itself.
    #[error("{0}")]
    Address(AddressError),
    /// An unknown parameter.
    #[error("parameter {0} is not supported")]
    Parameter(String),
    /// A parameter with a value that it cannot have.
    #[error("the value of parameter {0} is not valid")]
    Value(&'static str),
    /// A parameter of the other command.
    #[error("parameter {0} belongs to {1}")]
    Misplaced(&'static str, &'static str),
    /// A parameter given twice.
    #[error("parameter {0} is given twice")]
    Twice(&'static str),
    /// The numbers of BDAT.
    #[error("BDAT needs a size in octets and then nothing or LAST")]
    Chunk,
    /// UTF-8 in a path without SMTPUTF8.
    #[error("a non-ASCII address needs the SMTPUTF8 parameter on MAIL")]
    NeedsSmtpUtf8,
}

/// What stands between the angle brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    /// `<>`, in MAIL only.
    Null,
    /// `<postmaster>`, in RCPT only: the one address without a domain (RFC 5321 §4.5.1).
    Postmaster,
    /// A mailbox.
    Mailbox(Mailbox),
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command<'a> {
    /// `EHLO name`.
    Ehlo(&'a str),
    /// `HELO name`.
    Helo(&'a str),
    /// `STARTTLS`.
    StartTls,
    /// `AUTH mechanism [initial-response]`.
    Auth {
        /// The mechanism as written.
        mechanism: &'a str,
        /// The initial response in base64, `=` for an empty one.
        initial: Option<&'a str>,
    },
    /// `MAIL FROM:<…> …`.
    Mail {
        /// Never [`Path::Postmaster`].
        path: Path,
        /// The parameters.
        parameters: MailParameters,
    },
    /// `RCPT TO:<…> …`.
    Rcpt {
        /// Never [`Path::Null`].
        path: Path,
        /// The parameters.
        parameters: RcptParameters,
        /// Is the whole line ASCII? If not, MAIL must have asked for SMTPUTF8.
        ascii: bool,
    },
    /// `DATA`.
    Data,
    /// `BDAT size [LAST]`.
    Bdat {
        /// Octets that follow.
        size: u64,
        /// The last chunk?
        last: bool,
    },
    /// `RSET`.
    Rset,
    /// `NOOP`, whatever stands behind it.
    Noop,
    /// `QUIT`.
    Quit,
    /// `VRFY`, whatever stands behind it.
    Vrfy,
    /// `HELP`, whatever stands behind it.
    Help,
    /// A verb of SMTP that is not served here (502).
    NotServed(&'static str),
    /// The first word of an HTTP request (or of HTTP/2's preface): a browser was led here to speak to us.
    Web(&'static str),
    /// Something else; the verb as written.
    Unknown(&'a str),
}

const NOT_SERVED: [&str; 8] = ["EXPN", "ETRN", "ATRN", "TURN", "SEND", "SOML", "SAML", "XCLIENT"];
const WEB: [&str; 10] = ["GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "PATCH", "TRACE", "PRI"];

impl<'a> Command<'a> {
    /// Reads a line without its CRLF.
    pub fn parse(line: &'a [u8]) -> Result<Self, SyntaxError> {
        let text = std::str::from_utf8(line).map_err(|_| SyntaxError::NotText)?;
        if text.chars().any(char::is_control) {
            return Err(SyntaxError::NotText);
        }
        // RFC 5321 §4.1.1: white space before the line end is to be tolerated.
        let text = text.trim_end_matches(' ');
        let (verb, rest) = text.split_once(' ').unwrap_or((text, ""));
        let is = |name: &str| verb.eq_ignore_ascii_case(name);
        let alone = |name, command| if rest.is_empty() { Ok(command) } else { Err(SyntaxError::Superfluous(name)) };
        match verb.len() {
            4 if is("EHLO") => Ok(Self::Ehlo(host_name("EHLO", rest)?)),
            4 if is("HELO") => Ok(Self::Helo(host_name("HELO", rest)?)),
            4 if is("MAIL") => mail(rest),
            4 if is("RCPT") => rcpt(rest, text.is_ascii()),
            4 if is("DATA") => alone("DATA", Self::Data),
            4 if is("BDAT") => bdat(rest),
            4 if is("RSET") => alone("RSET", Self::Rset),
            4 if is("NOOP") => Ok(Self::Noop),
            4 if is("QUIT") => alone("QUIT", Self::Quit),
            4 if is("AUTH") => auth(rest),
            4 if is("VRFY") => Ok(Self::Vrfy),
            4 if is("HELP") => Ok(Self::Help),
            8 if is("STARTTLS") => alone("STARTTLS", Self::StartTls),
            _ => Ok(foreign(verb)),
        }
    }
}

fn foreign(verb: &str) -> Command<'_> {
    let among = |names: &'static [&'static str]| names.iter().find(|name| name.eq_ignore_ascii_case(verb));
    match (among(&NOT_SERVED), among(&WEB)) {
        (Some(name), _) => Command::NotServed(name),
        (None, Some(name)) => Command::Web(name),
        (None, None) => Command::Unknown(verb),
    }
}

/// A domain or an address literal, by its characters alone: too many good clients say `EHLO localhost` or worse,
/// and the name decides nothing. It goes into `Received`, so its characters are held to harmless ones.
fn host_name<'a>(verb: &'static str, rest: &'a str) -> Result<&'a str, SyntaxError> {
    let name = rest.trim_matches(' ');
    if name.is_empty() {
        return Err(SyntaxError::Missing(verb, "your host name"));
    }
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c) || !c.is_ascii();
    if name.len() > 255 || !name.chars().all(harmless) {
        return Err(SyntaxError::Name(verb));
    }
    Ok(name)
}

fn auth(rest: &str) -> Result<Command<'_>, SyntaxError> {
    let (mechanism, initial) = match rest.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial)),
        None => (rest, None),
    };
    if mechanism.is_empty() {
        return Err(SyntaxError::Missing("AUTH", "PLAIN, LOGIN or SCRAM-SHA-256"));
    }
    Ok(Command::Auth { mechanism, initial })
}

fn bdat(rest: &str) -> Result<Command<'_>, SyntaxError> {
    let (size, last) = match rest.split_once(' ') {
        None => (rest, false),
        Some((size, word)) if word.eq_ignore_ascii_case("LAST") => (size, true),
        Some(_) => return Err(SyntaxError::Chunk),
    };
    // The bound keeps the number inside a u64; what follows an unreadable size cannot be told from commands.
    if size.is_empty() || size.len() > 18 || !size.bytes().all(|b| b.is_ascii_digit()) {
        return Err(SyntaxError::Chunk);
    }
    Ok(Command::Bdat { size: size.parse().map_err(|_| SyntaxError::Chunk)?, last })
}

fn mail(rest: &str) -> Result<Command<'_>, SyntaxError> {
    let (inner, parameters) = path("MAIL FROM", "FROM", rest)?;
    let parsed = MailParameters::parse(parameters)?;
    if !parsed.smtputf8 && !rest.is_ascii() {
        return Err(SyntaxError::NeedsSmtpUtf8);
    }
    let path = if inner.is_empty() { Path::Null } else { Path::Mailbox(mailbox(inner)?) };
    Ok(Command::Mail { path, parameters: parsed })
}

fn rcpt(rest: &str, ascii: bool) -> Result<Command<'_>, SyntaxError> {
    let (inner, parameters) = path("RCPT TO", "TO", rest)?;
    let parameters = RcptParameters::parse(parameters)?;
    let path = if inner.eq_ignore_ascii_case("postmaster") { Path::Postmaster } else { Path::Mailbox(mailbox(inner)?) };
    Ok(Command::Rcpt { path, parameters, ascii })
}

/// Splits `FROM:<inner> parameters` into the inner text and the parameters.
fn path<'a>(whole: &'static str, keyword: &'static str, rest: &'a str) -> Result<(&'a str, &'a str), SyntaxError> {
    let rest = rest.trim_start_matches(' ');
    let after = rest
        .split_at_checked(keyword.len())
        .filter(|(word, _)| word.eq_ignore_ascii_case(keyword))
        .and_then(|(_, after)| after.strip_prefix(':'))
        .ok_or(SyntaxError::Brackets(whole))?;
    if after.starts_with(' ') {
        return Err(SyntaxError::Space(whole));
    }
    let body = after.strip_prefix('<').ok_or(SyntaxError::Brackets(whole))?;
    let end = closing_bracket(body).ok_or(SyntaxError::Brackets(whole))?;
    let (inner, parameters) = (&body[..end], &body[end + 1..]);
    if !parameters.is_empty() && !parameters.starts_with(' ') {
        return Err(SyntaxError::Brackets(whole));
    }
    Ok((inner, parameters))
}

/// The first `>` outside a quoted string.
fn closing_bracket(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn mailbox(inner: &str) -> Result<Mailbox, SyntaxError> {
    let plain = if inner.starts_with('@') {
        // `@hop1,@hop2:user@domain`: RFC 5321 §4.1.1.3 has the route ignored.
        inner.split_once(':').map_or(inner, |(_, rest)| rest)
    } else {
        inner
    };
    plain.parse().map_err(SyntaxError::Address)
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Postmaster => f.write_str("<postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// The command as it would be sent.
#[expect(clippy::match_same_arms, reason = "a static and a borrowed verb cannot share a pattern")]
impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ehlo(name) => write!(f, "EHLO {name}"),
            Self::Helo(name) => write!(f, "HELO {name}"),
            Self::StartTls => f.write_str("STARTTLS"),
            Self::Auth { mechanism, initial: None } => write!(f, "AUTH {mechanism}"),
            Self::Auth { mechanism, initial: Some(initial) } => write!(f, "AUTH {mechanism} {initial}"),
            Self::Mail { path, parameters } => write!(f, "MAIL FROM:{path}{parameters}"),
            Self::Rcpt { path, parameters, .. } => write!(f, "RCPT TO:{path}{parameters}"),
            Self::Data => f.write_str("DATA"),
            Self::Bdat { size, last } => write!(f, "BDAT {size}{}", if *last { " LAST" } else { "" }),
            Self::Rset => f.write_str("RSET"),
            Self::Noop => f.write_str("NOOP"),
            Self::Quit => f.write_str("QUIT"),
            Self::Vrfy => f.write_str("VRFY"),
            Self::Help => f.write_str("HELP"),
            Self::NotServed(verb) | Self::Web(verb) => f.write_str(verb),
            Self::Unknown(verb) => f.write_str(verb),
        }
    }
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
