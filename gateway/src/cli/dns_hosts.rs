//! The DNS hosts that `waxseal domain publish` can drive, and how each is signed in to.
//!
//! Most take one secret; some also want to know whose it is (`--account`), and a few say all of it in one JSON document
//! as their consoles give it out. Left out of what the `dns-update` crate knows: hosts whose records it cannot list
//! (without seeing what is there no plan is made), and name registration interfaces that replace whole zones.

use clap::ValueEnum;
use dns_update::providers::azuredns::{AzureDnsConfig, AzureEnvironment};
use dns_update::providers::google_cloud_dns::GoogleCloudDnsConfig;
use dns_update::providers::ovh::OvhEndpoint;
use dns_update::providers::route53::Route53Config;
use dns_update::{DnsUpdater, TsigAlgorithm};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{CliError, Exit};

/// A DNS host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Provider {
    /// A name server that takes RFC 2136 updates with TSIG.
    Rfc2136,
    /// --account: access key ID.
    Alidns,
    /// --secret: JSON with tenant_id, client_id, client_secret, subscription_id, resource_group.
    Azure,
    Bunny,
    Cloudflare,
    /// --account: API key.
    Constellix,
    Desec,
    Digitalocean,
    /// --account: account ID.
    Dnsimple,
    /// --account: API key.
    Dnsmadeeasy,
    /// --account: API token.
    Domeneshop,
    /// --account: API key.
    Exoscale,
    Gandi,
    Gcore,
    /// --account: user name.
    Glesys,
    /// --account: API key.
    Godaddy,
    /// --secret: JSON of a service account.
    Google,
    Hetzner,
    Hostingde,
    Hostinger,
    Infomaniak,
    /// --account: user name.
    Inwx,
    Ionos,
    Linode,
    /// --account: user name.
    Luadns,
    /// --account: key ID.
    Mythicbeasts,
    /// --account: user name.
    Namedotcom,
    Netlify,
    Ns1,
    /// --secret: JSON with endpoint (ovh-eu…), application_key, application_secret, consumer_key.
    Ovh,
    /// PowerDNS; --endpoint: URL of its API.
    Pdns,
    /// --account: API key.
    Porkbun,
    /// --account: access key ID.
    Route53,
    Scaleway,
    /// --account: account name.
    Simplycom,
    /// --account: API key.
    Spaceship,
    /// --account: secret ID.
    Tencentcloud,
    Vercel,
    Vultr,
    /// --account: API key.
    Websupport,
    /// --account: user name.
    Zoneeu,
}

/// How to sign in.
pub(super) struct SignIn<'a> {
    /// The secret, token or password.
    pub(super) secret: &'a str,
    /// Whose it is.
    pub(super) account: Option<&'a str>,
    /// Where the host's API is, if it is not one for everybody.
    pub(super) endpoint: Option<&'a str>,
    /// The name server, for RFC 2136.
    pub(super) server: Option<std::net::SocketAddr>,
    /// The TSIG key's octets, its name being the account.
    pub(super) key: &'a [u8],
}

#[derive(Deserialize)]
struct AzureSecret {
    tenant_id: String,
    client_id: String,
    client_secret: String,
    subscription_id: String,
    resource_group: String,
}

#[derive(Deserialize)]
struct GoogleSecret {
    project_id: String,
}

#[derive(Deserialize)]
struct OvhSecret {
    endpoint: String,
    application_key: String,
    application_secret: String,
    consumer_key: String,
}

/// The secret's text is in no error.
fn json<T: DeserializeOwned>(secret: &str, what: &str) -> Result<T, CliError> {
    serde_json::from_str(secret).map_err(|_| CliError::new(Exit::Usage, format!("--secret is not {what}")))
}

/// Signs in; asks nobody yet.
pub(super) fn updater(provider: Provider, sign_in: &SignIn<'_>) -> Result<DnsUpdater, CliError> {
    let name = provider.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let usage = |why: &str| CliError::new(Exit::Usage, format!("{name} needs {why}"));
    let SignIn { secret, account, endpoint, server, key } = *sign_in;
    let account = || account.ok_or_else(|| usage("--account; see --help"));
    let made = match provider {
        Provider::Rfc2136 => {
            let server = server.ok_or_else(|| usage("--server, where the zone's primary server is not found"))?;
            DnsUpdater::new_rfc2136_tsig(format!("tcp://{server}"), account()?, key, TsigAlgorithm::HmacSha256)
        }
        Provider::Alidns => DnsUpdater::new_alidns(account()?, secret, None::<&str>, None::<&str>, None::<&str>, None),
        Provider::Azure => DnsUpdater::new_azuredns(azure(secret)?),
        Provider::Bunny => DnsUpdater::new_bunny(secret, None),
        Provider::Cloudflare => DnsUpdater::new_cloudflare(secret, None),
        Provider::Constellix => DnsUpdater::new_constellix(account()?, secret, None),
        Provider::Desec => DnsUpdater::new_desec(secret, None),
        Provider::Digitalocean => DnsUpdater::new_digitalocean(secret, None),
        Provider::Dnsimple => DnsUpdater::new_dnsimple(secret, account()?, None),
        Provider::Dnsmadeeasy => DnsUpdater::new_dnsmadeeasy(account()?, secret, None),
        Provider::Domeneshop => DnsUpdater::new_domeneshop(account()?, secret, None),
        Provider::Exoscale => DnsUpdater::new_exoscale(account()?, secret, None),
        Provider::Gandi => DnsUpdater::new_gandiv5(secret, None),
        Provider::Gcore => DnsUpdater::new_gcore(secret, None),
        Provider::Glesys => DnsUpdater::new_glesys(account()?, secret, None),
        Provider::Godaddy => DnsUpdater::new_godaddy(account()?, secret, None),
        Provider::Google => DnsUpdater::new_google_cloud_dns(google(secret)?),
        Provider::Hetzner => DnsUpdater::new_hetzner(secret, None),
        Provider::Hostingde => DnsUpdater::new_hostingde(secret, None),
        Provider::Hostinger => DnsUpdater::new_hostinger(secret, None),
        Provider::Infomaniak => DnsUpdater::new_infomaniak(secret, None),
        Provider::Inwx => DnsUpdater::new_inwx(account()?, secret, false, None),
        Provider::Ionos => DnsUpdater::new_ionos(secret, None),
        Provider::Linode => DnsUpdater::new_linode(secret, None),
        Provider::Luadns => DnsUpdater::new_luadns(account()?, secret, None),
        Provider::Mythicbeasts => DnsUpdater::new_mythicbeasts(account()?, secret, None),
        Provider::Namedotcom => DnsUpdater::new_namedotcom(account()?, secret, None),
        Provider::Netlify => DnsUpdater::new_netlify(secret, None),
        Provider::Ns1 => DnsUpdater::new_ns1(secret, None),
        Provider::Ovh => ovh(secret)?,
        Provider::Pdns => {
            let endpoint = endpoint.ok_or_else(|| usage("--endpoint, the URL of its API"))?;
            DnsUpdater::new_pdns(secret, Some(endpoint), None::<&str>, None)
        }
        Provider::Porkbun => DnsUpdater::new_porkbun(account()?, secret, None),
        Provider::Route53 => DnsUpdater::new_route53(Route53Config {
            access_key_id: account()?.to_owned(),
            secret_access_key: secret.to_owned(),
            session_token: None,
            region: None,
            hosted_zone_id: None,
            private_zone_only: Some(false),
            endpoint: endpoint.map(str::to_owned),
        }),
        Provider::Scaleway => DnsUpdater::new_scaleway(secret, None),
        Provider::Simplycom => DnsUpdater::new_simplycom(account()?, secret, None),
        Provider::Spaceship => DnsUpdater::new_spaceship(account()?, secret, None),
        Provider::Tencentcloud => DnsUpdater::new_tencentcloud(account()?, secret, None::<&str>, None::<&str>, None),
        Provider::Vercel => DnsUpdater::new_vercel(secret, None::<&str>, None),
        Provider::Vultr => DnsUpdater::new_vultr(secret, None),
        Provider::Websupport => DnsUpdater::new_websupport(account()?, secret, None),
        Provider::Zoneeu => DnsUpdater::new_zoneeu(account()?, secret, None),
    };
    made.map_err(|error| CliError::new(Exit::RunTime, format!("the settings of {name}: {error}")))
}

fn azure(secret: &str) -> Result<AzureDnsConfig, CliError> {
    let AzureSecret { tenant_id, client_id, client_secret, subscription_id, resource_group } =
        json(secret, "JSON with tenant_id, client_id, client_secret, subscription_id and resource_group")?;
    let environment = AzureEnvironment::Public;
    let request_timeout = None;
    Ok(AzureDnsConfig {
        tenant_id,
        client_id,
        client_secret,
        subscription_id,
        resource_group,
        environment,
        request_timeout,
    })
}

fn google(secret: &str) -> Result<GoogleCloudDnsConfig, CliError> {
    let GoogleSecret { project_id } = json(secret, "the JSON of a service account")?;
    Ok(GoogleCloudDnsConfig {
        service_account_json: secret.to_owned(),
        project_id,
        managed_zone: None,
        private_zone: false,
        impersonate_service_account: None,
        request_timeout: None,
    })
}

fn ovh(secret: &str) -> Result<dns_update::Result<DnsUpdater>, CliError> {
    let what = "JSON with endpoint, application_key, application_secret and consumer_key";
    let OvhSecret { endpoint, application_key, application_secret, consumer_key } = json(secret, what)?;
    let endpoint = match endpoint.as_str() {
        "ovh-eu" => OvhEndpoint::OvhEu,
        "ovh-us" => OvhEndpoint::OvhUs,
        "ovh-ca" => OvhEndpoint::OvhCa,
        _ => return Err(CliError::new(Exit::Usage, "the endpoint is ovh-eu, ovh-us or ovh-ca")),
    };
    Ok(DnsUpdater::new_ovh(application_key, application_secret, consumer_key, endpoint, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_signs_in_with_what_its_help_says() {
        let azure =
            r#"{"tenant_id":"t","client_id":"c","client_secret":"s","subscription_id":"u","resource_group":"g"}"#;
        let ovh = r#"{"endpoint":"ovh-eu","application_key":"a","application_secret":"b","consumer_key":"c"}"#;
        let google =
            r#"{"project_id":"p","client_email":"a@b.example","private_key":"none","token_uri":"https://b.example"}"#;
        for provider in Provider::value_variants() {
            let secret = match provider {
                Provider::Azure => azure,
                Provider::Ovh => ovh,
                Provider::Google => google,
                _ => "secret",
            };
            let sign_in = |account, endpoint| SignIn {
                secret,
                account,
                endpoint,
                server: Some(([192, 0, 2, 53], 53).into()),
                key: b"0123456789abcdef",
            };
            let made = updater(*provider, &sign_in(Some("account"), Some("https://api.example")));
            assert!(made.is_ok(), "{provider:?}: {}", made.err().map(|error| error.to_string()).unwrap_or_default());
            let bare = updater(*provider, &sign_in(None, None));
            let help = provider.to_possible_value().unwrap().get_help().map(ToString::to_string).unwrap_or_default();
            let wants = help.contains("--account") || help.contains("--endpoint") || *provider == Provider::Rfc2136;
            assert_eq!(bare.is_err(), wants, "{provider:?}: {help}");
        }
        let wrong = SignIn { secret: "hunter2", account: None, endpoint: None, server: None, key: b"" };
        let error = updater(Provider::Google, &wrong).err().unwrap().to_string();
        assert!(error.contains("service account") && !error.contains("hunter2"), "{error}");
    }
}
