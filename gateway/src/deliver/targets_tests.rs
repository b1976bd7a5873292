use super::*;
use crate::resolver::StaticResolver;

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn public() -> Surroundings {
    Surroundings {
        own_names: [name("gw.relay.example")].into(),
        own_addresses: ["198.51.100.1".parse().unwrap()].into(),
        allow_loopback_mx: false,
        smtp_port: 25,
        https_port: 443,
    }
}

async fn found(resolver: &StaticResolver, surroundings: &Surroundings) -> Result<Vec<String>, NoTarget> {
    let domain = name("there.example");
    let hosts = mx_hosts(resolver, &domain, surroundings).await?.hosts;
    let targets = mx_targets(resolver, &domain, &hosts, surroundings).await.1?;
    Ok(targets.into_iter().map(|target| format!("{} {}", target.host, target.address)).collect())
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn hosts_come_by_preference_with_both_families() {
    let dns = StaticResolver::new()
        .with_mx("there.example", 20, "mx2.there.example")
        .with_mx("there.example", 10, "mx1.there.example")
        .with_address("mx1.there.example", ip("192.0.2.1"))
        .with_address("mx1.there.example", ip("2001:db8::1"))
        .with_address("mx2.there.example", ip("2001:db8::2"));
    let expected =
        ["mx1.there.example 192.0.2.1:25", "mx1.there.example [2001:db8::1]:25", "mx2.there.example [2001:db8::2]:25"];
    assert_eq!(found(&dns, &public()).await.unwrap(), expected);
}

#[tokio::test]
async fn equal_preferences_are_shuffled() {
    let mut dns = StaticResolver::new();
    for host in ["a.there.example", "b.there.example"] {
        dns = dns.with_mx("there.example", 5, host).with_address(host, ip("192.0.2.1"));
    }
    let mut firsts = std::collections::HashSet::new();
    for _ in 0..100 {
        firsts.insert(mx_hosts(&dns, &name("there.example"), &public()).await.unwrap().hosts[0].name.clone());
    }
    assert_eq!(firsts.len(), 2);
}

#[tokio::test]
async fn without_mx_the_domain_is_its_own_host() {
    let dns = StaticResolver::new().with_address("there.example", ip("2001:db8::5"));
    assert_eq!(found(&dns, &public()).await.unwrap(), ["there.example [2001:db8::5]:25"]);
}

#[tokio::test]
async fn every_dead_end_has_its_status() {
    let with_mx = || StaticResolver::new().with_mx("there.example", 10, "mx.there.example");
    let failing = |failure| {
        let dns = StaticResolver::new();
        dns.fail_mx("there.example", failure);
        dns
    };
    let host_failing = |failure| {
        let dns = with_mx();
        dns.fail_addresses("mx.there.example", failure);
        dns
    };
    let cases = [
        (StaticResolver::new().with_mx("there.example", 0, "."), (5, 1, 10)),
        (StaticResolver::new(), (5, 1, 2)),
        (failing(DnsFailure::NoSuchName), (5, 1, 2)),
        (failing(DnsFailure::NoData), (5, 4, 4)),
        (failing(DnsFailure::ServFail), (4, 4, 3)),
        (failing(DnsFailure::Timeout), (4, 4, 3)),
        (failing(DnsFailure::Bogus), (4, 4, 3)),
        (failing(DnsFailure::Other("refused".into())), (4, 4, 3)),
        (host_failing(DnsFailure::NoSuchName), (5, 4, 4)),
        (host_failing(DnsFailure::NoData), (5, 4, 4)),
        (host_failing(DnsFailure::ServFail), (4, 4, 3)),
        (host_failing(DnsFailure::Bogus), (4, 4, 3)),
        (with_mx().with_address("mx.there.example", ip("127.0.0.1")), (5, 4, 4)),
        (with_mx().with_address("mx.there.example", ip("10.1.2.3")), (5, 4, 4)),
        (with_mx().with_address("mx.there.example", ip("::1")), (5, 4, 4)),
        (with_mx().with_address("mx.there.example", ip("0.0.0.0")), (5, 4, 4)),
        (with_mx().with_address("mx.there.example", ip("::ffff:192.168.0.1")), (5, 4, 4)),
        (with_mx().with_address("mx.there.example", ip("198.51.100.1")), (5, 4, 6)),
        (StaticResolver::new().with_mx("there.example", 10, "gw.relay.example"), (5, 4, 6)),
    ];
    for (number, (dns, status)) in cases.into_iter().enumerate() {
        let failure = found(&dns, &public()).await.expect_err("a dead end");
        assert_eq!(failure.status(), status, "case {number}: {failure}");
    }
}

#[tokio::test]
async fn a_temporary_failure_of_one_host_outweighs_the_final_ones() {
    let dns = StaticResolver::new().with_mx("there.example", 10, "gone.there.example").with_mx(
        "there.example",
        20,
        "mx.there.example",
    );
    dns.fail_addresses("mx.there.example", DnsFailure::Timeout);
    assert_eq!(found(&dns, &public()).await.unwrap_err().status(), (4, 4, 3));
}

#[tokio::test]
async fn our_own_preference_and_worse_are_cut_off() {
    for own in ["gw.relay.example", "alias.of.ours.example"] {
        let dns = StaticResolver::new()
            .with_mx("there.example", 10, "mx.there.example")
            .with_mx("there.example", 20, own)
            .with_mx("there.example", 20, "equal.there.example")
            .with_mx("there.example", 30, "worse.there.example")
            .with_address("mx.there.example", ip("192.0.2.1"))
            .with_address("alias.of.ours.example", ip("198.51.100.1"))
            .with_address("equal.there.example", ip("192.0.2.2"))
            .with_address("worse.there.example", ip("192.0.2.3"));
        for _ in 0..20 {
            assert_eq!(found(&dns, &public()).await.unwrap(), ["mx.there.example 192.0.2.1:25"], "{own}");
        }
    }
}

#[tokio::test]
async fn loopback_is_served_only_on_another_port_and_private_never() {
    let dns = StaticResolver::new()
        .with_mx("there.example", 10, "mx.there.example")
        .with_address("mx.there.example", ip("127.0.0.1"))
        .with_address("mx.there.example", ip("10.0.0.1"));
    let demo = Surroundings { allow_loopback_mx: true, smtp_port: 2526, ..public() };
    assert_eq!(found(&dns, &demo).await.unwrap(), ["mx.there.example 127.0.0.1:2526"]);
}

#[tokio::test]
async fn hosts_and_addresses_are_bounded() {
    let mut dns = StaticResolver::new();
    for host in 0..20 {
        let host_name = format!("mx{host}.there.example");
        dns = dns.with_mx("there.example", host, &host_name);
        for address in 1..8 {
            dns = dns.with_address(&host_name, ip(&format!("192.0.{host}.{address}")));
        }
    }
    let targets = found(&dns, &public()).await.unwrap();
    assert_eq!(targets.len(), MAX_ADDRESSES);
    assert_eq!(mx_hosts(&dns, &name("there.example"), &public()).await.unwrap().hosts.len(), MAX_HOSTS);
}

#[tokio::test]
async fn routes_may_point_anywhere_and_never_end_a_letter() {
    let dns = StaticResolver::new().with_address("inside.example", ip("10.0.0.5"));
    let targets = route_targets(&dns, "127.0.0.1", 2526).await.unwrap();
    assert_eq!(targets[0].address, "127.0.0.1:2526".parse().unwrap());
    assert_eq!(route_targets(&dns, "[::1]", 25).await.unwrap()[0].address, "[::1]:25".parse().unwrap());
    assert_eq!(route_targets(&dns, "inside.example", 25).await.unwrap()[0].host, "inside.example");
    for host in ["missing.example", "not a name"] {
        assert_eq!(route_targets(&dns, host, 25).await.unwrap_err().status().0, 4);
    }
}
