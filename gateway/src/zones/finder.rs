//! Finds the zone that holds a name, and asks its servers.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use hickory_resolver::system_conf::read_system_conf;
use parking_lot::Mutex;
use tokio::time::Instant;
use waxseal_dns::{Answer, RecordType, Reply, Vantage, VantageKind};

use super::exchange::{Heard, Manner, Referral, ask};
use super::{Survey, ZonePrimary, ZoneReader, ZoneServer};
use crate::config::Dns;
use crate::resolver::ResolverSetupError;

/// Where a zone is served is remembered so long: the questions of one check, and no more.
const REMEMBERED: Duration = Duration::from_secs(30);
/// More servers of one zone than this are not asked.
const SERVERS_MAX: usize = 12;
/// More cuts below the zone that a resolver names are not followed.
const REFERRALS_MAX: usize = 4;
/// Zones that are remembered at once.
const ZONES_MAX: usize = 1_024;

/// A zone as it was found.
#[derive(Debug, Clone, Default)]
struct Zone {
    apex: String,
    servers: Vec<ZoneServer>,
    problem: Option<Reply>,
}

/// The real reader: plain questions over UDP, and TCP for what does not fit.
pub struct HickoryZones {
    resolvers: Vec<SocketAddr>,
    zones: Mutex<HashMap<String, (Zone, Instant)>>,
}

impl HickoryZones {
    /// A reader that asks the configured resolvers, or the system's if none is named.
    pub fn new(dns: &Dns) -> Result<Self, ResolverSetupError> {
        let mut resolvers = dns.servers.clone();
        if resolvers.is_empty() {
            let (system, _) = read_system_conf().map_err(|error| ResolverSetupError(error.to_string()))?;
            resolvers = system.name_servers().iter().map(|server| SocketAddr::new(server.ip, 53)).collect();
            resolvers.dedup();
        }
        Ok(Self { resolvers, zones: Mutex::default() })
    }

    /// Where a zone's server is asked; see the module's first lines about ports.
    fn socket(&self, address: IpAddr) -> Option<SocketAddr> {
        if !address.to_canonical().is_loopback() {
            return Some(SocketAddr::new(address, 53));
        }
        let ours = self.resolvers.iter().find(|resolver| resolver.ip().is_loopback())?;
        Some(SocketAddr::new(address, ours.port()))
    }

    /// The first resolver's answer that is one; else the last failure.
    async fn first(&self, name: &str, record_type: RecordType) -> Heard {
        let mut last = None;
        for resolver in &self.resolvers {
            let heard = ask(*resolver, name, record_type, Manner::Recursive).await;
            if heard.reply.is_answer() {
                return heard;
            }
            last = Some(heard);
        }
        last.unwrap_or_else(|| Heard {
            reply: Reply::Failed { reason: "no resolver is configured".to_owned() },
            aliases: Vec::new(),
            referral: None,
            denied_by: None,
        })
    }

    /// Addresses of a zone's server: IPv4 if it has one, else IPv6: a second family shows nothing new of the zone.
    async fn addresses(&self, name: &str) -> Vec<IpAddr> {
        for record_type in [RecordType::A, RecordType::Aaaa] {
            if let Reply::Records { records } = self.first(name, record_type).await.reply {
                return records.iter().filter_map(|record| record.value.parse().ok()).collect();
            }
        }
        Vec::new()
    }

    async fn servers(&self, names: Vec<(String, Vec<IpAddr>)>) -> Vec<ZoneServer> {
        let found = join_all(names.into_iter().take(SERVERS_MAX).map(async |(name, glue)| {
            let mut addresses = if glue.is_empty() { self.addresses(&name).await } else { glue };
            addresses.sort_by_key(IpAddr::is_ipv6);
            let address = addresses.into_iter().find_map(|address| self.socket(address))?;
            Some(ZoneServer { vantage: Vantage { kind: VantageKind::Authoritative, name, address } })
        }));
        found.await.into_iter().flatten().collect()
    }

    /// Walks from `name` upwards until a resolver knows name servers.
    async fn find(&self, name: &str) -> Zone {
        let mut candidate = name;
        loop {
            let heard = self.first(candidate, RecordType::Ns).await;
            match heard.reply {
                // An alias' name servers are those of its target, and say nothing of the alias.
                Reply::Records { ref records } if heard.aliases.is_empty() => {
                    let names = records.iter().map(|record| (record.value.clone(), Vec::new())).collect();
                    let servers = self.servers(names).await;
                    let lost = "none of its name servers has an address";
                    let problem = servers.is_empty().then(|| Reply::Failed { reason: lost.to_owned() });
                    return Zone { apex: candidate.to_owned(), servers, problem };
                }
                // A name that cannot be resolved may still be in a zone that can: its servers know more.
                ref reply if !reply.is_answer() && *reply != Reply::ServFail => {
                    return Zone { problem: Some(heard.reply), ..Zone::default() };
                }
                _ => {}
            }
            // A denial names the zone that it comes from: straight there, past every name in between.
            let apex = heard.denied_by.filter(|apex| heard.aliases.is_empty() && is_above(apex, candidate));
            candidate = match apex.as_deref().map(|apex| &name[name.len() - apex.len()..]) {
                Some(apex) if !apex.is_empty() && apex != candidate => apex,
                _ => match candidate.split_once('.') {
                    Some((_, parent)) if !parent.is_empty() => parent,
                    _ => {
                        let reason = "no zone holds the name".to_owned();
                        return Zone { problem: Some(Reply::Failed { reason }), ..Zone::default() };
                    }
                },
            };
        }
    }

    async fn zone_of(&self, name: &str) -> Zone {
        let now = Instant::now();
        if let Some((zone, until)) = self.zones.lock().get(name)
            && *until > now
        {
            return zone.clone();
        }
        let zone = self.find(name).await;
        let mut zones = self.zones.lock();
        if zones.len() >= ZONES_MAX {
            zones.clear();
        }
        if zone.problem.is_none() {
            zones.insert(name.to_owned(), (zone.clone(), now + REMEMBERED));
        }
        zone
    }

    async fn ask_resolver(&self, resolver: SocketAddr, name: &str, record_type: RecordType) -> Answer {
        let mut heard = ask(resolver, name, record_type, Manner::Recursive).await;
        if heard.reply == Reply::ServFail {
            let unchecked = ask(resolver, name, record_type, Manner::RecursiveUnchecked).await;
            if unchecked.reply.is_answer() {
                heard.reply = Reply::Bogus;
            }
        }
        let vantage = Vantage { kind: VantageKind::Resolver, name: String::new(), address: resolver };
        Answer { name: name.to_owned(), record_type, vantage, aliases: heard.aliases, reply: heard.reply }
    }

    /// Asks a zone's servers; a referral takes the place of the zone.
    async fn ask_zone(&self, mut zone: Zone, name: &str, record_type: RecordType) -> (Zone, Vec<Answer>) {
        for _ in 0..REFERRALS_MAX {
            let questions =
                zone.servers.iter().map(|server| ask(server.vantage.address, name, record_type, Manner::Iterative));
            let heard = join_all(questions).await;
            let cut = |referral: &&Referral| is_above(&zone.apex, &referral.zone) && referral.zone != zone.apex;
            let Some(referral) = heard.iter().filter_map(|heard| heard.referral.as_ref()).find(cut).cloned() else {
                let answers = zone.servers.iter().zip(heard).map(|(server, heard)| Answer {
                    name: name.to_owned(),
                    record_type,
                    vantage: server.vantage.clone(),
                    aliases: heard.aliases,
                    // Sent on and not below: the server does not hold the zone that it is named for.
                    reply: if heard.referral.is_some() { Reply::Refused } else { heard.reply },
                });
                return (zone.clone(), answers.collect());
            };
            let servers = self.servers(referral.servers).await;
            let lost =
                || Reply::Failed { reason: format!("{} is delegated to servers without addresses", referral.zone) };
            let problem = servers.is_empty().then(lost);
            zone = Zone { apex: referral.zone.clone(), servers, problem };
        }
        let reason = "the zone is delegated again and again".to_owned();
        (Zone { problem: Some(Reply::Failed { reason }), ..zone }, Vec::new())
    }
}

/// Is `name` `apex` or below it?
fn is_above(apex: &str, name: &str) -> bool {
    name.strip_suffix(apex).is_some_and(|rest| rest.is_empty() || rest.ends_with('.') || apex.is_empty())
}

#[async_trait]
impl ZoneReader for HickoryZones {
    async fn survey(&self, name: &str, record_type: RecordType) -> Survey {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let from_zone = async {
            let zone = self.zone_of(&name).await;
            self.ask_zone(zone, &name, record_type).await
        };
        let ((zone, mut answers), resolved) = tokio::join!(from_zone, self.resolve(&name, record_type));
        answers.extend(resolved);
        Survey { zone: zone.apex, problem: zone.problem, answers }
    }

    async fn primary(&self, name: &str) -> Result<ZonePrimary, Reply> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let zone = self.zone_of(&name).await;
        // A referral on the way says that the name is in a zone further down than resolvers know.
        let (zone, _) = self.ask_zone(zone, &name, RecordType::Txt).await;
        let apex = zone.apex.clone();
        let (zone, answers) = self.ask_zone(zone, &apex, RecordType::Soa).await;
        if let Some(problem) = zone.problem {
            return Err(problem);
        }
        let source = answers.iter().find_map(|answer| answer.values().next().map(str::to_owned));
        let failure = || answers.first().map_or(Reply::Timeout, |answer| answer.reply.clone());
        let source = source.ok_or_else(failure)?;
        let known = zone.servers.iter().find(|server| server.vantage.name == source);
        let address = match known {
            Some(server) => Some(server.vantage.address),
            None => self.addresses(&source).await.into_iter().find_map(|address| self.socket(address)),
        };
        Ok(ZonePrimary { zone: zone.apex, name: source, address })
    }

    async fn resolve(&self, name: &str, record_type: RecordType) -> Vec<Answer> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        join_all(self.resolvers.iter().map(|resolver| self.ask_resolver(*resolver, &name, record_type))).await
    }
}
