//! The second factor: time-based codes (RFC 6238), each good once, and ten recovery codes for a lost device.

use askama::filters::Safe;
use aws_lc_rs::rand;
use totp_rs::{Builder, Secret, Totp};
use zeroize::Zeroizing;

use super::accounts::{Account, Digest, SecondFactor};
use crate::clock::Timestamp;
use crate::tenants::secret::{self, SecretError};

/// Octets of a secret: what RFC 4226 §4 recommends.
const SECRET_LEN: usize = 20;
const RECOVERY_CODES: usize = 10;

/// A new secret.
pub(super) fn new_secret() -> Result<Vec<u8>, SecretError> {
    let mut octets = vec![0; SECRET_LEN];
    rand::fill(&mut octets).map_err(|_| SecretError::Random)?;
    Ok(octets)
}

/// Six digits, SHA-1, thirty seconds: what every authenticator does; others are silently ignored by some.
fn totp(secret: &[u8]) -> Option<Totp> {
    Builder::new().with_secret(Secret::from(secret)).build().ok()
}

/// The time step of a code that fits now (or half a minute ago or ahead) and was not used before.
pub(super) fn step_of(factor: &SecondFactor, code: &str, now: Timestamp) -> Option<u64> {
    let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
    let step = totp(&factor.secret)?.check(&digits, now.seconds())?;
    (step > factor.last_step).then_some(step)
}

/// Takes a code, or a recovery code, as used; false if it is neither.
pub(super) fn spend(account: &mut Account, code: &str, now: Timestamp) -> bool {
    let Some(factor) = &mut account.totp else { return false };
    if let Some(step) = step_of(factor, code, now) {
        factor.last_step = step;
        return true;
    }
    let code = Digest::of(&normal(code));
    let before = account.recovery.len();
    account.recovery.retain(|left| *left != code);
    account.recovery.len() < before
}

/// A recovery code as it is compared: letters and digits only, small.
fn normal(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// New recovery codes for a person, 80 random bits each in groups of four, and what is kept of them.
pub(super) fn recovery_codes() -> Result<(Vec<Zeroizing<String>>, Vec<Digest>), SecretError> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let random = secret::generate()?;
        let groups: Vec<&str> = (0..4).map(|group| &random[group * 4..group * 4 + 4]).collect();
        codes.push(Zeroizing::new(groups.join("-")));
    }
    let digests = codes.iter().map(|code| Digest::of(&normal(code))).collect();
    Ok((codes, digests))
}

/// The secret for typing: base 32 in groups of four.
pub(super) fn typed_form(secret: &[u8]) -> String {
    let text = Secret::from(secret).to_base32();
    let text = text.trim_end_matches('=');
    text.as_bytes().chunks(4).map(|four| String::from_utf8_lossy(four)).collect::<Vec<_>>().join(" ")
}

/// The address that an authenticator reads from the picture.
pub(super) fn uri(secret: &[u8], host: &str, email: &str) -> String {
    let issuer = crate::admin::client::segment(&format!("Waxseal {host}"));
    let secret = typed_form(secret).replace(' ', "");
    format!("otpauth://totp/{issuer}:{}?secret={secret}&issuer={issuer}", crate::admin::client::segment(email))
}

/// A QR code as SVG, dark on white in every theme (scanners need that); `None` if the text is too long for one.
pub(super) fn picture(text: &str) -> Option<Safe<String>> {
    use std::fmt::Write as _;
    let code = qrcodegen::QrCode::encode_text(text, qrcodegen::QrCodeEcc::Medium).ok()?;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            let _ = write!(path, "M{},{}h1v1h-1z", x + 4, y + 4);
        }
    }
    let size = code.size() + 8;
    // Numbers only: nothing of the text is in it.
    Some(Safe(format!(
        "<svg class=\"qr\" viewBox=\"0 0 {size} {size}\" role=\"img\" aria-labelledby=\"qr-title\" shape-rendering=\"crispEdges\">\
         <title id=\"qr-title\">QR</title><rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/><path d=\"{path}\" fill=\"#000\"/></svg>"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_that_of_rfc_6238_and_good_once() {
        // Appendix B: at 59 s the SHA-1 code of this secret ends in 287082.
        let mut factor = SecondFactor { secret: b"12345678901234567890".to_vec(), last_step: 0 };
        let at = Timestamp::from_millis(59_000);
        assert_eq!(step_of(&factor, "287 082", at), Some(1));
        factor.last_step = 1;
        assert_eq!(step_of(&factor, "287082", at), None);
        assert_eq!(step_of(&factor, "000000", at), None);
        assert_eq!(typed_form(&factor.secret).replace(' ', ""), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }
}
