//! Cross-site requests that would change something are refused by what the browser says of their origin.
//!
//! `Sec-Fetch-Site` is set by the browser itself and out of reach of scripts; every current browser sends it to
//! trustworthy origins (Fetch Metadata). An older one sends `Origin` with each POST. A request with a session's cookie
//! and neither of them is refused. Tokens in forms would need state for each form and add nothing to this.

use axum::http::{HeaderMap, Method, header};

use super::site::Site;

/// Does the request come from a page of ours? Asked only of what can change something.
pub(super) fn is_ours(site: &Site, method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        // `none` is a person's own doing (a form sent again from history). A page cannot cause it.
        (Some(relation), origin) => {
            matches!(relation, "same-origin" | "none") && origin.is_none_or(|origin| site.is_origin(origin, headers))
        }
        (None, Some(origin)) => site.is_origin(origin, headers),
        (None, None) => false,
    }
}

/// The host that the client says it speaks to.
pub(super) fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST).and_then(|value| value.to_str().ok())
}
