//! Messages from files and standard input for the one-file tools.

use std::io::Read;
use std::path::Path;

use super::{CliError, Exit};

/// Reads a message and gives its lines CRLF, since files on disk mostly have LF.
pub(crate) fn read_message(file: Option<&Path>) -> Result<Vec<u8>, CliError> {
    let standard_input = || {
        let mut message = Vec::new();
        std::io::stdin().lock().read_to_end(&mut message).map(|_| message)
    };
    let read = file.map_or_else(standard_input, std::fs::read);
    read.map(with_crlf).map_err(|error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::RunTime };
        let name = file.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
        CliError::new(exit, format!("{name}: {error}"))
    })
}

fn with_crlf(message: Vec<u8>) -> Vec<u8> {
    let bare = |at: usize| at == 0 || message[at - 1] != b'\r';
    if !memchr::memchr_iter(b'\n', &message).any(bare) {
        return message;
    }
    let mut out = Vec::with_capacity(message.len() + message.len() / 40);
    for (at, &octet) in message.iter().enumerate() {
        if octet == b'\n' && bare(at) {
            out.push(b'\r');
        }
        out.push(octet);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_ends_in_crlf() {
        assert_eq!(with_crlf(b"\na\r\nb\n\rc".to_vec()), b"\r\na\r\nb\r\n\rc");
        assert_eq!(with_crlf(b"a\r\n".to_vec()), b"a\r\n");
    }
}
