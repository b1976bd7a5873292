//! `waxseal route explain`.

use clap::{Args, Subcommand};

use super::control::GatewayArgs;
use super::{CliError, print};
use crate::admin::client::segment;

/// `waxseal route`.
#[derive(Debug, Args)]
pub(super) struct RouteArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Tell how mail for an address would go: MX, addresses, TLS decision, source address, limits.
    #[command(after_help = "Example:\n  waxseal route explain jane@example.com")]
    Explain {
        /// The address, or its domain.
        address: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: &RouteArgs) -> Result<(), CliError> {
    let Verb::Explain { address, json } = &args.verb;
    let path = format!("/v1/route/{}", segment(address));
    let explanation: serde_json::Value = args.gateway.run(async |client| client.get(&path).await)?;
    if *json { print::json(&explanation) } else { print::text(&outline(&explanation, 0)) }
}

/// A JSON document as an outline for people: names and values, deeper parts indented.
fn outline(value: &serde_json::Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let is_leaf = |value: &serde_json::Value| !value.is_object() && !value.is_array();
    match value {
        serde_json::Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| {
                let name = name.replace('_', " ");
                if is_leaf(value) {
                    format!("{indent}{name}: {}\n", leaf(value))
                } else {
                    format!("{indent}{name}:\n{}", outline(value, depth + 1))
                }
            })
            .collect(),
        serde_json::Value::Array(members) => members
            .iter()
            .map(|value| {
                if is_leaf(value) {
                    format!("{indent}- {}\n", leaf(value))
                } else {
                    let inner = outline(value, depth + 1);
                    format!("{indent}- {}", inner.trim_start())
                }
            })
            .collect(),
        other => format!("{indent}{}\n", leaf(other)),
    }
}

fn leaf(value: &serde_json::Value) -> String {
    print::clean(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_reads_as_an_outline() {
        let value =
            serde_json::json!({ "domain": "a.example", "mx": [{ "host": "m1", "ips": ["192.0.2.1"] }], "x": null });
        assert_eq!(outline(&value, 0), "domain: a.example\nmx:\n  - host: m1\n    ips:\n      - 192.0.2.1\n");
    }
}
