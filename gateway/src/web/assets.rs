//! The files that pages load: style, scripts, the icon. They are in the program, and a file's address has its digest, so
//! that a browser keeps it for ever and never mixes two versions.
//!
//! htmx is the file of its npm package, byte for byte (assets/htmx-LICENSE); a test holds its digest.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::accounts::Digest;
use super::route::{Access, Route};

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

const ASSETS: &[Asset] = &[
    Asset { name: "style.css", kind: "text/css; charset=utf-8", content: include_str!("assets/style.css") },
    Asset {
        name: "htmx.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("assets/htmx-2.0.11.min.js"),
    },
    Asset { name: "page.js", kind: "text/javascript; charset=utf-8", content: include_str!("assets/page.js") },
    Asset { name: "moderation.css", kind: "text/css; charset=utf-8", content: include_str!("assets/moderation.css") },
    Asset {
        name: "moderation.js",
        kind: "text/javascript; charset=utf-8",
        content: include_str!("assets/moderation.js"),
    },
    Asset { name: "seal.svg", kind: "image/svg+xml", content: include_str!("assets/seal.svg") },
];

static ADDRESSES: LazyLock<Vec<String>> = LazyLock::new(|| {
    ASSETS.iter().map(|asset| format!("/assets/{}/{}", Digest::of(asset.content).short(), asset.name)).collect()
});

/// The address of an asset, for templates: `asset("style.css")`. A name that there is not: a dead address.
pub fn asset(name: &str) -> &'static str {
    ASSETS.iter().position(|asset| asset.name == name).map_or("/assets/none", |at| ADDRESSES[at].as_str())
}

pub(super) const ROUTES: &[Route] = &[Route::get("/assets/{digest}/{name}", Access::Public, || get(serve))];

async fn serve(Path((digest, name)): Path<(String, String)>) -> Response {
    let wanted = format!("/assets/{digest}/{name}");
    match ADDRESSES.iter().position(|address| *address == wanted) {
        Some(at) => {
            let kept = "public, max-age=31536000, immutable";
            ([(header::CONTENT_TYPE, ASSETS[at].kind), (header::CACHE_CONTROL, kept)], ASSETS[at].content)
                .into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn htmx_is_the_file_of_its_package() {
        let htmx = ASSETS.iter().find(|asset| asset.name == "htmx.js").unwrap();
        assert_eq!(Digest::of(htmx.content).hex(), "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717");
    }
}
